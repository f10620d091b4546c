// SPDX-License-Identifier: Apache-2.0
// What is not taken up is told again: after a while by itself or with what comes next, and never older than what was told since.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Change } from '../../src/mesh/model.ts';
import { openRetelling } from '../../src/source/retelling.ts';
import { openHandTimers } from './file/hand-timers.ts';

const report = { files: 1, objects: 1, faults: [], warnings: [], ignored: [] };
/** A version of a policy; none: it is gone. */
const put = (name: string, version = ''): Change => ({
  kind: 'put-policy',
  policy: { name, namespace: version, scope: 'namespace', action: 'deny', rules: [], dryRun: false },
});
const service = (name: string, version: string): Change =>
  version === ''
    ? { kind: 'remove-workload', uid: name }
    : { kind: 'put-workload', workload: { uid: name, name: version } as never };
const textOf = (change: Change): string => {
  if (change.kind === 'put-policy') return change.policy.name;
  if (change.kind === 'put-workload') return `${change.workload.uid} ${change.workload.name}`;
  return change.kind === 'remove-workload' ? `${change.uid} gone` : change.kind;
};
const settle = () => new Promise((resolve) => setImmediate(resolve));

function open() {
  const timers = openHandTimers();
  const told: { readonly changes: readonly string[]; take(): Promise<unknown>; lose(): Promise<unknown> }[] = [];
  const lost: unknown[] = [];
  const retelling = openRetelling({
    tell: ({ changes }) =>
      new Promise((resolve, reject) => {
        const then = (what: () => void) => () => {
          what();
          return settle();
        };
        told.push({ changes: changes.map(textOf), take: then(resolve), lose: then(() => reject(new Error('no'))) });
      }),
    timers,
    report: () => report,
    onLost: (error) => void lost.push(error),
  });
  const last = () => told[told.length - 1] as (typeof told)[number];
  return { retelling, timers, told, lost, last };
}

test('it is told again after a second, then after two, four, and a minute at most', async () => {
  const { retelling, timers, told, last, lost } = open();
  retelling.tell([put('a')]);
  for (const ms of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
    const before = told.length;
    await last().lose();
    expect(retelling.owes).toBe(true);
    timers.run(ms - 1);
    expect(told.length).toBe(before);
    timers.run(1);
    expect(last().changes).toEqual(['a']);
    expect(retelling.owes).toBe(false);
  }
  expect(lost).toHaveLength(8);
  await last().take();
  expect(timers.pending).toBe(0);
  retelling.tell([put('b')]);
  await last().lose();
  timers.run(1000);
  expect(last().changes).toEqual(['b']);
});

test('what comes meanwhile goes with it, and takes its place', async () => {
  const { retelling, timers, last } = open();
  retelling.tell([]);
  await last().take();
  retelling.tell([service('a', '1'), service('b', '1'), service('c', '1')]);
  retelling.tell([service('b', '2')]);
  const later = last();
  retelling.tell([service('c', '')]);
  await last().take();
  await later.take();
  retelling.tell([service('d', '1')]);
  await last().lose();
  retelling.tell([service('d', '2'), service('e', '1')]);
  expect(last().changes).toEqual(['d 1', 'd 2', 'e 1']);
  await last().take();
  expect(timers.pending).toBe(0);
});

test('when the first of all is lost everything is told, also what was taken up since', async () => {
  const { retelling, told, timers } = open();
  retelling.tell([service('a', '1'), service('b', '1')]);
  retelling.tell([service('b', '2')]);
  await told[1]?.take();
  await told[0]?.lose();
  timers.run(1000);
  expect(told[2]?.changes).toEqual(['a 1', 'b 2']);
});

test('nothing is told once it is closed', async () => {
  const { retelling, told, lost, timers } = open();
  retelling.tell([put('a')]);
  retelling.tell([put('b')]);
  await told[0]?.lose();
  retelling.close();
  await told[1]?.lose();
  timers.run(1_000_000);
  expect([told.length, lost.length]).toEqual([2, 1]);
});

test('a teller that throws at once is one that does not take up', async () => {
  const timers = openHandTimers();
  let calls = 0;
  const tell = () => {
    if (calls++ === 0) throw new Error('no');
    return Promise.resolve();
  };
  openRetelling({ tell, timers, report: () => report, onLost: () => {} }).tell([]);
  await settle();
  timers.run(1000);
  expect(calls).toBe(2);
});

test('whatever is lost in whatever order, who hears it has the last version of everything in the end', async () => {
  const change = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('', '1', '2', '3'));
  const step = fc.oneof(
    fc.record({ tell: fc.array(change, { maxLength: 3 }) }),
    fc.record({ settle: fc.nat(3), taken: fc.boolean() }),
    fc.record({ pass: fc.constantFrom(500, 5000, 70_000) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { retelling, timers, told } = open();
      const wanted = new Map<string, string>();
      const held = new Map<string, string>();
      /** Those not settled yet, in order: who hears them takes up or loses each, in the order told. */
      let seen = 0;
      const waiting: (typeof told)[number][] = [];
      let whole = true;
      const one = async (taken: boolean) => {
        const next = waiting.shift();
        if (!next) return;
        if (!taken) {
          await next.lose();
          return;
        }
        if (whole) held.clear();
        whole = false;
        for (const text of next.changes) {
          const [name = '', version = ''] = text.split(' ');
          if (version === 'gone') held.delete(name);
          else held.set(name, version);
        }
        await next.take();
      };
      const notice = () => {
        waiting.push(...told.slice(seen));
        seen = told.length;
      };
      for (const at of steps) {
        if ('tell' in at) {
          for (const [name, version] of at.tell) {
            if (version === '') wanted.delete(name);
            else wanted.set(name, version);
          }
          retelling.tell(at.tell.map(([name, version]) => service(name, version)));
        } else if ('pass' in at) timers.run(at.pass);
        else await one(at.taken);
        notice();
      }
      for (let i = 0; i < 40; i++) {
        await one(true);
        timers.run(60_000);
        notice();
      }
      expect(new Map([...held].sort())).toEqual(new Map([...wanted].sort()));
      expect(retelling.owes).toBe(false);
      expect(timers.pending).toBe(0);
    }),
    { numRuns: 500 },
  );
});
