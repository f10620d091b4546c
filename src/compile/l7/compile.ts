// SPDX-License-Identifier: Apache-2.0
// The model -> all resources of one waypoint. Kept from one model to the next: only what a change can reach is made again, and what comes out the
// same is the same object, so that nobody has to encode or compare it.
import { emptyModel } from '../../mesh/apply.ts';
import { equal } from '../../mesh/equal.ts';
import type { Model, NodeView } from '../../mesh/model.ts';
import { type Service, type ServicePort, serviceKey } from '../../mesh/service.ts';
import { finish, type Steps } from '../../mesh/steps.ts';
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
import { routesOf, type Unit, unitOf } from './unit.ts';

export interface Resources {
  readonly listeners: Table<envoy.Listener>;
  readonly routes: Table<envoy.RouteConfiguration>;
  readonly clusters: Table<envoy.Cluster>;
  readonly endpoints: Table<envoy.ClusterLoadAssignment>;
}

/** All resources of one sort, as they are from now on. */
export type Part = {
  readonly [K in keyof Resources]: { readonly type: K; readonly table: Resources[K] };
}[keyof Resources];

/** Work that may be paused at each yield, and gives each sort as soon as it is made, in the order in which a proxy asks for them. */
export type PartSteps = Generator<Part | undefined, void, undefined>;

export interface WaypointCompiler {
  /** Of one waypoint, whose name never changes; `attach` gives those of `model`, which stay as they are until the end. Clusters may come twice at first. */
  compiling(model: Model, attach: () => Attachments, scope: WaypointScope): PartSteps;
  /** The same without a pause. */
  compile(model: Model, attachments: Attachments, scope: WaypointScope): Resources;
}

export function openWaypointCompiler(view: NodeView): WaypointCompiler {
  const compilation = new Compilation(view);
  return {
    compiling: (model, attach, scope) => compilation.update(model, attach, scope),
    compile(model, attachments, scope) {
      for (const _ of compilation.update(model, () => attachments, scope));
      return compilation.resources;
    },
  };
}

/** Services, clusters or routes between two pauses. */
const aStep = 16;

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
  /** Names of clusters that are there until it is known who uses them. */
  #guessed: ReadonlySet<string> = none;
  readonly #own = openOwnAddresses();
  /** What is made so far. */
  resources: Resources = {
    listeners: emptyTable(),
    routes: emptyTable(),
    clusters: emptyTable(),
    endpoints: emptyTable(),
  };

  constructor(view: NodeView) {
    this.#view = view;
  }

  *update(model: Model, attach: () => Attachments, scope: WaypointScope): PartSteps {
    const had = this.resources.clusters;
    if (this.#before === undefined) yield yield* this.#guess(model, scope);
    const state = { model, attachments: attach(), scope };
    const reach = this.#reach(state);
    /** Names of clusters that are looked at again, and of route configurations that may be gone. */
    const named = new Set(this.#guessed);
    const left = new Set<string>();
    let isListenerNew = reach.all || this.#before === undefined;
    let seen = 0;
    for (const key of reach.units) {
      if (this.#remake(key, state, named, left)) isListenerNew = true;
      if (++seen % aStep === 0) yield;
    }
    this.#guessed = none;
    for (const key of [...reach.clusters, ...reach.endpoints]) this.#nameClusters(key, model, named);
    const before = this.#before?.model ?? emptyModel;
    if (this.#own.update(model, before, scope, policiesOf(state, undefined), reach.all)) isListenerNew = true;
    yield yield* this.#clusters(named, model, reach);
    yield yield* this.#endpoints(named, model, reach, had);
    yield this.#listeners(scope, isListenerNew);
    yield yield* this.#routes(state, reach, left);
    this.#before = state;
  }

  /**
   * Clusters of all ports that are served: what most routes lead to. A proxy takes its time with clusters, before it asks for anything else, and who
   * starts with us waits for nothing but the first of them.
   */
  *#guess(model: Model, scope: WaypointScope): Steps<Part> {
    const guessed = new Set<string>();
    let seen = 0;
    for (const service of model.services.values()) {
      if (++seen % aStep === 0) yield;
      if (!isServed(service, scope)) continue;
      for (const { port } of service.ports) guessed.add(portName(service, port));
    }
    this.#guessed = guessed;
    return yield* this.#clusters(guessed, model, nowhere);
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

  /** True when the listener is another. `left`: names of route configurations that there were. */
  #remake(key: string, state: State, named: Set<string>, left: Set<string>): boolean {
    const service = state.model.services.get(key);
    const old = this.#units.get(key);
    const { scope } = state;
    const served = service !== undefined && isServed(service, scope);
    if (!served && !old) return false;
    const made = served
      ? unitOf(service, state.attachments, policiesOf(state, service), this.#view.network)
      : undefined;
    for (const name of made?.uses ?? []) {
      this.#users.set(name, (this.#users.get(name) ?? 0) + 1);
      named.add(name);
    }
    for (const name of old?.uses ?? []) {
      const users = (this.#users.get(name) ?? 0) - 1;
      if (users > 0) this.#users.set(name, users);
      else this.#users.delete(name);
      named.add(name);
    }
    for (const name of old?.routes ?? []) left.add(name);
    if (made) this.#units.set(key, made);
    else this.#units.delete(key);
    if (!made || !old) this.#order = [];
    return (['chains', 'tlsPorts', 'guessedPorts'] as const).some((part) => !equal(old?.[part], made?.[part]));
  }

  #nameClusters(key: string, model: Model, named: Set<string>): void {
    for (const one of [this.#before?.model.services.get(key), model.services.get(key)]) {
      for (const { port } of one?.ports ?? []) {
        const name = portName(one as Service, port);
        if (this.#users.has(name)) named.add(name);
      }
    }
  }

  /** The port that `name` means while anybody uses it, or may. */
  #portOf(name: string, model: Model): { readonly service: Service; readonly port: ServicePort } | undefined {
    if (!this.#users.has(name) && !this.#guessed.has(name)) return undefined;
    const { service: key, port: number } = parsePortName(name);
    const service = model.services.get(key);
    const port = service?.ports.find((p) => p.port === number && p.protocol !== 'udp');
    return service && port && { service, port };
  }

  *#clusters(named: Iterable<string>, model: Model, reach: Reach): Steps<Part> {
    const table = this.resources.clusters.edit();
    let seen = 0;
    for (const name of named) {
      if (++seen % aStep === 0) yield;
      const at = this.#portOf(name, model);
      if (!at) table.delete(name);
      else if (reach.clusters.has(serviceKey(at.service)) || !table.has(name))
        put(table, name, clusterOf(at.service, at.port));
    }
    if (this.#own.isAny) put(table, dialled.name, dialled);
    else table.delete(dialled.name);
    const clusters = finish(table.close());
    this.resources = { ...this.resources, clusters };
    return { type: 'clusters', table: clusters };
  }

  /** `had`: clusters of before. */
  *#endpoints(named: Iterable<string>, model: Model, reach: Reach, had: Resources['clusters']): Steps<Part> {
    const table = this.resources.endpoints.edit();
    let seen = 0;
    for (const name of named) {
      if (++seen % aStep === 0) yield;
      const at = this.#portOf(name, model);
      if (!at || at.service.loadBalancing.mode === 'passthrough') {
        table.delete(name);
        continue;
      }
      const { service, port } = at;
      const key = serviceKey(service);
      if (had.has(name) && !reach.clusters.has(key) && !reach.endpoints.has(key)) continue;
      put(table, name, endpointsOf(service, port, membersOf(model, service), this.#view));
    }
    const endpoints = finish(table.close());
    this.resources = { ...this.resources, endpoints };
    return { type: 'endpoints', table: endpoints };
  }

  #listeners(scope: WaypointScope, isNew: boolean): Part {
    const table = this.resources.listeners.edit();
    if (!scope.isServed) for (const name of [...this.resources.listeners.keys()]) table.delete(name);
    else if (isNew) {
      const made = this.#listener(scope);
      put(table, made.name, made);
    }
    const listeners = finish(table.close());
    this.resources = { ...this.resources, listeners };
    return { type: 'listeners', table: listeners };
  }

  /** `left`: names of those that there were of the same services. */
  *#routes(state: State, reach: Reach, left: ReadonlySet<string>): Steps<Part> {
    const table = this.resources.routes.edit();
    const gone = new Set(left);
    let seen = 0;
    for (const key of reach.units) {
      if (!this.#units.has(key)) continue;
      const service = state.model.services.get(key) as Service;
      for (const one of routesOf(service, state.attachments, policiesOf(state, service))) {
        put(table, one.name, one);
        gone.delete(one.name);
      }
      if (++seen % aStep === 0) yield;
    }
    for (const name of gone) table.delete(name);
    const own = this.#own.routes();
    if (own) put(table, ownRoutes, own);
    else table.delete(ownRoutes);
    const routes = finish(table.close());
    this.resources = { ...this.resources, routes };
    return { type: 'routes', table: routes };
  }

  #listener({ listen, namespace }: WaypointScope): envoy.Listener {
    if (this.#order.length === 0) this.#order = inOrder(this.#units.keys(), namespace);
    const unclaimed = openClaims();
    const units = this.#order.map((key) => this.#units.get(key) as Unit);
    const heard = (of: 'tlsPorts' | 'guessedPorts') =>
      [...new Set(units.flatMap((unit) => unit[of]))].sort((a, b) => a - b);
    const services = units.flatMap((unit) => unclaimed(unit.chains));
    const ports = new Set(services.flatMap(({ filterChainMatch: { destinationPort: port } }) => port ?? []));
    const chains = [...services, ...unclaimed(this.#own.chains(ports))];
    return listenerOf(listen, chains, { tls: heard('tlsPorts'), guessed: heard('guessedPorts') });
  }
}

/** What is equal to what is there stays what it is. */
function put<V>(table: TableEditor<V>, name: string, value: V): void {
  if (!equal(table.get(name), value)) table.set(name, value);
}

const none: ReadonlySet<string> = new Set();
const nowhere: Reach = { units: none, clusters: none, endpoints: none, all: false };

const isServed = (service: Service, scope: WaypointScope): boolean =>
  service.addresses.length > 0 && scope.isServed && scope.serves(service);

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
