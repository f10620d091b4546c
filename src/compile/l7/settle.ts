// SPDX-License-Identifier: Apache-2.0
// Which routes hold at the ports of one service, and what is said to the author of one route.
import type { BackendRef, ParentRef, Route } from '../../mesh/route.ts';
import type { Service, ServicePort } from '../../mesh/service.ts';
import { byAge } from './precedence.ts';
import { type RuleFault, ruleFaults } from './rule-faults.ts';
import { portName, refKey, refKeysOf, speechOf } from './services.ts';

export interface Condition {
  readonly type: 'Accepted' | 'ResolvedRefs' | 'PartiallyInvalid';
  readonly status: boolean;
  readonly reason: string;
  readonly message: string;
}

/** What becomes of a route at one of its parents. */
export interface ParentStatus {
  readonly parent: ParentRef;
  readonly conditions: readonly Condition[];
}

export interface BackendFault {
  /** The last one is Istio's: what is written makes no sense. */
  readonly reason: 'InvalidKind' | 'BackendNotFound' | 'RefNotPermitted' | 'InvalidDestination';
  readonly message: string;
}

/** A route, and where its backends lead: the name of a port of a service, or why nowhere. */
export interface Attached<R extends Route = Route> {
  readonly route: R;
  readonly targets: ReadonlyMap<BackendRef, string | BackendFault>;
  /** Those of the targets where the same request finds the same endpoint. */
  readonly sticky: readonly string[];
}

/** Routes of one kind that hold for a port, oldest first: of the service's own namespace, and of clients' namespaces, for those clients alone. */
export interface PortRoutes {
  readonly kind: Route['kind'];
  readonly producers: readonly Attached[];
  readonly consumers: ReadonlyMap<string, readonly Attached[]>;
}

export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/** What a service makes of one of a route's parents: the ports where it holds and those where others do, or why it has none. */
export type Outcome = Place | Refusal;

interface Place {
  readonly held: readonly string[];
  readonly lost: readonly string[];
  /** Where an older route of the same kind has everything. */
  readonly behind: readonly string[];
  /** What keeps it from having an effect. */
  readonly note: string;
}

/** Who acts on routes of a service. */
export interface Doer {
  /** Why nobody ever does; undefined: somebody does, or may. */
  readonly refusal?: string;
  readonly note: string;
}

export interface Settled {
  /** By the name of the port. */
  readonly ports: ReadonlyMap<string, PortRoutes>;
  /** Of each route that names the service, by the place of the parent in its list. */
  readonly outcomes: ReadonlyMap<Route, ReadonlyMap<number, Outcome>>;
}

/** The more specific one first: of several kinds at one port only the first counts. */
export const routeKinds: readonly Route['kind'][] = ['GRPCRoute', 'HTTPRoute', 'TLSRoute', 'TCPRoute'];

export function isHttp(kind: Route['kind']): boolean {
  return kind === 'GRPCRoute' || kind === 'HTTPRoute';
}

/** True when routes of `kind` make sense where the port is spoken to like that. */
function suits(kind: Route['kind'], port: ServicePort): boolean {
  if (port.protocol === 'udp') return false;
  const speech = speechOf(port);
  if (isHttp(kind)) return speech === 'http' || speech === 'http2' || speech === 'open';
  if (kind === 'TLSRoute') return speech === 'tls' || speech === 'tcp' || speech === 'open';
  return true;
}

interface Wish {
  readonly attached: Attached;
  readonly parent: ParentRef;
  readonly index: number;
}

/** `routes`: those that name the service, in any order. */
export function settle(service: Service, routes: readonly Attached[], doer: Doer): Settled {
  const own = refKeysOf(service);
  const wishes = new Map<string, Wish[]>();
  const refusals = new Map<Route, Map<number, Refusal>>();
  const sorted = [...routes].sort((a, b) => byAge(a.route, b.route));
  for (const attached of sorted) {
    const { route } = attached;
    route.parents.forEach((parent, index) => {
      const ref = refKey(parent);
      if (ref === undefined || !own.includes(ref)) return;
      const found = portsOf(route, parent, service, doer);
      if ('reason' in found) {
        inner(refusals, route).set(index, found);
        return;
      }
      for (const name of found) {
        const wish = { attached, parent, index };
        const known = wishes.get(name);
        if (known) known.push(wish);
        else wishes.set(name, [wish]);
      }
    });
  }
  const ports = new Map<string, PortRoutes>();
  const places = new Map<Route, Map<number, { held: string[]; lost: string[]; behind: string[]; note: string }>>();
  for (const [name, wished] of wishes) {
    const { routes: made, winners } = settlePort(wished);
    ports.set(name, made);
    for (const { attached, index } of wished) {
      const at = inner(places, attached.route);
      const place = at.get(index) ?? { held: [], lost: [], behind: [], note: doer.note };
      at.set(index, place);
      const isOfKind = attached.route.kind === made.kind;
      (winners.has(attached) ? place.held : isOfKind ? place.behind : place.lost).push(name);
    }
  }
  const outcomes = new Map<Route, ReadonlyMap<number, Outcome>>();
  for (const { route } of sorted) {
    outcomes.set(route, new Map<number, Outcome>([...(refusals.get(route) ?? []), ...(places.get(route) ?? [])]));
  }
  return { ports, outcomes };
}

function inner<V>(map: Map<Route, Map<number, V>>, route: Route): Map<number, V> {
  const known = map.get(route) ?? new Map<number, V>();
  map.set(route, known);
  return known;
}

/** The ports that `route` is for at `parent`, or why it is for none. */
function portsOf(route: Route, parent: ParentRef, service: Service, doer: Doer): Refusal | readonly string[] {
  const none = (message: string): Refusal => ({ reason: 'NoMatchingParent', message });
  if (service.addresses.length === 0) return none('the service has no address that clients could dial');
  const asked = service.ports.filter(
    (p) =>
      (parent.port === undefined || p.port === parent.port) &&
      (parent.section === undefined || p.name === parent.section),
  );
  if (asked.length === 0) return none('the service has no such port');
  const fit = asked.filter((port) => suits(route.kind, port));
  if (fit.length === 0) return none(`no port of the service is spoken to as ${route.kind} needs it`);
  if (!isHttp(route.kind) && route.namespace !== service.namespace) {
    return { reason: 'UnsupportedValue', message: `a ${route.kind} must be in the namespace of its service` };
  }
  if (doer.refusal !== undefined) return { reason: 'UnsupportedValue', message: doer.refusal };
  const dropped = ruleFaults(route).filter((fault) => fault?.drops);
  if (route.rules.length > 0 && dropped.length === route.rules.length) {
    return { reason: 'UnsupportedValue', message: dropped[0]?.message ?? '' };
  }
  return fit.map(({ port }) => portName(service, port));
}

/** What holds at a port of all that want it. */
function settlePort(wished: readonly Wish[]): { readonly routes: PortRoutes; readonly winners: Set<Attached> } {
  const kind = routeKinds.find((one) => wished.some(({ attached }) => attached.route.kind === one)) as Route['kind'];
  const producers: Attached[] = [];
  const consumers = new Map<string, Attached[]>();
  const winners = new Set<Attached>();
  for (const { attached, parent } of wished) {
    const { route } = attached;
    if (route.kind !== kind || winners.has(attached)) continue;
    // Streams have nothing that several routes could share.
    if (kind === 'TCPRoute' && producers.length > 0) continue;
    winners.add(attached);
    if (route.namespace === parent.namespace) producers.push(attached);
    else {
      const list = consumers.get(route.namespace);
      if (list) list.push(attached);
      else consumers.set(route.namespace, [attached]);
    }
  }
  return { routes: { kind, producers, consumers }, winners };
}

/** What is told of `attached` at a parent, by what the services behind it make of it. */
export function statusAt(parent: ParentRef, { route, targets }: Attached, outcomes: readonly Outcome[]): ParentStatus {
  const faults = ruleFaults(route);
  const places = outcomes.flatMap((one) => ('reason' in one ? [] : [one]));
  const lost = places.flatMap((one) => one.lost).sort();
  const behind = places.flatMap((one) => one.behind).sort();
  const held = places.some((one) => one.held.length + one.behind.length > 0);
  const refused = outcomes.flatMap((one) => ('reason' in one ? [one] : []))[0] ?? {
    reason: 'NoMatchingParent',
    message: `${parent.kind} ${parent.namespace}/${parent.name} is not there`,
  };
  const why = held ? undefined : lost.length > 0 ? conflicted(lost) : refused;
  const partial = partialCondition(faults);
  const notes = [exceptions(lost, behind), ...new Set(places.map(({ note }) => note))].filter((note) => note !== '');
  const accepted: Condition = {
    type: 'Accepted',
    status: why === undefined,
    reason: why?.reason ?? 'Accepted',
    message: why?.message ?? notes.join('; '),
  };
  const more = partial && why === undefined ? [partial] : [];
  return { parent, conditions: [accepted, refsCondition(targets, faults), ...more] };
}

/** Where an accepted route does not hold. */
function exceptions(lost: readonly string[], behind: readonly string[]): string {
  const parts = [
    ...(lost.length > 0 ? [`but not at ${lost.join(', ')}`] : []),
    ...(behind.length > 0 ? [`an older route has all connections at ${behind.join(', ')}`] : []),
  ];
  return parts.join('; ');
}

const conflicted = (lost: readonly string[]): Refusal => ({
  reason: 'Conflicted',
  message: `other routes hold at ${lost.join(', ')}`,
});

function refsCondition(targets: Attached['targets'], faults: readonly (RuleFault | undefined)[]): Condition {
  const unknown = faults.find((fault) => fault?.unknownFilter);
  let bad: Refusal | undefined = unknown && { reason: 'InvalidKind', message: unknown.message };
  for (const target of targets.values()) if (typeof target !== 'string') bad ??= target;
  return {
    type: 'ResolvedRefs',
    status: bad === undefined,
    reason: bad?.reason ?? 'ResolvedRefs',
    message: bad?.message ?? '',
  };
}

function partialCondition(faults: readonly (RuleFault | undefined)[]): Condition | undefined {
  const texts = faults.flatMap((fault, i) => (fault ? [`${i} (${fault.message})`] : []));
  if (texts.length === 0) return undefined;
  const message = `Dropped Rule(s) ${texts.join(', ')}`;
  return { type: 'PartiallyInvalid', status: true, reason: 'UnsupportedValue', message };
}
