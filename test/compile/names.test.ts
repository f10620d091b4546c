// SPDX-License-Identifier: Apache-2.0
// Names in parts.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { joinName, nameParts, partCount, partCountOf } from '../../src/compile/names.ts';

describe('names', () => {
  it.each([
    ['', 0, 1],
    ['a', 1, 1],
    ['x'.repeat(60), 60, 1],
    ['x'.repeat(61), 61, 2],
    ['ü'.repeat(30), 60, 1],
    ['ü'.repeat(31), 62, 2],
    [`${'x'.repeat(59)}ü`, 61, 2],
    ['😀'.repeat(45), 180, 3],
    ['\ufeffx', 4, 1],
    ['a\0b', 3, 1],
  ])('%j takes %i bytes and %i parts', (name, bytes, count) => {
    const parts = nameParts(name);
    expect(parts.map((p) => p.length)).toEqual([bytes, ...Array(count - 1).fill(0)]);
    expect(parts.every((p) => p.text.length === 60)).toBe(true);
    expect(partCountOf(name)).toBe(count);
    expect(partCount(bytes)).toBe(count);
    expect(joinName(parts)).toBe(name);
  });

  it('come back as they were', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 100 }), (name) => {
        expect(joinName(nameParts(name))).toBe(name);
        expect(nameParts(name)).toHaveLength(partCountOf(name));
      }),
    );
  });

  it('are none without every part, or with one too many', () => {
    const [first, second, third] = nameParts('y'.repeat(150));
    expect(joinName([])).toBeUndefined();
    expect(joinName([undefined, second, third])).toBeUndefined();
    expect(joinName([first, undefined, third])).toBeUndefined();
    expect(joinName([first, second])).toBeUndefined();
    expect(joinName([first, second, third, third])).toBeUndefined();
  });
});
