// SPDX-License-Identifier: Apache-2.0
// Routes and policies brought together with the services that they are for. Kept from one model to the next: only what a change can reach is looked at.
import { emptyModel } from '../../mesh/apply.ts';
import { equal } from '../../mesh/equal.ts';
import type { Model } from '../../mesh/model.ts';
import { type BackendRef, type ReferenceGrant, type Route, type RouteObject, routeKey } from '../../mesh/route.ts';
import { type Service, waypointsOf } from '../../mesh/service.ts';
import { finish } from '../../mesh/steps.ts';
import { emptyTable, type Table, type TableEditor } from '../../mesh/table.ts';
import type { PolicyTarget, WaypointPolicy } from '../../mesh/waypoint-policy.ts';
import { backendsOf } from './rule-faults.ts';
import { isReadable } from './scope.ts';
import {
  backendKey,
  backendKeysOf,
  isHostRef,
  isServiceRef,
  isSticky,
  parsePortName,
  portName,
  refKey,
  refKeysOf,
  serviceKeyOf,
} from './services.ts';
import {
  type Attached,
  type BackendFault,
  type Doer,
  type ParentStatus,
  type PortRoutes,
  routeKinds,
  type Settled,
  settle,
  statusAt,
} from './settle.ts';

/** What did not change from one to the next is the same object. */
export interface Attachments {
  /** By the name of the port. */
  readonly ports: Table<PortRoutes>;
  /** Route key -> a status for each parent that is a service. */
  readonly status: Table<readonly ParentStatus[]>;
  /** What policies are aimed at, by targetKey(), in the order of their names. */
  readonly policies: Table<readonly WaypointPolicy[]>;
  /** Keys of the services that a text of refKey() names. */
  servicesOf(ref: string): readonly string[];
  /** Where the backends of a route lead, by its key. */
  targetsOf(route: string): Attached['targets'];
}

export interface AttachOptions {
  /** Backends of other namespaces need a ReferenceGrant. The Gateway API leaves that to meshes; default: no. */
  readonly requireGrants?: boolean;
}

const gatewayGroup = 'gateway.networking.k8s.io';

/** "Gateway shop/waypoint", "GatewayClass istio-waypoint", "Service shop/cart". Undefined: nothing that could be meant. */
export function targetKey({ group, kind, name }: PolicyTarget, namespace: string): string | undefined {
  if (name === '') return undefined;
  if (group === gatewayGroup && kind === 'GatewayClass') return `GatewayClass ${name}`;
  if (group === gatewayGroup && kind === 'Gateway') return `Gateway ${namespace}/${name}`;
  return refKey({ group, kind, namespace, name });
}

const isRoute = (object: RouteObject | undefined): object is Route =>
  object !== undefined && (routeKinds as readonly string[]).includes(object.kind);

/** Text -> keys, both ways of a change. */
class Index {
  readonly #keys = new Map<string, Set<string>>();

  of(text: string): ReadonlySet<string> {
    return this.#keys.get(text) ?? none;
  }

  add(text: string, key: string): void {
    const known = this.#keys.get(text);
    if (known) known.add(key);
    else this.#keys.set(text, new Set([key]));
  }

  delete(text: string, key: string): void {
    const known = this.#keys.get(text);
    known?.delete(key);
    if (known?.size === 0) this.#keys.delete(text);
  }
}

const none: ReadonlySet<string> = new Set();

const parentRefs = (route: Route): string[] => route.parents.flatMap((parent) => refKey(parent) ?? []);
const backendRefs = (route: Route): string[] => backendsOf(route).flatMap((backend) => backendKey(backend) ?? []);

/** What comes of one model after the other. */
export function openAttacher(options: AttachOptions = {}): (model: Model) => Attachments {
  const attacher = new Attacher(options);
  return (model) => attacher.update(model);
}

/** Of one model alone. */
export function attachRoutes(model: Model, options: AttachOptions = {}): Attachments {
  return openAttacher(options)(model);
}

class Attacher {
  readonly #options: AttachOptions;
  #model: Model = emptyModel;
  /** Of what refKey() names: routes that have it as a parent, and as a backend. */
  readonly #children = new Index();
  readonly #users = new Index();
  /** Of what refKey() names, where that is an entry: keys of its services. */
  readonly #entries = new Index();
  readonly #attached = new Map<string, Attached>();
  /** Of a Gateway: services that have it as their waypoint. */
  readonly #behind = new Index();
  /** By the key of the service. */
  readonly #settled = new Map<string, Settled>();
  #made: Attachments = {
    ports: emptyTable(),
    status: emptyTable(),
    policies: emptyTable(),
    servicesOf: (ref) => this.#servicesOf(ref),
    targetsOf: (route) => this.#attached.get(route)?.targets ?? new Map(),
  };

  constructor(options: AttachOptions) {
    this.#options = options;
  }

  update(model: Model): Attachments {
    const before = this.#model;
    if (model === before) return this.#made;
    this.#model = model;
    /** Keys of routes whose targets, and of those whose status may be others, and of services that may have other routes. */
    const aimed = new Set<string>();
    const told = new Set<string>();
    const services = new Set<string>();
    for (const key of model.services.changedSince(before.services)) {
      services.add(key);
      for (const ref of this.#reindexService(key, before.services.get(key), model.services.get(key))) {
        for (const route of this.#users.of(ref)) aimed.add(route);
        for (const route of this.#children.of(ref)) told.add(route);
      }
    }
    for (const key of model.gateways.changedSince(before.gateways)) {
      for (const service of this.#behind.of(key)) services.add(service);
    }
    const policies = this.#made.policies.edit();
    for (const key of model.routes.changedSince(before.routes)) {
      const [old, now] = [before.routes.get(key), model.routes.get(key)];
      if (old === now) continue;
      if (old?.kind === 'ReferenceGrant' || now?.kind === 'ReferenceGrant') {
        if (this.#options.requireGrants) for (const route of this.#attached.keys()) aimed.add(route);
      } else if (isRoute(old) || isRoute(now)) {
        this.#reindexRoute(key, isRoute(old) ? old : undefined, isRoute(now) ? now : undefined);
        for (const ref of [old, now].flatMap((one) => (isRoute(one) ? parentRefs(one) : []))) {
          for (const service of this.#servicesOf(ref)) services.add(service);
        }
        aimed.add(key);
        told.add(key);
      } else this.#aim(policies, old as WaypointPolicy | undefined, now as WaypointPolicy | undefined);
    }
    for (const key of aimed) {
      if (!this.#attach(key, model.routes.get(key))) continue;
      told.add(key);
      for (const ref of parentRefs(model.routes.get(key) as Route)) {
        for (const service of this.#servicesOf(ref)) services.add(service);
      }
    }
    const ports = this.#made.ports.edit();
    for (const key of services) for (const route of this.#settle(key, ports)) told.add(route);
    const status = this.#made.status.edit();
    for (const key of told) {
      const said = this.#statusOf(key);
      if (said) status.set(key, said);
      else status.delete(key);
    }
    this.#made = {
      ...this.#made,
      ports: finish(ports.close()),
      status: finish(status.close()),
      policies: finish(policies.close()),
    };
    return this.#made;
  }

  #servicesOf(ref: string): readonly string[] {
    const key = serviceKeyOf(ref);
    if (key !== undefined) return this.#model.services.has(key) ? [key] : [];
    return [...this.#entries.of(ref)].sort();
  }

  /** Gives what the service is, or was, named by. */
  #reindexService(key: string, old: Service | undefined, now: Service | undefined): Set<string> {
    const [gone, come] = [old, now].map((one) => (one ? backendKeysOf(one) : [])) as [
      readonly string[],
      readonly string[],
    ];
    for (const ref of gone) if (serviceKeyOf(ref) === undefined) this.#entries.delete(ref, key);
    for (const ref of come) if (serviceKeyOf(ref) === undefined) this.#entries.add(ref, key);
    for (const { gateway } of old ? waypointsOf(old) : []) if (gateway !== undefined) this.#behind.delete(gateway, key);
    for (const { gateway } of now ? waypointsOf(now) : []) if (gateway !== undefined) this.#behind.add(gateway, key);
    return new Set([...gone, ...come]);
  }

  #reindexRoute(key: string, old: Route | undefined, now: Route | undefined): void {
    for (const ref of old ? parentRefs(old) : []) this.#children.delete(ref, key);
    for (const ref of old ? backendRefs(old) : []) this.#users.delete(ref, key);
    for (const ref of now ? parentRefs(now) : []) this.#children.add(ref, key);
    for (const ref of now ? backendRefs(now) : []) this.#users.add(ref, key);
  }

  #aim(table: TableEditor<readonly WaypointPolicy[]>, old?: WaypointPolicy, now?: WaypointPolicy): void {
    const targets = [old, now].flatMap((one) => (one ? keysOfPolicy(one) : []));
    for (const target of new Set(targets)) {
      const others = (table.get(target) ?? []).filter((one) => one !== old);
      const list = now && keysOfPolicy(now).includes(target) ? [...others, now].sort(byName) : others;
      if (list.length > 0) table.set(target, list);
      else table.delete(target);
    }
  }

  /** Finds the targets of a route; true when they, or the route, are others than before. */
  #attach(key: string, route: RouteObject | undefined): boolean {
    if (!isRoute(route)) {
      this.#attached.delete(key);
      return false;
    }
    const targets = new Map(backendsOf(route).map((backend) => [backend, this.#target(route, backend)]));
    const names = new Set([...targets.values()].flatMap((target) => (typeof target === 'string' ? [target] : [])));
    const sticky = [...names].filter((name) =>
      isSticky(this.#model.services.get(parsePortName(name).service) as Service),
    );
    const made: Attached = { route, targets, sticky };
    const known = this.#attached.get(key);
    if (known?.route === route && equal(known.targets, targets) && equal(known.sticky, sticky)) return false;
    this.#attached.set(key, made);
    return true;
  }

  /** The name of the port that `backend` means, or why there is none. An entry of several hosts means its first. */
  #target(route: Route, backend: BackendRef): string | BackendFault {
    const byHost = isHostRef(backend);
    const name = byHost ? `Hostname ${backend.name}` : `${backend.kind} ${backend.namespace}/${backend.name}`;
    const ref = backendKey(backend);
    if (ref === undefined) return { reason: 'InvalidKind', message: `${name} is no kind of backend here` };
    if (byHost && backend.namespace !== '') {
      return { reason: 'InvalidDestination', message: `${name} has no namespace: hosts are found in all of them` };
    }
    if (byHost) return this.#hostTarget(route, backend, ref);
    if (this.#options.requireGrants && backend.namespace !== route.namespace && !this.#isGranted(route, backend)) {
      return { reason: 'RefNotPermitted', message: `no ReferenceGrant lets ${route.namespace} use ${name}` };
    }
    const found = this.#servicesOf(ref).map((key) => this.#model.services.get(key) as Service);
    return targetOf(name, found, backend.port);
  }

  /** A host means its service in the route's namespace, else the one that counts for all, else the first. */
  #hostTarget(route: Route, backend: BackendRef, ref: string): string | BackendFault {
    const name = `Hostname ${backend.name}`;
    if (backend.port === undefined) return { reason: 'InvalidDestination', message: `${name} needs a port` };
    const rank = (one: Service): number => (one.namespace === route.namespace ? 0 : one.canonical ? 1 : 2);
    const [first] = this.#servicesOf(ref)
      .map((key) => this.#model.services.get(key) as Service)
      .filter(({ visibility, namespace }) => visibility === 'public' || namespace === route.namespace)
      .sort((a, b) => rank(a) - rank(b));
    const { namespace } = first ?? route;
    const isOther = this.#options.requireGrants && namespace !== route.namespace;
    if (isOther && !this.#isGranted(route, { ...backend, namespace })) {
      return {
        reason: 'RefNotPermitted',
        message: `no ReferenceGrant lets ${route.namespace} use ${name} of ${namespace}`,
      };
    }
    return targetOf(name, first ? [first] : [], backend.port);
  }

  #isGranted(route: Route, backend: BackendRef): boolean {
    for (const object of this.#model.routes.values()) {
      if (
        object.kind === 'ReferenceGrant' &&
        object.namespace === backend.namespace &&
        grants(object, route, backend)
      ) {
        return true;
      }
    }
    return false;
  }

  /** Gives the routes whose outcome may be another. */
  #settle(key: string, ports: TableEditor<PortRoutes>): string[] {
    const old = this.#settled.get(key);
    const service = this.#model.services.get(key);
    const routes = new Set(service ? refKeysOf(service).flatMap((ref) => [...this.#children.of(ref)]) : []);
    const made =
      service && routes.size > 0 ? settle(service, this.#these(routes), doerOf(service, this.#model)) : undefined;
    if (made) this.#settled.set(key, made);
    else this.#settled.delete(key);
    for (const name of old?.ports.keys() ?? []) if (!made?.ports.has(name)) ports.delete(name);
    for (const [name, port] of made?.ports ?? []) {
      const held = old?.ports.get(name);
      if (!held || !isSame(held, port)) ports.set(name, port);
    }
    const told = new Set([old, made].flatMap((one) => [...(one?.outcomes.keys() ?? [])]));
    return [...told].filter((route) => !equal(old?.outcomes.get(route), made?.outcomes.get(route))).map(routeKey);
  }

  #these(keys: Iterable<string>): Attached[] {
    return [...keys].map((key) => this.#attached.get(key) as Attached);
  }

  #statusOf(key: string): readonly ParentStatus[] | undefined {
    const attached = this.#attached.get(key);
    if (!attached) return undefined;
    const { route } = attached;
    const list = route.parents.flatMap((parent, i) => {
      if (!isServiceRef(parent)) return [];
      const outcomes = this.#servicesOf(refKey(parent) as string).flatMap(
        (service) => this.#settled.get(service)?.outcomes.get(route)?.get(i) ?? [],
      );
      return [statusAt(parent, attached, outcomes)];
    });
    return list.length > 0 ? list : undefined;
  }
}

/** The port of the first that has it. */
function targetOf(name: string, found: readonly Service[], port: number | undefined): string | BackendFault {
  if (found.length === 0) return { reason: 'BackendNotFound', message: `${name} is not there` };
  const service = found.find((one) => one.ports.some((p) => p.port === port && p.protocol !== 'udp'));
  if (service) return portName(service, port as number);
  return { reason: 'BackendNotFound', message: `${name} has no TCP port ${port}` };
}

/** Who acts on what is aimed at a service. */
export function doerOf(service: Service, { gateways }: Model): Doer {
  const waypoints = waypointsOf(service);
  if (waypoints.length === 0) return { note: 'the service has no waypoint that could act on it' };
  const bindings = waypoints.map(({ binding, gateway = '' }) => binding ?? gateways.get(gateway)?.binding);
  const [first] = bindings;
  if (first === undefined || bindings.some(isReadable)) return { note: '' };
  const header = first.header.toUpperCase();
  return {
    note: '',
    refusal: `its waypoint takes connections with header ${header}, which is not for a stock Envoy`,
  };
}

const byName = (a: WaypointPolicy, b: WaypointPolicy): number =>
  `${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1;

const keysOfPolicy = (policy: WaypointPolicy): string[] =>
  policy.targets.flatMap((target) => targetKey(target, policy.namespace) ?? []);

const sameList = (a: readonly Attached[] | undefined, b: readonly Attached[]): boolean =>
  a?.length === b.length && b.every((one, i) => one === a[i]);

function isSame(a: PortRoutes, b: PortRoutes): boolean {
  return (
    a.kind === b.kind &&
    sameList(a.producers, b.producers) &&
    a.consumers.size === b.consumers.size &&
    [...b.consumers].every(([namespace, list]) => sameList(a.consumers.get(namespace), list))
  );
}

function grants(grant: ReferenceGrant, route: Route, backend: BackendRef): boolean {
  return (
    grant.from.some((f) => f.kind === route.kind && f.namespace === route.namespace) &&
    grant.to.some(
      (t) => t.kind === backend.kind && t.group === backend.group && (t.name === undefined || t.name === backend.name),
    )
  );
}
