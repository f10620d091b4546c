// SPDX-License-Identifier: Apache-2.0
// Maglev tables (Eisenbud et al., NSDI 2016): a hash picks an endpoint, and few hashes move when an endpoint comes or goes.
import type { WantedEndpoint } from './wanted.ts';

/** Largest table: the biggest prime below 2^14. */
export const maxMaglev = 16381;

function isPrime(n: number): boolean {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
  return n > 1;
}

/**
 * Size of the table for `count` endpoints: the smallest prime that is at least 100 times the next power of two, at most 16381.
 * Not of the count itself: another size moves nearly every hash (measured: 95 % when one of 40 leaves, against 2 % at one size), so the size
 * changes only when the number of endpoints passes a power of two. The step follows from the count alone: nothing to remember.
 */
export function maglevSize(count: number): number {
  const step = 2 ** Math.ceil(Math.log2(Math.max(1, count)));
  if (step * 100 >= maxMaglev) return maxMaglev;
  let size = step * 100;
  while (!isPrime(size)) size++;
  return size;
}

/** Two independent u32 of a text. */
function hashText(text: string): readonly [number, number] {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 0x01000193);
    b = Math.imul(b ^ c, 0x85ebca6b);
    b ^= b >>> 13;
  }
  return [mix(a), mix(b ^ Math.imul(a, 0x27d4eb2f))];
}

/** Spreads the bits of a u32 (a bijection). */
function mix(h: number): number {
  let x = h ^ (h >>> 16);
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Who takes a turn when: a binary heap by time, then by index. */
interface Turns {
  /** Whose turn it is; its next one is put off to `time(k)` where k counts its turns. */
  take(): number;
}

/** Turns such that endpoint i takes its k-th one (from 0) at time k / weight; all take their first at once. */
function turnsBy(weights: readonly number[]): Turns {
  const n = weights.length;
  const first = weights[0];
  if (weights.every((w) => w === first)) {
    let at = n - 1;
    return {
      take: () => {
        at = at + 1 === n ? 0 : at + 1;
        return at;
      },
    };
  }
  const taken = new Float64Array(n);
  const time = new Float64Array(n);
  const heap = Uint32Array.from({ length: n }, (_, i) => i);
  const sooner = (a: number, b: number): boolean => {
    const d = (time[a] as number) - (time[b] as number);
    return d < 0 || (d === 0 && a < b);
  };
  return {
    take() {
      const top = heap[0] as number;
      const turns = (taken[top] as number) + 1;
      taken[top] = turns;
      time[top] = turns / (weights[top] as number);
      let hole = 0;
      for (;;) {
        let child = 2 * hole + 1;
        if (child >= n) break;
        if (child + 1 < n && sooner(heap[child + 1] as number, heap[child] as number)) child++;
        if (!sooner(heap[child] as number, top)) break;
        heap[hole] = heap[child] as number;
        hole = child;
      }
      heap[hole] = top;
      return top;
    },
  };
}

/** What tells endpoints apart in a table, also across changes and restarts. */
function identity(e: WantedEndpoint): string {
  return `${e.workload}|${e.address}|${e.port}`;
}

/**
 * The table for `endpoints`: hash % table.length -> index into `endpoints`. Which endpoint a slot names depends on the set alone, not on
 * its order. Shares follow the weights; where there are more endpoints than slots, some get none.
 */
export function maglevTable(endpoints: readonly WantedEndpoint[], size = maglevSize(endpoints.length)): Uint32Array {
  const n = endpoints.length;
  const table = new Uint32Array(n === 0 ? 0 : size);
  if (n === 0) return table;
  const named = endpoints.map((e, index) => ({ index, weight: e.weight, name: identity(e) }));
  named.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const slot = new Uint32Array(n);
  const skip = new Uint32Array(n);
  named.forEach(({ name }, i) => {
    const [h1, h2] = hashText(name);
    slot[i] = h1 % size;
    skip[i] = size > 1 ? (h2 % (size - 1)) + 1 : 0;
  });
  const free = new Uint8Array(size).fill(1);
  const turns = turnsBy(named.map((e) => e.weight));
  for (let filled = 0; filled < size; filled++) {
    const i = turns.take();
    let at = slot[i] as number;
    while (free[at] === 0) at = (at + (skip[i] as number)) % size;
    free[at] = 0;
    table[at] = (named[i] as { index: number }).index;
    slot[i] = (at + (skip[i] as number)) % size;
  }
  return table;
}
