// SPDX-License-Identifier: Apache-2.0
// One dimension of a policy set: from the atoms that are true for a value to the vector of the conjunctions that the value satisfies.
import type { Conjunction, Dimension } from '../../mesh/conjunction.ts';
import { type Bits, emptyBits, setBit, type VectorPool } from './vector.ts';

/** A conjunction and its place in the vectors. */
export interface Placed {
  readonly bit: number;
  readonly conjunction: Conjunction;
}

export interface DimensionTable {
  /** False: no conjunction asks for this value, and the vector is the same for all. */
  readonly used: boolean;
  /** Words of the usual vector, of which the others are kept as differences. */
  readonly usual: Bits;
  /** Number of the usual vector: that of values for which no atom is true but the usual ones. */
  readonly base: number;
  /** Every atom that a literal names. */
  atoms(): IterableIterator<string>;
  has(atom: string): boolean;
  /** Number of the vector of a value for which just these atoms are true. Atoms that no literal names do not matter. */
  vectorOf(atoms: Iterable<string>): number;
}

interface Asking {
  readonly bit: number;
  /** Groups of which one atom must be true, and of which none may. */
  readonly is: readonly number[];
  readonly not: readonly number[];
}

/**
 * Atoms that a literal lists together are a group, and only conjunctions that ask for a group with a true atom can differ from the vector for
 * which none is. So a value costs what concerns it, not what there is.
 *
 * @param usualAtoms those that are true for nearly every value
 */
export function buildDimension(
  dimension: Dimension,
  placed: readonly Placed[],
  words: number,
  pool: VectorPool,
  usualAtoms: readonly string[] = [],
): DimensionTable {
  const groupIds = new Map<string, number>();
  const groupsOf = new Map<string, number[]>();
  const askingOf: Asking[][] = [];
  /** Of a value for which no atom is true. */
  const noneBits = emptyBits(words);

  const groupOf = (atoms: readonly string[]): number => {
    const text = atoms.join('\n');
    const known = groupIds.get(text);
    if (known !== undefined) return known;
    const id = askingOf.push([]) - 1;
    groupIds.set(text, id);
    for (const atom of atoms) {
      const groups = groupsOf.get(atom);
      if (groups) groups.push(id);
      else groupsOf.set(atom, [id]);
    }
    return id;
  };

  for (const { bit, conjunction } of placed) {
    const is: number[] = [];
    const not: number[] = [];
    for (const literal of conjunction) {
      if (literal.dimension === dimension) (literal.not ? not : is).push(groupOf(literal.atoms));
    }
    if (is.length === 0) setBit(noneBits, bit, true);
    const asking = { bit, is, not };
    for (const group of [...is, ...not]) (askingOf[group] as Asking[]).push(asking);
  }
  const bitsOf = (held: ReadonlySet<number>): Bits => {
    const bits = noneBits.slice();
    for (const group of held) {
      for (const { bit, is, not } of askingOf[group] as Asking[]) {
        setBit(bits, bit, is.every((g) => held.has(g)) && !not.some((g) => held.has(g)));
      }
    }
    return bits;
  };
  const groupsWith = (atoms: Iterable<string>): Set<number> => {
    const held = new Set<number>();
    for (const atom of atoms) for (const group of groupsOf.get(atom) ?? []) held.add(group);
    return held;
  };
  const usual = bitsOf(groupsWith(usualAtoms));
  const base = pool.add(usual, usual);
  const known = new Map<string, number>();

  return {
    used: askingOf.length > 0,
    usual,
    base,
    atoms: () => groupsOf.keys(),
    has: (atom) => groupsOf.has(atom),
    vectorOf(atoms) {
      const held = groupsWith(atoms);
      const text = [...held].sort((a, b) => a - b).join();
      const before = known.get(text);
      if (before !== undefined) return before;
      const made = pool.add(bitsOf(held), usual);
      known.set(text, made);
      return made;
    },
  };
}
