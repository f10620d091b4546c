// SPDX-License-Identifier: Apache-2.0
// Userland's exact picture of what the kernel holds: ids, ranges, and every entry by name.
import type { ValueOfMap } from '../abi/maps.ts';
import {
  type backendHeader,
  type backendVia,
  memberPolicyBits,
  type NameKind,
  nameKind,
  type Protocol,
  slotsOfListed,
  type viaPorts,
} from '../abi/structs.ts';
import type { Steps } from '../mesh/steps.ts';
import type { Address } from '../net/address.ts';
import { type AuthzImage, authzFill, emptyAuthzImage } from './authz/image.ts';
import { type IdTable, idTable } from './ids.ts';
import type { CountedMap, LimitedMap, MapFill, ServiceMap, Sizes } from './limited-maps.ts';
import type { DeleteOperation } from './operation.ts';
import { type RangeFill, type Ranges, rangesOf } from './ranges.ts';
import type { WantedBackend, WantedClient, WantedPort } from './wanted.ts';

export type Header = ReturnType<typeof backendHeader.decode>;
export type ViaSlot = ReturnType<typeof backendVia.decode>;
export type PortsSlot = ReturnType<typeof viaPorts.decode>;
export type EndpointSlot = ValueOfMap<'endpoint'>;

/** Endpoint slots of one range, made when asked for: a mesh has hundreds of thousands. */
export type SlotAt = (index: number) => EndpointSlot;

/** A range as it was read from the kernel, not yet compared with what is wanted. */
export interface ReadRange {
  readonly header: Header;
  readonly slot: SlotAt;
  /** The Maglev table or round-robin cycle. */
  readonly indexes: ArrayLike<number>;
  /** Set when the header says that there is one. */
  readonly via: ViaSlot | undefined;
  /** Ports that it lists. */
  readonly listed: readonly number[];
}

export interface BackendImage {
  readonly id: number;
  /** "namespace/hostname"; '' when what the kernel holds does not say. */
  readonly service: string;
  /** Slot of the header; 0: what backend[id] says cannot be used, so it must be written again. */
  readonly first: number;
  readonly generation: number;
  readonly maglevFirst: number;
  readonly maglevSlots: number;
  readonly serviceId: number;
  /** Ids of the endpoints' workloads in slot order: the range is one slot longer. */
  readonly workloadIds: readonly number[];
  /** Id of the waypoint's backend that it goes through; 0: none. The range is longer with one: a slot, and those of the ports that are listed. */
  readonly viaId: number;
  readonly listed: number;
  /** What was written; undefined for what was read from the kernel and not yet compared. */
  readonly wanted: WantedBackend | undefined;
  readonly read: ReadRange | undefined;
}

/** Stands for a backend's name: the entry leads to the map `variant`. No backend is called so. */
export const throughVariants = '*';
/** Stands for a backend's name: the entry leads to an id without a name, or its tag is not its key's. */
export const unresolved = '?';

export interface FrontendImage {
  readonly protocol: Protocol;
  readonly address: Address;
  /** Set: a range, in bits of the address's own family. */
  readonly length: number | undefined;
  readonly port: number;
  /** Backend name, throughVariants, unresolved; undefined: there is no such entry, only variants. */
  readonly backend: string | undefined;
  /** Client namespace ('': the others) -> backend name or unresolved. */
  readonly variants: ReadonlyMap<string, string>;
}

/** Whether waypoints are told of a service. */
export interface Told {
  /** Backends of the service that go through a waypoint. */
  readonly backends: number;
  /** The map has its entry. */
  readonly written: boolean;
}

/** What a plan stopped using: free once every program run that could have met it has ended. */
export interface Leftovers {
  readonly endpointRanges: readonly (readonly [start: number, length: number])[];
  readonly maglevRanges: readonly (readonly [start: number, length: number])[];
  /** `turn`: how often the id had come into use by then. */
  readonly ids: readonly (readonly [kind: NameKind, id: number, turn: number])[];
}

/** How many frontends lead to a backend. */
export interface Leads {
  readonly all: number;
  readonly udp: number;
}

/** What becomes of a connection to an address that is being asked for; 'off': nothing is asked for. */
export type OnMiss = 'off' | 'direct' | 'refuse';

export interface Image {
  readonly sizes: Sizes;
  readonly ids: IdTables;
  readonly endpointRanges: Ranges;
  readonly maglevRanges: Ranges;
  readonly backends: Map<string, BackendImage>;
  /** By key text. */
  readonly frontends: Map<string, FrontendImage>;
  /** By uid. */
  readonly clients: Map<string, WantedClient>;
  /** By key: where waypoints read headers. */
  readonly ports: Map<string, WantedPort>;
  /** Backend name -> frontends that lead to it. */
  readonly leads: Map<string, Leads>;
  /** Name of a waypoint's backend -> backends that go through it. */
  readonly vias: Map<string, number>;
  /** By key of the service. */
  readonly told: Map<string, Told>;
  readonly counts: Record<CountedMap, number>;
  udpFrontends: number;
  /** Frontends that stand for all ports of an address. */
  anyPorts: number;
  setting: ValueOfMap<'setting'>;
  /** Wanted in the setting. */
  onMiss: OnMiss;
  /** Generation of the range written last. One counter for all backends: equal generations mean the same range contents. */
  generation: number;
  /** Entries of the kernel that nothing explains. */
  stray: readonly DeleteOperation[];
  /** What connections are judged by. */
  readonly authz: AuthzImage;
}

export type IdTables = Readonly<Record<NameKind, IdTable>>;
export type TakenRanges = readonly (readonly [start: number, length: number])[];

/** Tables without names. Where no array limits the ids, the number of names that fit does. */
export function emptyIds(sizes: Sizes): IdTables {
  return {
    workload: idTable('workload', sizes.active),
    service: idTable('service', sizes.name + 1),
    backend: idTable('backend', Math.min(sizes.backend, sizes.robin)),
    namespace: idTable('namespace', sizes.name + 1),
    identity: idTable('identity', sizes.name + 1),
    policy: idTable('policy', Math.min(sizes.name + 1, 2 ** memberPolicyBits)),
  };
}

/** A picture of maps of these sizes without entries, but for names and ranges that are taken. Slot 0 of `endpoint` is never used. */
export function emptyImage(
  sizes: Sizes,
  taken: {
    readonly ids?: IdTables;
    readonly endpointRanges?: TakenRanges;
    readonly maglevRanges?: TakenRanges;
    readonly authz?: AuthzImage;
  } = {},
): Image {
  return {
    sizes,
    ids: taken.ids ?? emptyIds(sizes),
    endpointRanges: rangesOf(sizes.endpoint, 1, taken.endpointRanges),
    maglevRanges: rangesOf(sizes.maglev, 0, taken.maglevRanges),
    backends: new Map(),
    frontends: new Map(),
    clients: new Map(),
    ports: new Map(),
    leads: new Map(),
    vias: new Map(),
    told: new Map(),
    counts: {
      ...{ frontend: 0, variant: 0, cidr: 0, client: 0, name: 0 },
      ...{ waypoint_client: 0, waypoint_service: 0, waypoint_port: 0 },
    },
    udpFrontends: 0,
    anyPorts: 0,
    setting: { abi_version: 0, flags: 0, ports: 0n },
    onMiss: 'off',
    generation: 0,
    stray: [],
    authz: taken.authz ?? emptyAuthzImage(sizes),
  };
}

/** Slots of the endpoint range of a backend; 0 when it has none. */
export function slotsOf(backend: BackendImage): number {
  const { first, workloadIds, viaId, listed } = backend;
  if (first === 0) return 0;
  return workloadIds.length + 1 + (viaId === 0 ? 0 : 1 + slotsOfListed(listed));
}

/** Id of a namespace as the kernel says it: 0 stands for none and for "the others". */
export function namespaceId(ids: { idOf(name: string): number | undefined }, namespace: string): number | undefined {
  return namespace === '' ? 0 : ids.idOf(namespace);
}

const noBackends: readonly string[] = [];

/** Names of the backends that a frontend leads to, once a lead. */
export function backendsBehind({ backend, variants }: FrontendImage): readonly string[] {
  const direct =
    backend === undefined || backend === throughVariants || backend === unresolved ? noBackends : [backend];
  if (variants.size === 0) return direct;
  return [...direct, ...variants.values()].filter((name) => name !== unresolved);
}

/** Counts what `frontend` occupies and leads to, `times` 1 or -1. */
export function countFrontend(image: Image, frontend: FrontendImage, times: 1 | -1): void {
  const udp = frontend.protocol === 'udp' ? times : 0;
  image.udpFrontends += udp;
  if (isAnyPort(frontend)) image.anyPorts += times;
  image.counts.variant += times * frontend.variants.size;
  if (frontend.backend !== undefined) image.counts[frontend.length === undefined ? 'frontend' : 'cidr'] += times;
  for (const name of backendsBehind(frontend)) {
    const held = image.leads.get(name) ?? { all: 0, udp: 0 };
    if (held.all + times === 0) image.leads.delete(name);
    else image.leads.set(name, { all: held.all + times, udp: held.udp + udp });
  }
}

/** True for the entry that stands for all ports of an address. */
export function isAnyPort({ port, backend }: FrontendImage): boolean {
  return port === 0 && backend !== undefined;
}

/** Counts what `backend` goes through, `times` 1 or -1. */
export function countVia(image: Image, { viaId, service }: BackendImage, times: 1 | -1): void {
  if (viaId === 0) return;
  const name = image.ids.backend.nameOf(viaId) as string;
  const through = (image.vias.get(name) ?? 0) + times;
  if (through === 0) image.vias.delete(name);
  else image.vias.set(name, through);
  const held = image.told.get(service) ?? { backends: 0, written: false };
  const told = { ...held, backends: held.backends + times };
  if (told.backends === 0 && !told.written) image.told.delete(service);
  else image.told.set(service, told);
}

/** Calls `each` with every id that a backend uses, once a use. */
export function eachIdOf(backend: BackendImage, each: (kind: NameKind, id: number) => void): void {
  each('backend', backend.id);
  if (backend.viaId !== 0) each('backend', backend.viaId);
  if (backend.serviceId !== 0) each('service', backend.serviceId);
  for (const id of backend.workloadIds) each('workload', id);
}

/** Things given back between two pauses. */
const freedAStep = 16;

/** Gives ranges back and retires ids. To be called after the grace period that follows the plan, and while no plan is open. */
export function* settle(image: Image, left: Leftovers): Steps<void> {
  let seen = 0;
  for (const [start, length] of left.endpointRanges) {
    image.endpointRanges.free(start, length);
    if (++seen % freedAStep === 0) yield;
  }
  for (const [start, length] of left.maglevRanges) {
    image.maglevRanges.free(start, length);
    if (++seen % freedAStep === 0) yield;
  }
  for (const [kind, id, turn] of left.ids) {
    image.ids[kind].retire(id, turn);
    if (++seen % freedAStep === 0) yield;
  }
}

/** How full each map is that can run out. Array maps of ids: the ids that are not free. */
export function fillOf(image: Image): Readonly<Record<LimitedMap, MapFill>> {
  const counted = (map: ServiceMap, used: number): MapFill => {
    const size = image.sizes[map];
    return { used, size, fragmentation: 0, largestFree: Math.max(0, size - used) };
  };
  const ranged = (f: RangeFill): MapFill => ({
    used: f.used,
    size: f.slots,
    fragmentation: f.fragmentation,
    largestFree: f.largestFree,
  });
  // Id 0 is never given out.
  const backendIds = image.ids.backend.size + 1;
  return {
    frontend: counted('frontend', image.counts.frontend),
    variant: counted('variant', image.counts.variant),
    cidr: counted('cidr', image.counts.cidr),
    client: counted('client', image.counts.client),
    waypoint_client: counted('waypoint_client', image.counts.waypoint_client),
    waypoint_service: counted('waypoint_service', image.counts.waypoint_service),
    waypoint_port: counted('waypoint_port', image.counts.waypoint_port),
    name: counted('name', image.counts.name),
    backend: counted('backend', backendIds),
    robin: counted('robin', backendIds),
    active: counted('active', image.ids.workload.size + 1),
    endpoint: ranged(image.endpointRanges.fill()),
    maglev: ranged(image.maglevRanges.fill()),
    ...authzFill(image.authz),
  };
}

/** Datagrams have to be looked at: some may go to a service, or be asked for. */
export function needsUdpHooks(image: Image): boolean {
  return image.udpFrontends > 0 || image.onMiss !== 'off';
}

export const nameKinds = Object.keys(nameKind) as readonly NameKind[];
