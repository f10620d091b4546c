// SPDX-License-Identifier: Apache-2.0
// Operations carried out: batches, slices, grace periods, failures.
import { describe, expect, it } from 'vitest';
import { execute } from '../../src/agent/execute.ts';
import type { Operation } from '../../src/compile/operation.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import { mortal } from '../support/mortal-plane.ts';

const put = (key: number): Operation => ({
  kind: 'put',
  map: 'backend',
  key,
  value: { first: key, generation: 1 },
  about: `backend ${key}`,
});
const remove = (key: number): Operation => ({ kind: 'delete', map: 'backend', key, about: `backend ${key}` });
const active = (key: number): Operation => ({ kind: 'delete', map: 'active', key, about: `workload ${key}` });
const grace: Operation = { kind: 'grace' };
const up = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
const keys = (plane: ReturnType<typeof openMemory>) => [...plane.map('backend').entries()].map(([key]) => key);

describe('execute', () => {
  it('writes consecutive operations on one map as one batch, in order', async () => {
    const plane = openMemory();
    const counted = mortal(plane);
    const ops = [...up(5).map(put), remove(2), active(7), remove(3), put(9), grace];
    expect(await execute(counted, ops)).toEqual({ done: 10, complete: true });
    expect(keys(plane)).toEqual([1, 4, 5, 9]);
    expect(counted.calls).toBe(5);
    expect(plane.graces).toBe(1);
  });

  it('does nothing with nothing', async () => {
    const plane = openMemory();
    expect(await execute(plane, [])).toEqual({ done: 0, complete: true });
    expect(plane.graces).toBe(0);
  });

  it('lets others run between slices', async () => {
    const plane = openMemory();
    const counted = mortal(plane);
    let turns = 0;
    const tick = setInterval(() => turns++, 0);
    const immediate = () => {
      turns++;
      if (counted.written < 100) setImmediate(immediate);
    };
    setImmediate(immediate);
    await execute(counted, up(100).map(put), { batch: 10, pause: () => true });
    clearInterval(tick);
    expect(counted.calls).toBe(10);
    expect(turns).toBeGreaterThanOrEqual(9);
  });

  it('waits for grace periods before what follows, and can leave the last to the caller', async () => {
    const plane = openMemory();
    const seen: number[] = [];
    const watched = { ...plane, grace: async () => void seen.push(keys(plane).length) };
    await execute(watched, [put(1), grace, put(2), put(3), grace]);
    expect(seen).toEqual([1, 3]);
    seen.length = 0;
    expect(await execute(watched, [remove(1), grace, remove(2), grace], { skipLastGrace: true })).toEqual({
      done: 3,
      complete: true,
    });
    expect(seen).toEqual([2]);
  });

  it('stops between slices when it is cancelled, and says how far it came', async () => {
    const plane = openMemory();
    const stop = new AbortController();
    setImmediate(() => stop.abort());
    const result = await execute(plane, up(100).map(put), { batch: 10, pause: () => true, signal: stop.signal });
    expect(result.complete).toBe(false);
    expect(result.done).toBeLessThan(100);
    expect(keys(plane)).toHaveLength(result.done);
  });

  it('throws what a map throws; what came before is written', async () => {
    const plane = openMemory();
    plane.failNext('backend', 'EIO', 3);
    await expect(execute(plane, [...up(5).map(put), active(1)])).rejects.toMatchObject({ code: 'KM_MAP' });
    expect(keys(plane)).toEqual([1, 2, 3]);
  });
});
