// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitsNone, inList, type Text } from '../../../src/compile/l7/header-texts.ts';
import { programSize } from '../../../src/compile/l7/re2.ts';

const matches = (regex: string, line: string) => new RegExp(`^(?:${regex.replaceAll('\\C', '[^]')})$`, 'u').test(line);
const texts = (characters: string) => fc.string({ unit: fc.constantFrom(...characters), maxLength: 4 });
const text: fc.Arbitrary<Text> = fc.record({
  kind: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const),
  value: texts('ab-]').filter((value) => value !== ''),
});

function fits({ kind, value }: Text, line: string): boolean {
  if (kind === 'exact') return line === value;
  return kind === 'prefix' ? line.startsWith(value) : line.endsWith(value);
}

test('a line that fits none, and one that fits', () => {
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), texts('ab-],'), (some, line) => {
      const isOther = fitsNone(some).every((regex) => matches(regex, line));
      expect(isOther).toBe(!some.some((one) => fits(one, line)));
      for (const one of some) {
        // A value of its own, or with the commas that are in it.
        const parts = line.split(',').map((part) => part.trim());
        if (parts.some((part) => fits(one, part)) || fits(one, line)) expect(matches(inList(one), line)).toBe(true);
      }
    }),
    { numRuns: 3000 },
  );
});

test('values that are too long are told apart as far as it goes', () => {
  const value = 'a'.repeat(2048);
  const [regex = ''] = fitsNone([{ kind: 'exact', value }]);
  expect(matches(regex, value)).toBe(false);
  expect(matches(regex, `${'a'.repeat(100)}b`)).toBe(true);
  expect(matches(regex, 'a')).toBe(true);
});

test('a short value is an expression that every Envoy takes as it is', () => {
  for (const kind of ['exact', 'prefix', 'suffix'] as const) {
    expect(programSize(inList({ kind, value: 'word' }))).toBeLessThan(80);
    expect(
      fitsNone([{ kind, value: 'a' }])
        .map(programSize)
        .every((size) => size < 80),
    ).toBe(true);
  }
});
