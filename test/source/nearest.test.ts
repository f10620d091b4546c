// SPDX-License-Identifier: Apache-2.0
// Suggestions for names that nobody knows: what was meant, or none.
import { expect, test } from 'vitest';
import { nearestName } from '../../src/source/nearest.ts';

const known = ['selector', 'action', 'rules', 'ports', 'port', 'matchLabels', 'principals', 'notPrincipals', 'to'];

test.each([
  ['selecter', 'selector'],
  ['selectors', 'selector'],
  ['slector', 'selector'],
  ['principal', 'principals'],
  ['notPrincipal', 'notPrincipals'],
  ['MATCHLABELS', 'matchLabels'],
  ['matchLables', 'matchLabels'],
  ['rulse', 'rules'],
  ['pots', 'ports'],
  ['prot', 'port'],
  ['acton', 'action'],
])('%s: %s is meant', (name, meant) => {
  expect(nearestName(name, known)).toBe(meant);
});

test.each(['x', '', 'colour', 'labels', 'app', 'spec', 'hosts', 'p'.repeat(10_000)])('%s: none is near', (name) => {
  expect(nearestName(name, known)).toBeUndefined();
});

test('of names that are as near the first', () => {
  expect(nearestName('cart-3', ['cart-1', 'cart-2'])).toBe('cart-1');
  expect(nearestName('cart-3', [])).toBeUndefined();
});
