// SPDX-License-Identifier: Apache-2.0
// Ports of services as clusters of Envoy, and who serves them.
import type { Model } from '../../mesh/model.ts';
import { type Service, type ServicePort, serviceKey } from '../../mesh/service.ts';
import type { Workload } from '../../mesh/workload.ts';
import { eligibleFor } from '../eligible.ts';
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

export const dialled: envoy.Cluster = { name: dialledCluster, type: 4, lbPolicy: 6, ...common };

const policies = { 'round-robin': 0, 'least-request': 1, random: 3, 'source-hash': 1 } as const;

export function clusterOf(service: Service, port: ServicePort): envoy.Cluster {
  const name = portName(service, port.port);
  const speech = speechOf(port);
  const http2 = { type: protocolOptions, value: { explicitHttpConfig: { http2ProtocolOptions: {} } } } as const;
  const asCalled = {
    type: protocolOptions,
    value: { useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions: {} } },
  } as const;
  const options = { [protocolOptions]: speech === 'http2' ? http2 : asCalled };
  if (service.loadBalancing.mode === 'passthrough') {
    return { name, type: 4, lbPolicy: 6, ...common, typedExtensionProtocolOptions: options };
  }
  return {
    name,
    type: 3,
    edsClusterConfig: { edsConfig: adsSource, serviceName: name },
    lbPolicy: policies[service.balancer.policy],
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

export function endpointsOf(
  service: Service,
  port: ServicePort,
  workloads: readonly Workload[],
  view: Parameters<typeof eligibleFor>[2],
): envoy.ClusterLoadAssignment {
  const sorted = [...workloads].sort((a, b) => (a.uid < b.uid ? -1 : 1));
  const lbEndpoints = eligibleFor(service, sorted, view, port, 'tcp').map(
    ({ workload, port: portValue, address4, address6 }): envoy.LbEndpoint => ({
      endpoint: { address: { socketAddress: { address: address4 ?? (address6 as string), portValue } } },
      loadBalancingWeight: workload.capacity,
    }),
  );
  return { clusterName: portName(service, port.port), endpoints: lbEndpoints.length > 0 ? [{ lbEndpoints }] : [] };
}
