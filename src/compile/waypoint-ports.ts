// SPDX-License-Identifier: Apache-2.0
// Addresses and ports where waypoints read a header: whoever may dial them could write one of its own.
import {
  type Gateway,
  type GatewayAddress,
  type GatewayDestination,
  gatewayKey,
  placesOf,
  type WaypointBinding,
} from '../mesh/gateway.ts';
import type { NodeView } from '../mesh/model.ts';
import type { Service } from '../mesh/service.ts';
import type { Steps } from '../mesh/steps.ts';
import { emptyTable, type Table, type TableEditor } from '../mesh/table.ts';
import type { Workload } from '../mesh/workload.ts';
import type { Address } from '../net/address.ts';
import { socketAddressText } from '../net/socket-address.ts';
import { targetPort } from './eligible.ts';
import type { WantedPort } from './wanted.ts';
import { bindingOf, mappedPort, refOf, type Source, textOf, type WaypointContext } from './waypoint.ts';
import type { Used } from './waypoint-uses.ts';

const prefix = 'ports:';
const none: readonly never[] = [];

/** True for the name under which a waypoint's ports are claimed. */
export function isPorts(name: string): boolean {
  return name.startsWith(prefix);
}

/** Waypoints whose ports are to be kept, each once. */
export function portsUsed(asked: readonly (GatewayAddress | undefined)[]): readonly Used[] {
  if (asked.every((at) => at === undefined)) return none;
  const found = new Map<string, Used>();
  for (const at of asked) {
    const ref = at && at.destination.kind !== 'unusable' ? refOf([{ at, weight: 1 }]) : undefined;
    if (!at || !ref) continue;
    const name = `${prefix}${textOf(at)}`;
    found.set(name, { name, ref, family: 4 });
  }
  return [...found.values()];
}

/** All that a service may go through, also what it goes through at no port, or is itself. */
export function portsUsedBy(service: Service | undefined): readonly Used[] {
  if (!service || (!service.waypoint && service.weightedWaypoints.length === 0)) return [];
  return portsUsed([service.waypoint, ...service.weightedWaypoints.map(({ destination }) => destination)]);
}

const classes: ReadonlySet<string> = new Set(['istio-waypoint', 'kmesh-waypoint']);

/** A Gateway that is a waypoint is one also while nothing goes through it: at each of its addresses. */
export function portsUsedByGateway(gateway: Gateway | undefined): readonly Used[] {
  if (!gateway || (!gateway.binding && !classes.has(gateway.className))) return [];
  const { binding } = gateway;
  const at = { hboneMtlsPort: 0, gateway: gatewayKey(gateway), ...(binding && { binding }) };
  return portsUsed(gateway.addresses.map((destination) => ({ ...at, destination })));
}

/** Stands for the addresses that a link has for itself, which nobody tells of. */
const linkLocal = 'fe80::';
/** Stands for those by which a network calls itself: 127.0.0.0/8, ::1, 0.0.0.0 and ::. */
const itself = '::1';

function collect() {
  const found = new Map<string, WantedPort>();
  return {
    /** `node`: in the network of this node. */
    add(address: Address, { header, port }: WaypointBinding, node: boolean): void {
      if (header === 'none' || port === 0) return;
      for (const at of [address, linkLocal, itself]) {
        const key = socketAddressText(at, port);
        const there = at === itself && (node || found.get(key)?.node === true);
        found.set(key, { key, address: at, port, node: there });
      }
    },
    ports: () => [...found.values()],
  };
}

/** In the network of this node, as far as is known. */
const isHere = ({ hostNetwork, node }: Workload, view: NodeView): boolean =>
  hostNetwork && (node === '' || node === view.node);

/** The ports of one waypoint: at all addresses of all its workloads, whether or not they are chosen now, and of its service. */
export function portsAt(
  at: GatewayAddress,
  context: WaypointContext,
): { readonly ports: readonly WantedPort[]; readonly sources: readonly Source[] } {
  const sources = new Set<Source>();
  const found = collect();
  for (const to of placesOf(at)) collectPlace(at, to, context, found, sources);
  return { ports: found.ports(), sources: [...sources] };
}

function collectPlace(
  at: GatewayAddress,
  to: GatewayDestination,
  { reader, view, owners }: WaypointContext,
  found: ReturnType<typeof collect>,
  sources: Set<Source>,
): void {
  if (to.kind === 'unusable') return;
  let key: string | undefined;
  if (to.kind === 'hostname') key = `${to.namespace}/${to.hostname}`;
  else {
    sources.add(`address ${to.address}`);
    if (to.network !== view.network) return;
    key = [...reader.owners(to.address)].sort()[0];
  }
  if (key === undefined) {
    const { address } = to as { readonly address: Address };
    const workload = owners.get(address);
    if (workload) sources.add(`workload ${workload.uid}`);
    const binding = bindingOf(at, workload, view);
    for (const own of new Set([address, ...(workload?.addresses ?? [])])) {
      found.add(own, binding, workload === undefined);
    }
    return;
  }
  sources.add(`service ${key}`);
  const service = reader.service(key);
  for (const workload of reader.members(key)) {
    if (workload.network !== view.network) continue;
    const asked = bindingOf(at, workload, view);
    const port = service && asked.port !== 0 ? mappedPort(service, key, workload, asked.port) : asked.port;
    const binding = { ...asked, port };
    const node = isHere(workload, view);
    for (const address of workload.addresses) found.add(address, binding, node);
    if (!service) continue;
    // Who does not see the service is left alone here, and another balancer may lead him there.
    for (const entry of service.ports) {
      if (entry.protocol === 'udp' || targetPort(workload, key, entry, 'tcp') !== port) continue;
      for (const { address, length, network } of service.addresses) {
        if (length === undefined && network === view.network) found.add(address, { ...asked, port: entry.port }, false);
      }
    }
  }
}

/** Those that a workload says by itself. */
export function portsOfTunnel(workload: Workload | undefined, view: NodeView): readonly WantedPort[] {
  const tunnel = workload?.applicationTunnel;
  if (!workload || tunnel?.protocol !== 'proxy' || workload.network !== view.network) return [];
  const found = collect();
  const binding = { header: 'proxy', port: tunnel.port } as const;
  for (const address of workload.addresses) found.add(address, binding, isHere(workload, view));
  return found.ports();
}

/** Persistent, as all of an index. */
export interface PortIndex {
  readonly ports: Table<WantedPort>;
  /** Who claims some -> which. */
  readonly of: Table<readonly WantedPort[]>;
  /** Key of a port -> who claims it. */
  readonly claims: Table<readonly string[]>;
}

export const noPorts: PortIndex = { ports: emptyTable(), of: emptyTable(), claims: emptyTable() };

export interface PortEditor {
  /** What `source` claims now. */
  claim(source: string, ports: readonly WantedPort[]): void;
  close(): Steps<{ readonly index: PortIndex; readonly delta: Delta }>;
}

export function editPorts(before: PortIndex): PortEditor {
  const ports = before.ports.edit();
  const of = before.of.edit();
  const claims = before.claims.edit();
  const changed = new Set<string>();

  const merged = (key: string): WantedPort | undefined => {
    let one: WantedPort | undefined;
    for (const source of claims.get(key) ?? none) {
      const said = of.get(source)?.find((port) => port.key === key);
      if (!one || said?.node) one = said;
    }
    return one;
  };

  return {
    claim(source, now) {
      const had: readonly WantedPort[] = of.get(source) ?? none;
      if (had.length === 0 && now.length === 0) return;
      for (const { key } of had) {
        changed.add(key);
        if (now.some((port) => port.key === key)) continue;
        const left = (claims.get(key) ?? none).filter((s) => s !== source);
        if (left.length > 0) claims.set(key, left);
        else claims.delete(key);
      }
      for (const { key } of now) {
        changed.add(key);
        const held = claims.get(key) ?? none;
        if (!held.includes(source)) claims.set(key, [...held, source]);
      }
      if (now.length > 0) of.set(source, now);
      else of.delete(source);
    },
    close() {
      const delta = new Map<string, WantedPort | undefined>();
      for (const key of changed) {
        const was = before.ports.get(key);
        const is = merged(key);
        if (was?.node === is?.node) continue;
        delta.set(key, is);
        if (is) ports.set(key, is);
        else ports.delete(key);
      }
      return closing(ports, of, claims, delta);
    },
  };
}

type Delta = ReadonlyMap<string, WantedPort | undefined>;

function* closing(
  ports: TableEditor<WantedPort>,
  of: TableEditor<readonly WantedPort[]>,
  claims: TableEditor<readonly string[]>,
  delta: Delta,
): Steps<{ readonly index: PortIndex; readonly delta: Delta }> {
  return { index: { ports: yield* ports.close(), of: yield* of.close(), claims: yield* claims.close() }, delta };
}
