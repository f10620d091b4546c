// SPDX-License-Identifier: Apache-2.0
// Alias, Maglev and round robin tables, and the integer weights that go into them.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { aliasTable } from '../../src/compile/alias.ts';
import { maxCycle, weightedCycle } from '../../src/compile/cycle.ts';
import { maglevSize, maglevTable, maxMaglev } from '../../src/compile/maglev.ts';
import type { WantedEndpoint } from '../../src/compile/wanted.ts';
import { integerShares, maxWeight, reduceWeights } from '../../src/compile/weights.ts';

const anyWeight = fc.oneof(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: maxWeight }));
const anyWeights = fc.array(anyWeight, { minLength: 1, maxLength: 60 });
const sum = (numbers: Iterable<number>): number => [...numbers].reduce((a, b) => a + b, 0);

function counts(picks: Iterable<number>, n: number): number[] {
  const found = new Array<number>(n).fill(0);
  for (const i of picks) found[i] = (found[i] as number) + 1;
  return found;
}

const endpoint = (name: string, weight = 1): WantedEndpoint => ({
  workload: name,
  address: '10.0.0.1',
  port: 80,
  weight,
});

describe('alias table', () => {
  test('the slots give every index its weight, to 2^-31 for each endpoint', () => {
    fc.assert(
      fc.property(anyWeights, (weights) => {
        const n = weights.length;
        const { threshold, alias } = aliasTable(weights);
        const given = new Array<number>(n).fill(0);
        for (let i = 0; i < n; i++) {
          const own = (threshold[i] as number) / 2 ** 32;
          const other = alias[i] as number;
          given[i] = (given[i] as number) + own / n;
          given[other] = (given[other] as number) + (1 - own) / n;
        }
        const total = sum(weights);
        for (let i = 0; i < n; i++) {
          expect(Math.abs((given[i] as number) - (weights[i] as number) / total)).toBeLessThanOrEqual(n * 2 ** -31);
        }
      }),
    );
  });

  test('equal weights need no alias', () => {
    const { threshold, alias } = aliasTable([7, 7, 7]);
    expect([...threshold]).toEqual([0xffffffff, 0xffffffff, 0xffffffff]);
    expect([...alias]).toEqual([0, 1, 2]);
  });

  test('one in four', () => {
    const { threshold, alias } = aliasTable([1, 3]);
    expect([threshold[0], alias[0], alias[1]]).toEqual([2 ** 31, 1, 1]);
  });

  test('nobody, and weights beyond exact arithmetic', () => {
    expect(aliasTable([])).toEqual({ threshold: new Uint32Array(0), alias: new Uint32Array(0) });
    expect(() => aliasTable([2 ** 53, 1])).toThrow(RangeError);
  });
});

describe('Maglev table', () => {
  const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { minLength: 2, maxLength: 30 });

  test.each([
    [0, 101],
    [1, 101],
    [2, 211],
    [3, 401],
    [10, 1601],
    [128, 12809],
    [129, 16381],
    [164, 16381],
    [100_000, 16381],
  ])('%i endpoints: %i slots', (count, size) => {
    expect(maglevSize(count)).toBe(size);
    expect(size).toBeLessThanOrEqual(maxMaglev);
  });

  test('equal weights: slots differ by one at most', () => {
    fc.assert(
      fc.property(names, (list) => {
        const found = counts(maglevTable(list.map((n) => endpoint(n))), list.length);
        expect(Math.max(...found) - Math.min(...found)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('shares follow the weights', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 30 }), (weights) => {
        const table = maglevTable(weights.map((w, i) => endpoint(`e${i}`, w)));
        const found = counts(table, weights.length);
        const total = sum(weights);
        weights.forEach((w, i) => {
          const due = (w / total) * table.length;
          // All take a first turn at once: a light one may be that much ahead, and the others together pay for it.
          expect(Math.abs((found[i] as number) - due)).toBeLessThanOrEqual(1 + (w / total) * weights.length);
        });
      }),
    );
  });

  test('the order of the list does not matter', () => {
    fc.assert(
      fc.property(names, fc.nat(), (list, seed) => {
        const weighted = list.map((n, i) => endpoint(n, 1 + ((i * seed) % 5)));
        const turned = [...weighted.slice(seed % list.length), ...weighted.slice(0, seed % list.length)];
        const owner = (l: readonly WantedEndpoint[]) => [...maglevTable(l)].map((i) => l[i]?.workload);
        expect(owner(turned)).toEqual(owner(weighted));
      }),
    );
  });

  test.each([4, 7, 16, 40, 70])('one of %i that leaves moves little besides its own slots', (n) => {
    const all = Array.from({ length: n }, (_, i) => endpoint(`pod-${i}`, 1 + (i % 3)));
    const size = maglevSize(n);
    const before = maglevTable(all, size);
    let moved = 0;
    for (const gone of all) {
      const left = all.filter((e) => e !== gone);
      const after = maglevTable(left, size);
      for (let i = 0; i < size; i++) {
        const was = all[before[i] as number];
        if (was !== gone && was !== left[after[i] as number]) moved++;
      }
    }
    // Mean over everybody who may leave. The paper sees a few percent at 100 slots each.
    expect(moved / size / n).toBeLessThan(0.05);
  });

  test('the size stays while the number of endpoints stays between two powers of two', () => {
    const sizes = new Set(Array.from({ length: 16 }, (_, i) => maglevSize(17 + i)));
    expect([...sizes]).toEqual([3203]);
  });

  test('nobody, and more endpoints than slots', () => {
    expect(maglevTable([]).length).toBe(0);
    const table = maglevTable(Array.from({ length: 20_000 }, (_, i) => endpoint(`e${i}`)));
    expect(new Set(table).size).toBe(maxMaglev);
  });
});

describe('round robin cycle', () => {
  /** The textbook loop: everyone's credit grows by its weight, the richest goes. */
  function plainCycle(weights: readonly number[]): number[] {
    const total = sum(weights);
    const credit = weights.map(() => 0);
    return Array.from({ length: total }, () => {
      let best = 0;
      weights.forEach((w, i) => {
        credit[i] = (credit[i] as number) + w;
        if ((credit[i] as number) > (credit[best] as number)) best = i;
      });
      credit[best] = (credit[best] as number) - total;
      return best;
    });
  }

  test('5, 1, 1 as nginx does it', () => {
    expect([...weightedCycle([5, 1, 1])]).toEqual([0, 0, 1, 0, 2, 0, 0]);
    expect([...weightedCycle([50, 10, 10])]).toEqual([0, 0, 1, 0, 2, 0, 0]);
  });

  test('the same as the textbook loop', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 20 }), (weights) => {
        const reduced = reduceWeights(weights);
        fc.pre(reduced.some((w) => w !== reduced[0]));
        expect([...weightedCycle(weights)]).toEqual(plainCycle(reduced));
      }),
    );
  });

  test('any weights: everyone goes, shares are right to a turn, never longer than the array', () => {
    fc.assert(
      fc.property(anyWeights, (weights) => {
        fc.pre(weights.some((w) => w !== weights[0]));
        const cycle = weightedCycle(weights);
        expect(cycle.length).toBeLessThanOrEqual(maxCycle);
        const found = counts(cycle, weights.length);
        expect(Math.min(...found)).toBeGreaterThanOrEqual(1);
        const total = sum(weights);
        // Those too light for a turn get one each, which the others pay for in proportion.
        const light = weights.filter((w) => (w / total) * maxCycle < 1).length;
        weights.forEach((w, i) => {
          const off = Math.abs((found[i] as number) / cycle.length - w / total) * maxCycle;
          expect(off).toBeLessThanOrEqual(1 + (light * w) / total + 1e-6);
        });
      }),
    );
  });

  test('equal weights and too many need none', () => {
    expect(weightedCycle([3, 3]).length).toBe(0);
    expect(weightedCycle(Array.from({ length: maxCycle + 1 }, (_, i) => 1 + (i % 2))).length).toBe(0);
  });

  test('one heavy and nearly as many as fit', () => {
    const cycle = weightedCycle([maxWeight, ...new Array<number>(16_000).fill(1)]);
    expect(cycle.length).toBe(maxCycle);
    expect(counts(cycle, 16_001)[0]).toBe(maxCycle - 16_000);
  });
});

describe('integer weights', () => {
  const parts = fc.array(
    fc.record({ times: fc.integer({ min: 1, max: 100_000 }), per: fc.integer({ min: 1, max: 5000 }) }),
    {
      minLength: 1,
      maxLength: 20,
    },
  );

  test('fractions keep their proportions', () => {
    fc.assert(
      fc.property(parts, (list) => {
        const weights = integerShares(list);
        const total = sum(weights);
        const due = sum(list.map((p) => p.times / p.per));
        list.forEach((p, i) => {
          expect(weights[i]).toBeGreaterThanOrEqual(1);
          expect(weights[i]).toBeLessThanOrEqual(maxWeight);
          expect((weights[i] as number) / total).toBeCloseTo(p.times / p.per / due, 7);
        });
      }),
    );
  });

  test.each([
    [
      [
        { times: 80, per: 1 },
        { times: 20, per: 2 },
        { times: 20, per: 2 },
      ],
      [8, 1, 1],
    ],
    [[], []],
    [[{ times: 7, per: 3 }], [1]],
  ])('%j: %j', (list, weights) => {
    expect(integerShares(list)).toEqual(weights);
  });
});
