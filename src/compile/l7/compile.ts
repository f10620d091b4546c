// SPDX-License-Identifier: Apache-2.0
// The model -> all resources of one waypoint. Kept from one model to the next: only what a change can reach is made again, and what comes out the
// same is the same object, so that nobody has to encode or compare it.
import { emptyModel } from '../../mesh/apply.ts';
import { equal } from '../../mesh/equal.ts';
import type { Model, NodeView } from '../../mesh/model.ts';
import type { Service, ServicePort } from '../../mesh/service.ts';
import { finish } from '../../mesh/steps.ts';
import { emptyTable, type Table, type TableEditor } from '../../mesh/table.ts';
import type { WaypointPolicy } from '../../mesh/waypoint-policy.ts';
import type { Attachments } from './attach.ts';
import { listenerOf } from './chains.ts';
import { inOrder, openClaims } from './claims.ts';
import { clusterOf, dialled, endpointsOf, membersOf } from './clusters.ts';
import type * as envoy from './envoy.ts';
import { openOwnAddresses, ownRoutes } from './own-addresses.ts';
import type { WaypointScope } from './scope.ts';
import { parsePortName, portName, refKeysOf } from './services.ts';
import { type Unit, unitOf } from './unit.ts';

export interface Resources {
  readonly listeners: Table<envoy.Listener>;
  readonly routes: Table<envoy.RouteConfiguration>;
  readonly clusters: Table<envoy.Cluster>;
  readonly endpoints: Table<envoy.ClusterLoadAssignment>;
}

export interface WaypointCompiler {
  /** Of one waypoint, whose name never changes; `attachments`: those of `model`. */
  compile(model: Model, attachments: Attachments, scope: WaypointScope): Resources;
}

export function openWaypointCompiler(view: NodeView): WaypointCompiler {
  const compilation = new Compilation(view);
  return { compile: (model, attachments, scope) => compilation.update(model, attachments, scope) };
}

interface State {
  readonly model: Model;
  readonly attachments: Attachments;
  readonly scope: WaypointScope;
}

/** What a change can reach. */
interface Reach {
  /** Keys of services whose chains and routes may be others, and of those whose clusters and endpoints may be. */
  readonly units: ReadonlySet<string>;
  readonly clusters: ReadonlySet<string>;
  readonly endpoints: ReadonlySet<string>;
  /** The waypoint itself, or a policy that holds for all of it. */
  readonly all: boolean;
}

class Compilation {
  readonly #view: NodeView;
  #before: State | undefined;
  /** By the key of the service. */
  readonly #units = new Map<string, Unit>();
  #order: readonly string[] = [];
  /** Cluster name -> units that use it. */
  readonly #users = new Map<string, number>();
  readonly #own = openOwnAddresses();
  #resources: Resources = {
    listeners: emptyTable(),
    routes: emptyTable(),
    clusters: emptyTable(),
    endpoints: emptyTable(),
  };

  constructor(view: NodeView) {
    this.#view = view;
  }

  update(model: Model, attachments: Attachments, scope: WaypointScope): Resources {
    const state = { model, attachments, scope };
    const reach = this.#reach(state);
    const routes = this.#resources.routes.edit();
    const clusters = this.#resources.clusters.edit();
    const endpoints = this.#resources.endpoints.edit();
    /** Names of clusters that are looked at again. */
    const named = new Set<string>();
    let isListenerNew = reach.all;
    for (const key of reach.units) if (this.#remake(key, state, routes, named)) isListenerNew = true;
    for (const key of [...reach.clusters, ...reach.endpoints]) this.#nameClusters(key, model, named);
    for (const name of named) this.#remakeCluster(name, state, reach, clusters, endpoints);
    const policies = policiesOf(state, undefined);
    const before = this.#before?.model ?? emptyModel;
    if (this.#own.update(model, before, scope, policies, reach.all)) isListenerNew = true;
    if (this.#own.isAny) put(clusters, dialled.name, dialled);
    else clusters.delete(dialled.name);
    const ownHttp = this.#own.routes();
    if (ownHttp) put(routes, ownRoutes, ownHttp);
    else routes.delete(ownRoutes);
    const listeners = this.#resources.listeners.edit();
    if (!scope.isServed) for (const name of [...this.#resources.listeners.keys()]) listeners.delete(name);
    else if (isListenerNew || this.#before === undefined) {
      const made = this.#listener(scope);
      put(listeners, made.name, made);
    }
    this.#before = state;
    this.#resources = {
      listeners: finish(listeners.close()),
      routes: finish(routes.close()),
      clusters: finish(clusters.close()),
      endpoints: finish(endpoints.close()),
    };
    return this.#resources;
  }

  #reach(state: State): Reach {
    const { model, attachments, scope } = state;
    const before = this.#before;
    // Of what is made anew, everything is looked at once.
    if (!before) return { units: new Set(model.services.keys()), clusters: none, endpoints: none, all: true };
    const old = before.model;
    const clusters = model.services.changedSince(old.services);
    const units = new Set(clusters);
    const endpoints = new Set(model.members.changedSince(old.members));
    for (const uid of model.workloads.changedSince(old.workloads)) {
      for (const one of [old.workloads.get(uid), model.workloads.get(uid)]) {
        for (const key of one?.services.keys() ?? []) endpoints.add(key);
      }
    }
    let all = before.scope.gateway !== scope.gateway || !equal(before.scope.listen, scope.listen);
    for (const name of attachments.ports.changedSince(before.attachments.ports)) units.add(parsePortName(name).service);
    for (const target of attachments.policies.changedSince(before.attachments.policies)) {
      if (target.startsWith('Gateway')) all ||= ownTargets(scope).includes(target);
      else for (const key of attachments.servicesOf(target)) units.add(key);
    }
    if (all) for (const key of [...model.services.keys(), ...this.#units.keys()]) units.add(key);
    return { units, clusters, endpoints, all };
  }

  /** True when the listener is another. */
  #remake(key: string, state: State, routes: TableEditor<envoy.RouteConfiguration>, named: Set<string>): boolean {
    const service = state.model.services.get(key);
    const old = this.#units.get(key);
    const { scope } = state;
    const isServed = service !== undefined && service.addresses.length > 0 && scope.isServed && scope.serves(service);
    if (!isServed && !old) return false;
    const made = isServed
      ? unitOf(service, state.attachments, policiesOf(state, service), this.#view.network)
      : undefined;
    for (const name of made?.uses ?? []) {
      this.#users.set(name, (this.#users.get(name) ?? 0) + 1);
      named.add(name);
    }
    for (const name of old?.uses ?? []) {
      const left = (this.#users.get(name) ?? 0) - 1;
      if (left > 0) this.#users.set(name, left);
      else this.#users.delete(name);
      named.add(name);
    }
    for (const name of old?.routes.keys() ?? []) if (!made?.routes.has(name)) routes.delete(name);
    for (const [name, one] of made?.routes ?? []) put(routes, name, one);
    if (made) this.#units.set(key, made);
    else this.#units.delete(key);
    if (!made || !old) this.#order = [];
    return !equal(old?.chains, made?.chains) || !equal(old?.tlsPorts, made?.tlsPorts);
  }

  #nameClusters(key: string, model: Model, named: Set<string>): void {
    for (const one of [this.#before?.model.services.get(key), model.services.get(key)]) {
      for (const { port } of one?.ports ?? []) {
        const name = portName(one as Service, port);
        if (this.#users.has(name)) named.add(name);
      }
    }
  }

  #remakeCluster(
    name: string,
    { model }: State,
    reach: Reach,
    clusters: TableEditor<envoy.Cluster>,
    endpoints: TableEditor<envoy.ClusterLoadAssignment>,
  ): void {
    const { service: key, port: number } = parsePortName(name);
    const service = model.services.get(key);
    const port = service?.ports.find((p) => p.port === number && p.protocol !== 'udp');
    if (!this.#users.has(name) || !service || !port) {
      clusters.delete(name);
      endpoints.delete(name);
      return;
    }
    const isThere = clusters.has(name);
    const isOther = reach.clusters.has(key) || !isThere;
    if (isOther) put(clusters, name, clusterOf(service, port));
    if (service.loadBalancing.mode === 'passthrough') endpoints.delete(name);
    else if (isOther || reach.endpoints.has(key)) put(endpoints, name, this.#endpoints(service, port, model));
  }

  #endpoints(service: Service, port: ServicePort, model: Model): envoy.ClusterLoadAssignment {
    return endpointsOf(service, port, membersOf(model, service), this.#view);
  }

  #listener({ listen, namespace }: WaypointScope): envoy.Listener {
    if (this.#order.length === 0) this.#order = inOrder(this.#units.keys(), namespace);
    const unclaimed = openClaims();
    const units = this.#order.map((key) => this.#units.get(key) as Unit);
    const tlsPorts = new Set(units.flatMap((unit) => unit.tlsPorts));
    const services = units.flatMap((unit) => unclaimed(unit.chains));
    const ports = new Set(services.flatMap(({ filterChainMatch: { destinationPort: port } }) => port ?? []));
    const chains = [...services, ...unclaimed(this.#own.chains(ports))];
    return listenerOf(
      listen,
      chains,
      [...tlsPorts].sort((a, b) => a - b),
    );
  }
}

/** What is equal to what is there stays what it is. */
function put<V>(table: TableEditor<V>, name: string, value: V): void {
  if (!equal(table.get(name), value)) table.set(name, value);
}

const none: ReadonlySet<string> = new Set();

const ownTargets = ({ namespace, name, className }: WaypointScope): string[] => [
  `GatewayClass ${className}`,
  `Gateway ${namespace}/${name}`,
];

/** Undefined: those of the waypoint itself. In the order of their names. */
function policiesOf({ attachments, scope }: State, service: Service | undefined): readonly WaypointPolicy[] {
  if (attachments.policies.size === 0) return [];
  const targets = [...ownTargets(scope), ...(service ? refKeysOf(service) : [])];
  const found = new Set(targets.flatMap((target) => attachments.policies.get(target) ?? []));
  return [...found].sort((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
}
