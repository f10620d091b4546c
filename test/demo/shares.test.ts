// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { judgeShares } from '../../src/demo/shares.ts';
import { measureShares } from '../support/shares.ts';

test('shares as the weights ask for are no distance off', () => {
  const judged = judgeShares({ a: 75, b: 25 }, { a: 3, b: 1 });
  expect(judged).toEqual({
    total: 100,
    strangers: [],
    worst: 0,
    shares: [
      { name: 'a', count: 75, expected: 0.75, sigmas: 0 },
      { name: 'b', count: 25, expected: 0.25, sigmas: 0 },
    ],
  });
});

test.each([
  // 100 calls at one half: one sigma is 5 calls.
  [{ a: 60, b: 40 }, { a: 1, b: 1 }, 2],
  [{ a: 34, b: 66 }, { a: 1, b: 1 }, 3.2],
  [{ a: 100 }, { a: 1, b: 1 }, 10],
  [{ a: 100 }, { a: 1, b: 0 }, 0],
  [{ a: 99, b: 1 }, { a: 1, b: 0 }, Number.POSITIVE_INFINITY],
  [{}, { a: 1, b: 1 }, 0],
])('%j by weights %j is %d sigmas off', (counts, weights, sigmas) => {
  expect(judgeShares(counts as Record<string, number>, weights).worst).toBeCloseTo(sigmas);
});

test('whoever is not in the weights is a stranger', () => {
  expect(judgeShares({ a: 1, c: 1 }, { a: 1 }).strangers).toEqual(['c']);
});

test('a share that is off is measured again, four times as long', async () => {
  const asked: number[] = [];
  const judged = await measureShares(
    async (n) => {
      asked.push(n);
      return asked.length === 1 ? { a: 100, b: 0 } : { a: 201, b: 199 };
    },
    100,
    { a: 1, b: 1 },
  );
  expect(asked).toEqual([100, 400]);
  expect(judged.worst).toBeLessThan(1);
});
