// SPDX-License-Identifier: Apache-2.0
// What nothing leads to any more leaves the kernel, and its ids and slots become free.
import { rangeSetBits } from '../../abi/structs.ts';
import type { Steps } from '../../mesh/steps.ts';
import type { Address } from '../../net/address.ts';
import type { Image } from '../image.ts';
import type { AuthzOperation, DeleteOperation } from '../operation.ts';
import type { AuthzLeft } from './commit.ts';
import { type SetImage, setSource } from './image.ts';
import { portValue } from './plan-sets.ts';

export interface AuthzRelease {
  readonly ops: readonly AuthzOperation[];
  /** Makes ids and slots free. To be called once all `ops` were carried out; no grace period is needed before. */
  commit(): Steps<void>;
}

const entriesAStep = 64;

/**
 * The release of what a plan left behind. To be called after a grace period that began when the plan had been carried out, while no plan is
 * open; not at all when the image was read anew meanwhile. What came into use again stays.
 */
export function* releasingAuthz(image: Image, left: AuthzLeft): Steps<AuthzRelease> {
  const { authz } = image;
  const sources: Address[] = [];
  const going = new Map<number, number>();
  let seen = 0;
  for (const address of left.sources) {
    if (++seen % entriesAStep === 0) yield;
    if (authz.leaving.get(address) !== left.plan) continue;
    sources.push(address);
    const id = authz.sources.get(address) as number;
    going.set(id, (going.get(id) ?? 0) + 1);
  }
  // One that came back and left again goes with the last of its sources.
  const identities = left.identities.filter(([principal, id]) => {
    return !authz.identities.has(principal) && (authz.sourcesOf.get(id) ?? 0) === (going.get(id) ?? 0);
  });
  const values: { readonly set: SetImage; readonly id: number }[] = [];
  const ops: AuthzOperation[] = [];
  const put = function* (op: AuthzOperation): Steps<void> {
    ops.push(op);
    if (++seen % entriesAStep === 0) yield;
  };
  const valueOut = (set: SetImage, value: number): DeleteOperation => {
    return { kind: 'delete', map: 'authz_value', key: { set: set.id, value }, about: `policy set ${set.id}` };
  };

  if (sources.length > 0) ops.push({ kind: 'stamp' });
  for (const address of sources) {
    yield* put({ kind: 'delete', map: 'authz_source', key: address, about: `source ${address}` });
  }
  if (sources.length > 0) ops.push({ kind: 'stamp' });
  for (const [, id] of identities) {
    for (const set of [...authz.sets.values(), ...authz.unread]) {
      if (!set.identities.has(id)) continue;
      values.push({ set, id });
      yield* put(valueOut(set, id));
    }
  }
  for (const set of left.sets) {
    for (const id of set.identities) yield* put(valueOut(set, id));
    for (const port of set.ports) yield* put(valueOut(set, portValue(port)));
  }
  for (const set of left.sets) {
    for (const { address, prefix } of set.entries) {
      const key = { prefixlen: rangeSetBits + prefix, set: set.id, addr: address };
      yield* put({ kind: 'delete', map: 'authz_range', key, about: `policy set ${set.id}` });
    }
  }
  return {
    ops,
    *commit() {
      for (const address of sources) {
        authz.leaving.delete(address);
        setSource(authz, address, undefined);
        if (++seen % entriesAStep === 0) yield;
      }
      for (const { set, id } of values) set.identities.delete(id);
      for (const [principal] of identities) authz.parting.delete(principal);
      authz.counts.authz_value -= values.length;
      for (const [, id] of left.identities) {
        if (image.ids.identity.drop(id)) image.ids.identity.retire(id);
        if (++seen % entriesAStep === 0) yield;
      }
      for (const set of left.sets) {
        authz.counts.authz_value -= set.identities.size + set.ports.length;
        authz.counts.authz_range -= set.entries.length;
        for (const [start, length] of set.words) authz.ranges.authz_word.free(start, length);
        if (set.member) authz.ranges.authz_member.free(...set.member);
        authz.ranges.authz_set.free(set.id, 1);
        for (const id of set.policies) if (image.ids.policy.drop(id)) image.ids.policy.retire(id);
        yield;
      }
      for (const { id } of left.stacks) authz.ranges.authz_stack.free(id, 1);
      for (const id of left.strayIds) authz.ranges.authz_set.free(id, 1);
    },
  };
}
