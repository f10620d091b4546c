// SPDX-License-Identifier: Apache-2.0
// Filters of one backend: which routes a rule is made into, and for which share.
import { expect, test } from 'vitest';
import { partsOf } from '../../../src/compile/l7/backend-filters.ts';
import type { BackendRef, HttpFilter, HttpRule } from '../../../src/mesh/route.ts';

const rewrite = (value: string): HttpFilter => ({ kind: 'rewrite', path: { kind: 'full', value } });
const headers: HttpFilter = { kind: 'request-headers', set: [['a', 'b']], add: [], remove: [] };
const backend = (name: string, weight: number, ...filters: HttpFilter[]): BackendRef => ({
  group: '',
  kind: 'Service',
  namespace: 'shop',
  name,
  port: 80,
  weight,
  filters,
});
const rule = (backends: readonly BackendRef[], ...filters: HttpFilter[]): HttpRule => ({
  name: '',
  matches: [],
  filters,
  backends,
  timeouts: {},
});
const told = (made: ReturnType<typeof partsOf>) =>
  made.map(({ rule: { backends, filters }, below }) => [backends.map(({ name }) => name).join(), filters, below]);

test('changes of headers need no route of their own', () => {
  const all = rule([backend('a', 1, headers), backend('b', 1)], rewrite('/rule'));
  expect(partsOf(all, () => true)).toEqual([{ rule: all }]);
  expect(partsOf(rule([]), () => true)).toEqual([{ rule: rule([]) }]);
});

test('each backend for its share, its own filters before those of the rule', () => {
  const all = rule(
    [backend('a', 2, rewrite('/a'), headers), backend('b', 0, rewrite('/b')), backend('c', 1), backend('d', 3)],
    rewrite('/rule'),
  );
  expect(told(partsOf(all, () => true))).toEqual([
    ['a', [rewrite('/a'), rewrite('/rule')], 333_333],
    ['c', [rewrite('/rule')], 500_000],
    ['d', [rewrite('/rule')], undefined],
  ]);
});

test('one that cannot be used fails, whatever its filters would do', () => {
  const redirect: HttpFilter = { kind: 'redirect', status: 302 };
  const all = rule([backend('a', 1, redirect), backend('gone', 1, redirect)]);
  expect(told(partsOf(all, ({ name }) => name !== 'gone'))).toEqual([
    ['a', [redirect], 500_000],
    ['gone', [], undefined],
  ]);
});
