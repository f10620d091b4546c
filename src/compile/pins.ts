// SPDX-License-Identifier: Apache-2.0
// The pinned maps as reading an image needs them.
import type { KeyOf, MapName, ValueOfMap } from '../abi/maps.ts';
import { type Header, type LimitedMap, limitedMaps } from './image.ts';

/** What reading needs of a data plane. */
export interface Pins {
  map<M extends MapName>(
    name: M,
  ): {
    readonly maxEntries: number;
    /** Of arrays only the indexes less than `below`. */
    entries(below?: number): IterableIterator<[KeyOf<M>, ValueOfMap<M>]>;
  };
  header(slot: number): Header;
}

/** Entries read between two pauses. */
export const entriesAStep = 64;

/** Sizes of the maps that can run out. */
export function sizesOf(pins: Pins): Readonly<Record<LimitedMap, number>> {
  return Object.fromEntries(limitedMaps.map((map) => [map, pins.map(map).maxEntries])) as Record<LimitedMap, number>;
}
