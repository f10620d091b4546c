// SPDX-License-Identifier: Apache-2.0
// Workloads, services and views with everything at its default but what a test names.
import { apply, emptyModel } from '../../src/mesh/apply.ts';
import { parseLocality } from '../../src/mesh/locality.ts';
import type { Change, Model, NodeView } from '../../src/mesh/model.ts';
import type { Service, ServicePort } from '../../src/mesh/service.ts';
import { noLocality, type PortMapping, type Workload } from '../../src/mesh/workload.ts';

/** Key of the service that `workload` belongs to unless told otherwise. */
export const shop = 'shop/cart.shop';

export const view: NodeView = { node: 'n1', network: '', clusterId: '', locality: parseLocality('r1/z1/s1') };

export function workload(uid: string, fields: Partial<Workload> = {}): Workload {
  return {
    uid,
    name: uid,
    namespace: 'shop',
    addresses: ['10.0.0.1'],
    hostname: '',
    network: '',
    clusterId: '',
    trustDomain: '',
    serviceAccount: '',
    node: '',
    workloadName: uid,
    workloadType: 'pod',
    canonicalName: '',
    canonicalRevision: '',
    locality: noLocality,
    status: 'healthy',
    capacity: 1,
    hostNetwork: false,
    services: new Map<string, readonly PortMapping[]>([[shop, []]]),
    authorizationPolicies: [],
    tunnelProtocol: 'none',
    nativeTunnel: false,
    ...fields,
  };
}

export function port(number: number, fields: Partial<ServicePort> = {}): ServicePort {
  return { port: number, targetPort: 8080, protocol: 'tcp', name: '', appProtocol: '', ...fields };
}

export function service(fields: Partial<Service> = {}): Service {
  return {
    name: 'cart',
    namespace: 'shop',
    hostname: 'cart.shop',
    addresses: [{ network: '', address: '10.96.0.1' }],
    ports: [port(80)],
    loadBalancing: { mode: 'standard', scopes: [], healthPolicy: 'only-healthy' },
    balancer: { policy: 'random', affinitySeconds: 0 },
    ipFamilies: 'automatic',
    canonical: false,
    visibility: 'public',
    subjectAltNames: [],
    weightedWaypoints: [],
    onEmpty: 'refuse',
    ...fields,
  };
}

/** A model of these services and workloads. */
export function model(services: readonly Service[], workloads: readonly Workload[] = []): Model {
  const changes: Change[] = [
    ...workloads.map((w): Change => ({ kind: 'put-workload', workload: w })),
    ...services.map((s): Change => ({ kind: 'put-service', service: s })),
  ];
  return apply(emptyModel, changes).model;
}
