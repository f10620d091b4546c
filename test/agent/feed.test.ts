// SPDX-License-Identifier: Apache-2.0
// What a reconciler does not take reaches whoever told it, and nobody else; it is told again and goes on from there.
import { expect, test } from 'vitest';
import { openFeed } from '../../src/agent/feed.ts';
import type { Outcome, Reconciler } from '../../src/agent/reconciler-api.ts';
import type { ViewFinder } from '../../src/agent/view.ts';
import type { Change } from '../../src/mesh/model.ts';

const removal = (uid: string): Change => ({ kind: 'remove-workload', uid });
const policy = (name: string): Change => ({
  kind: 'put-policy',
  policy: { name, namespace: 'shop', scope: 'namespace', action: 'deny', rules: [], dryRun: false },
});
const report = { files: 0, objects: 1, faults: [], warnings: [], ignored: [] };
const done: Outcome = {
  operations: 1,
  refused: [],
  error: undefined,
  judged: false,
};

function open(sources: readonly string[]) {
  const calls: (readonly [what: string, ...names: string[]])[] = [];
  let failures = 0;
  let found = true;
  const call = (what: string) => async (changes: readonly Change[]) => {
    const names = changes.map((c) => (c.kind === 'put-policy' ? c.policy.name : c.kind));
    calls.push([what, ...names]);
    if (failures-- > 0) throw new Error('not now');
    return done;
  };
  const reconciler = { replaceAll: call('replaceAll'), submit: call('submit') } as unknown as Reconciler;
  const view = {
    // The view of longer lists is found in the end only: meanwhile the event loop goes on.
    *following(changes: readonly Change[]) {
      while (changes.length > 1 && !found) yield;
      return false;
    },
  } as unknown as ViewFinder;
  const settled: Outcome[] = [];
  const feed = openFeed({
    sources,
    reconciler,
    view,
    now: () => 7,
    onSettled: (outcome) => void settled.push(outcome),
  });
  return {
    feed,
    calls,
    settled,
    fail: (times: number) => {
      failures = times;
    },
    find: (yes: boolean) => {
      found = yes;
    },
    take: (place: number, ...changes: Change[]) => feed.take(place, { changes, report }),
  };
}

test('a failure goes to the one who told it; what waits for all is not harmed', async () => {
  const { feed, take, fail, settled } = open(['a']);
  const unhandled: unknown[] = [];
  const listener = (reason: unknown) => void unhandled.push(reason);
  process.on('unhandledRejection', listener);
  try {
    await take(0, policy('p'));
    fail(1);
    await expect(take(0, removal('w'))).rejects.toThrow('not now');
    await feed.settled();
    await new Promise((resolve) => setTimeout(resolve, 10));
  } finally {
    process.off('unhandledRejection', listener);
  }
  expect(unhandled).toEqual([]);
  expect([feed.queue, settled.length]).toEqual([0, 1]);
});

test('what comes while a long list is looked through stays behind it', async () => {
  const { take, find, calls } = open(['a']);
  find(false);
  const first = take(0, policy('p'), policy('q'));
  const second = take(0, policy('r'));
  setTimeout(() => find(true), 5);
  await Promise.all([first, second]);
  expect(calls).toEqual([
    ['replaceAll', 'p', 'q'],
    ['submit', 'r'],
  ]);
});

test('a first state that fails is taken as the first one again', async () => {
  const { take, fail, calls } = open(['a']);
  fail(1);
  await expect(take(0, policy('p'))).rejects.toThrow('not now');
  await take(0, policy('q'));
  await take(0, policy('r'));
  expect(calls).toEqual([
    ['replaceAll', 'p'],
    ['replaceAll', 'q'],
    ['submit', 'r'],
  ]);
});

test('of several sources the one that failed says everything again; nothing is left of what it said before', async () => {
  const { take, fail, calls } = open(['a', 'b']);
  const first = take(0, policy('p'));
  fail(1);
  await expect(take(1, policy('old'))).rejects.toThrow('not now');
  await take(1, policy('q'));
  await first;
  await take(0, policy('r'));
  expect(calls).toEqual([
    ['replaceAll', 'p', 'old'],
    ['replaceAll', 'p', 'q'],
    ['submit', 'r'],
  ]);
});

test('what was not taken up is a fault of its source until it is told again', async () => {
  const { feed, take, fail } = open(['a', 'b']);
  const faults = () => feed.reports.map((of) => of?.faults.map((f) => `${f.file}: ${f.reason}`));
  await Promise.all([take(0), take(1)]);
  fail(1);
  await expect(take(1, policy('p'))).rejects.toThrow('not now');
  expect(faults()).toEqual([[], ['b: what was read could not be taken up, and is told again: not now']]);
  await take(1, policy('p'));
  expect(faults()).toEqual([[], []]);
});

test('a removal that was not taken up is taken up when it is told again, of several sources, too', async () => {
  const { take, fail, calls } = open(['a', 'b']);
  await Promise.all([take(0, policy('p')), take(1, policy('q'))]);
  const gone: Change = { kind: 'remove-policy', key: 'shop/q' };
  fail(1);
  await expect(take(1, gone)).rejects.toThrow('not now');
  await take(1, gone);
  expect(calls.slice(1)).toEqual([
    ['submit', 'remove-policy'],
    ['submit', 'remove-policy'],
  ]);
});
