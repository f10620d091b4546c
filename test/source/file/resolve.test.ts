// SPDX-License-Identifier: Apache-2.0
import { afterEach, expect, test, vi } from 'vitest';
import { type Answer, maxAsking, openResolution } from '../../../src/source/resolve.ts';
import { openHandTimers } from './hand-timers.ts';

function open(answers: (hostname: string, call: number) => Answer | Promise<Answer>) {
  const timers = openHandTimers();
  const calls: string[] = [];
  const told: unknown[][] = [];
  const resolution = openResolution({
    timers,
    resolver: async (hostname) => {
      calls.push(hostname);
      return answers(hostname, calls.filter((c) => c === hostname).length);
    },
    onAnswer: (...args) => void told.push(args),
  });
  return { timers, calls, told, resolution };
}
const settle = () => new Promise((done) => setImmediate(done));
afterEach(() => vi.restoreAllMocks());

test('asks again when the records are too old, between 5 and 300 seconds', async () => {
  const ttls = [60, 1, 10_000, 7];
  const { timers, calls, told, resolution } = open((_, call) => ({
    addresses: ['10.0.0.1'],
    ttl: ttls[call - 1] ?? 60,
  }));
  resolution.want(new Set(['a']));
  for (const seconds of [60, 5, 300, 7]) {
    await settle();
    const before = calls.length;
    timers.run(seconds * 1000 - 1);
    await settle();
    expect(calls.length).toBe(before);
    timers.run(1);
    expect(calls.length).toBe(before + 1);
  }
  expect(told).toEqual([['a', ['10.0.0.1'], undefined]]);
});

test('addresses are told in one order, once, and only when they differ', async () => {
  const { timers, told, resolution } = open((_, call) => ({
    addresses:
      call === 1
        ? ['2001:db8::1', '10.0.0.2', '10.0.0.1']
        : call === 2
          ? ['10.0.0.1', '2001:db8::1', '10.0.0.2']
          : ['10.0.0.3'],
    ttl: 5,
  }));
  resolution.want(new Set(['a']));
  for (let i = 0; i < 3; i++) {
    await settle();
    timers.run(5000);
  }
  await settle();
  expect(told).toEqual([
    ['a', ['10.0.0.1', '10.0.0.2', '2001:db8::1'], undefined],
    ['a', ['10.0.0.3'], undefined],
  ]);
});

test('failures keep what was known and are tried again ever later', async () => {
  const { timers, calls, told, resolution } = open((_, call) => {
    if (call === 2 || call === 3 || call === 4) throw new Error('queryA ETIMEOUT a');
    return { addresses: ['10.0.0.1'], ttl: 5 };
  });
  resolution.want(new Set(['a']));
  for (const seconds of [5, 5, 10, 20]) {
    await settle();
    timers.run(seconds * 1000 - 1);
    const before = calls.length;
    timers.run(1);
    await settle();
    expect(calls.length).toBe(before + 1);
  }
  expect(told).toEqual([
    ['a', ['10.0.0.1'], undefined],
    ['a', ['10.0.0.1'], 'queryA ETIMEOUT a'],
    ['a', ['10.0.0.1'], undefined],
  ]);
});

test('an answer without addresses is a failure', async () => {
  const { told, resolution } = open(() => ({ addresses: [], ttl: 5 }));
  resolution.want(new Set(['a']));
  await settle();
  expect(told).toEqual([['a', [], 'it has no address']]);
});

test('a family that was not answered for stays as it was', async () => {
  const { timers, told, resolution } = open((_, call) =>
    call === 1
      ? { addresses: ['10.0.0.1', '2001:db8::1'], ttl: 5 }
      : { addresses: ['10.0.0.2'], ttl: 5, unanswered: 6 },
  );
  resolution.want(new Set(['a']));
  await settle();
  timers.run(5000);
  await settle();
  expect(told.at(-1)).toEqual(['a', ['10.0.0.2', '2001:db8::1'], undefined]);
});

test('a name that does not answer holds up nobody, and no more than a few are asked for at once', async () => {
  const never = new Promise<Answer>(() => {});
  const { calls, told, resolution } = open((hostname) =>
    hostname === 'slow' ? never : { addresses: ['10.0.0.1'], ttl: 60 },
  );
  const names = ['slow', ...Array.from({ length: 40 }, (_, i) => `n${i}`)];
  resolution.want(new Set(names));
  expect(calls.length).toBe(maxAsking);
  for (let i = 0; i < 10; i++) await settle();
  expect(calls.length).toBe(41);
  expect(told.length).toBe(40);
});

test('a name that is not wanted any more is forgotten, also while it is asked for', async () => {
  let answer: (value: Answer) => void = () => {};
  const { timers, told, calls, resolution } = open(() => new Promise<Answer>((done) => (answer = done)));
  resolution.want(new Set(['a']));
  resolution.want(new Set());
  answer({ addresses: ['10.0.0.1'], ttl: 5 });
  await settle();
  timers.run(1_000_000);
  expect(told).toEqual([['a', undefined, undefined]]);
  expect(calls).toEqual(['a']);
});

test('closed, it is silent', async () => {
  const { timers, told, resolution } = open(() => ({ addresses: ['10.0.0.1'], ttl: 5 }));
  resolution.want(new Set(['a']));
  resolution.close();
  await settle();
  timers.run(1_000_000);
  expect(told).toEqual([]);
  expect(timers.pending).toBe(0);
});
