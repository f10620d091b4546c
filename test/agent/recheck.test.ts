// SPDX-License-Identifier: Apache-2.0
// When open connections are judged again: once for all that changes within a moment, and again for handshakes in flight.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openLog } from '../../src/agent/log.ts';
import { openRecheck, type Recheck } from '../../src/agent/recheck.ts';
import { sink } from '../support/sink.ts';

let recheck: Recheck;
let enforced: bigint[];
let looked: bigint[];
let gone: string[];
let fails: bigint | undefined;
const output = sink();

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  enforced = [1n, 2n, 3n];
  looked = [];
  gone = [];
  fails = undefined;
  recheck = openRecheck<string>({
    enforced: () => enforced,
    reachedFrom: (sources) => (sources.has('10.0.0.1') ? [2n, 9n] : []),
    recheck(netns) {
      if (netns === fails) throw new Error('it is gone');
      looked.push(netns);
      return netns === 2n ? ['connection'] : [];
    },
    destroyed: (all) => void gone.push(...all),
    log: openLog(output, 'warn', {}),
    now: () => 7,
    delays: { gatherMs: 10, restMs: 40, againMs: 200, sweepMs: 1000 },
  });
});
afterEach(async () => {
  await recheck.close();
  vi.useRealTimers();
});
/** Time, and all that runs then. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('changes of a moment are one round, and one more follows', async () => {
  recheck.pods([2n]);
  recheck.pods([3n, 9n]);
  await pass(9);
  expect(looked).toEqual([]);
  await pass(1);
  expect(looked).toEqual([2n, 3n]);
  expect(gone).toEqual(['connection']);
  await pass(199);
  expect(looked).toHaveLength(2);
  await pass(1);
  expect(looked.slice(2)).toEqual([2n, 3n]);
  expect(recheck.status()).toMatchObject({ rounds: 2, destroyed: 2, lastAt: 7 });
  await pass(1000);
  expect(recheck.status().rounds).toBe(2);
});

test('a change of sources is for pods that they have reached; for all after a while, as not all that is open is known', async () => {
  recheck.sources(['10.0.0.1']);
  recheck.sources(['10.0.0.2']);
  await pass(10);
  expect(looked).toEqual([2n]);
  await pass(500);
  expect(looked).toEqual([2n, 2n]);
  await pass(500);
  expect(looked.slice(2)).toEqual([1n, 2n, 3n]);
});

test('a change of all is for all', async () => {
  recheck.pods([1n]);
  recheck.everything();
  await pass(10);
  expect(looked).toEqual([1n, 2n, 3n]);
});

test('changes that do not end are judged again and again, with rest between, and all of them at the end', async () => {
  for (let i = 0; i < 20; i++) {
    recheck.pods([i % 2 === 0 ? 1n : 3n]);
    await pass(10);
  }
  const { rounds } = recheck.status();
  expect(rounds).toBeGreaterThanOrEqual(4);
  expect(rounds).toBeLessThanOrEqual(6);
  await pass(50);
  looked = [];
  await pass(300);
  expect(looked).toEqual([1n, 3n]);
});

test('a namespace that cannot be looked at does not keep others from it', async () => {
  fails = 1n;
  recheck.everything();
  await pass(10);
  expect(looked).toEqual([2n, 3n]);
  expect(output.text()).toContain('it is gone');
});

test('nothing happens once it is closed', async () => {
  recheck.everything();
  await recheck.close();
  recheck.everything();
  await pass(1000);
  expect(looked).toEqual([]);
});
