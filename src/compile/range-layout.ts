// SPDX-License-Identifier: Apache-2.0
// A wanted backend as the slots of its range: endpoints in order, with what the policy needs beside them.
import { backendFlag, endpointFlag, policyCode, slotsOfListed, viaFlag } from '../abi/structs.ts';
import { addressBytes } from '../net/address.ts';
import { aliasTable } from './alias.ts';
import { samePorts, sameVia } from './backend.ts';
import { weightedCycle } from './cycle.ts';
import type { BackendImage, Header, ReadRange, SlotAt, ViaSlot } from './image.ts';
import { maglevTable } from './maglev.ts';
import type { WantedBackend, WantedEndpoint, WantedVia } from './wanted.ts';

export interface RangeLayout {
  /** What goes to slot first + 1 + index; sorted by (workload id, address, port). */
  readonly slot: SlotAt;
  readonly workloadIds: readonly number[];
  /** What goes to `maglev`: two indexes a slot. */
  readonly indexes: ArrayLike<number>;
}

/** Slots of `maglev` that `count` indexes take. */
export function maglevSlots(count: number): number {
  return (count + 1) >>> 1;
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** By workload name, address, port: an order that does not depend on ids. */
function byName(a: WantedEndpoint, b: WantedEndpoint): number {
  return compareText(a.workload, b.workload) || compareText(a.address, b.address) || a.port - b.port;
}

function compareAddresses(a: string, b: string): number {
  const left = addressBytes(a);
  const right = addressBytes(b);
  for (let i = 0; i < 16; i++) {
    const d = (left[i] as number) - (right[i] as number);
    if (d !== 0) return d;
  }
  return 0;
}

function sorted<T>(items: readonly T[], compare: (a: T, b: T) => number): readonly T[] {
  for (let i = 1; i < items.length; i++) {
    if (compare(items[i - 1] as T, items[i] as T) > 0) return [...items].sort(compare);
  }
  return items;
}

/** threshold of a slot that is always taken as it is. */
const always = 0xffffffff;
const noIndexes: ArrayLike<number> = [];

/** Ids of the workloads of a list, in its order. */
export type IdsOf = (endpoints: readonly WantedEndpoint[]) => readonly number[];

function isAscending(numbers: readonly number[]): boolean {
  for (let i = 1; i < numbers.length; i++) if ((numbers[i - 1] as number) >= (numbers[i] as number)) return false;
  return true;
}

/** Indexes of `list` in the order of its slots; undefined: that of the list. */
function slotOrder(list: readonly WantedEndpoint[], ids: readonly number[]): readonly number[] | undefined {
  if (isAscending(ids)) return undefined;
  return sorted(
    list.map((_, i) => i),
    (a, b) => {
      const x = list[a] as WantedEndpoint;
      const y = list[b] as WantedEndpoint;
      return (ids[a] as number) - (ids[b] as number) || compareAddresses(x.address, y.address) || x.port - y.port;
    },
  );
}

/** Slot of each index of a list whose order of slots this is. */
function slotsBy(order: readonly number[] | undefined): (index: number) => number {
  if (order === undefined) return (index) => index;
  const slots = new Uint32Array(order.length);
  for (let slot = 0; slot < order.length; slot++) slots[order[slot] as number] = slot;
  return (index) => slots[index] as number;
}

/**
 * The slots of `wanted`, with workload ids by `idsOf`. Tables are computed in the order of names, so that the same set behaves the same
 * whatever the ids are.
 */
export function layOut(wanted: WantedBackend, idsOf: IdsOf): RangeLayout {
  const list = sorted(wanted.endpoints, byName);
  const ids = idsOf(list);
  const order = slotOrder(list, ids);
  const slotOf = slotsBy(order);

  const equalWeights = list.every((e) => e.weight === list[0]?.weight);
  const table = wanted.policy === 'random' && !equalWeights ? aliasTable(list.map((e) => e.weight)) : undefined;
  let indexes = noIndexes;
  if (wanted.policy === 'source-hash') indexes = maglevTable(list).map(slotOf);
  if (wanted.policy === 'round-robin' && !equalWeights) {
    indexes = Uint32Array.from(weightedCycle(list.map((e) => e.weight)), slotOf);
  }

  const workloadIds = order === undefined ? ids : order.map((i) => ids[i] as number);
  const slot: SlotAt = (index) => {
    const i = order === undefined ? index : (order[index] as number);
    const e = list[i] as WantedEndpoint;
    let threshold = always;
    let alias = index;
    if (wanted.policy === 'least-request') {
      threshold = Math.min(e.weight, always);
    } else if (table) {
      threshold = table.threshold[i] as number;
      alias = slotOf(table.alias[i] as number);
    }
    return { addr: e.address, port: e.port, flags: headerFlags(e), workload_id: ids[i] as number, threshold, alias };
  };
  return { slot, workloadIds, indexes };
}

function headerFlags({ header }: WantedEndpoint): number {
  return header === undefined ? 0 : endpointFlag[header];
}

/** What a range goes through, as its slot says it. */
export function viaSlotOf(via: WantedVia, backendId: number): ViaSlot {
  const flags =
    (via.unready === 'direct' ? viaFlag.direct : 0) |
    (via.serverFirst ? viaFlag.refuse : 0) |
    (via.listed?.otherwise === 'direct' ? viaFlag.listedDirect : 0);
  return { backend_id: backendId, flags, listed: via.listed?.ports.length ?? 0 };
}

/** Slots behind the endpoints of a range. */
export function viaSlots(via: WantedVia | undefined): number {
  return via ? 1 + slotsOfListed(via.listed?.ports.length ?? 0) : 0;
}

/** The header of `wanted` at a place of its own. */
export function headerOf(
  wanted: WantedBackend,
  at: {
    readonly id: number;
    readonly generation: number;
    readonly serviceId: number;
    readonly maglevFirst: number;
    readonly indexes: number;
  },
): Header {
  return {
    backend_id: at.id,
    generation: at.generation,
    service_id: at.serviceId,
    count: wanted.endpoints.length,
    maglev_first: at.indexes === 0 ? 0 : at.maglevFirst,
    maglev_size: at.indexes,
    affinity_seconds: wanted.affinitySeconds,
    policy: policyCode[wanted.policy],
    flags:
      (wanted.passthrough ? backendFlag.passthrough : 0) |
      (wanted.emptyDirect ? backendFlag.emptyDirect : 0) |
      (wanted.via ? backendFlag.via : 0),
  };
}

const sameEndpoint = (a: WantedEndpoint, b: WantedEndpoint): boolean =>
  a.workload === b.workload &&
  a.address === b.address &&
  a.port === b.port &&
  a.weight === b.weight &&
  a.header === b.header;

/** True when two backends want the same, whatever the order of their endpoints. */
export function sameWanted(a: WantedBackend, b: WantedBackend): boolean {
  if (a === b) return true;
  if (
    a.service !== b.service ||
    a.policy !== b.policy ||
    a.affinitySeconds !== b.affinitySeconds ||
    a.passthrough !== b.passthrough ||
    a.emptyDirect !== b.emptyDirect ||
    !sameVia(a.via, b.via) ||
    a.endpoints.length !== b.endpoints.length
  ) {
    return false;
  }
  if (a.endpoints === b.endpoints) return true;
  const left = sorted(a.endpoints, byName);
  const right = sorted(b.endpoints, byName);
  return left.every((e, i) => sameEndpoint(e, right[i] as WantedEndpoint));
}

function sameSlots(count: number, a: SlotAt, b: SlotAt): boolean {
  for (let i = 0; i < count; i++) {
    const x = a(i);
    const y = b(i);
    if (
      x.workload_id !== y.workload_id ||
      x.port !== y.port ||
      x.threshold !== y.threshold ||
      x.alias !== y.alias ||
      x.flags !== y.flags ||
      x.addr !== y.addr
    ) {
      return false;
    }
  }
  return true;
}

/** True when the range that was read is, slot by slot, what `wanted` would be written as. */
export function sameAsRead(
  wanted: WantedBackend,
  image: BackendImage,
  read: ReadRange,
  serviceId: number | undefined,
  idOf: (workload: string) => number | undefined,
  backendId: (name: string) => number | undefined,
): boolean {
  const { header } = read;
  if (serviceId === undefined || header.count !== wanted.endpoints.length) return false;
  if (wanted.endpoints.some((e) => idOf(e.workload) === undefined)) return false;
  const layout = layOut(wanted, (list) => list.map((e) => idOf(e.workload) as number));
  if (layout.indexes.length !== read.indexes.length) return false;
  const expected = headerOf(wanted, {
    id: image.id,
    generation: image.generation,
    serviceId,
    maglevFirst: image.maglevFirst,
    indexes: layout.indexes.length,
  });
  for (const field of Object.keys(expected) as (keyof Header)[]) {
    if (expected[field] !== header[field]) return false;
  }
  if (wanted.via) {
    const id = backendId(wanted.via.backend);
    const via = id === undefined ? undefined : viaSlotOf(wanted.via, id);
    if (!via || read.via?.backend_id !== via.backend_id || read.via.flags !== via.flags) return false;
    if (!samePorts(wanted.via.listed?.ports ?? [], read.listed)) return false;
  }
  for (let i = 0; i < layout.indexes.length; i++) if (layout.indexes[i] !== read.indexes[i]) return false;
  return sameSlots(header.count, layout.slot, read.slot);
}
