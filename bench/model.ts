// SPDX-License-Identifier: Apache-2.0
// Big meshes as changes, made by numbers alone: the same arguments give the same mesh.
import type { Change, NodeView } from '../src/mesh/model.ts';
import type { Service } from '../src/mesh/service.ts';
import type { Workload } from '../src/mesh/workload.ts';

export interface MeshSize {
  readonly services: number;
  readonly workloads: number;
  /** Workloads a node has; the first node is "node-0". */
  readonly perNode?: number;
  /** Give services and workloads an IPv6 address too. */
  readonly dualStack?: boolean;
  /** TCP ports of each service; 1 when left out. */
  readonly ports?: number;
}

/** What "node-0" sees. */
export const firstNode: NodeView = {
  node: 'node-0',
  network: '',
  clusterId: 'Kubernetes',
  locality: { region: '', zone: '', subzone: '' },
};

const namespaceOf = (service: number): string => `team-${service % 50}`;
const nameOf = (service: number): string => `app-${service}`;
const v4 = (first: number, n: number): string => `${first}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
const v6 = (prefix: string, n: number): string =>
  n >>> 16
    ? `${prefix}::${(n >>> 16).toString(16)}:${(n & 0xffff).toString(16)}`
    : `${prefix}::${(n & 0xffff).toString(16)}`;

/** "team-3/app-3.team-3.svc.cluster.local" */
export function meshServiceKey(service: number): string {
  return `${namespaceOf(service)}/${hostOf(service)}`;
}

const hostOf = (service: number): string => `${nameOf(service)}.${namespaceOf(service)}.svc.cluster.local`;

/** Service number `n` (from 0) of a mesh: TCP ports 80, 81 …, one address a family. */
export function meshService(n: number, { dualStack = false, ports = 1 }: Partial<MeshSize> = {}): Service {
  const addresses = [{ network: '', address: v4(10, n + 256) }];
  if (dualStack) addresses.push({ network: '', address: v6('fd10', n + 1) });
  return {
    name: nameOf(n),
    namespace: namespaceOf(n),
    hostname: hostOf(n),
    addresses,
    ports: Array.from({ length: ports }, (_, i) => ({
      port: 80 + i,
      targetPort: 8080 + i,
      protocol: 'tcp',
      name: `http-${i}`,
      appProtocol: '',
    })),
    loadBalancing: { mode: 'standard', scopes: [], healthPolicy: 'only-healthy' },
    balancer: { policy: 'random', affinitySeconds: 0 },
    ipFamilies: dualStack ? 'dual' : 'ipv4',
    canonical: true,
    visibility: 'public',
    subjectAltNames: [],
    weightedWaypoints: [],
    onEmpty: 'refuse',
  };
}

/** Workload number `n` (from 0), a pod of service `n % size.services`; `version` gives a new pod in its place: other name, other address. */
export function meshWorkload(n: number, size: MeshSize, version = 0): Workload {
  const service = n % size.services;
  const namespace = namespaceOf(service);
  const node = Math.floor(n / (size.perNode ?? 100));
  const name = `${nameOf(service)}-${Math.floor(n / size.services)}${version === 0 ? '' : `-${version}`}`;
  // Two address spaces of 16 million: a new pod never gets the address that it replaces.
  const place = n + ((version * 262_144) & 0xffffff);
  const first = v4(172, place & 0xffffff);
  return {
    uid: `Kubernetes//Pod/${namespace}/${name}`,
    name,
    namespace,
    addresses: size.dualStack ? [first, v6('fd72', place + 1)] : [first],
    hostname: '',
    network: '',
    clusterId: 'Kubernetes',
    trustDomain: 'cluster.local',
    serviceAccount: 'default',
    node: `node-${node}`,
    workloadName: nameOf(service),
    workloadType: 'deployment',
    canonicalName: nameOf(service),
    canonicalRevision: 'v1',
    locality: { region: 'r1', zone: `z${node % 3}`, subzone: '' },
    status: 'healthy',
    capacity: 1,
    hostNetwork: false,
    services: new Map([[meshServiceKey(service), []]]),
    authorizationPolicies: [],
    tunnelProtocol: 'none',
    nativeTunnel: false,
  };
}

/** The whole mesh: services first. */
export function* meshChanges(size: MeshSize): IterableIterator<Change> {
  for (let n = 0; n < size.services; n++) yield { kind: 'put-service', service: meshService(n, size) };
  for (let n = 0; n < size.workloads; n++) yield { kind: 'put-workload', workload: meshWorkload(n, size) };
}
