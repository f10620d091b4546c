// SPDX-License-Identifier: Apache-2.0
// (model, changes) -> the next model and what was touched. One batch is one step: nobody sees half of it.
import { equal } from './equal.ts';
import type { Bag, Change, Model, Touched } from './model.ts';
import { type Policy, policyKey } from './policy.ts';
import { addressText, type Service, serviceKey } from './service.ts';
import { emptyTable, type Table } from './table.ts';
import type { Workload } from './workload.ts';

/** A model that holds nothing. */
export const emptyModel: Model = {
  workloads: emptyTable(),
  services: emptyTable(),
  members: emptyTable(),
  owners: emptyTable(),
  addresses: emptyTable(),
  policies: emptyTable(),
};

/** From so many on, a bag is changed as a Set: searching a list would take as long as all the rest. */
const largeBag = 16;

/** An index being changed: each bag is copied once a batch, however many changes touch it. */
interface BagEditor {
  add(key: string, value: string): void;
  remove(key: string, value: string): void;
  close(): Table<Bag>;
}

function editBags(table: Table<Bag>): BagEditor {
  const edited = new Map<string, string[] | Set<string>>();
  const open = (key: string): string[] | Set<string> => {
    let bag = edited.get(key);
    if (bag === undefined) {
      const held = table.get(key) ?? [];
      bag = held.length < largeBag ? [...held] : new Set(held);
      edited.set(key, bag);
    } else if (Array.isArray(bag) && bag.length >= largeBag) {
      bag = new Set(bag);
      edited.set(key, bag);
    }
    return bag;
  };
  return {
    add(key, value) {
      const bag = open(key);
      if (!Array.isArray(bag)) bag.add(value);
      else if (!bag.includes(value)) bag.push(value);
    },
    remove(key, value) {
      const bag = open(key);
      if (!Array.isArray(bag)) bag.delete(value);
      else if (bag.includes(value)) bag.splice(bag.indexOf(value), 1);
    },
    close() {
      const next = table.edit();
      for (const [key, bag] of edited) {
        const list = Array.isArray(bag) ? bag : [...bag];
        if (list.length === 0) next.delete(key);
        else next.set(key, list);
      }
      return next.close();
    },
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
  const workloads = model.workloads.edit();
  const services = model.services.edit();
  const members = editBags(model.members);
  const owners = editBags(model.owners);
  const addresses = editBags(model.addresses);
  const policies = model.policies.edit();
  const touched = {
    services: new Set<string>(),
    addresses: new Set<string>(),
    workloads: new Set<string>(),
    policies: new Set<string>(),
  };

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

  const setPolicy = (key: string, next: Policy | undefined): void => {
    const before = policies.get(key);
    if (next === before || (next && before && equal(next, before))) return;
    touched.policies.add(key);
    if (next) policies.set(key, next);
    else policies.delete(key);
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
      case 'put-policy':
        setPolicy(policyKey(change.policy), change.policy);
        break;
      case 'remove-policy':
        setPolicy(change.key, undefined);
        break;
    }
  }
  if (touched.services.size + touched.workloads.size + touched.policies.size === 0) return { model, touched };
  return {
    model: {
      workloads: workloads.close(),
      services: services.close(),
      members: members.close(),
      owners: owners.close(),
      addresses: addresses.close(),
      policies: policies.close(),
    },
    touched,
  };
}
