// SPDX-License-Identifier: Apache-2.0
// Localities: text, patterns, distance.
import { expect, test } from 'vitest';
import { localityDistance, localityFits, localityText, parseLocality } from '../../src/mesh/locality.ts';

test.each([
  ['r/z/s', { region: 'r', zone: 'z', subzone: 's' }],
  ['r/z', { region: 'r', zone: 'z', subzone: '' }],
  ['r', { region: 'r', zone: '', subzone: '' }],
  ['', { region: '', zone: '', subzone: '' }],
  ['r//s', { region: 'r', zone: '', subzone: 's' }],
])('"%s" is read and written', (text, locality) => {
  expect(parseLocality(text)).toEqual(locality);
  expect(localityText(locality)).toBe(text);
});

test.each([
  ['*', 'r1/z1/s1', true],
  ['*', '', true],
  ['r1', 'r1/z1/s1', true],
  ['r1/*', 'r1/z2/s1', true],
  ['r1/z1', 'r1/z1/s9', true],
  ['r1/z1/*', 'r1/z2/s1', false],
  ['*/z1', 'r7/z1/s1', true],
  ['r1/z1/s1', 'r1/z1/s1', true],
  ['r1/z1/s1', 'r1/z1', false],
  ['r2', 'r1/z1/s1', false],
])('pattern %s on %s: %s', (pattern, text, fits) => {
  expect(localityFits(pattern, parseLocality(text))).toBe(fits);
});

test.each([
  ['r/z/s', 'r/z/s', 0],
  ['r/z/s', 'r/z/t', 1],
  ['r/z/s', 'r/y/s', 2],
  ['r/z/s', 'q/z/s', 3],
  ['', '', 0],
])('from %s to %s: %i', (a, b, distance) => {
  expect(localityDistance(parseLocality(a), parseLocality(b))).toBe(distance);
});
