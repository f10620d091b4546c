// SPDX-License-Identifier: Apache-2.0
// Routes with the usual retries: which ones, by method, balancer and what the route says itself.
import { expect, test } from 'vitest';
import type * as envoy from '../../../src/compile/l7/envoy.ts';
import { withRetries } from '../../../src/compile/l7/retries.ts';

const plain = (more: Partial<envoy.RouteAction> = {}): envoy.EnvoyRoute => ({
  name: 'r',
  match: { prefix: '/', headers: [{ name: 'h', presentMatch: true }] },
  route: { cluster: 'c', clusterNotFoundResponseCode: 2, hashPolicy: [], timeout: 0, ...more },
});

const made = (route: envoy.EnvoyRoute, method?: string, sticky = false) =>
  withRetries(route, { method, sticky }).map(({ match, route: action }) => ({
    headers: match.headers?.map(({ name }) => name),
    resets: action?.retryPolicy?.retryOn.split(',').includes('reset'),
    elsewhere: action?.retryPolicy?.retryHostPredicate !== undefined,
  }));

test('of a method that is not known: one route for requests that may be repeated, and one for all others', () => {
  expect(made(plain())).toEqual([
    { headers: [':method', 'h'], resets: true, elsewhere: true },
    { headers: ['h'], resets: false, elsewhere: true },
  ]);
});

test('of one that is known: one route', () => {
  expect(made(plain(), 'GET')).toEqual([{ headers: ['h'], resets: true, elsewhere: true }]);
  expect(made(plain(), 'POST')).toEqual([{ headers: ['h'], resets: false, elsewhere: true }]);
  expect(made(plain(), 'PATCH')).toEqual([{ headers: ['h'], resets: false, elsewhere: true }]);
});

test('where endpoints are chosen by hash no other one is looked for', () => {
  expect(made(plain(), 'GET', true)).toEqual([{ headers: ['h'], resets: true, elsewhere: false }]);
});

test('what leads to no cluster, and what says itself what is tried again, stays as it is', () => {
  const redirect: envoy.EnvoyRoute = { name: 'r', match: { prefix: '/' }, redirect: { responseCode: 0 } };
  expect(withRetries(redirect, { method: undefined, sticky: false })).toEqual([redirect]);
  const own = plain({ retryPolicy: { retryOn: 'reset', numRetries: 0, retriableStatusCodes: [] } });
  expect(withRetries(own, { method: undefined, sticky: false })).toEqual([own]);
});
