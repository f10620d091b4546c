// SPDX-License-Identifier: Apache-2.0
// Which routes hold for which port of which service, and what is said to their authors: status conditions.
import type { Model } from '../../mesh/model.ts';
import { type BackendRef, type ParentRef, type ReferenceGrant, type Route, routeKey } from '../../mesh/route.ts';
import type { Service, ServicePort } from '../../mesh/service.ts';
import { byAge } from './precedence.ts';
import { backendsOf, type RuleFault, ruleFaults } from './rule-faults.ts';
import { isServiceRef, portName, type ServiceNames, serviceNames, speechOf } from './services.ts';

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

/** Routes of one kind that hold for a port, oldest first: of the service's own namespace, and of clients' namespaces, for those clients alone. */
export interface PortRoutes {
  readonly kind: Route['kind'];
  readonly producers: readonly Route[];
  readonly consumers: ReadonlyMap<string, readonly Route[]>;
}

export interface Attachments {
  /** By the name of the port. */
  readonly ports: ReadonlyMap<string, PortRoutes>;
  /** Route key -> a status for each parent that is a service. */
  readonly status: ReadonlyMap<string, readonly ParentStatus[]>;
  readonly services: ServiceNames;
  /** Why a backend cannot be used; undefined: it can. */
  backendFault(route: Route, backend: BackendRef): BackendFault | undefined;
}

export interface BackendFault {
  readonly reason: 'InvalidKind' | 'BackendNotFound' | 'RefNotPermitted';
  readonly message: string;
}

export interface AttachOptions {
  /** Backends of other namespaces need a ReferenceGrant. The Gateway API leaves that to meshes; default: no. */
  readonly requireGrants?: boolean;
}

/** The more specific one first: of several kinds at one port only the first counts. */
const kinds: readonly Route['kind'][] = ['GRPCRoute', 'HTTPRoute', 'TLSRoute', 'TCPRoute'];

const isRoute = (object: { readonly kind: string }): object is Route =>
  (kinds as readonly string[]).includes(object.kind);

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
  readonly route: Route;
  readonly parent: number;
}

export function attachRoutes(model: Model, options: AttachOptions = {}): Attachments {
  const services = serviceNames(model);
  const routes: Route[] = [];
  const grants: ReferenceGrant[] = [];
  for (const object of model.routes.values()) {
    if (object.kind === 'ReferenceGrant') grants.push(object);
    else if (isRoute(object)) routes.push(object);
  }
  routes.sort(byAge);

  const backendFault = (route: Route, backend: BackendRef): BackendFault | undefined => {
    const name = `${backend.kind} ${backend.namespace}/${backend.name}`;
    if (!isServiceRef(backend)) return { reason: 'InvalidKind', message: `${name} is no kind of backend here` };
    if (options.requireGrants && backend.namespace !== route.namespace && !isGranted(grants, route, backend)) {
      return { reason: 'RefNotPermitted', message: `no ReferenceGrant lets ${route.namespace} use ${name}` };
    }
    const service = services.find(backend);
    if (!service) return { reason: 'BackendNotFound', message: `${name} is not there` };
    const port = service.ports.some((p) => p.port === backend.port && p.protocol !== 'udp');
    return port ? undefined : { reason: 'BackendNotFound', message: `${name} has no TCP port ${backend.port}` };
  };

  /** Port name -> who wants it. */
  const wishes = new Map<string, Wish[]>();
  const drafts = new Map<Route, Draft[]>();
  for (const route of routes) {
    const list = route.parents.map((parent, i): Draft => {
      if (!isServiceRef(parent)) return { parent, ports: [], refused: undefined };
      const found = refusal(route, parent, services.find(parent), ruleFaults(route));
      if (typeof found === 'object' && 'reason' in found) return { parent, ports: [], refused: found };
      for (const port of found) {
        const wish = { route, parent: i };
        const known = wishes.get(port);
        if (known) known.push(wish);
        else wishes.set(port, [wish]);
      }
      return { parent, ports: found, refused: undefined };
    });
    drafts.set(route, list);
  }

  const ports = new Map<string, PortRoutes>();
  /** "port name" -> routes that hold there. */
  const winners = new Map<string, Set<Route>>();
  for (const [port, wished] of wishes) {
    const settled = settlePort(
      wished.map(({ route, parent }) => ({ route, parent: route.parents[parent] as ParentRef })),
    );
    ports.set(port, settled.routes);
    winners.set(port, settled.winners);
  }

  const status = new Map<string, readonly ParentStatus[]>();
  for (const route of routes) {
    const list = (drafts.get(route) ?? []).filter(({ parent }) => isServiceRef(parent));
    if (list.length === 0) continue;
    const refs = refsCondition(route, backendFault, ruleFaults(route));
    const partial = partialCondition(ruleFaults(route));
    status.set(
      routeKey(route),
      list.map(({ parent, ports: at, refused }) => {
        const lost = at.filter((port) => !winners.get(port)?.has(route));
        const accepted = refused ?? (at.length > 0 && lost.length === at.length ? conflicted(lost) : undefined);
        return {
          parent,
          conditions: [
            {
              type: 'Accepted' as const,
              status: accepted === undefined,
              reason: accepted?.reason ?? 'Accepted',
              message: accepted?.message ?? (lost.length > 0 ? `but not at ${lost.join(', ')}` : ''),
            },
            refs,
            ...(partial && accepted === undefined ? [partial] : []),
          ],
        };
      }),
    );
  }
  return { ports, status, services, backendFault };
}

interface Refusal {
  readonly reason: string;
  readonly message: string;
}

interface Draft {
  readonly parent: ParentRef;
  readonly ports: readonly string[];
  readonly refused: Refusal | undefined;
}

const conflicted = (lost: readonly string[]): Refusal => ({
  reason: 'Conflicted',
  message: `other routes hold at ${lost.join(', ')}`,
});

/** The ports that `route` is for at `parent`, or why it is for none. */
function refusal(
  route: Route,
  parent: ParentRef,
  service: Service | undefined,
  faults: readonly (RuleFault | undefined)[],
): Refusal | readonly string[] {
  const none = (message: string): Refusal => ({ reason: 'NoMatchingParent', message });
  if (!service) return none(`${parent.kind} ${parent.namespace}/${parent.name} is not there`);
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
  const dropped = faults.filter((fault) => fault?.drops);
  if (route.rules.length > 0 && dropped.length === route.rules.length) {
    return { reason: 'UnsupportedValue', message: dropped[0]?.message ?? '' };
  }
  return fit.map(({ port }) => portName(service, port));
}

/** What holds at a port of all that want it. */
function settlePort(wished: readonly { readonly route: Route; readonly parent: ParentRef }[]): {
  readonly routes: PortRoutes;
  readonly winners: Set<Route>;
} {
  const kind = kinds.find((one) => wished.some(({ route }) => route.kind === one)) as Route['kind'];
  const producers: Route[] = [];
  const consumers = new Map<string, Route[]>();
  const winners = new Set<Route>();
  for (const { route, parent } of wished) {
    if (route.kind !== kind || winners.has(route)) continue;
    // Streams have nothing that several routes could share.
    if (kind === 'TCPRoute' && producers.length > 0) continue;
    winners.add(route);
    if (route.namespace === parent.namespace) producers.push(route);
    else consumers.set(route.namespace, [...(consumers.get(route.namespace) ?? []), route]);
  }
  return { routes: { kind, producers, consumers }, winners };
}

function isGranted(grants: readonly ReferenceGrant[], route: Route, backend: BackendRef): boolean {
  return grants.some(
    (grant) =>
      grant.namespace === backend.namespace &&
      grant.from.some((f) => f.kind === route.kind && f.namespace === route.namespace) &&
      grant.to.some(
        (t) =>
          t.kind === backend.kind && t.group === backend.group && (t.name === undefined || t.name === backend.name),
      ),
  );
}

function refsCondition(
  route: Route,
  backendFault: Attachments['backendFault'],
  faults: readonly (RuleFault | undefined)[],
): Condition {
  const unknown = faults.find((fault) => fault?.unknownFilter);
  let bad: Refusal | undefined = unknown && { reason: 'InvalidKind', message: unknown.message };
  for (const backend of backendsOf(route)) bad ??= backendFault(route, backend);
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
