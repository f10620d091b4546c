// SPDX-License-Identifier: Apache-2.0
// The pinned maps as reading an image needs them.
import type { KeyOf, MapName, ValueOfMap } from '../abi/maps.ts';
import type { Steps } from '../mesh/steps.ts';
import type { Header, PortsSlot, ViaSlot } from './image.ts';
import { limitedMaps, type Sizes } from './limited-maps.ts';

/** What reading needs of a data plane. */
export interface Pins {
  map<M extends MapName>(
    name: M,
  ): {
    readonly maxEntries: number;
    /** Every entry (of arrays only those that are not zero, at indexes less than `below`), in parts: one read each. */
    parts(below?: number): IterableIterator<Iterable<[KeyOf<M>, ValueOfMap<M>]>>;
  };
  header(slot: number): Header;
  /** The slot after the endpoints of one that goes through a waypoint. */
  via(slot: number): ViaSlot;
  /** One of those behind it that list its ports. */
  ports(slot: number): PortsSlot;
}

/** Entries read between two pauses. */
export const entriesAStep = 64;

/** Calls `each` with every entry of a map. */
export function* eachEntry<M extends MapName>(
  pins: Pins,
  name: M,
  each: (key: KeyOf<M>, value: ValueOfMap<M>) => void,
  below?: number,
): Steps<void> {
  let seen = 0;
  for (const part of pins.map(name).parts(below)) {
    for (const [key, value] of part) {
      each(key, value);
      if (++seen % entriesAStep === 0) yield;
    }
    yield;
  }
}

/** Sizes of the maps that can run out. */
export function sizesOf(pins: Pins): Sizes {
  const all = [...limitedMaps, 'authz_hit'] as const;
  return Object.fromEntries(all.map((map) => [map, pins.map(map).maxEntries])) as Sizes;
}
