// SPDX-License-Identifier: Apache-2.0
// The model -> all resources of one waypoint. What did not change is the same object as before, so that nobody has to encode or compare it again.
import type { Model, NodeView } from '../../mesh/model.ts';
import type { GrpcRoute, HttpRoute, Route } from '../../mesh/route.ts';
import { addressText, type Service, type ServicePort } from '../../mesh/service.ts';
import type { WaypointPolicy } from '../../mesh/waypoint-policy.ts';
import { type Attachments, isHttp, type PortRoutes } from './attach.ts';
import { allowFilter, type Dialled, denyFilter, httpChain, listenerOf, streamChain } from './chains.ts';
import { clusterOf, dialled, dialledCluster, endpointsOf, membersOf } from './clusters.ts';
import type * as envoy from './envoy.ts';
import { envoyRoutes, type RuleWorld } from './http.ts';
import { rbacOf, sourceKey } from './rbac.ts';
import { ruleFaults } from './rule-faults.ts';
import type { WaypointScope } from './scope.ts';
import { names, noCluster, portName, speechOf } from './services.ts';
import { openTimeless, type Timeless } from './timeless.ts';

export interface Resources {
  readonly listeners: ReadonlyMap<string, envoy.Listener>;
  readonly routes: ReadonlyMap<string, envoy.RouteConfiguration>;
  readonly clusters: ReadonlyMap<string, envoy.Cluster>;
  readonly endpoints: ReadonlyMap<string, envoy.ClusterLoadAssignment>;
}

export interface WaypointCompiler {
  compile(model: Model, attachments: Attachments, scope: WaypointScope): Resources;
}

const gatewayGroup = 'gateway.networking.k8s.io';

/** Keeps what it made, for the next time. */
export function openWaypointCompiler(view: NodeView): WaypointCompiler {
  const keep = openTimeless();
  return {
    compile(model, attachments, scope) {
      keep.begin();
      const made = new Compilation(model, attachments, scope, view, keep).run();
      keep.end();
      return made;
    },
  };
}

class Compilation {
  readonly #model: Model;
  readonly #attachments: Attachments;
  readonly #scope: WaypointScope;
  readonly #view: NodeView;
  readonly #keep: Timeless;
  readonly #policies: readonly WaypointPolicy[];
  readonly #chains: envoy.FilterChain[] = [];
  readonly #tlsPorts = new Set<number>();
  readonly #routes = new Map<string, envoy.RouteConfiguration>();
  readonly #clusters = new Map<string, envoy.Cluster>();
  readonly #endpoints = new Map<string, envoy.ClusterLoadAssignment>();

  constructor(model: Model, attachments: Attachments, scope: WaypointScope, view: NodeView, keep: Timeless) {
    this.#model = model;
    this.#attachments = attachments;
    this.#scope = scope;
    this.#view = view;
    this.#keep = keep;
    this.#policies = [...model.routes.values()]
      .filter((object) => object.kind === 'AuthorizationPolicy')
      .sort((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
  }

  run(): Resources {
    const keys = [...this.#model.services.keys()].sort();
    for (const key of keys) {
      const service = this.#model.services.get(key) as Service;
      if (service.addresses.length > 0 && this.#scope.serves(service)) this.#service(service);
    }
    this.#workloads();
    const ports = [...this.#tlsPorts].sort((a, b) => a - b);
    const listener = this.#keep.get(
      'listener',
      [...this.#chains, String(ports), JSON.stringify(this.#scope.listen)],
      () => listenerOf(this.#scope.listen, this.#chains, ports),
    );
    return {
      listeners: new Map([[listener.name, listener]]),
      routes: this.#routes,
      clusters: this.#clusters,
      endpoints: this.#endpoints,
    };
  }

  #service(service: Service): void {
    const policies = this.#policiesOf(service);
    for (const port of service.ports) {
      if (port.protocol === 'udp') continue;
      const name = portName(service, port.port);
      const routes = this.#attachments.ports.get(name);
      const speech = speechOf(port);
      const asHttp = routes ? isHttp(routes.kind) : speech === 'http' || speech === 'http2';
      if (asHttp) this.#http(service, port, name, routes, policies);
      else this.#stream(service, port, name, routes, policies);
    }
  }

  /** Cluster of a port, which is made when it is asked for first. */
  #cluster(service: Service, port: ServicePort): string {
    const name = portName(service, port.port);
    if (this.#clusters.has(name)) return name;
    this.#clusters.set(
      name,
      this.#keep.get(`cluster ${name}`, [service, port], () => clusterOf(service, port)),
    );
    if (service.loadBalancing.mode === 'passthrough') return name;
    const members = membersOf(this.#model, service);
    const made = this.#keep.get(`endpoints ${name}`, [service, port, ...members], () =>
      endpointsOf(service, port, members, this.#view),
    );
    this.#endpoints.set(name, made);
    return name;
  }

  #backend(route: Route, backend: Route['rules'][number]['backends'][number]): string | undefined {
    if (this.#attachments.backendFault(route, backend)) return undefined;
    const service = this.#attachments.services.find(backend) as Service;
    const port = service.ports.find((p) => p.port === backend.port && p.protocol !== 'udp') as ServicePort;
    return this.#cluster(service, port);
  }

  #http(
    service: Service,
    port: ServicePort,
    name: string,
    routes: PortRoutes | undefined,
    policies: readonly WaypointPolicy[],
  ): void {
    const used: string[] = [];
    const world: RuleWorld = {
      port: port.port,
      clusterOf: (route, backend) => {
        const cluster = this.#backend(route, backend);
        used.push(cluster ?? '');
        return cluster;
      },
      isDropped: (route, rule) => ruleFaults(route)[rule]?.drops === true,
    };
    const producers = (routes?.producers ?? []) as readonly (HttpRoute | GrpcRoute)[];
    const consumers = [...(routes?.consumers ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)) as [
      string,
      (HttpRoute | GrpcRoute)[],
    ][];
    const all = [...producers, ...consumers.flatMap(([, list]) => list)];
    // Which backends there are is part of what routes are made of, and clusters are to be there either way.
    for (const route of all) for (const backend of backendsOfHttp(route)) world.clusterOf(route, backend);
    const own = producers.length === 0 ? this.#cluster(service, port) : '';
    const facts = [...all, ...used, own, ...policies, consumers.map(([ns]) => ns).join(' ')];
    this.#routes.set(
      name,
      this.#keep.get(`routes ${name}`, facts, () => ({
        name,
        virtualHosts: [
          {
            name,
            domains: ['*'],
            routes: [
              ...consumers.flatMap(([namespace, list]) => consumerRoutes(namespace, envoyRoutes(list, world))),
              ...envoyRoutes(producers, world),
              ...(own === '' ? [] : [plainRoute(own)]),
            ],
            ...rbacFields(policies),
          },
        ],
      })),
    );
    for (const at of this.#dialled(service, port)) {
      this.#chains.push(this.#keep.get(`chain ${name} ${JSON.stringify(at)}`, [], () => httpChain(at, name)));
    }
  }

  #stream(
    service: Service,
    port: ServicePort,
    name: string,
    routes: PortRoutes | undefined,
    policies: readonly WaypointPolicy[],
  ): void {
    const targets: { serverNames: readonly string[]; clusters: { name: string; weight: number }[] }[] = [];
    const taken = new Set<string>();
    for (const route of routes?.producers ?? []) {
      if (route.kind !== 'TLSRoute' && route.kind !== 'TCPRoute') continue;
      const hosts = route.kind === 'TLSRoute' ? route.hostnames : [];
      const serverNames = hosts.filter((host) => !taken.has(host));
      if (serverNames.length < hosts.length && serverNames.length === 0) continue;
      if (hosts.length === 0 && taken.has('')) continue;
      for (const host of hosts.length === 0 ? [''] : serverNames) taken.add(host);
      const clusters = (route.rules[0]?.backends ?? [])
        .filter(({ weight }) => weight > 0)
        .map((backend) => ({ name: this.#backend(route, backend) ?? noCluster, weight: backend.weight }));
      targets.push({ serverNames, clusters: clusters.length > 0 ? clusters : [{ name: noCluster, weight: 1 }] });
      if (serverNames.length > 0) this.#tlsPorts.add(port.port);
    }
    if (targets.length === 0) {
      targets.push({ serverNames: [], clusters: [{ name: this.#cluster(service, port), weight: 1 }] });
    }
    const text = JSON.stringify(targets);
    for (const at of this.#dialled(service, port)) {
      targets.forEach((target, i) => {
        const facts = [text, ...policies];
        const key = `chain ${name} ${JSON.stringify(at)} ${i}`;
        this.#chains.push(this.#keep.get(key, facts, () => streamChain(at, name, target, rbacOf(policies, true))));
      });
    }
  }

  /** Calls of pods by their own addresses go on to where they were dialled. */
  #workloads(): void {
    const policies = this.#policiesOf(undefined);
    const target = { serverNames: [], clusters: [{ name: dialledCluster, weight: 1 }] };
    const served: string[] = [];
    for (const workload of this.#model.workloads.values()) {
      if (workload.waypoint && this.#scope.servesWorkload(workload)) served.push(...workload.addresses);
    }
    if (served.length > 0) this.#clusters.set(dialled.name, dialled);
    for (const address of [...new Set(served)].sort()) {
      const make = () => streamChain({ address }, 'workload', target, rbacOf(policies, true));
      this.#chains.push(this.#keep.get(`workload ${address}`, policies, make));
    }
  }

  #dialled(service: Service, { port }: ServicePort): Dialled[] {
    const seen = new Map<string, Dialled>();
    for (const at of service.addresses) {
      if (at.network !== this.#view.network) continue;
      seen.set(addressText(at), { address: at.address, ...(at.length !== undefined && { length: at.length }), port });
    }
    return [...seen.values()];
  }

  /** Undefined: those of the waypoint itself. */
  #policiesOf(service: Service | undefined): readonly WaypointPolicy[] {
    const { namespace, name, className } = this.#scope;
    return this.#policies.filter((policy) =>
      policy.targets.some((target) => {
        if (target.group === gatewayGroup && target.kind === 'GatewayClass') return target.name === className;
        if (target.group === gatewayGroup && target.kind === 'Gateway') {
          return policy.namespace === namespace && target.name === name;
        }
        return service !== undefined && names({ ...target, namespace: policy.namespace }, service);
      }),
    );
  }
}

function backendsOfHttp(route: HttpRoute | GrpcRoute) {
  return route.rules.flatMap(({ backends, filters }) => [
    ...backends,
    ...filters.flatMap((filter) => (filter.kind === 'mirror' ? [filter.backend] : [])),
  ]);
}

/** Of clients of one namespace; what none of them matches is not found. */
function consumerRoutes(namespace: string, routes: readonly envoy.EnvoyRoute[]): envoy.EnvoyRoute[] {
  const filterState = [{ key: sourceKey, stringMatch: { contains: `/ns/${namespace}/sa/` } }];
  return [
    ...routes.map((route) => ({ ...route, match: { ...route.match, filterState } })),
    { name: `${namespace} not found`, match: { prefix: '/', filterState }, directResponse: { status: 404 } },
  ];
}

function plainRoute(cluster: string): envoy.EnvoyRoute {
  return { name: 'service', match: { prefix: '/' }, route: { cluster, clusterNotFoundResponseCode: 2, timeout: 0 } };
}

function rbacFields(policies: readonly WaypointPolicy[]): Pick<envoy.VirtualHost, 'typedPerFilterConfig'> {
  const { deny, allow } = rbacOf(policies, false);
  if (!deny && !allow) return {};
  const type = 'envoy.extensions.filters.http.rbac.v3.RBACPerRoute';
  return {
    typedPerFilterConfig: {
      ...(deny && { [denyFilter]: { type, value: { rbac: deny } } }),
      ...(allow && { [allowFilter]: { type, value: { rbac: allow } } }),
    },
  };
}
