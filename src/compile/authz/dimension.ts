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
  /** Number of the vector of values for which no atom is true. */
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
 * Atoms that a literal lists together are a group, and only conjunctions that ask for a group with a true atom can differ from `base`. So a
 * value costs what concerns it, not what there is.
 */
export function buildDimension(
  dimension: Dimension,
  placed: readonly Placed[],
  words: number,
  pool: VectorPool,
): DimensionTable {
  const groupIds = new Map<string, number>();
  const groupsOf = new Map<string, number[]>();
  const askingOf: Asking[][] = [];
  const baseBits = emptyBits(words);

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
    if (is.length === 0) setBit(baseBits, bit, true);
    const asking = { bit, is, not };
    for (const group of [...is, ...not]) (askingOf[group] as Asking[]).push(asking);
  }
  const base = pool.add(baseBits);

  const known = new Map<string, number>();
  const make = (held: ReadonlySet<number>): number => {
    const bits: Bits = baseBits.slice();
    for (const group of held) {
      for (const { bit, is, not } of askingOf[group] as Asking[]) {
        setBit(bits, bit, is.every((g) => held.has(g)) && !not.some((g) => held.has(g)));
      }
    }
    return pool.add(bits);
  };

  return {
    used: askingOf.length > 0,
    base,
    atoms: () => groupsOf.keys(),
    has: (atom) => groupsOf.has(atom),
    vectorOf(atoms) {
      const held = new Set<number>();
      for (const atom of atoms) for (const group of groupsOf.get(atom) ?? []) held.add(group);
      if (held.size === 0) return base;
      const text = [...held].sort((a, b) => a - b).join();
      const before = known.get(text);
      if (before !== undefined) return before;
      const made = make(held);
      known.set(text, made);
      return made;
    },
  };
}
