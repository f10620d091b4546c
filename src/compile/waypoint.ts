// SPDX-License-Identifier: Apache-2.0
// Waypoints as backends: which one a service or workload goes through, and its endpoints with the header that each reads.
import {
  bindingText,
  defaultWaypointSettings,
  type GatewayAddress,
  type GatewayDestination,
  type Otherwise,
  placesOf,
  type WaypointBinding,
} from '../mesh/gateway.ts';
import { ownerOf } from '../mesh/identity.ts';
import type { Model, NodeView } from '../mesh/model.ts';
import type { BalancerPolicy, Service, ServicePort } from '../mesh/service.ts';
import type { Steps } from '../mesh/steps.ts';
import type { Workload } from '../mesh/workload.ts';
import { type Address, isV4 } from '../net/address.ts';
import { type Eligible, eligibleFor } from './eligible.ts';
import { endpointsOf, type Family } from './endpoints.ts';
import type { ModelReader } from './reader.ts';
import { isServerFirst, serverFirstNumbers } from './server-first.ts';
import type { WantedBackend, WantedEndpoint, WantedVia } from './wanted.ts';
import { integerShares } from './weights.ts';

interface Part {
  readonly at: GatewayAddress;
  readonly weight: number;
}

/** A waypoint, or several that share connections. Equal names mean the same. */
export interface WaypointRef {
  /** "waypoint:shop/waypoint.shop.svc.cluster.local", without a family. */
  readonly name: string;
  readonly parts: readonly Part[];
}

const prefix = 'waypoint:';
const behind = 'workloads:';

/** True for the name of a waypoint's own backend. */
export function isWaypoint(backend: string): boolean {
  return backend.startsWith(prefix);
}

/** Places and binding. Equal texts mean the same. */
export function textOf(at: GatewayAddress): string {
  if (at.destination.kind === 'unusable') return 'unusable';
  const suffix = at.binding ? `@${bindingText(at.binding)}` : '';
  return `${placesOf(at).map(placeText).join('+')}${suffix}`;
}

function placeText(to: GatewayDestination): string {
  if (to.kind === 'hostname') return `${to.namespace}/${to.hostname}`;
  return to.kind === 'address' ? `${to.network === '' ? '' : `${to.network}/`}${to.address}` : 'unusable';
}

export function refOf(parts: readonly Part[]): WaypointRef | undefined {
  const used = parts.filter(({ weight }) => weight > 0);
  if (used.length === 0) return undefined;
  const texts = used.map(({ at, weight }) => (used.length === 1 ? textOf(at) : `${textOf(at)}*${weight}`));
  return { name: `${prefix}${texts.join(',')}`, parts: used };
}

/** True for what stands where a service does: a waypoint, or workloads behind one. */
export function isStandIn(service: string): boolean {
  return isWaypoint(service) || service.startsWith(behind);
}

/** The waypoint that connections to a service go through; undefined: none, as for one that is the waypoint itself. */
export function waypointOf(service: Service, key: string): WaypointRef | undefined {
  const { waypoint, weightedWaypoints: several } = service;
  if (several.length === 0 && !waypoint) return undefined;
  const parts = several.map(({ destination, weight }) => ({ at: destination, weight }));
  const found = refOf(parts.length > 0 ? parts : [{ at: waypoint as GatewayAddress, weight: 1 }]);
  const isSelf = ({ at }: Part): boolean =>
    placesOf(at).some((to) => to.kind === 'hostname' && `${to.namespace}/${to.hostname}` === key);
  return found?.parts.some(isSelf) ? undefined : found;
}

/** The same for connections to a workload's own addresses. One on its node's addresses has none of its own. */
export function waypointOfWorkload(workload: Workload, view: NodeView): WaypointRef | undefined {
  if (!workload.waypoint || workload.hostNetwork || workload.network !== view.network) return undefined;
  return refOf([{ at: workload.waypoint, weight: 1 }]);
}

/** How a port of a service goes through its waypoint; undefined: not at all. */
export function viaOf(
  ref: WaypointRef,
  family: Family,
  view: NodeView,
  own: Otherwise | undefined,
  port?: ServicePort,
): WantedVia | undefined {
  const settings = view.waypoints ?? defaultWaypointSettings;
  const serverFirst = port !== undefined && isServerFirst(port, settings.serverFirstPorts);
  if (serverFirst && settings.serverFirst === 'direct') return undefined;
  return { backend: `${ref.name}/${family}`, unready: own ?? settings.unready, serverFirst };
}

/** Who uses the backend, so that it stays: a waypoint's, or that of workloads behind one. */
export interface WaypointUse {
  readonly ref: WaypointRef;
  readonly family: Family;
  /** Set: of the workloads behind it. */
  readonly workloads?: Behind;
  readonly count: number;
}

/** What workloads behind a waypoint have in common. */
export interface Behind {
  readonly unready: Otherwise;
  /** Ports of theirs of which services say something else than their numbers do: whether the server begins. Ascending. */
  readonly said: readonly (readonly [port: number, serverFirst: boolean])[];
}

/** What stands where a service does for all of them. */
export function workloadsService(ref: WaypointRef, unready: Otherwise): string {
  return `${behind}${ref.name}${unready === 'direct' ? ':direct' : ''}`;
}

export function workloadsName(ref: WaypointRef, family: Family, { unready, said }: Behind): string {
  const ports = said.map(([port, first]) => `${first ? '+' : '-'}${port}`);
  return `${workloadsService(ref, unready)}${ports.length === 0 ? '' : `[${ports.join()}]`}/${family}`;
}

/** Backend of workloads behind a waypoint: connections to them go through it, or where they were dialled. */
export function workloadsBackend(ref: WaypointRef, family: Family, of: Behind, view: NodeView): WantedBackend {
  const { serverFirst, serverFirstPorts } = view.waypoints ?? defaultWaypointSettings;
  const ports = new Set(serverFirstNumbers(serverFirstPorts));
  for (const [port, first] of of.said) {
    if (first) ports.add(port);
    else ports.delete(port);
  }
  const listed = { ports: [...ports].sort((a, b) => a - b), otherwise: serverFirst };
  return {
    ...{ name: workloadsName(ref, family, of), service: workloadsService(ref, of.unready) },
    ...{ policy: 'random', affinitySeconds: 0, passthrough: true, emptyDirect: false, endpoints: [] },
    via: { backend: `${ref.name}/${family}`, unready: of.unready, serverFirst: false, listed },
  };
}

/** Workloads that own the addresses of waypoints, found by one walk. */
export function* ownersOfAddresses(
  model: Model,
  view: NodeView,
  addresses: ReadonlySet<Address>,
): Steps<ReadonlyMap<Address, Workload>> {
  const found = new Map<Address, Workload>();
  if (addresses.size === 0) return found;
  let seen = 0;
  for (const workload of model.workloads.values()) {
    if (++seen % workloadsAStep === 0) yield;
    for (const address of workload.addresses) {
      if (!addresses.has(address)) continue;
      const before = found.get(address);
      const owner = ownerOf(before ? [before, workload] : [workload], view.network);
      if (owner) found.set(address, owner);
    }
  }
  return found;
}

const workloadsAStep = 256;

/** What a waypoint's endpoints follow from: "service KEY", "address ADDRESS", "workload UID". */
export type Source = `service ${string}` | `address ${Address}` | `workload ${string}`;

export interface WaypointBackend {
  readonly backend: WantedBackend;
  readonly sources: readonly Source[];
}

interface Resolved {
  readonly endpoints: readonly WantedEndpoint[];
  readonly service: Service | undefined;
}

/** Any port will do: the endpoint's is that of its binding. */
const anyPort: ServicePort = { port: 0, targetPort: 1, protocol: 'tcp', name: '', appProtocol: '' };

/** What an endpoint reads first and where: as the Gateway says, else its own tunnel, else the node's setting. */
export function bindingOf(at: GatewayAddress, workload: Workload | undefined, view: NodeView): WaypointBinding {
  if (at.binding) return at.binding;
  const tunnel = workload?.applicationTunnel;
  if (tunnel) return { header: tunnel.protocol === 'proxy' ? 'proxy' : 'none', port: tunnel.port };
  return (view.waypoints ?? defaultWaypointSettings).binding;
}

/** The port that a waypoint's service leads `port` to, when it has one. */
export function mappedPort(service: Service, key: string, workload: Workload, port: number): number {
  const own = workload.services.get(key)?.find((m) => m.servicePort === port && m.protocol !== 'udp');
  const target = own?.targetPort || service.ports.find((p) => p.port === port && p.protocol !== 'udp')?.targetPort;
  return target || port;
}

function boundTo(binding: WaypointBinding, endpoint: WantedEndpoint, port: number): WantedEndpoint {
  const { header } = binding;
  return header === 'none' ? { ...endpoint, port } : { ...endpoint, port, header };
}

/** Endpoints of one waypoint. Of several addresses without a service those of the client's family count, if there are any. */
function resolve(part: Part, family: Family, context: WaypointContext, sources: Set<Source>): Resolved {
  const places = placesOf(part.at).map((to) => resolvePlace(part.at, to, family, context, sources));
  const [only] = places;
  if (places.length === 1 && only) return only;
  const usable = places.filter(({ endpoints }) => endpoints.length > 0);
  const own = usable.filter(
    ({ service, endpoints: [first] }) => service || isV4(first?.address ?? '') === (family === 4),
  );
  const endpoints = new Map<string, WantedEndpoint>();
  for (const place of own.length > 0 ? own : usable) {
    for (const one of place.endpoints) endpoints.set(endpointKey(one), one);
  }
  return { endpoints: [...endpoints.values()], service: places.find((place) => place.service)?.service };
}

const endpointKey = ({ workload, address, port }: WantedEndpoint): string => `${workload} ${address} ${port}`;

/** Of one of its places. `owners`: the workloads that have addresses, where that says where they are. */
function resolvePlace(
  at: GatewayAddress,
  to: GatewayDestination,
  family: Family,
  { reader, view, owners }: WaypointContext,
  sources: Set<Source>,
): Resolved {
  const none: Resolved = { endpoints: [], service: undefined };
  if (to.kind === 'unusable') return none;
  let key: string | undefined;
  if (to.kind === 'hostname') key = `${to.namespace}/${to.hostname}`;
  else {
    sources.add(`address ${to.address}`);
    if (to.network !== view.network) return none;
    key = [...reader.owners(to.address)].sort()[0];
  }
  if (key !== undefined) {
    sources.add(`service ${key}`);
    const service = reader.service(key);
    if (!service) return none;
    const workloads = new Map<string, Workload>();
    const eligible: readonly Eligible[] = eligibleFor(service, reader.members(key), view, anyPort, 'tcp');
    for (const { workload } of eligible) workloads.set(workload.uid, workload);
    const endpoints = endpointsOf(service, eligible, view, family, 'tcp').map((endpoint): WantedEndpoint => {
      const workload = workloads.get(endpoint.workload) as Workload;
      const binding = bindingOf(at, workload, view);
      const port = binding.port === 0 ? 0 : mappedPort(service, key, workload, binding.port);
      return boundTo(binding, endpoint, port);
    });
    return { endpoints, service };
  }
  const address = (to as { readonly address: Address }).address;
  const workload = owners.get(address);
  if (workload) sources.add(`workload ${workload.uid}`);
  if (workload?.status === 'unhealthy' || (family === 4 && !isV4(address))) return none;
  const binding = bindingOf(at, workload, view);
  const endpoint = { workload: workload?.uid ?? `address:${address}`, address, port: 0, weight: 1 };
  return { endpoints: [boundTo(binding, endpoint, binding.port)], service: undefined };
}

export interface WaypointContext {
  readonly reader: ModelReader;
  readonly view: NodeView;
  readonly owners: ReadonlyMap<Address, Workload>;
}

/** Least request, so that connections that stay open do not gather at one; unless somebody asked for another one. */
function policyOf(service: Service | undefined): BalancerPolicy {
  if (!service) return 'least-request';
  const { policy, stated } = service.balancer;
  return policy === 'random' && !stated ? 'least-request' : policy;
}

/** The endpoints of several, each waypoint with its share. One that is in several counts once. */
function shared(parts: readonly (Resolved & { readonly weight: number })[]): readonly WantedEndpoint[] {
  const weighed = parts.flatMap(({ endpoints, weight }) => {
    const per = endpoints.reduce((sum, e) => sum + e.weight, 0);
    return endpoints.map((endpoint) => ({ endpoint, times: weight * endpoint.weight, per }));
  });
  const shares = integerShares(weighed);
  const out = new Map<string, WantedEndpoint>();
  for (const [i, { endpoint }] of weighed.entries()) {
    const key = endpointKey(endpoint);
    const weight = Math.min(0xffffffff, (out.get(key)?.weight ?? 0) + (shares[i] as number));
    out.set(key, { ...endpoint, weight });
  }
  return [...out.values()];
}

/** The backend of a waypoint for clients that dial an address of `family`. */
export function waypointBackend(ref: WaypointRef, family: Family, context: WaypointContext): WaypointBackend {
  const sources = new Set<Source>();
  const parts = ref.parts.map((part) => ({ ...resolve(part, family, context, sources), weight: part.weight }));
  const usable = parts.filter(({ endpoints }) => endpoints.length > 0);
  const [first] = usable;
  const service = parts.find((p) => p.service)?.service;
  return {
    backend: {
      name: `${ref.name}/${family}`,
      service: ref.name,
      policy: policyOf(service),
      affinitySeconds: service?.balancer.affinitySeconds ?? 0,
      passthrough: false,
      emptyDirect: false,
      endpoints: usable.length === 1 && first ? first.endpoints : shared(usable),
    },
    sources: [...sources],
  };
}

/** Addresses that `ref` leads to without a service. */
export function* addressesOf(ref: WaypointRef | undefined): Generator<Address> {
  for (const { at } of ref?.parts ?? []) {
    for (const to of placesOf(at)) if (to.kind === 'address') yield to.address;
  }
}
