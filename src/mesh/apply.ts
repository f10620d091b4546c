// SPDX-License-Identifier: Apache-2.0
// (model, changes) -> the next model and what was touched. One batch is one step: nobody sees half of it.
import { type Set as Bag, Map as ImmutableMap, Set as ImmutableSet, type Map as Table } from 'immutable';
import { equal } from './equal.ts';
import type { Change, Model, Touched } from './model.ts';
import { addressText, type Service, serviceKey } from './service.ts';
import type { Workload } from './workload.ts';

/** A model that holds nothing. */
export const emptyModel: Model = {
  workloads: ImmutableMap(),
  services: ImmutableMap(),
  members: ImmutableMap(),
  owners: ImmutableMap(),
  addresses: ImmutableMap(),
};

const emptyBag: Bag<string> = ImmutableSet();

/** An index being changed: each bag is copied once a batch, however many changes touch it. */
interface BagEditor {
  add(key: string, value: string): void;
  remove(key: string, value: string): void;
  close(): Table<string, Bag<string>>;
}

function editBags(table: Table<string, Bag<string>>): BagEditor {
  const edited = new Map<string, Bag<string>>();
  const open = (key: string): Bag<string> => {
    let bag = edited.get(key);
    if (!bag) {
      bag = table.get(key, emptyBag).asMutable();
      edited.set(key, bag);
    }
    return bag;
  };
  return {
    add: (key, value) => void open(key).add(value),
    remove: (key, value) => void open(key).delete(value),
    close: () =>
      edited.size === 0
        ? table
        : table.withMutations((next) => {
            for (const [key, bag] of edited) {
              if (bag.size === 0) next.delete(key);
              else next.set(key, bag.asImmutable());
            }
          }),
  };
}

/** Addresses by which a workload is known: none for one that shares its node's. */
function ownAddresses(workload: Workload | undefined): readonly string[] {
  return workload && !workload.hostNetwork ? workload.addresses : [];
}

/**
 * The model after all `changes`, in order, and what they touched.
 * A value equal to the one held touches nothing; removing what is not there neither. A workload may come before its service: `members` stages it.
 */
export function apply(model: Model, changes: readonly Change[]): { readonly model: Model; readonly touched: Touched } {
  const workloads = model.workloads.asMutable();
  const services = model.services.asMutable();
  const members = editBags(model.members);
  const owners = editBags(model.owners);
  const addresses = editBags(model.addresses);
  const touched = { services: new Set<string>(), addresses: new Set<string>(), workloads: new Set<string>() };

  const setWorkload = (uid: string, next: Workload | undefined): void => {
    const before = workloads.get(uid);
    if (next === before || (next && before && equal(next, before))) return;
    touched.workloads.add(uid);
    for (const key of before?.services.keys() ?? []) {
      touched.services.add(key);
      if (!next?.services.has(key)) members.remove(key, uid);
    }
    for (const key of next?.services.keys() ?? []) {
      touched.services.add(key);
      if (!before?.services.has(key)) members.add(key, uid);
    }
    const had = ownAddresses(before);
    const has = ownAddresses(next);
    for (const address of had) if (!has.includes(address)) addresses.remove(address, uid);
    for (const address of has) if (!had.includes(address)) addresses.add(address, uid);
    if (next) workloads.set(uid, next);
    else workloads.delete(uid);
  };

  const setService = (key: string, next: Service | undefined): void => {
    const before = services.get(key);
    if (next === before || (next && before && equal(next, before))) return;
    touched.services.add(key);
    const had = new Set(before?.addresses.map(addressText));
    const has = new Set(next?.addresses.map(addressText));
    for (const text of had) {
      touched.addresses.add(text);
      if (!has.has(text)) owners.remove(text, key);
    }
    for (const text of has) {
      touched.addresses.add(text);
      if (!had.has(text)) owners.add(text, key);
    }
    if (next) services.set(key, next);
    else services.delete(key);
  };

  for (const change of changes) {
    switch (change.kind) {
      case 'put-workload':
        setWorkload(change.workload.uid, change.workload);
        break;
      case 'remove-workload':
        setWorkload(change.uid, undefined);
        break;
      case 'put-service':
        setService(serviceKey(change.service), change.service);
        break;
      case 'remove-service':
        setService(change.key, undefined);
        break;
    }
  }
  if (touched.services.size === 0 && touched.workloads.size === 0) return { model, touched };
  return {
    model: {
      workloads: workloads.asImmutable(),
      services: services.asImmutable(),
      members: members.close(),
      owners: owners.close(),
      addresses: addresses.close(),
    },
    touched,
  };
}
