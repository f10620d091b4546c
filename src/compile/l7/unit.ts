// SPDX-License-Identifier: Apache-2.0
// What one service makes of a waypoint: filter chains for its addresses and ports, routes of those that speak HTTP, and the clusters that these lead to.
import { addressText, type Service, type ServicePort } from '../../mesh/service.ts';
import type { WaypointPolicy } from '../../mesh/waypoint-policy.ts';
import type { Attachments } from './attach.ts';
import { type Dialled, httpChain, streamChain } from './chains.ts';
import type * as envoy from './envoy.ts';
import { always, envoyRoutes, type RequestRoute, ranked, rankOf } from './http.ts';
import { asksHttp, asksServerName, rbacOf, sourceKey } from './rbac.ts';
import { fieldsOf } from './rbac-places.ts';
import { usualRetries, withRetries } from './retries.ts';
import { isSticky, noCluster, portName, speechOf } from './services.ts';
import { isHttp, type PortRoutes } from './settle.ts';

export interface Unit {
  readonly chains: readonly envoy.FilterChain[];
  /** Where the server name counts. */
  readonly tlsPorts: readonly number[];
  /** Where what is recognized as HTTP is read as such, and the rest is passed through. */
  readonly guessedPorts: readonly number[];
  /** Names of its route configurations. */
  readonly routes: readonly string[];
  /** Names of clusters. */
  readonly uses: ReadonlySet<string>;
}

/** `network`: that of the waypoint, whose addresses alone can be dialled. */
export function unitOf(
  service: Service,
  attachments: Attachments,
  policies: readonly WaypointPolicy[],
  network: string,
): Unit {
  const unit: Draft = { chains: [], tlsPorts: [], guessedPorts: [], routes: [], uses: new Set() };
  for (const port of portsOf(service, attachments, policies)) {
    const dialled = dialledAt(service, port.port, network);
    if (port.http !== 'no') addHttp(unit, port, dialled, service.hostname);
    if (port.http !== 'yes') addStream(unit, port, dialled, policies);
  }
  return unit;
}

/** The route configurations of a unit: most of the work, which nobody waits for who only asks for clusters. */
export function routesOf(
  service: Service,
  attachments: Attachments,
  policies: readonly WaypointPolicy[],
): envoy.RouteConfiguration[] {
  const ports = portsOf(service, attachments, policies).filter(({ http }) => http !== 'no');
  return ports.map((port) => routeConfiguration(port, isSticky(service), policies));
}

interface Draft extends Unit {
  readonly chains: envoy.FilterChain[];
  readonly tlsPorts: number[];
  readonly guessedPorts: number[];
  readonly routes: string[];
  readonly uses: Set<string>;
}

interface Port {
  readonly name: string;
  readonly port: ServicePort;
  readonly routed: PortRoutes | undefined;
  /** Read as HTTP: all of it, or what is recognized. */
  readonly http: 'yes' | 'guessed' | 'no';
}

function portsOf(service: Service, attachments: Attachments, policies: readonly WaypointPolicy[]): Port[] {
  return service.ports
    .filter(({ protocol }) => protocol !== 'udp')
    .map((port) => {
      const name = portName(service, port.port);
      const routed = attachments.ports.get(name);
      const speech = speechOf(port);
      const isRead = routed ? isHttp(routed.kind) : speech === 'http' || speech === 'http2';
      // Nobody says, and somebody asks.
      const isGuessed = !routed && speech === 'open' && policies.some((policy) => asksHttp(policy, port.port));
      return { name, port, routed, http: isRead ? 'yes' : isGuessed ? 'guessed' : 'no' };
    });
}

const producersOf = ({ routed }: Port) => (routed?.producers ?? []) as readonly RequestRoute[];
const consumersOf = ({ routed }: Port) =>
  [...(routed?.consumers ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)) as [string, RequestRoute[]][];

function dialledAt(service: Service, { port }: ServicePort, network: string): readonly Dialled[] {
  const seen = new Map<string, Dialled>();
  for (const at of service.addresses) {
    if (at.network !== network) continue;
    const range = { address: at.address, ...(at.length !== undefined && { length: at.length }) };
    seen.set(addressText(at), { name: addressText(at), ranges: [range], port });
  }
  return [...seen.values()];
}

function addHttp(unit: Draft, port: Port, dialled: readonly Dialled[], host: string): void {
  const { name } = port;
  const isGuessed = port.http === 'guessed';
  if (isGuessed) unit.guessedPorts.push(port.port.port);
  const producers = producersOf(port);
  for (const { targets } of [...producers, ...consumersOf(port).flatMap(([, list]) => list)]) {
    for (const target of targets.values()) if (typeof target === 'string') unit.uses.add(target);
  }
  if (producers.length === 0) unit.uses.add(name);
  unit.routes.push(name);
  const read = { isGuessed, ...(!host.startsWith('*') && { host }) };
  for (const at of dialled) unit.chains.push(httpChain(at, name, read));
}

/** `sticky`: endpoints are chosen by hash. */
function routeConfiguration(at: Port, sticky: boolean, policies: readonly WaypointPolicy[]): envoy.RouteConfiguration {
  const { name, port } = at;
  const producers = producersOf(at);
  return {
    name,
    virtualHosts: [
      {
        name,
        domains: ['*'],
        routes: [
          ...consumersOf(at).flatMap(([namespace, list]) => consumerRoutes(namespace, envoyRoutes(list, port.port))),
          ...envoyRoutes(producers, port.port),
          ...(producers.length === 0 ? plainRoutes(name, sticky) : []),
        ],
        retryPolicy: usualRetries,
        ...rbacFields(policies),
      },
    ],
  };
}

function addStream(
  unit: Draft,
  { name, port, routed }: Port,
  dialled: readonly Dialled[],
  policies: readonly WaypointPolicy[],
): void {
  const targets: { serverNames: readonly string[]; clusters: { name: string; weight: number }[] }[] = [];
  const taken = new Set<string>();
  for (const { route, targets: leads } of routed?.producers ?? []) {
    if (route.kind !== 'TLSRoute' && route.kind !== 'TCPRoute') continue;
    const hosts = route.kind === 'TLSRoute' ? route.hostnames : [];
    // Envoy refuses all of a listener where one name stands twice.
    const serverNames = [...new Set(hosts)].filter((host) => !taken.has(host));
    if (hosts.length > 0 && serverNames.length === 0) continue;
    if (hosts.length === 0 && taken.has('')) continue;
    for (const host of hosts.length === 0 ? [''] : serverNames) taken.add(host);
    const clusters = (route.rules[0]?.backends ?? [])
      .filter(({ weight }) => weight > 0)
      .map((backend) => {
        const target = leads.get(backend);
        return { name: typeof target === 'string' ? target : noCluster, weight: backend.weight };
      });
    targets.push({ serverNames, clusters: clusters.length > 0 ? clusters : [{ name: noCluster, weight: 1 }] });
    if (serverNames.length > 0) unit.tlsPorts.push(port.port);
  }
  if (targets.length === 0) targets.push({ serverNames: [], clusters: [{ name, weight: 1 }] });
  for (const { clusters } of targets) for (const one of clusters) if (one.name !== noCluster) unit.uses.add(one.name);
  // Whose name is asked for is waited for.
  if (policies.some(asksServerName)) unit.tlsPorts.push(port.port);
  const rbac = rbacOf(policies, { http: false, serverName: true });
  for (const at of dialled) for (const target of targets) unit.chains.push(streamChain(at, name, target, rbac));
}

/** Of clients of one namespace; what none of them matches is not found. */
function consumerRoutes(namespace: string, routes: readonly envoy.EnvoyRoute[]): envoy.EnvoyRoute[] {
  const filterState = [{ key: sourceKey, stringMatch: { contains: `/ns/${namespace}/sa/` } }];
  return [
    ...routes.map((route) => ranked({ ...route, match: { ...route.match, filterState } }, rankOf(route))),
    { name: `${namespace} not found`, match: { prefix: '/', filterState }, directResponse: { status: 404 } },
  ];
}

/** Everything to one cluster. `sticky`: it chooses endpoints by hash. */
export function plainRoutes(cluster: string, sticky: boolean): envoy.EnvoyRoute[] {
  const route = { name: 'service', match: { prefix: '/' }, route: { cluster, ...always, timeout: 0 } };
  return withRetries(route, { method: undefined, sticky });
}

export function rbacFields(policies: readonly WaypointPolicy[]): Pick<envoy.VirtualHost, 'typedPerFilterConfig'> {
  return fieldsOf(rbacOf(policies, { http: true, serverName: true }));
}
