// SPDX-License-Identifier: Apache-2.0
// Ports of services as clusters of Envoy, and who serves them.
import type { Model, NodeView } from '../../mesh/model.ts';
import { type Balancer, type RequestHash, type Service, type ServicePort, serviceKey } from '../../mesh/service.ts';
import type { Workload } from '../../mesh/workload.ts';
import { eligibleFor } from '../eligible.ts';
import { chooseByLocality } from '../spread.ts';
import { maxWeight } from '../weights.ts';
import type * as envoy from './envoy.ts';
import { portName, speechOf } from './services.ts';

export const adsSource: envoy.ConfigSource = { ads: {}, resourceApiVersion: 2 };

/** Envoy's own limits are those of an edge: a waypoint is not where a mesh should run out. */
const unlimited: envoy.Thresholds = {
  maxConnections: 0xffff_ffff,
  maxPendingRequests: 0xffff_ffff,
  maxRequests: 0xffff_ffff,
  maxRetries: 1024,
};

const connectTimeoutMs = 5000;
const protocolOptions = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
/** Where the connection was dialled. */
export const dialledCluster = 'dialled';

const common = {
  connectTimeout: connectTimeoutMs,
  circuitBreakers: { thresholds: [unlimited] },
} as const;

/**
 * Connections to backends that nobody uses are ended by the waypoint, before the backend ends them: many servers do after 5 s, and a request that
 * meets that end could not be sent again if it is a POST.
 */
const commonHttpProtocolOptions = { idleTimeout: 4000 } as const;

/** HTTP/1.1 or HTTP/2, as the client speaks. */
const asCalled = {
  type: protocolOptions,
  value: {
    commonHttpProtocolOptions,
    useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions: {} },
  },
} as const;

const asHttp2 = {
  type: protocolOptions,
  value: { commonHttpProtocolOptions, explicitHttpConfig: { http2ProtocolOptions: {} } },
} as const;

export const dialled: envoy.Cluster = {
  name: dialledCluster,
  type: 4,
  lbPolicy: 6,
  ...common,
  typedExtensionProtocolOptions: { [protocolOptions]: asCalled },
};

/** 5: Maglev, by the client's address. */
const policies = { 'round-robin': 0, 'least-request': 1, random: 3, 'source-hash': 5 } as const;

/** What nobody asked for is how connections are spread, which is no good for requests. */
function policyOf({ policy, stated, affinitySeconds }: Balancer): number {
  if (affinitySeconds > 0) return policies['source-hash'];
  return policies[policy === 'random' && !stated ? 'least-request' : policy];
}

/** What an Envoy from before 1.35 does not know, it leaves out: then it is as if nobody asked. */
function byRequest({ kind, name, lifetime, path }: RequestHash): NonNullable<envoy.Cluster['loadBalancingPolicy']> {
  const cookie = { name, ...(lifetime !== undefined && { ttl: lifetime }), ...(path !== undefined && { path }) };
  const byKind = { header: { header: { headerName: name } }, cookie: { cookie }, query: { queryParameter: { name } } };
  const value = { consistentHashingLbConfig: { hashPolicy: [byKind[kind]] } };
  const typedConfig = { type: 'envoy.extensions.load_balancing_policies.maglev.v3.Maglev', value } as const;
  return { policies: [{ typedExtensionConfig: { name: 'envoy.load_balancing_policies.maglev', typedConfig } }] };
}

export function clusterOf(service: Service, port: ServicePort): envoy.Cluster {
  const name = portName(service, port.port);
  const speech = speechOf(port);
  const options = { [protocolOptions]: speech === 'http2' ? asHttp2 : asCalled };
  if (service.loadBalancing.mode === 'passthrough') {
    return { name, type: 4, lbPolicy: 6, ...common, typedExtensionProtocolOptions: options };
  }
  return {
    name,
    type: 3,
    edsClusterConfig: { edsConfig: adsSource, serviceName: name },
    lbPolicy: policyOf(service.balancer),
    ...(service.balancer.requestHash && { loadBalancingPolicy: byRequest(service.balancer.requestHash) }),
    ...common,
    typedExtensionProtocolOptions: options,
    // Who is sent nothing is sent nothing, also when few are left.
    commonLbConfig: { healthyPanicThreshold: { value: 0 } },
  };
}

/** The workloads of a service. */
export function membersOf(model: Model, service: Service): Workload[] {
  const members: Workload[] = [];
  for (const uid of model.members.get(serviceKey(service)) ?? []) {
    const workload = model.workloads.get(uid);
    if (workload) members.push(workload);
  }
  return members;
}

/** Those that a node of `view` would send connections to, with the same shares. */
export function endpointsOf(
  service: Service,
  port: ServicePort,
  workloads: readonly Workload[],
  view: NodeView,
): envoy.ClusterLoadAssignment {
  const sorted = [...workloads].sort((a, b) => (a.uid < b.uid ? -1 : 1));
  const eligible = eligibleFor(service, sorted, view, port, 'tcp');
  const { chosen, weights } = chooseByLocality(withKnownScopes(service, view), eligible, view);
  const shares = withinSum(weights ?? chosen.map(({ workload }) => workload.capacity));
  const lbEndpoints = chosen.map(
    ({ port: portValue, address4, address6 }, i): envoy.LbEndpoint => ({
      endpoint: { address: { socketAddress: { address: address4 ?? (address6 as string), portValue } } },
      loadBalancingWeight: shares[i] as number,
    }),
  );
  return { clusterName: portName(service, port.port), endpoints: lbEndpoints.length > 0 ? [{ lbEndpoints }] : [] };
}

/** Where a waypoint does not know where it is, nothing is near or far: a service that is for neighbours only is for all. */
function withKnownScopes(service: Service, { node, locality }: NodeView): Service {
  const known = {
    region: locality.region,
    zone: locality.zone,
    subzone: locality.subzone,
    node,
    network: ' ',
    cluster: ' ',
  };
  const scopes = service.loadBalancing.scopes.filter((scope) => known[scope] !== '');
  return { ...service, loadBalancing: { ...service.loadBalancing, scopes } };
}

/** Envoy wants the sum of weights within 32 bits. */
function withinSum(weights: readonly number[]): readonly number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  if (sum <= maxWeight) return weights;
  const scale = (maxWeight - weights.length) / sum;
  return weights.map((weight) => Math.max(1, Math.floor(weight * scale)));
}
