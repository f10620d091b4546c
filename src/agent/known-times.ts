// SPDX-License-Identifier: Apache-2.0
// How long it took from the first connection to an address until the kernel knew what the mesh knows of it.
import { createHistogram } from 'node:perf_hooks';
import type { KnownTimes } from '../admin/types.ts';

/** Upper ends of the buckets, in milliseconds. */
const bounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000];

export interface TimesMeter {
  add(nanoseconds: bigint): void;
  read(): KnownTimes;
}

export function openTimesMeter(): TimesMeter {
  // Microseconds.
  const histogram = createHistogram();
  const counts = bounds.map(() => 0);
  let sum = 0;
  let max = 0;
  const inMs = (microseconds: number): number => Math.round(microseconds) / 1000;
  return {
    add(nanoseconds) {
      const ms = Math.max(0, Number(nanoseconds) / 1e6);
      sum += ms;
      max = Math.max(max, ms);
      histogram.record(Math.max(1, Math.round(ms * 1000)));
      const at = bounds.findIndex((bound) => ms <= bound);
      if (at >= 0) counts[at] = (counts[at] as number) + 1;
    },
    read() {
      const { count } = histogram;
      const at = (percent: number) => (count === 0 ? 0 : inMs(histogram.percentile(percent)));
      let below = 0;
      const buckets = bounds.map((bound, i) => {
        below += counts[i] as number;
        return { atMost: bound, count: below };
      });
      return { count, sum, p50: at(50), p99: at(99), max, buckets };
    },
  };
}
