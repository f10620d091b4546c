// SPDX-License-Identifier: Apache-2.0
// Ranges against an array that remembers every slot.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rangesOf } from '../../src/compile/ranges.ts';
import { finish } from '../../src/mesh/steps.ts';

describe('ranges', () => {
  it('takes the smallest block that holds them', () => {
    const ranges = rangesOf(100, 1, [
      [11, 9],
      [25, 5],
      [40, 60],
    ]);
    // Free: 1..10 (10), 20..24 (5), 30..39 (10).
    const draft = ranges.draft();
    expect(draft.allocate(4)).toBe(20);
    expect(draft.allocate(1)).toBe(24);
    expect(draft.allocate(10)).toBe(1);
    expect(draft.allocate(11)).toBeUndefined();
    expect(draft.largestFree()).toBe(10);
    expect(draft.totalFree()).toBe(10);
    expect(draft.allocate(10)).toBe(30);
    expect(draft.allocate(1)).toBeUndefined();
  });

  it('joins what is freed with its neighbours', () => {
    const ranges = rangesOf(31, 1);
    const draft = ranges.draft();
    const starts = [draft.allocate(10), draft.allocate(10), draft.allocate(10)];
    finish(draft.commit());
    expect(starts).toEqual([1, 11, 21]);
    ranges.free(1, 10);
    ranges.free(21, 10);
    expect(ranges.fill()).toEqual({ slots: 30, used: 10, free: 20, largestFree: 10, fragmentation: 0.5 });
    ranges.free(11, 10);
    expect(ranges.fill()).toEqual({ slots: 30, used: 0, free: 30, largestFree: 30, fragmentation: 0 });
  });

  it('changes nothing before commit, and nothing of what was rolled back', () => {
    const ranges = rangesOf(20, 0);
    const draft = ranges.draft();
    draft.allocate(5);
    const mark = draft.mark();
    draft.allocate(5);
    draft.allocate(5);
    draft.rollback(mark);
    expect(draft.totalFree()).toBe(15);
    expect(draft.largestFree()).toBe(15);
    expect(ranges.fill().free).toBe(20);
    finish(draft.commit());
    expect(ranges.fill().free).toBe(15);
  });

  it.each([
    [
      'overlapping',
      [
        [1, 5],
        [5, 2],
      ],
    ],
    ['in the reserved slot', [[0, 2]]],
    ['beyond the end', [[8, 3]]],
    ['empty', [[3, 0]]],
  ] as const)('refuses ranges that are %s', (_, taken) => {
    expect(() => rangesOf(10, 1, taken)).toThrow(RangeError);
  });

  it('refuses to free what cannot be taken', () => {
    const ranges = rangesOf(10, 1, [[1, 3]]);
    expect(() => ranges.free(8, 4)).toThrow(RangeError);
    ranges.free(1, 3);
    expect(() => ranges.free(1, 3)).toThrow(RangeError);
  });

  it('never hands out a slot twice, loses none, and finds room whenever a block is large enough', () => {
    const step = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constant('allocate' as const), n: fc.integer({ min: 1, max: 12 }) }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('free' as const), n: fc.nat() }) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constantFrom('commit', 'drop', 'rollback' as const), n: fc.nat() }),
      },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const slots = 64;
        const ranges = rangesOf(slots, 1);
        const taken = new Uint8Array(slots).fill(1, 0, 1);
        const held: [number, number][] = [];
        let fresh: [number, number][] = [];
        let draft = ranges.draft();
        const clear = (list: readonly [number, number][]) => {
          for (const [start, n] of list) taken.fill(0, start, start + n);
        };
        const longestFree = () =>
          Math.max(
            ...String.fromCharCode(...taken)
              .split('\u0001')
              .map((s) => s.length),
          );
        for (const { kind, n } of steps) {
          if (kind === 'allocate') {
            expect(draft.largestFree()).toBe(longestFree());
            const start = draft.allocate(n);
            expect(start !== undefined).toBe(longestFree() >= n);
            if (start === undefined) continue;
            expect(taken.subarray(start, start + n).some((t) => t === 1)).toBe(false);
            taken.fill(1, start, start + n);
            fresh.push([start, n]);
            continue;
          }
          if (kind === 'rollback') {
            draft.rollback(0);
            clear(fresh);
            fresh = [];
            continue;
          }
          // The others end the draft.
          if (kind === 'drop') clear(fresh);
          else {
            finish(draft.commit());
            held.push(...fresh);
          }
          fresh = [];
          if (kind === 'free' && held.length > 0) {
            const [range] = held.splice(n % held.length, 1) as [[number, number]];
            ranges.free(...range);
            clear([range]);
          }
          expect(ranges.fill().used).toBe(held.reduce((sum, [, length]) => sum + length, 0));
          expect(ranges.fill().largestFree).toBe(longestFree());
          draft = ranges.draft();
        }
      }),
      { numRuns: 300 },
    );
  });
});
