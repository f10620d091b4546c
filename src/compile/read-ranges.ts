// SPDX-License-Identifier: Apache-2.0
// Ranges as the pinned maps hold them, each checked before anything relies on it.
import type { EndpointSlot, Header, IdTables, Sizes, TakenRanges } from './image.ts';
import { entriesAStep, type Pins } from './pins.ts';
import { maglevSlots } from './range-layout.ts';

interface Candidate {
  readonly id: number;
  readonly first: number;
  readonly header: Header;
}

export interface UsableBackend extends Candidate {
  readonly endpoints: readonly EndpointSlot[];
  readonly indexes: readonly number[];
  /** Slots of `maglev` that the indexes take. */
  readonly maglevSlots: number;
}

const overlaps = (taken: Uint8Array, start: number, length: number): boolean =>
  taken.subarray(start, start + length).includes(1);

/**
 * Backends whose header fits what refers to it: its own id and generation, inside the array, and no slot in two ranges.
 * `each` is told every id that backend[] names a range for.
 */
export function* readHeaders(
  pins: Pins,
  sizes: Sizes,
  each: (id: number) => void,
): Generator<undefined, readonly Candidate[]> {
  const found: Candidate[] = [];
  const slots = new Uint8Array(sizes.endpoint);
  const maglev = new Uint8Array(sizes.maglev);
  let seen = 0;
  for (const [id, { first, generation }] of pins.map('backend').entries()) {
    each(id);
    if (++seen % 512 === 0) yield;
    if (id === 0 || first === 0 || first >= sizes.endpoint) continue;
    const header = pins.header(first);
    if (header.backend_id !== id || header.generation !== generation) continue;
    const length = header.count + 1;
    const places = maglevSlots(header.maglev_size);
    if (first + length > sizes.endpoint || header.maglev_first + places > sizes.maglev) continue;
    if (overlaps(slots, first, length) || overlaps(maglev, header.maglev_first, places)) continue;
    slots.fill(1, first, first + length);
    maglev.fill(1, header.maglev_first, header.maglev_first + places);
    found.push({ id, first, header });
  }
  return found;
}

/** All pairs of `maglev` that any of the tables lies in. */
function* readIndexes(pins: Pins, candidates: readonly Candidate[]): Generator<undefined, Uint32Array> {
  if (candidates.every((c) => c.header.maglev_size === 0)) return new Uint32Array(0);
  const out = new Uint32Array(2 * pins.map('maglev').maxEntries);
  let seen = 0;
  for (const [slot, { index }] of pins.map('maglev').entries()) {
    out[2 * slot] = index[0] as number;
    out[2 * slot + 1] = index[1] as number;
    if (++seen % entriesAStep === 0) yield;
  }
  return out;
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
): Generator<undefined, ReadRanges> {
  const slots: (EndpointSlot | undefined)[] = [];
  const wantedSlot = new Uint8Array(sizes.endpoint);
  for (const { first, header } of candidates) wantedSlot.fill(1, first + 1, first + 1 + header.count);
  let seen = 0;
  for (const [slot, value] of pins.map('endpoint').entries()) {
    if (wantedSlot[slot]) slots[slot] = value;
    if (++seen % entriesAStep === 0) yield;
  }
  const pairs = yield* readIndexes(pins, candidates);

  const usable = new Map<number, UsableBackend>();
  const endpointRanges: [number, number][] = [];
  const maglevRanges: [number, number][] = [];
  for (const { id, first, header } of candidates) {
    if (ids.service.nameOf(header.service_id) === undefined) continue;
    const endpoints = slots.slice(first + 1, first + 1 + header.count) as EndpointSlot[];
    let whole = endpoints.length === header.count;
    for (let i = 0; whole && i < header.count; i++) {
      const e = endpoints[i];
      whole = e !== undefined && e.addr !== '' && ids.workload.nameOf(e.workload_id) !== undefined;
    }
    if (!whole) continue;
    const from = 2 * header.maglev_first;
    const indexes = Array.from(pairs.subarray(from, from + header.maglev_size));
    if (indexes.some((i) => i >= header.count)) continue;
    const places = maglevSlots(header.maglev_size);
    usable.set(id, { id, first, header, endpoints, indexes, maglevSlots: places });
    endpointRanges.push([first, header.count + 1]);
    if (places > 0) maglevRanges.push([header.maglev_first, places]);
    if (usable.size % 256 === 0) yield;
  }
  return { usable, endpointRanges, maglevRanges };
}
