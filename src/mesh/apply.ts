// SPDX-License-Identifier: Apache-2.0
// (model, changes) -> the next model and what was touched. One batch is one change of the model: nobody sees half of it.
import { equal } from './equal.ts';
import { gatewayKey } from './gateway.ts';
import type { Bag, Change, Model, Touched } from './model.ts';
import { policyKey } from './policy.ts';
import { routeKey } from './route.ts';
import { addressText, type Service, serviceKey } from './service.ts';
import { finish, type Steps } from './steps.ts';
import { emptyTable, type Table, type TableEditor } from './table.ts';
import type { Workload } from './workload.ts';

/** A model that holds nothing. */
export const emptyModel: Model = {
  workloads: emptyTable(),
  services: emptyTable(),
  members: emptyTable(),
  owners: emptyTable(),
  policies: emptyTable(),
  gateways: emptyTable(),
  routes: emptyTable(),
};

/** From so many on, what leaves a bag is gathered first: searching a list for each would take as long as all the rest. */
const largeBag = 16;

/** A bag being changed: `held` and what was added, without `gone`. */
interface OpenBag {
  readonly list: string[];
  gone: Set<string> | undefined;
}

/** An index being changed: each bag is copied once a batch, however many changes touch it. */
interface BagEditor {
  /** Adds a value that is not in the bag. */
  add(key: string, value: string): void;
  /** Removes a value that is in it. */
  remove(key: string, value: string): void;
  close(): Steps<Table<Bag>>;
}

/** Changes, or entries, between two pauses. */
const itemsAStep = 16;

function editBags(table: Table<Bag>): BagEditor {
  const edited = new Map<string, OpenBag>();
  const open = (key: string): OpenBag => {
    let bag = edited.get(key);
    if (bag === undefined) {
      bag = { list: table.get(key)?.slice() ?? [], gone: undefined };
      edited.set(key, bag);
    }
    return bag;
  };
  return {
    add(key, value) {
      const bag = open(key);
      if (!bag.gone?.delete(value)) bag.list.push(value);
    },
    remove(key, value) {
      const bag = open(key);
      if (bag.list.length >= largeBag || bag.gone) bag.gone = (bag.gone ?? new Set()).add(value);
      else bag.list.splice(bag.list.indexOf(value), 1);
    },
    close: () => closeBags(table, edited),
  };
}

function* closeBags(table: Table<Bag>, edited: ReadonlyMap<string, OpenBag>): Steps<Table<Bag>> {
  const next = table.edit();
  let seen = 0;
  for (const [key, { list, gone }] of edited) {
    const left = gone?.size ? list.filter((value) => !gone.has(value)) : list;
    if (left.length === 0) next.delete(key);
    else next.set(key, left);
    if (++seen % itemsAStep === 0) yield;
  }
  return yield* next.close();
}

export interface Applied {
  readonly model: Model;
  readonly touched: Touched;
}

interface TouchedSets extends Touched {
  readonly services: Set<string>;
  readonly addresses: Set<string>;
  readonly workloads: Set<string>;
  readonly policies: Set<string>;
  readonly gateways: Set<string>;
  readonly routes: Set<string>;
}

/** `touched`: not given where everything is compiled anyway, for its sets are as large as the model. */
function* edit(model: Model, changes: Iterable<Change>, touched?: TouchedSets): Steps<Model> {
  const workloads = model.workloads.edit();
  const services = model.services.edit();
  const members = editBags(model.members);
  const owners = editBags(model.owners);
  const policies = model.policies.edit();
  const gateways = model.gateways.edit();
  const routes = model.routes.edit();
  let changed = false;

  const setWorkload = (uid: string, next: Workload | undefined): void => {
    const before = workloads.get(uid);
    if (next === before || (next && before && equal(next, before))) return;
    changed = true;
    touched?.workloads.add(uid);
    for (const key of before?.services.keys() ?? []) {
      touched?.services.add(key);
      if (!next?.services.has(key)) members.remove(key, uid);
    }
    for (const key of next?.services.keys() ?? []) {
      touched?.services.add(key);
      if (!before?.services.has(key)) members.add(key, uid);
    }
    if (next) workloads.set(uid, next);
    else workloads.delete(uid);
  };

  const setService = (key: string, next: Service | undefined): void => {
    const before = services.get(key);
    if (next === before || (next && before && equal(next, before))) return;
    changed = true;
    touched?.services.add(key);
    const had = new Set(before?.addresses.map(addressText));
    const has = new Set(next?.addresses.map(addressText));
    for (const text of had) {
      touched?.addresses.add(text);
      if (!has.has(text)) owners.remove(text, key);
    }
    for (const text of has) {
      touched?.addresses.add(text);
      if (!had.has(text)) owners.add(text, key);
    }
    if (next) services.set(key, next);
    else services.delete(key);
  };

  /** Of what no index is kept. */
  const setIn =
    <V>(table: TableEditor<V>, told: Set<string> | undefined) =>
    (key: string, next: V | undefined): void => {
      const before = table.get(key);
      if (next === before || (next && before && equal(next, before))) return;
      changed = true;
      told?.add(key);
      if (next) table.set(key, next);
      else table.delete(key);
    };
  const setPolicy = setIn(policies, touched?.policies);
  const setGateway = setIn(gateways, touched?.gateways);
  const setRoute = setIn(routes, touched?.routes);

  let seen = 0;
  for (const change of changes) {
    if (++seen % itemsAStep === 0) yield;
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
      case 'put-gateway':
        setGateway(gatewayKey(change.gateway), change.gateway);
        break;
      case 'remove-gateway':
        setGateway(change.key, undefined);
        break;
      case 'put-route':
        setRoute(routeKey(change.route), change.route);
        break;
      case 'remove-route':
        setRoute(change.key, undefined);
        break;
    }
  }
  if (!changed) return model;
  return {
    workloads: yield* workloads.close(),
    services: yield* services.close(),
    members: yield* members.close(),
    owners: yield* owners.close(),
    policies: yield* policies.close(),
    gateways: yield* gateways.close(),
    routes: yield* routes.close(),
  };
}

/**
 * The model after all `changes`, in order, and what they touched.
 * A value equal to the one held touches nothing; removing what is not there neither. A workload may come before its service: `members` stages it.
 */
export function* applying(model: Model, changes: Iterable<Change>): Steps<Applied> {
  const touched: TouchedSets = {
    services: new Set(),
    addresses: new Set(),
    workloads: new Set(),
    policies: new Set(),
    gateways: new Set(),
    routes: new Set(),
  };
  return { model: yield* edit(model, changes, touched), touched };
}

/** The model that `changes` alone make. */
export function modelOf(changes: Iterable<Change>): Steps<Model> {
  return edit(emptyModel, changes);
}

/** applying() at once. */
export function apply(model: Model, changes: Iterable<Change>): Applied {
  return finish(applying(model, changes));
}
