// SPDX-License-Identifier: Apache-2.0
// What the kernel's maps say of a connection, looked up as the program that judges looks it up.
import { addressTag, authzValueTag } from '../../abi/hash.ts';
import type { KeyOf, MapName, ValueOfMap } from '../../abi/maps.ts';
import { dimensionIndex, identityHost, memberPolicyBits, stackFlag, valuePort } from '../../abi/structs.ts';
import { type Dimension, dimensions } from '../../mesh/conjunction.ts';
import type { Address } from '../../net/address.ts';
import type { Allows, Asked, Found } from './judge.ts';
import { type Bits, emptyBits, type Halves, wordBits } from './vector.ts';

export interface AuthzMaps {
  map<M extends MapName>(name: M): { get(key: KeyOf<M>): ValueOfMap<M> | undefined };
}

/** What holds for a destination address. */
export interface HeldStack extends Allows {
  /** For what is wrong with its policies: everything is denied. */
  readonly closed: boolean;
  readonly sets: readonly { readonly set: number; readonly destination: number }[];
}

/** Undefined: nothing is known of it, and nothing gets in. */
export function heldStack(maps: AuthzMaps, address: Address): HeldStack | undefined {
  const entry = maps.map('authz_dest').get(address);
  if (entry === undefined || entry.tag !== addressTag(address)) return undefined;
  const stack = maps.map('authz_stack').get(entry.stack);
  if (stack === undefined) return undefined;
  const { count, flags } = stack;
  return {
    allows: (flags & stackFlag.allows) !== 0,
    dryAllows: (flags & stackFlag.dryAllows) !== 0,
    closed: (flags & stackFlag.closed) !== 0,
    sets: Array.from({ length: count }, (_, i) => ({
      set: stack.sets[2 * i] as number,
      destination: stack.sets[2 * i + 1] as number,
    })),
  };
}

/** Id of the identity that a source address has; 0: none. 'host': it is this node's own, and exempt. */
export function heldSource(maps: AuthzMaps, address: Address): number | 'host' {
  const entry = maps.map('authz_source').get(address);
  if (entry === undefined || entry.tag !== addressTag(address)) return 0;
  return entry.identity === identityHost ? 'host' : entry.identity;
}

/** The sets of a stack, each with what the values of a connection lead to in it. Policies are ids. */
export function askedFromMaps(
  maps: AuthzMaps,
  { sets }: HeldStack,
  of: { readonly identity: number; readonly source: Address; readonly port: number },
): Asked<number>[] {
  const value = (set: number, key: number): number | undefined => {
    const found = maps.map('authz_value').get({ set, value: key });
    return found?.tag === authzValueTag({ set, value: key }) ? found.vector : undefined;
  };
  const range = (set: number): number | undefined => {
    const found = maps.map('authz_range').get({ prefixlen: 32 + 128, set, addr: of.source });
    return found?.set === set ? found.vector : undefined;
  };
  return sets.flatMap(({ set, destination }) => {
    const header = maps.map('authz_set').get(set);
    if (header === undefined) return [];
    const ends = [...header.ends] as unknown as Asked['ends'];
    const base = (dimension: Dimension) => header.base[dimensionIndex[dimension]] as number;
    const lookUp: Readonly<Record<Dimension, () => number>> = {
      identity: () => (of.identity === 0 ? header.anonymous : (value(set, of.identity) ?? base('identity'))),
      source: () => range(set) ?? base('source'),
      destination: () => destination,
      port: () => value(set, (of.port | valuePort) >>> 0) ?? base('port'),
    };
    // Where no dimension is asked for, the words of any tell which conjunctions there are.
    const used = header.used || 1 << dimensionIndex.destination;
    const vectors = dimensions.map((dimension): Found => {
      const d = dimensionIndex[dimension];
      if (((used >>> d) & 1) === 0) return anything(ends[3]);
      return foundAt(maps, lookUp[dimension](), header.usual[d] as number, ends[3]);
    });
    const memberAt = (bit: number) => memberOf(maps.map('authz_member').get(header.member + bit) ?? 0);
    const policies = new Set<number>();
    for (let bit = 0; bit < wordBits * ends[3]; bit++) {
      const member = memberAt(bit);
      if (member) policies.add(member.policy);
    }
    return [{ ends, vectors, policies: [...policies], memberAt }];
  });
}

/** A slot of authz_member; undefined: it fills up a word. */
export function memberOf(slot: number): { readonly policy: number; readonly rule: number } | undefined {
  if (slot === 0) return undefined;
  return { policy: slot & ((1 << memberPolicyBits) - 1), rule: slot >>> memberPolicyBits };
}

function anything(words: number): Found {
  const usual = emptyBits(words).fill(0xffff_ffff);
  return { vector: { summary: [0xffff_ffff, 0xffff_ffff], changed: [0, 0], words: emptyBits(0) }, usual };
}

function foundAt(maps: AuthzMaps, vector: number, usual: number, words: number): Found {
  const word = (index: number): Halves => {
    const bits = maps.map('authz_word').get(index) ?? 0n;
    return [Number(bits & 0xffff_ffffn), Number(bits >> 32n)];
  };
  const run = (from: number, count: number): Bits =>
    Uint32Array.from(Array.from({ length: count }, (_, i) => word(from + i)).flat());
  const changed = word(vector + 1);
  let count = 0;
  for (const half of changed) for (let bits = half; bits !== 0; bits &= bits - 1) count++;
  return {
    vector: { summary: word(vector), changed, words: run(vector + 2, count) },
    usual: run(usual, words),
  };
}
