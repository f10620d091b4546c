// SPDX-License-Identifier: Apache-2.0
// A map from many names says what a Map says, however many there are.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { partOf, parts, WideMap } from '../../src/mesh/wide-map.ts';

/** Enough for it to be parted. */
const many = 3000;
const nameOf = (i: number) => `cluster//Pod/namespace-${i % 7}/name-${i}`;

test('it holds what a Map holds after the same changes, few or many', () => {
  const change = fc.record({
    what: fc.constantFrom('set', 'set', 'set', 'delete'),
    from: fc.nat({ max: 2 * many }),
    count: fc.nat({ max: many }),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      const [wide, plain] = [new WideMap<number>([], 1000), new Map<string, number>()];
      for (const [at, { what, from, count }] of changes.entries()) {
        for (let i = from; i < from + count; i++) {
          const name = nameOf(i);
          if (what === 'delete') expect(wide.delete(name)).toBe(plain.delete(name));
          else {
            wide.set(name, at);
            plain.set(name, at);
          }
        }
        expect(wide.size).toBe(plain.size);
      }
      expect(new Map(wide)).toEqual(plain);
      expect(new Set(wide.keys())).toEqual(new Set(plain.keys()));
      expect([...wide.values()].sort()).toEqual([...plain.values()].sort());
      for (const i of [0, 1, many, 2 * many]) {
        expect(wide.get(nameOf(i))).toBe(plain.get(nameOf(i)));
        expect(wide.has(nameOf(i))).toBe(plain.has(nameOf(i)));
      }
    }),
    { numRuns: 30 },
  );
});

test('few entries come in the order in which they were set', () => {
  const wide = new WideMap([
    ['b', 1],
    ['a', 2],
  ]);
  wide.set('c', 3).set('b', 4);
  expect([...wide]).toEqual([
    ['b', 4],
    ['a', 2],
    ['c', 3],
  ]);
  const seen: string[] = [];
  wide.forEach((value, key) => void seen.push(`${key}${value}`));
  expect(seen).toEqual(['b4', 'a2', 'c3']);
});

test('any characters make a name', () => {
  const wide = new WideMap<number>([], 1000);
  const names = ['', '\0', 'ü', '😀', '\ud800', 'a'.repeat(1000)];
  for (let i = 0; i < many; i++) wide.set(nameOf(i), i);
  for (const [i, name] of names.entries()) wide.set(name, i);
  for (const [i, name] of names.entries()) expect(wide.get(name)).toBe(i);
});

test('what was cleared is empty and can be filled again', () => {
  const wide = new WideMap<number>([], 1000);
  for (let i = 0; i < many; i++) wide.set(nameOf(i), i);
  wide.clear();
  expect([wide.size, ...wide]).toEqual([0]);
  wide.set('a', 1);
  expect([...wide]).toEqual([['a', 1]]);
});

test.each<[string, (i: number) => string]>([
  ['pods', (i) => `Kubernetes//Pod/namespace-${i % 97}/app-${i % 5000}-${(i * 2654435761).toString(36).slice(-5)}`],
  ['numbered pods', nameOf],
  ['services', (i) => `namespace-${i % 97}/app-${i}.namespace-${i % 97}.svc.cluster.local`],
  [
    'ports of services',
    (i) => `namespace-${i % 97}/app-${i >> 1}.namespace-${i % 97}.svc.cluster.local:${80 + (i & 1)}`,
  ],
  ['addresses', (i) => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`],
])('no part of 100,000 %s has more than four times its share', (_, name) => {
  const names = new Set(Array.from({ length: 100_000 }, (__, i) => name(i)));
  const sizes = new Array<number>(parts).fill(0);
  for (const one of names) sizes[partOf(one)] = (sizes[partOf(one)] as number) + 1;
  expect(Math.max(...sizes)).toBeLessThan((4 * names.size) / parts);
});
