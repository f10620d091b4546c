// SPDX-License-Identifier: Apache-2.0
// When open connections are judged again: once for all that changes within a moment, and again for handshakes in flight.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openLog } from '../../src/agent/log.ts';
import { openRecheck, type Recheck, type RecheckDelays } from '../../src/agent/recheck.ts';
import { sink } from '../support/sink.ts';

let recheck: Recheck;
let denied: bigint[];
let handshakes: bigint[];
let looks: number;
let looked: bigint[];
let gone: string[];
let fails: bigint | undefined;
let tellingFails: boolean;
/** What a walk costs, and what all of them did, beside the time that is made to pass. */
let costMs: number;
let spent: number;
const output = sink();

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  denied = [];
  handshakes = [];
  looks = 0;
  looked = [];
  gone = [];
  fails = undefined;
  tellingFails = false;
  costMs = 0;
  spent = 0;
  const passed = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => passed() + spent);
  open({ gatherMs: 10, restMs: 40, againMs: 200 });
});
afterEach(async () => {
  await recheck.close();
  vi.restoreAllMocks();
  vi.useRealTimers();
});
function open(delays: Partial<RecheckDelays> = {}): void {
  recheck = openRecheck<string>({
    denied: () => {
      looks++;
      return denied;
    },
    judged: () => [1n, 2n, 3n],
    handshakes: (netns) => handshakes.includes(netns),
    recheck(netns) {
      if (netns === fails) throw new Error('it is gone');
      looked.push(netns);
      spent += costMs;
      return netns === 2n ? ['connection'] : [];
    },
    destroyed(all) {
      if (tellingFails) throw new Error('the disk is full');
      gone.push(...all);
    },
    log: openLog(output, 'warn', {}),
    now: () => 7,
    delays,
  });
}
/** Time, and all that runs then. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('changes of a moment are one round, which walks where something is denied, and one more follows', async () => {
  denied = [2n];
  recheck.changed();
  recheck.changed();
  await pass(9);
  expect(looks).toBe(0);
  await pass(1);
  expect([looks, looked, gone]).toEqual([1, [2n], ['connection']]);
  denied = [];
  await pass(199);
  expect(looks).toBe(1);
  await pass(1);
  expect([looks, looked]).toEqual([2, [2n]]);
  expect(recheck.status()).toMatchObject({ rounds: 2, destroyed: 1, lastAt: 7 });
  await pass(1000);
  expect(looks).toBe(2);
});

test('where connections are judged anew all are walked, and again', async () => {
  recheck.fresh([]);
  recheck.fresh([1n, 3n]);
  await pass(10);
  expect(looked).toEqual([1n, 3n]);
  recheck.changed();
  await pass(50);
  expect(looked).toEqual([1n, 3n]);
  await pass(200);
  expect(looked).toEqual([1n, 3n, 1n, 3n]);
  recheck.changed();
  await pass(500);
  expect(looked).toHaveLength(4);
});

test('where a handshake is under way it is walked as well, once, after those with open connections', async () => {
  denied = [2n];
  handshakes = [1n, 2n, 4n];
  recheck.changed();
  await pass(10);
  expect(looked).toEqual([2n, 1n]);
  denied = [];
  // The second round is for those that were at their end.
  await pass(200);
  expect([looks, looked]).toEqual([2, [2n, 1n]]);
});

test('changes that do not end are looked at again and again, with rest between', async () => {
  for (let i = 0; i < 20; i++) {
    recheck.changed();
    await pass(10);
  }
  const { rounds } = recheck.status();
  expect(rounds).toBeGreaterThanOrEqual(4);
  expect(rounds).toBeLessThanOrEqual(6);
});

/** Not by the clock: on a machine that has no time for the agent nothing is promised. */
test.each([0, 20, 150])(
  'within a second of a change, however soon after others, when a round takes %i ms',
  async (cost) => {
    await recheck.close();
    costMs = cost;
    for (let after = 0; after <= 3000; after += 50) {
      open();
      // The first round walks, so does the second for what slipped past it.
      denied = [1n];
      recheck.changed();
      for (let ms = 0; ms < after; ms += 50) {
        if (ms % 200 === 0) recheck.changed();
        await pass(50);
      }
      const changedAt = performance.now();
      denied = [2n];
      gone = [];
      recheck.changed();
      while (gone.length === 0 && performance.now() - changedAt <= 5000) await pass(10);
      expect(performance.now() - changedAt, `${after} ms after the first`).toBeLessThanOrEqual(1000);
      await recheck.close();
    }
  },
);

test('a namespace that cannot be walked does not keep others from it', async () => {
  fails = 1n;
  denied = [1n, 3n];
  recheck.changed();
  await pass(10);
  expect(looked).toEqual([3n]);
  expect(output.text()).toContain('it is gone');
});

test('nothing happens once it is closed', async () => {
  recheck.changed();
  await recheck.close();
  recheck.changed();
  await pass(1000);
  expect(looks).toBe(0);
});

test('what cannot be told of what was ended is said, and the next round comes', async () => {
  denied = [2n];
  tellingFails = true;
  recheck.changed();
  await pass(10);
  expect(output.text()).toContain('the disk is full');
  tellingFails = false;
  recheck.changed();
  await pass(50);
  expect(gone).toEqual(['connection']);
  expect(recheck.status()).toMatchObject({ rounds: 2, destroyed: 2 });
});
