// SPDX-License-Identifier: Apache-2.0
// Larger maps before they are full: asked for as they fill, made by one swap for all that ask within a moment.
import type { MapName } from '../abi/maps.ts';
import type { GrowthStatus } from '../admin/types.ts';
import type { MapSizes } from '../kernel/sizes.ts';
import { faultFacts, type Log } from './log.ts';

export interface GrowthOptions {
  readonly log: Log;
  readonly now: () => number;
  /** Entries that a map has room for now. */
  readonly sizeOf: (map: MapName) => number;
  /** Entries that what has no room asks for, beyond what is free. */
  readonly neededIn: (map: MapName) => number;
  /** Swaps in maps of these sizes. */
  readonly grow: (sizes: MapSizes) => Promise<void>;
  /** How long to wait for other maps that fill up with the first. */
  readonly gatherMs?: number;
  /** How long to wait after a swap that failed. */
  readonly againMs?: number;
}

export interface Growth {
  /** `map` is nearly full. */
  ask(map: MapName): void;
  readonly done: readonly GrowthStatus[];
  /** Waits for a swap that is under way; there is none after it. */
  close(): Promise<void>;
}

const usualGatherMs = 50;
const usualAgainMs = 60_000;
/** As large as the flags of `load` allow. */
const largest = 16_777_216;
/** Both hold one entry for each backend id. */
const together: Partial<Record<MapName, MapName>> = { backend: 'robin', robin: 'backend' };

export function openGrowth(options: GrowthOptions): Growth {
  const { log, now, sizeOf, neededIn, grow, gatherMs = usualGatherMs, againMs = usualAgainMs } = options;
  const asked = new Set<MapName>();
  const done: GrowthStatus[] = [];
  let timer: NodeJS.Timeout | undefined;
  let under: Promise<void> = Promise.resolve();
  let closed = false;

  /** Twice what the smaller of a pair has, or more if that is not enough; never less than a map has now. */
  const target = (map: MapName): number => {
    const other = together[map];
    const size = other ? Math.min(sizeOf(map), sizeOf(other)) : sizeOf(map);
    let next = 2 * size;
    // Half of what is added stays free, or the next swap would follow at once.
    while (next < largest && next - size < 2 * neededIn(map)) next *= 2;
    return Math.max(sizeOf(map), Math.min(next, largest));
  };

  const plan = (ms: number): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      under = under.then(run);
    }, ms);
  };

  const run = async (): Promise<void> => {
    const steps = [...asked].map((map) => ({ map, from: sizeOf(map), to: target(map) })).filter((s) => s.to > s.from);
    asked.clear();
    if (closed || steps.length === 0) return;
    const begun = performance.now();
    try {
      await grow(Object.fromEntries(steps.map(({ map, to }) => [map, to])));
    } catch (fault) {
      log.error({ ...faultFacts(fault), maps: steps }, 'maps could not be grown');
      for (const { map } of steps) asked.add(map);
      if (!closed) plan(againMs);
      return;
    }
    for (const step of steps) done.push({ ...step, at: now() });
    log.info({ maps: steps, milliseconds: Math.round(performance.now() - begun) }, 'maps grown');
  };

  return {
    ask(map) {
      if (closed) return;
      asked.add(map);
      const other = together[map];
      if (other) asked.add(other);
      plan(gatherMs);
    },
    done,
    async close() {
      closed = true;
      clearTimeout(timer);
      await under;
      clearTimeout(timer);
    },
  };
}
