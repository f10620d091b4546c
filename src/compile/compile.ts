// SPDX-License-Identifier: Apache-2.0
// model -> wanted entries, whole or only what a batch of changes touched. Both go through the same steps.
import { identityOf, principalOf } from '../mesh/identity.ts';
import type { Model, NodeView, Touched } from '../mesh/model.ts';
import { addressText, type Service } from '../mesh/service.ts';
import { finish, type Steps } from '../mesh/steps.ts';
import { emptyTable, type Table } from '../mesh/table.ts';
import type { Workload } from '../mesh/workload.ts';
import { type Address, isV4 } from '../net/address.ts';
import type { Cidr } from '../net/cidr.ts';
import { backendsOf, sameBackend } from './backend.ts';
import { coverOf, isRange, rangeOf } from './cover.ts';
import { emit } from './emitted.ts';
import { allV4, frontendsOf, sameFrontend, takesInV4 } from './frontend.ts';
import { readerOf } from './reader.ts';
import { clientTlvsOf } from './tlvs.ts';
import type { Wanted, WantedBackend, WantedClient, WantedDelta, WantedFrontend } from './wanted.ts';
import {
  addressesOf,
  ownersOfAddresses,
  waypointBackend,
  waypointOf,
  waypointOfWorkload,
  workloadsBackend,
} from './waypoint.ts';
import {
  editPorts,
  isPorts,
  noPorts,
  type PortIndex,
  portsAt,
  portsOfTunnel,
  portsUsed,
  portsUsedBy,
  portsUsedByGateway,
} from './waypoint-ports.ts';
import { editWaypoints, emptyWaypoints, type Used, type WaypointIndex } from './waypoint-uses.ts';
import { editWorkloadFrontends } from './workload-frontends.ts';

/** All that was emitted so far, and by whom, so that what vanishes can be named. Persistent: an older index stays valid. */
export interface CompileIndex {
  readonly backends: Table<WantedBackend>;
  readonly frontends: Table<WantedFrontend>;
  readonly clients: Table<WantedClient>;
  /** Service key -> names of its backends. */
  readonly backendsOf: Table<readonly string[]>;
  /** Address text -> keys of its frontends. */
  readonly frontendsOf: Table<readonly string[]>;
  /** Texts of the ranges among the model's owners. */
  readonly ranges: Table<Cidr>;
  /** Name of a waypoint's backend, or of workloads behind one -> that name. */
  readonly waypointBackends: Table<readonly string[]>;
  /** Address of workloads behind a waypoint -> key of its frontend. */
  readonly workloadFrontends: Table<readonly string[]>;
  readonly waypoints: WaypointIndex;
  /** Service key -> what it said of the ports of its workloads when frontends of those were compiled. */
  readonly portsSaid: Table<string>;
  readonly ports: PortIndex;
}

/** Nothing was emitted yet. */
export const emptyIndex: CompileIndex = {
  backends: emptyTable(),
  frontends: emptyTable(),
  clients: emptyTable(),
  backendsOf: emptyTable(),
  frontendsOf: emptyTable(),
  ranges: emptyTable(),
  waypointBackends: emptyTable(),
  workloadFrontends: emptyTable(),
  waypoints: emptyWaypoints,
  portsSaid: emptyTable(),
  ports: noPorts,
};

function clientOf(workload: Workload | undefined, view: NodeView): WantedClient | undefined {
  if (!workload || workload.node === '' || workload.node !== view.node) return undefined;
  const identity = `spiffe://${principalOf(identityOf(workload))}`;
  return {
    workload: workload.uid,
    namespace: workload.namespace,
    address4: workload.addresses.find(isV4) ?? '',
    address6: workload.addresses.find((a) => !isV4(a)) ?? '',
    identity: clientTlvsOf(identity).length > 0 ? identity : '',
    ...(workload.hostNetwork && { hostNetwork: true }),
  };
}

export function sameClient(a: WantedClient, b: WantedClient): boolean {
  return (
    a.namespace === b.namespace &&
    a.address4 === b.address4 &&
    a.address6 === b.address6 &&
    a.identity === b.identity &&
    (a.hostNetwork ?? false) === (b.hostNetwork ?? false)
  );
}

/** What is compiled again: of each kind every key once. */
interface Work {
  readonly services: Iterable<string>;
  readonly addresses: Iterable<string>;
  readonly workloads: Iterable<string>;
  readonly gateways: Iterable<string>;
}

/** The keys of both, once each. */
function* keysOf(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): Generator<string> {
  yield* b.keys();
  for (const key of a.keys()) if (!b.has(key)) yield key;
}

/** Items between two pauses. What is compiled for the first time takes longer, and nothing waits for the rest of a push meanwhile. */
const itemsAStep = { first: 2, later: 8 };
/** The same where an item is next to nothing. */
const quickItemsAStep = 64;

/** Before the uid, or key, of one who claims ports, or names waypoints. */
const ofWorkload = 'workload ';
const ofService = 'service ';
const ofGateway = 'gateway ';

/** Everything that the model holds or the index emitted; of the workloads those that are clients, have a waypoint or read headers, or did. */
function* everything(index: CompileIndex, model: Model, view: NodeView): Steps<Work> {
  const workloads = new Set([...index.clients.keys(), ...index.waypoints.addresses.keys()]);
  const services = new Set(keysOf(index.backendsOf, model.services));
  const gateways = new Set(model.gateways.keys());
  const users = [[ofWorkload, workloads] as const, [ofService, services] as const, [ofGateway, gateways] as const];
  for (const held of [index.ports.of.keys(), index.waypoints.usedBy.keys()]) {
    for (const user of held) {
      for (const [kind, keys] of users) if (user.startsWith(kind)) keys.add(user.slice(kind.length));
    }
  }
  let seen = 0;
  for (const { node, uid, waypoint, applicationTunnel } of model.workloads.values()) {
    if (node === view.node || waypoint || applicationTunnel) workloads.add(uid);
    if (++seen % quickItemsAStep === 0) yield;
  }
  return {
    services,
    addresses: keysOf(index.frontendsOf, model.owners),
    workloads,
    gateways,
  };
}

/**
 * The address texts whose frontends may come out differently when those of `touched` change: themselves, and all that lie in a touched
 * range. One that has no frontends has no owner that serves anything here, which a range around it does not change.
 */
function* withCovered(touched: ReadonlySet<string>, index: CompileIndex): Steps<ReadonlySet<string>> {
  const ranges = new Map<string, Cidr>();
  for (const text of touched) if (isRange(text)) ranges.set(text, rangeOf(text));
  if (ranges.size === 0) return touched;
  const cover = coverOf(ranges);
  const all = new Set(touched);
  let seen = 0;
  for (const text of index.frontendsOf.keys()) {
    if (!all.has(text) && cover(rangeOf(text)).length > 0) all.add(text);
    if (++seen % quickItemsAStep === 0) yield;
  }
  for (const text of ranges.keys()) if (takesInV4(text)) all.add(allV4);
  return all;
}

/** Which list of sources is meant. */
const workloadLists = 1;

type Lists = readonly Table<readonly string[]>[];
type Sources = Pick<CompileIndex, 'backendsOf' | 'frontendsOf' | 'waypointBackends' | 'workloadFrontends'>;
function lists([backendsOf, waypointBackends]: Lists, [frontendsOf, workloadFrontends]: Lists): Sources {
  return { backendsOf, waypointBackends, frontendsOf, workloadFrontends } as Sources;
}

/** Waypoints that backends of a service lead to. */
function usedBy(service: Service | undefined, key: string, backends: readonly WantedBackend[]): readonly Used[] {
  const ref = service && waypointOf(service, key);
  if (!ref) return [];
  const used: Used[] = [];
  for (const family of [4, 6] as const) {
    const name = `${ref.name}/${family}`;
    if (backends.some(({ via }) => via?.backend === name)) used.push({ name, ref, family });
  }
  return used;
}

/** What compiling gives. */
export interface Compiled {
  readonly delta: WantedDelta;
  readonly index: CompileIndex;
}

/**
 * Compiles again what was touched. `touched` 'everything': all of it (another view of the node, or the first time).
 * The delta names only what really differs from what `index` holds; undefined: not wanted any more.
 */
export function* compiling(
  index: CompileIndex,
  model: Model,
  view: NodeView,
  touched: Touched | 'everything',
): Steps<Compiled> {
  const work: Work = touched === 'everything' ? yield* everything(index, model, view) : touched;
  const reader = readerOf(model);
  const backendLists = [index.backendsOf, index.waypointBackends];
  const backends = emit<WantedBackend>(index.backends, backendLists, (b) => b.name, sameBackend);
  const frontendLists = [index.frontendsOf, index.workloadFrontends];
  const frontends = emit<WantedFrontend>(index.frontends, frontendLists, (f) => f.key, sameFrontend);
  const addressesNow = (uid: string): readonly Address[] => model.workloads.get(uid)?.addresses ?? [];
  const waypoints = editWaypoints(index.waypoints, touched, addressesNow);
  const ports = editPorts(index.ports);
  const behind = editWorkloadFrontends(index.portsSaid, waypoints, reader, model, view);
  const claimed = index.ports.of.size > 0 || index.waypoints.usedBy.size > 0;
  const clients = index.clients.edit();
  const clientDelta = new Map<string, WantedClient | undefined>();
  let seen = 0;
  const aStep = touched === 'everything' ? itemsAStep.first : itemsAStep.later;

  const addresses = new Set<string>();
  const edited = index.ranges.edit();
  const add = (text: string): void => {
    if (addresses.has(text)) return;
    addresses.add(text);
    if (!isRange(text)) return;
    if (model.owners.has(text)) edited.set(text, rangeOf(text));
    else edited.delete(text);
  };
  for (const text of work.addresses) {
    add(text);
    if (++seen % quickItemsAStep === 0) yield;
  }
  for (const key of work.services) {
    const now = yield* backendsOf(reader, view, key);
    const service = reader.service(key);
    behind.look(key);
    waypoints.use(`${ofService}${key}`, [...usedBy(service, key, now), ...portsUsedBy(service)]);
    const renamed = yield* backends.replace(key, now);
    // UDP parting from TCP gives a service another backend: its frontends must name it.
    if (renamed) for (const a of service?.addresses ?? []) add(addressText(a));
    if (++seen % aStep === 0) yield;
  }

  const ranges = yield* edited.close();
  if (addresses.size > 0) {
    const context = {
      cover: coverOf(ranges),
      mapped: () => [...ranges.keys()].filter(takesInV4),
      hasBackend: backends.has,
    };
    for (const text of yield* withCovered(addresses, index)) {
      yield* frontends.replace(text, yield* frontendsOf(reader, view, text, context));
      if (++seen % aStep === 0) yield;
    }
  }

  for (const uid of work.workloads) {
    if (++seen % quickItemsAStep === 0) yield;
    const workload = model.workloads.get(uid);
    waypoints.place(uid, workload && waypointOfWorkload(workload, view) ? workload.addresses : []);
    // Most meshes have next to no such workloads, and pushes have many workloads.
    if (claimed || workload?.waypoint || workload?.applicationTunnel) {
      const claimant = `${ofWorkload}${uid}`;
      waypoints.use(claimant, portsUsed([workload?.waypoint]));
      ports.claim(claimant, portsOfTunnel(workload, view));
    }
    const before = clients.get(uid);
    const now = clientOf(workload, view);
    if (now === undefined) {
      if (before === undefined) continue;
      clients.delete(uid);
    } else {
      if (before !== undefined && sameClient(before, now)) continue;
      clients.set(uid, now);
    }
    clientDelta.set(uid, now);
  }

  for (const key of work.gateways) {
    waypoints.use(`${ofGateway}${key}`, portsUsedByGateway(model.gateways.get(key)));
  }
  yield* behind.move();
  for (const address of waypoints.moved) {
    yield* frontends.replace(address, behind.at(address), workloadLists);
    if (++seen % aStep === 0) yield;
  }
  const stale = waypoints.stale();
  const located = new Set<Address>();
  for (const name of stale) for (const a of addressesOf(waypoints.useOf(name)?.ref)) located.add(a);
  const context = { reader, view, owners: yield* ownersOfAddresses(model, view, located) };
  for (const name of stale) {
    if (++seen % aStep === 0) yield;
    const use = waypoints.useOf(name);
    if (isPorts(name)) {
      const [part] = use?.ref.parts ?? [];
      const found = part ? portsAt(part.at, context) : { ports: [], sources: [] };
      waypoints.follow(name, found.sources);
      ports.claim(name, found.ports);
      continue;
    }
    if (!use || use.workloads !== undefined) {
      waypoints.follow(name, []);
      yield* backends.replace(
        name,
        use?.workloads ? [workloadsBackend(use.ref, use.family, use.workloads, view)] : [],
        workloadLists,
      );
      continue;
    }
    const { backend, sources } = waypointBackend(use.ref, use.family, context);
    waypoints.follow(name, sources);
    yield* backends.replace(name, [backend], workloadLists);
  }

  const b = yield* backends.close();
  const f = yield* frontends.close();
  const p = yield* ports.close();
  return {
    delta: { backends: backends.delta, frontends: frontends.delta, clients: clientDelta, ports: p.delta },
    index: {
      backends: b.entries,
      frontends: f.entries,
      clients: yield* clients.close(),
      ...lists(b.of, f.of),
      ranges,
      waypoints: yield* waypoints.close(),
      portsSaid: yield* behind.close(),
      ports: p.index,
    },
  };
}

/** The same at once. */
export function compileTouched(
  index: CompileIndex,
  model: Model,
  view: NodeView,
  touched: Touched | 'everything',
): Compiled {
  return finish(compiling(index, model, view, touched));
}

/** What an index holds, as a whole (no copy). */
export function wantedOf(index: CompileIndex): Wanted {
  return { backends: index.backends, frontends: index.frontends, clients: index.clients, ports: index.ports.ports };
}

/** All that this node should have in its kernel. */
export function compileAll(model: Model, view: NodeView): Wanted {
  return wantedOf(compileTouched(emptyIndex, model, view, 'everything').index);
}
