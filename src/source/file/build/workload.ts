// SPDX-License-Identifier: Apache-2.0
// From pods, entries and slices to workloads of the model. uids are those that istiod gives.
import { type Locality, noLocality, type PortMapping, type Workload } from '../../../mesh/workload.ts';
import { type Address, isV4 } from '../../../net/address.ts';
import { clusterDomain, clusterId } from '../names.ts';
import type {
  EndpointSliceObject,
  EntryEndpoint,
  NamedPort,
  PodObject,
  ServiceEntryObject,
  SliceEndpoint,
  WorkloadEntryObject,
} from '../objects.ts';
import type { Owner } from './owners.ts';
import type { Chosen } from './waypoints.ts';

/** A service that a workload belongs to: its key, and the object that owns it. */
export interface Membership {
  readonly key: string;
  readonly of: Owner;
}

type Services = Workload['services'];

/** Makes maps of services; equal ones are one value, as the pods of a service share it. */
export interface ServiceMaps {
  of(parts: readonly (readonly [string, readonly PortMapping[]])[]): Services;
}

const maxMaps = 20_000;

export function openServiceMaps(): ServiceMaps {
  const known = new Map<string, Services>();
  return {
    of(parts) {
      const text = JSON.stringify(parts);
      const before = known.get(text);
      if (before) return before;
      if (known.size >= maxMaps) known.clear();
      const made = new Map(parts);
      known.set(text, made);
      return made;
    },
  };
}

const none: readonly never[] = [];

type OwnerPort = Owner['ports'][number];

/** The ports of `of` that lead to another number than its own says, by what `portAt` finds for each. */
function mappings(of: Owner, portAt: (port: OwnerPort) => number | undefined): readonly PortMapping[] {
  const out: PortMapping[] = [];
  for (const port of of.ports) {
    const targetPort = portAt(port);
    if (targetPort === undefined || targetPort === port.targetPort) continue;
    const isShared = of.ports.some((p) => p !== port && p.port === port.port);
    out.push({ servicePort: port.port, targetPort, ...(isShared && { protocol: port.protocol }) });
  }
  return out.length > 0 ? out : none;
}

const numberIn = (ports: readonly NamedPort[], name: string, { protocol }: OwnerPort): number | undefined =>
  ports.find((p) => p.name === name && p.protocol === protocol)?.port;

/** Ports of a pod where a service names its target port, and where a port of an entry has the name of one of the pod's. */
export function podPorts(pod: PodObject, of: Owner): readonly PortMapping[] {
  return mappings(of, (port) => {
    const name = of.kind === 'Service' ? port.targetName : port.name;
    return name === '' ? undefined : numberIn(pod.ports, name, port);
  });
}

/** Ports of an entry by name: that of the target port, else that of the service's port. */
export function entryPorts(endpoint: EntryEndpoint, of: Owner): readonly PortMapping[] {
  return mappings(of, (port) => endpoint.ports.get(port.targetName || port.name));
}

/** Ports of a slice carry the names of the service's ports. */
export function slicePorts(slice: EndpointSliceObject, of: Owner): readonly PortMapping[] {
  return mappings(of, (port) => numberIn(slice.ports, port.name, port));
}

type Parts = Omit<
  Workload,
  'clusterId' | 'trustDomain' | 'tunnelProtocol' | 'nativeTunnel' | 'waypoint' | 'waypointUnready'
> & {
  readonly tunnel: PodObject['tunnel'];
  readonly behind?: Chosen;
};

/** One literal for all workloads, without spreads: engines then keep one hidden class for them, which halves their memory. */
function workloadOf(parts: Parts): Workload {
  const workload: Workload = {
    uid: parts.uid,
    name: parts.name,
    namespace: parts.namespace,
    addresses: parts.addresses,
    hostname: parts.hostname,
    network: parts.network,
    clusterId,
    trustDomain: clusterDomain,
    serviceAccount: parts.serviceAccount,
    node: parts.node,
    workloadName: parts.workloadName,
    workloadType: parts.workloadType,
    canonicalName: parts.canonicalName,
    canonicalRevision: parts.canonicalRevision,
    locality: parts.locality,
    status: parts.status,
    capacity: parts.capacity,
    hostNetwork: parts.hostNetwork,
    services: parts.services,
    authorizationPolicies: parts.authorizationPolicies,
    tunnelProtocol: parts.tunnel === 'none' ? 'none' : 'hbone',
    nativeTunnel: parts.tunnel === 'native',
  };
  const { waypoint, unready } = parts.behind ?? {};
  return waypoint ? { ...workload, waypoint, ...(unready && { waypointUnready: unready }) } : workload;
}

/** @param pod "namespace/name" */
export function podUid(pod: string): string {
  return `${clusterId}//Pod/${pod}`;
}

/** Undefined for a pod that has no address or runs no more. */
export function podWorkload(
  pod: PodObject,
  locality: Locality,
  services: Services,
  authorizationPolicies: readonly string[],
  behind: Chosen,
): Workload | undefined {
  if (pod.terminal || pod.addresses.length === 0) return undefined;
  return workloadOf({
    uid: podUid(`${pod.namespace}/${pod.name}`),
    name: pod.name,
    namespace: pod.namespace,
    addresses: pod.addresses,
    hostname: '',
    network: '',
    serviceAccount: pod.serviceAccount,
    node: pod.node,
    workloadName: pod.workloadName,
    workloadType: pod.workloadType,
    canonicalName: pod.canonicalName,
    canonicalRevision: pod.canonicalRevision,
    locality: pod.locality ?? locality,
    status: pod.healthy ? 'healthy' : 'unhealthy',
    capacity: 1,
    hostNetwork: pod.hostNetwork,
    services,
    authorizationPolicies,
    tunnel: pod.tunnel,
    behind,
  });
}

/** Addresses of a host name, undefined while it is not resolved. */
export type Resolved = (hostname: string) => readonly Address[] | undefined;

/**
 * Workloads of an endpoint: one, or for a host name one for each address that it resolves to (IPv4 and IPv6 ones in pairs), each with the
 * endpoint's weight. While it is not resolved, one without an address.
 */
function endpointWorkloads(
  of: Pick<
    Parts,
    | ('uid' | 'name' | 'namespace' | 'workloadName' | 'canonicalName' | 'canonicalRevision' | 'services' | 'tunnel')
    | 'authorizationPolicies'
  > & { readonly behind?: Chosen },
  endpoint: EntryEndpoint,
  resolved: Resolved,
): Workload[] {
  const { address, hostname } = endpoint;
  const make = (uid: string, addresses: readonly Address[]) =>
    workloadOf({
      ...of,
      uid,
      addresses,
      hostname,
      network: endpoint.network,
      serviceAccount: endpoint.serviceAccount,
      node: '',
      workloadType: 'pod',
      locality: endpoint.locality,
      status: 'healthy',
      capacity: endpoint.weight,
      hostNetwork: false,
    });
  if (address !== '') return [make(of.uid, [address])];
  const found = (hostname === '' ? undefined : resolved(hostname)) ?? [];
  if (found.length === 0) return [make(of.uid, [])];
  const v4 = found.filter(isV4);
  const v6 = found.filter((a) => !isV4(a));
  return Array.from({ length: Math.max(v4.length, v6.length) }, (_, i) => {
    const addresses = [v4[i], v6[i]].filter((a) => a !== undefined);
    return make(`${of.uid}/${addresses[0]}`, addresses);
  });
}

export function entryWorkloads(
  entry: WorkloadEntryObject,
  services: Services,
  resolved: Resolved,
  authorizationPolicies: readonly string[],
  behind: Chosen,
): Workload[] {
  const one = {
    uid: `${clusterId}/networking.istio.io/WorkloadEntry/${entry.namespace}/${entry.name}`,
    name: entry.name,
    namespace: entry.namespace,
    workloadName: entry.workloadName,
    canonicalName: entry.canonicalName,
    canonicalRevision: entry.canonicalRevision,
    services,
    authorizationPolicies,
    tunnel: entry.tunnel,
    behind,
  };
  return endpointWorkloads(one, entry.endpoint, resolved);
}

/** Workloads of an entry's listed endpoints, or of its hosts when they are what is to be resolved. `owned`: the hosts that it owns. */
export function inlineWorkloads(
  entry: ServiceEntryObject,
  owned: readonly Membership[],
  maps: ServiceMaps,
  resolved: Resolved,
  authorizationPolicies: readonly string[],
  behind: (endpoint: EntryEndpoint) => Chosen,
): Workload[] {
  if (owned.length === 0) return [];
  const out: Workload[] = [];
  const seen = new Set<string>();
  for (const { endpoint, members } of inlineEndpoints(entry, owned)) {
    const target = endpoint.address || endpoint.hostname;
    if (seen.has(target)) continue;
    seen.add(target);
    const one = {
      uid: `${clusterId}/networking.istio.io/ServiceEntry/${entry.namespace}/${entry.name}/${target}`,
      name: entry.name,
      namespace: entry.namespace,
      workloadName: entry.name,
      canonicalName: entry.canonicalName,
      canonicalRevision: entry.canonicalRevision,
      tunnel: 'none' as const,
      services: maps.of(members.map(({ key, of }) => [key, entryPorts(endpoint, of)])),
      authorizationPolicies,
      // The hosts themselves are no objects that could ask for one.
      ...(resolvesHosts(entry) ? {} : { behind: behind(endpoint) }),
    };
    out.push(...endpointWorkloads(one, endpoint, resolved));
  }
  return out;
}

/** True when an entry's hosts themselves are its endpoints. */
export function resolvesHosts(entry: ServiceEntryObject): boolean {
  const byName = entry.resolution === 'DNS' || entry.resolution === 'DNS_ROUND_ROBIN';
  return byName && entry.endpoints.length === 0 && entry.selector === undefined;
}

function inlineEndpoints(
  entry: ServiceEntryObject,
  owned: readonly Membership[],
): { readonly endpoint: EntryEndpoint; readonly members: readonly Membership[] }[] {
  if (!resolvesHosts(entry)) return entry.endpoints.map((endpoint) => ({ endpoint, members: owned }));
  return owned.map((member) => ({
    endpoint: {
      address: '',
      hostname: member.key.slice(member.key.indexOf('/') + 1),
      ports: new Map(),
      weight: 1,
      locality: noLocality,
      network: '',
      serviceAccount: 'default',
    },
    members: [member],
  }));
}

/** Workloads of a slice's endpoints that are no known pods. They may share addresses with others, so they own none. */
export function sliceWorkloads(
  slice: EndpointSliceObject,
  services: Services,
  isPod: (pod: string) => boolean,
  localityOf: (endpoint: SliceEndpoint) => Locality,
): Workload[] {
  const out: Workload[] = [];
  const seen = new Set<string>();
  for (const endpoint of slice.endpoints) {
    const [first] = endpoint.addresses;
    if (first === undefined || seen.has(first) || (endpoint.pod !== '' && isPod(endpoint.pod))) continue;
    seen.add(first);
    out.push(
      workloadOf({
        uid: `${clusterId}/discovery.k8s.io/EndpointSlice/${slice.namespace}/${slice.name}/${first}`,
        name: slice.name,
        namespace: slice.namespace,
        addresses: endpoint.addresses,
        hostname: '',
        network: '',
        serviceAccount: '',
        node: endpoint.node,
        workloadName: '',
        workloadType: 'pod',
        canonicalName: '',
        canonicalRevision: '',
        locality: localityOf(endpoint),
        status: endpoint.healthy ? 'healthy' : 'unhealthy',
        capacity: 1,
        hostNetwork: true,
        services,
        authorizationPolicies: none,
        tunnel: 'none',
      }),
    );
  }
  return out;
}
