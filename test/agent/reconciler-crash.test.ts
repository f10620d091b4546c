// SPDX-License-Identifier: Apache-2.0
// An agent killed at any entry of any of its writes, and the one that comes after it.
import { describe, expect, it } from 'vitest';
import { openReconciler } from '../../src/agent/reconciler.ts';
import { type MemoryDataPlane, openMemory } from '../../src/kernel/memory.ts';
import type { Change } from '../../src/mesh/model.ts';
import { mortal } from '../support/mortal-plane.ts';
import { type NormalContents, normalise } from '../support/normalise.ts';
import {
  addService,
  mesh,
  removeService,
  replacePod,
  scratch,
  udpService,
  usedIn,
  view,
} from '../support/small-mesh.ts';

const size = { services: 12, workloads: 60, perNode: 20 };
const updates: readonly (readonly Change[])[] = [
  Array.from({ length: 20 }, (_, n) => replacePod(n, 1, size)).flat(),
  [removeService(1), removeService(2), addService(40), udpService(3)],
  Array.from({ length: 30 }, (_, n) => replacePod(30 + n, 1, size)).flat(),
  [removeService(40), addService(1), ...replacePod(3, 2, size)],
];
const first = mesh(size);
const all = [...first, ...updates.flat()];

/** Starts on what is pinned, takes all updates one after the other, frees ids. Dies after `life` entries; how many it wrote. */
async function live(plane: MemoryDataPlane, life?: number): Promise<number> {
  const own = mortal(plane, life);
  const reconciler = openReconciler({ plane: own, view });
  await reconciler.replaceAll(first);
  for (const update of updates) {
    await reconciler.submit(update);
    await reconciler.reclaim().catch(() => 0);
  }
  await reconciler.close();
  return own.written;
}

/** The next agent, which is told everything at once. */
async function recover(plane: MemoryDataPlane): Promise<void> {
  const next = openReconciler({ plane, view });
  expect((await next.replaceAll(all)).error).toBeUndefined();
  await next.idle();
  await next.reclaim();
  expect(await next.compare()).toEqual([]);
}

describe('an agent that is killed', () => {
  it('at any entry leaves what the next one brings to the same contents, and nothing leaks', async () => {
    const target = await scratch(all);
    const [contents, used] = [normalise(target), usedIn(target)];
    const total = await live(openMemory());
    // Every point of a run would take minutes: a stride that meets every kind of operation, from other starts each.
    const stride = 23;
    const seen: { life: number; contents: NormalContents; used: object }[] = [];
    for (let life = 0; life < total; life += stride) {
      const plane = openMemory();
      await live(plane, life);
      await recover(plane);
      seen.push({ life, contents: normalise(plane), used: usedIn(plane) });
    }
    expect(seen.length).toBeGreaterThan(20);
    for (const point of seen) expect(point).toEqual({ life: point.life, contents, used });
  }, 120_000);

  it('again and again still comes to the same', async () => {
    const target = await scratch(all);
    const plane = openMemory();
    for (const life of [150, 3, 40, 0, 77, 1, 260, 12]) await live(plane, life);
    await recover(plane);
    expect(normalise(plane)).toEqual(normalise(target));
    expect(usedIn(plane)).toEqual(usedIn(target));
  });
});
