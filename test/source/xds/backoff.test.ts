// SPDX-License-Identifier: Apache-2.0
// Pauses between streams.
import { expect, test } from 'vitest';
import { openBackoff } from '../../../src/source/xds/backoff.ts';

const failed = { clean: false, answered: false, begunAt: 0, endedAt: 0 };
const whole = () => 0.999_999;

test('pauses double, up to 15 s', () => {
  const backoff = openBackoff(whole);
  const pauses = Array.from({ length: 14 }, () => backoff.pauseAfter(failed));
  expect(pauses).toEqual([9, 19, 39, 79, 159, 319, 639, 1279, 2559, 5119, 10_239, 14_999, 14_999, 14_999]);
});

test('each is a random share of its length', () => {
  const shares = [0, 0.5, 0.25];
  const backoff = openBackoff(() => shares.shift() ?? 0);
  expect([1, 2, 3].map(() => backoff.pauseAfter(failed))).toEqual([0, 10, 10]);
});

test('a stream that was well for a while makes the next pause a short one', () => {
  const backoff = openBackoff(whole);
  for (let i = 0; i < 5; i++) backoff.pauseAfter(failed);
  expect(backoff.pauseAfter({ clean: false, answered: true, begunAt: 0, endedAt: 4999 })).toBe(319);
  expect(backoff.pauseAfter({ clean: false, answered: true, begunAt: 0, endedAt: 5000 })).toBe(9);
  expect(backoff.pauseAfter({ clean: false, answered: false, begunAt: 0, endedAt: 5000 })).toBe(19);
});

test('no pause after a stream that answered and was closed in good order, thrice a second', () => {
  const backoff = openBackoff(whole);
  const closed = (endedAt: number) => backoff.pauseAfter({ clean: true, answered: true, begunAt: 0, endedAt });
  expect([0, 100, 200, 300, 400].map(closed)).toEqual([0, 0, 0, 9, 19]);
  expect(closed(1000)).toBe(0);
});

test('closed in good order without a word is a failure', () => {
  expect(openBackoff(whole).pauseAfter({ ...failed, clean: true })).toBe(9);
});
