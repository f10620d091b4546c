// SPDX-License-Identifier: Apache-2.0
// What every data plane must do, in memory or in the kernel: one table of tests for both.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reasons } from '../../src/abi/reasons.ts';
import { missState } from '../../src/abi/structs.ts';
import type { DataPlane } from '../../src/kernel/dataplane.ts';
import type { MapSizes } from '../../src/kernel/sizes.ts';

/** Small where full maps are tested, larger than a batch where batches are. */
export const contractSizes: MapSizes = {
  frontend: 8,
  cidr: 4,
  endpoint: 10_000,
  name: 12_000,
  backend: 16,
  affinity: 64,
};

const frontendKey = (n: number) => ({ addr: `10.0.0.${n}`, port: 80, protocol: 6 });
const frontend = (n: number) => [frontendKey(n), { backend_id: n, tag: 1000 + n }] as const;
const endpoint = (n: number) => ({
  addr: `10.2.${n >> 8}.${n & 255}`,
  port: n,
  flags: 0,
  workload_id: n,
  threshold: n,
  alias: 0,
});
const header = {
  backend_id: 3,
  generation: 7,
  service_id: 2,
  count: 1,
  maglev_first: 5,
  maglev_size: 11,
  affinity_seconds: 60,
  policy: 2,
  flags: 1,
};
const range = (addr: string, bits: number) => ({ prefixlen: 32 + bits, port: 80, protocol: 6, addr });

/** The KmeshError that `body` throws. */
function fault(body: () => unknown): { code: string; message: string; hint: string | undefined; facts: object } {
  try {
    body();
  } catch (cause) {
    return cause as ReturnType<typeof fault>;
  }
  throw new Error('nothing was thrown');
}

/** Registers the tests; `open` gives a data plane of contractSizes with nothing in it. */
export function describeContract(name: string, open: () => { dataPlane: DataPlane; close(): void }): void {
  describe(name, () => {
    let opened: ReturnType<typeof open>;
    let plane: DataPlane;
    beforeAll(() => {
      opened = open();
      plane = opened.dataPlane;
    });
    afterAll(() => opened.close());

    test('a hash: put, get, replace, delete, walk', () => {
      const map = plane.map('frontend');
      expect(map.maxEntries).toBe(8);
      expect(map.get(frontendKey(1))).toBeUndefined();
      map.put([frontend(1), frontend(2)]);
      expect(map.get(frontendKey(2))).toEqual({ backend_id: 2, tag: 1002 });
      map.put([[frontendKey(2), { backend_id: 9, tag: 9 }]]);
      expect(new Map([...map.entries()].map(([k, v]) => [k.addr, v.backend_id]))).toEqual(
        new Map([
          ['10.0.0.1', 1],
          ['10.0.0.2', 9],
        ]),
      );
      expect(map.count()).toBe(2);
      map.delete([frontendKey(7), frontendKey(1), frontendKey(8), frontendKey(2), frontendKey(3)]);
      expect(map.count()).toBe(0);
      map.put([]);
      map.delete([]);
      expect([...map.entries()]).toEqual([]);
    });

    test('a full hash names itself, its size, how far it came and what to do; replacing still works', () => {
      const map = plane.map('frontend');
      const error = fault(() => map.put(Array.from({ length: 10 }, (_, i) => frontend(i))));
      expect(error).toMatchObject({
        code: 'KM_MAP_FULL',
        message: 'map "frontend" is full: 8 entries after 8 of 10 (update: E2BIG)',
        hint: 'give it more room with --max-frontends',
        facts: { map: 'frontend', errno: 'E2BIG', written: 8 },
      });
      expect(map.count()).toBe(8);
      map.put([[frontendKey(3), { backend_id: 4, tag: 4 }]]);
      expect(fault(() => map.put([frontend(100)]))).toMatchObject({ code: 'KM_MAP_FULL', facts: { written: 0 } });
      map.delete(Array.from({ length: 10 }, (_, i) => frontendKey(i)));
      expect(map.count()).toBe(0);
    });

    test('an array: absent is zero, delete writes zeros, past its end is full', () => {
      const map = plane.map('backend');
      expect(map.get(3)).toEqual({ first: 0, generation: 0 });
      expect(map.get(16)).toBeUndefined();
      map.put([
        [3, { first: 30, generation: 1 }],
        [15, { first: 150, generation: 2 }],
      ]);
      expect([...map.entries()]).toEqual([
        [3, { first: 30, generation: 1 }],
        [15, { first: 150, generation: 2 }],
      ]);
      expect([...map.entries(15)].map(([id]) => id)).toEqual([3]);
      expect([...map.entries(0)]).toEqual([]);
      expect(map.count()).toBe(2);
      map.delete([3, 99]);
      expect(map.get(3)).toEqual({ first: 0, generation: 0 });
      const error = fault(() =>
        map.put([
          [4, { first: 1, generation: 1 }],
          [16, { first: 1, generation: 1 }],
        ]),
      );
      expect(error).toMatchObject({ code: 'KM_MAP_FULL', facts: { written: 1 } });
      map.delete([4, 15]);
      expect(map.count()).toBe(0);
    });

    test('endpoint slots hold a header, an endpoint, or which waypoint comes first', () => {
      const map = plane.map('endpoint');
      map.put([
        [1, header],
        [2, endpoint(2)],
        [3, { backend_id: 7, flags: 1, listed: 18 }],
        [4, { ports: [25, 3306] }],
      ]);
      expect(plane.header(1)).toEqual(header);
      expect(plane.via(3)).toEqual({ backend_id: 7, flags: 1, listed: 18 });
      expect(plane.ports(4).ports).toEqual([25, 3306, ...Array(14).fill(0)]);
      expect(plane.via(50_000)).toEqual({ backend_id: 0, flags: 0, listed: 0 });
      expect(map.get(2)).toEqual(endpoint(2));
      expect(plane.header(50_000).count).toBe(0);
      map.delete([1, 2, 3, 4]);
      expect(plane.header(1).count).toBe(0);
    });

    test('more than one batch goes in, is walked and goes out whole', () => {
      const n = 10_000;
      const names = plane.map('name');
      const key = (i: number) => ({ id: i, kind: 1, part: 0 });
      const text = new Uint8Array(60).fill(65);
      names.put(Array.from({ length: n }, (_, i) => [key(i), { length: i, text }] as const));
      const seen = new Set<number>();
      for (const [k, v] of names.entries()) {
        expect(v.length).toBe(k.id);
        seen.add(k.id);
      }
      expect(seen.size).toBe(n);
      names.delete(Array.from({ length: n }, (_, i) => key(i * 2)));
      expect(names.count()).toBe(n / 2);
      expect(names.get(key(1))).toEqual({ length: 1, text });
      names.delete(Array.from({ length: n }, (_, i) => key(i)));
      expect(names.count()).toBe(0);

      const slots = plane.map('endpoint');
      slots.put(Array.from({ length: n }, (_, i) => [i, endpoint(i + 1)] as const));
      expect([...slots.entries()].map(([slot]) => slot)).toEqual(Array.from({ length: n }, (_, i) => i));
      slots.delete(Array.from({ length: n }, (_, i) => i));
      expect(slots.count()).toBe(0);
    });

    test('a trie answers with the longest prefix, and deletes that prefix only', () => {
      const map = plane.map('cidr');
      map.put([
        [range('10.0.0.0', 96 + 8), { backend_id: 8, tag: 0 }],
        [range('10.1.0.0', 96 + 16), { backend_id: 16, tag: 0 }],
      ]);
      const at = (addr: string) => map.get(range(addr, 128))?.backend_id;
      expect([at('10.1.2.3'), at('10.2.2.3'), at('11.0.0.1')]).toEqual([16, 8, undefined]);
      map.delete([range('10.1.2.3', 128), range('10.1.0.0', 96 + 16)]);
      expect(at('10.1.2.3')).toBe(8);
      expect([...map.entries()]).toEqual([[range('10.0.0.0', 96 + 8), { backend_id: 8, tag: 0 }]]);
      const error = fault(() =>
        map.put([1, 2, 3, 4].map((i) => [range(`12.0.0.${i}`, 128), { backend_id: i, tag: 0 }])),
      );
      expect(error).toMatchObject({ code: 'KM_MAP_FULL', facts: { map: 'cidr', errno: 'ENOSPC', written: 3 } });
      map.delete([range('10.0.0.0', 96 + 8), ...[1, 2, 3, 4].map((i) => range(`12.0.0.${i}`, 128))]);
      expect(map.count()).toBe(0);
    });

    test('an LRU hash makes room by itself', () => {
      const map = plane.map('affinity');
      const value = { used_ns: 1n, addr: '10.0.0.1', workload_id: 1, port: 80 };
      const entries = Array.from({ length: 1000 }, (_, i) => [{ client: BigInt(i), backend_id: 1 }, value] as const);
      map.put(entries);
      const kept = map.count();
      expect(kept).toBeGreaterThan(0);
      expect(kept).toBeLessThan(1000);
      map.delete(entries.map(([key]) => key));
      expect(map.count()).toBe(0);
    });

    test('64-bit keys and values, signed ones too', () => {
      const enrolled = plane.map('enrolled');
      enrolled.put([[2n ** 63n + 5n, { workload_id: 4, flags: 1 }]]);
      expect([...enrolled.entries()]).toEqual([[2n ** 63n + 5n, { workload_id: 4, flags: 1 }]]);
      enrolled.delete([2n ** 63n + 5n]);
      const active = plane.map('active');
      active.put([[7, { connections: -2n }]]);
      expect(active.get(7)).toEqual({ connections: -2n });
      active.delete([7]);
    });

    test('counters are sums by name', () => {
      const map = plane.map('reason');
      map.put([[3, 41n]]);
      expect(map.get(3)).toBe(41n);
      expect(plane.reasons().get('balanced')).toBe(41n);
      expect([...plane.reasons().keys()]).toEqual([...reasons]);
      map.delete([3]);
      expect(plane.reasons().get('balanced')).toBe(0n);
    });

    test('counters of several kinds in one entry', () => {
      const map = plane.map('authz_hit');
      const counts = { denied: 5n, allowed: 2n ** 40n, dry: 1n };
      map.put([
        [7, counts],
        [9, { ...counts, denied: 6n }],
      ]);
      expect(map.get(7)).toEqual(counts);
      expect([...map.entries()].map(([id, { denied }]) => [id, denied])).toEqual([
        [7, 5n],
        [9, 6n],
      ]);
      expect([...map.entries(8)].map(([id]) => id)).toEqual([7]);
      expect(map.count()).toBe(2);
      map.delete([7, 9, 1_000_000]);
      expect([map.count(), map.get(1_000_000)]).toEqual([0, undefined]);
    });

    test('nothing is judged before somebody asks for it', () => {
      expect([...plane.enforced()]).toEqual([]);
      expect(plane.keepEnforced(new Map())).toEqual({ attached: 0, removed: 0, moved: new Map(), faults: [] });
      expect([[...plane.denied()], plane.recheck([1n, 2n]), plane.denials()]).toEqual([[], [], []]);
    });

    test('socket storage is not reached by key', () => {
      expect(fault(() => plane.map('sock').get(1))).toMatchObject({ code: 'KM_MAP' });
      expect(() => [...plane.map('sock').entries()]).toThrow('sock');
      expect(plane.sockets()).toEqual([]);
    });

    test('a ring is not reached by key', () => {
      expect(fault(() => plane.map('misses').get(undefined))).toMatchObject({ code: 'KM_MAP' });
      expect(() => [...plane.map('misses').entries()]).toThrow('misses');
      expect(() => plane.map('denials').count()).toThrow('denials');
    });

    test('whoever walks may write', () => {
      const map = plane.map('backend');
      map.put([1, 2, 3].map((i) => [i, { first: i, generation: 1 }]));
      for (const [id] of map.entries()) map.delete([id]);
      expect(map.count()).toBe(0);
    });

    test('grace comes to an end, also for many at once', async () => {
      await plane.grace();
      await Promise.all([plane.grace(), plane.grace(), plane.grace()]);
      expect(plane.olderSockets()).toEqual([]);
      expect(plane.sweepUdp()).toBe(0);
    });

    test('what nobody has answered is told first; closing ends the wait for more', async () => {
      const asked = { since_ns: 5n, state: missState.asked };
      plane.map('miss').put([
        ['10.0.0.1', asked],
        ['fd00::1', { since_ns: 6n, state: missState.answered }],
        ['fd00::2', asked],
      ]);
      const first = await plane.nextMisses();
      expect(first.map(({ addr }) => addr).sort()).toEqual(['10.0.0.1', 'fd00::2']);
      expect(first[0]).toMatchObject(asked);
      const next = plane.nextMisses();
      plane.close();
      expect(await next).toEqual([]);
      expect(await plane.nextMisses()).toEqual([]);
    });
  });
}
