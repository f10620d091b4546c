// SPDX-License-Identifier: Apache-2.0
// Ranges as the pinned maps hold them, each checked before anything relies on it.
import type { ValueOfMap } from '../abi/maps.ts';
import { backendFlag, slotsOfListed } from '../abi/structs.ts';
import type { Steps } from '../mesh/steps.ts';
import type { Header, IdTables, SlotAt, TakenRanges, ViaSlot } from './image.ts';
import type { Sizes } from './limited-maps.ts';
import { eachEntry, type Pins } from './pins.ts';
import { maglevSlots } from './range-layout.ts';

/** Ranges checked between two pauses. */
const rangesAStep = 8;

interface Candidate {
  readonly id: number;
  readonly first: number;
  readonly header: Header;
  readonly via: ViaSlot | undefined;
  /** Ports behind it. */
  readonly listed: readonly number[];
  /** Slots from the header on. */
  readonly length: number;
}

export interface UsableBackend extends Candidate {
  readonly slot: SlotAt;
  readonly indexes: Uint32Array;
  /** Slots of `maglev` that the indexes take. */
  readonly maglevSlots: number;
}

const overlaps = (taken: Uint8Array, start: number, length: number): boolean =>
  taken.subarray(start, start + length).includes(1);

/**
 * Backends whose header fits what refers to it: its own id and generation, inside the array, and no slot in two ranges.
 * `each` is told every id that backend[] names a range for.
 */
export function* readHeaders(pins: Pins, sizes: Sizes, each: (id: number) => void): Steps<readonly Candidate[]> {
  const found: Candidate[] = [];
  const slots = new Uint8Array(sizes.endpoint);
  const maglev = new Uint8Array(sizes.maglev);
  yield* eachEntry(pins, 'backend', (id, { first, generation }) => {
    each(id);
    if (id === 0 || first === 0 || first >= sizes.endpoint) return;
    const header = pins.header(first);
    if (header.backend_id !== id || header.generation !== generation) return;
    const goesThrough = (header.flags & backendFlag.via) !== 0;
    const at = first + 1 + header.count;
    if (at + (goesThrough ? 1 : 0) > sizes.endpoint) return;
    const via = goesThrough ? pins.via(at) : undefined;
    const length = header.count + 1 + (via ? 1 + slotsOfListed(via.listed) : 0);
    const places = maglevSlots(header.maglev_size);
    if (first + length > sizes.endpoint || header.maglev_first + places > sizes.maglev) return;
    if (overlaps(slots, first, length) || overlaps(maglev, header.maglev_first, places)) return;
    slots.fill(1, first, first + length);
    maglev.fill(1, header.maglev_first, header.maglev_first + places);
    found.push({ id, first, header, via, listed: via ? listedAfter(pins, at, via) : [], length });
  });
  return found;
}

/** The ports that the slots behind `at` list. */
function listedAfter(pins: Pins, at: number, { listed }: ViaSlot): readonly number[] {
  const ports: number[] = [];
  for (let i = 1; i <= slotsOfListed(listed); i++) ports.push(...pins.ports(at + i).ports);
  return ports.slice(0, listed);
}

/** All indexes of `maglev`, if any table lies there. */
function* readIndexes(pins: Pins, candidates: readonly Candidate[]): Steps<Uint32Array> {
  let end = 0;
  for (const { header } of candidates) {
    if (header.maglev_size > 0) end = Math.max(end, header.maglev_first + maglevSlots(header.maglev_size));
  }
  const out = new Uint32Array(2 * end);
  if (end === 0) return out;
  const take = (slot: number, { index }: ValueOfMap<'maglev'>): void => {
    out[2 * slot] = index[0] as number;
    out[2 * slot + 1] = index[1] as number;
  };
  yield* eachEntry(pins, 'maglev', take, end);
  return out;
}

/** Fields of all slots by column: an object a slot would cost more to keep than everything else that is read. */
interface Columns {
  readonly addr: (string | undefined)[];
  readonly port: Uint16Array;
  readonly flags: Uint16Array;
  readonly workload: Uint32Array;
  readonly threshold: Uint32Array;
  readonly alias: Uint32Array;
}

function* readSlots(pins: Pins, candidates: readonly Candidate[], slots: number): Steps<Columns> {
  const wanted = new Uint8Array(slots);
  let end = 0;
  for (const { first, header } of candidates) {
    wanted.fill(1, first + 1, first + 1 + header.count);
    end = Math.max(end, first + 1 + header.count);
  }
  const columns: Columns = {
    addr: [],
    port: new Uint16Array(end),
    flags: new Uint16Array(end),
    workload: new Uint32Array(end),
    threshold: new Uint32Array(end),
    alias: new Uint32Array(end),
  };
  const take = (slot: number, value: ValueOfMap<'endpoint'>): void => {
    if (!wanted[slot]) return;
    columns.addr[slot] = value.addr;
    columns.port[slot] = value.port;
    columns.flags[slot] = value.flags;
    columns.workload[slot] = value.workload_id;
    columns.threshold[slot] = value.threshold;
    columns.alias[slot] = value.alias;
  };
  yield* eachEntry(pins, 'endpoint', take, end);
  return columns;
}

function slotsFrom(columns: Columns, first: number): SlotAt {
  return (index) => {
    const at = first + 1 + index;
    return {
      addr: columns.addr[at] as string,
      port: columns.port[at] as number,
      flags: columns.flags[at] as number,
      workload_id: columns.workload[at] as number,
      threshold: columns.threshold[at] as number,
      alias: columns.alias[at] as number,
    };
  };
}

/** True when every slot holds an endpoint of a known workload. */
function isWhole(columns: Columns, { first, header }: Candidate, ids: IdTables): boolean {
  for (let at = first + 1; at < first + 1 + header.count; at++) {
    const addr = columns.addr[at];
    if (addr === undefined || addr === '') return false;
    if (ids.workload.nameOf(columns.workload[at] as number) === undefined) return false;
  }
  return true;
}

export interface ReadRanges {
  /** By backend id. */
  readonly usable: ReadonlyMap<number, UsableBackend>;
  readonly endpointRanges: TakenRanges;
  readonly maglevRanges: TakenRanges;
}

/** The contents of the candidates' ranges. One that names an unknown service or workload, or an index beyond its endpoints, is left out. */
export function* readRanges(
  pins: Pins,
  candidates: readonly Candidate[],
  sizes: Sizes,
  ids: IdTables,
): Steps<ReadRanges> {
  const columns = yield* readSlots(pins, candidates, sizes.endpoint);
  const tables = yield* readIndexes(pins, candidates);
  const usable = new Map<number, UsableBackend>();
  const endpointRanges: [number, number][] = [];
  const maglevRanges: [number, number][] = [];
  for (const candidate of candidates) {
    const { id, first, header, via, listed, length } = candidate;
    if (ids.service.nameOf(header.service_id) === undefined || !isWhole(columns, candidate, ids)) continue;
    if (via && ids.backend.nameOf(via.backend_id) === undefined) continue;
    const from = 2 * header.maglev_first;
    const indexes = tables.slice(from, from + header.maglev_size);
    if (indexes.some((i) => i >= header.count)) continue;
    const places = maglevSlots(header.maglev_size);
    usable.set(id, {
      id,
      first,
      header,
      via,
      listed,
      length,
      slot: slotsFrom(columns, first),
      indexes,
      maglevSlots: places,
    });
    endpointRanges.push([first, length]);
    if (places > 0) maglevRanges.push([header.maglev_first, places]);
    if (usable.size % rangesAStep === 0) yield;
  }
  return { usable, endpointRanges, maglevRanges };
}
