// SPDX-License-Identifier: Apache-2.0
// Writes compiled policy sets into the kernel's maps in the plainest way, from nothing, as docs/authorization.md lays them out.
import { addressTag, authzValueTag } from '../../src/abi/hash.ts';
import type { KeyOf, ValueOfMap } from '../../src/abi/maps.ts';
import { memberPolicyBits, rangeSetBits, stackFlag, stackSets, valuePort } from '../../src/abi/structs.ts';
import type { Stack } from '../../src/compile/authz/judge.ts';
import type { PolicySet } from '../../src/compile/authz/set.ts';
import type { DataPlane } from '../../src/kernel/dataplane.ts';
import { type Identity, principalOf } from '../../src/mesh/identity.ts';
import { type Policy, policyKey } from '../../src/mesh/policy.ts';
import type { Address } from '../../src/net/address.ts';

export interface Written {
  /** Id of a policy. */
  policy(policy: Policy): number;
  /** Takes every entry away that was written. */
  clear(): void;
}

type Pairs<M extends Parameters<DataPlane['map']>[0]> = [KeyOf<M>, ValueOfMap<M>][];

/** @param identities numbers of identities, by principal */
export function writeAuthz(
  plane: DataPlane,
  stacks: ReadonlyMap<Address, Stack>,
  identities: ReadonlyMap<string, readonly [id: number, identity: Identity]>,
): Written {
  const policyIds = new Map<string, number>();
  const policy = (of: Policy): number => {
    const key = policyKey(of);
    const id = policyIds.get(key) ?? policyIds.size + 1;
    policyIds.set(key, id);
    return id;
  };
  const words: bigint[] = [];
  const members: number[] = [];
  const values: Pairs<'authz_value'> = [];
  const ranges: Pairs<'authz_range'> = [];
  const headers: Pairs<'authz_set'> = [];
  const sets = new Map<PolicySet, { readonly id: number; place(vector: number): number }>();

  const bigints = (halves: ArrayLike<number>): bigint[] =>
    Array.from(
      { length: halves.length / 2 },
      (_, i) => (BigInt(halves[2 * i + 1] as number) << 32n) | BigInt(halves[2 * i] as number),
    );
  const writeSet = (set: PolicySet) => {
    const known = sets.get(set);
    if (known) return known;
    const id = sets.size + 1;
    const places = new Map<number, number>();
    const place = (number: number): number => {
      const before = places.get(number);
      if (before !== undefined) return before;
      const { summary, changed, words: own } = set.vectors[number] as PolicySet['vectors'][number];
      const start = words.push(...bigints(summary), ...bigints(changed), ...bigints(own)) - 2 - own.length / 2;
      places.set(number, start);
      return start;
    };
    const dimensions = [set.identity, set.source, set.destination, set.port];
    const usual = dimensions.map((of) => words.push(...bigints(of.usual)) - of.usual.length / 2);
    const value = (key: KeyOf<'authz_value'>, vector: number) =>
      values.push([key, { vector: place(vector), tag: authzValueTag(key) }]);
    for (const [number, identity] of identities.values()) {
      const vector = set.identityVector(identity);
      if (vector !== set.identity.base) value({ set: id, value: number }, vector);
    }
    for (const [port, vector] of set.port.entries) value({ set: id, value: (valuePort | port) >>> 0 }, vector);
    for (const { address, prefix, value: vector } of set.source.entries) {
      ranges.push([
        { prefixlen: rangeSetBits + prefix, set: id, addr: address },
        { vector: place(vector), set: id },
      ]);
    }
    const member =
      members.push(...set.members.map((m) => (m ? policy(m.policy) | (m.rule << memberPolicyBits) : 0))) -
      set.members.length;
    headers.push([
      id,
      {
        generation: 1,
        ends: Uint8Array.from(set.ends),
        used: dimensions.reduce((bits, { used }, d) => bits | (used ? 1 << d : 0), 0),
        member,
        usual,
        base: dimensions.map(({ base }) => place(base)),
        anonymous: place(set.identity.anonymous),
      },
    ]);
    const made = { id, place };
    sets.set(set, made);
    return made;
  };

  const stackEntries: Pairs<'authz_stack'> = [];
  const destinations: Pairs<'authz_dest'> = [];
  for (const [address, stack] of stacks) {
    if (stack.sets.length > stackSets) throw new Error('too many sets');
    const pairs = stack.sets.flatMap(({ set, destination }) => {
      const { id, place } = writeSet(set);
      return [id, place(destination)];
    });
    const id = stackEntries.length + 1;
    const flags =
      (stack.allows ? stackFlag.allows : 0) |
      (stack.dryAllows ? stackFlag.dryAllows : 0) |
      (stack.dry ? stackFlag.dry : 0);
    stackEntries.push([id, { generation: 1, count: stack.sets.length, flags, sets: pairs }]);
    destinations.push([address, { stack: id, tag: addressTag(address) }]);
  }
  plane.map('authz_word').put(words.map((word, i) => [i, word]));
  plane.map('authz_member').put(members.map((member, i) => [i, member]));
  plane.map('authz_set').put(headers);
  plane.map('authz_value').put(values);
  plane.map('authz_range').put(ranges);
  plane.map('authz_stack').put(stackEntries);
  // Numbers are given anew: what was counted under them before goes.
  plane.map('authz_hit').delete([0, ...policyIds.values()]);
  plane.map('authz_dest').put(destinations);
  return {
    policy,
    clear() {
      plane.map('authz_dest').delete(destinations.map(([key]) => key));
      plane.map('authz_value').delete(values.map(([key]) => key));
      plane.map('authz_range').delete(ranges.map(([key]) => key));
    },
  };
}

/** Numbers identities from 1. */
export function numbered(identities: Iterable<Identity>): Map<string, readonly [number, Identity]> {
  const out = new Map<string, readonly [number, Identity]>();
  for (const identity of identities) {
    const name = principalOf(identity);
    if (!out.has(name)) out.set(name, [out.size + 1, identity]);
  }
  return out;
}
