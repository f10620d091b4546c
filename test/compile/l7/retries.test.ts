// SPDX-License-Identifier: Apache-2.0
// Routes with the usual retries: which ones, by method, balancer and what the route says itself.
import { expect, test } from 'vitest';
import type * as envoy from '../../../src/compile/l7/envoy.ts';
import { withRetries } from '../../../src/compile/l7/retries.ts';

const plain = (more: Partial<envoy.RouteAction> = {}): envoy.EnvoyRoute => ({
  name: 'r',
  match: { prefix: '/', headers: [{ name: 'h', presentMatch: true }] },
  requestHeadersToAdd: [{ header: { key: 'mine', value: '1' }, appendAction: 0 }],
  route: { cluster: 'c', clusterNotFoundResponseCode: 2, hashPolicy: [], timeout: 0, ...more },
});

const made = (route: envoy.EnvoyRoute, method?: string, sticky = false) =>
  withRetries(route, { method, sticky }).map(({ match, route: action, requestHeadersToAdd = [] }) => ({
    matches: match.headers?.map(({ name }) => name),
    adds: requestHeadersToAdd.map(({ header }) => `${header.key}: ${header.value}`),
    own: action?.retryPolicy !== undefined,
  }));
const [resets, none] = [['mine: 1', 'x-envoy-retry-on: reset'], ['mine: 1']];

test('of a method that is not known: one route for requests that may be repeated, and one for all others', () => {
  expect(made(plain())).toEqual([
    { matches: [':method', 'h'], adds: resets, own: false },
    { matches: ['h'], adds: none, own: false },
  ]);
});

test('of one that is known: one route', () => {
  expect(made(plain(), 'GET')).toEqual([{ matches: ['h'], adds: resets, own: false }]);
  expect(made(plain(), 'POST')).toEqual([{ matches: ['h'], adds: none, own: false }]);
  expect(made(plain(), 'PATCH')).toEqual([{ matches: ['h'], adds: none, own: false }]);
});

test('where endpoints are chosen by hash no other one is looked for', () => {
  const [route] = withRetries(plain(), { method: 'GET', sticky: true });
  expect(route?.route?.retryPolicy).toMatchObject({ numRetries: 2 });
  expect(route?.route?.retryPolicy?.retryHostPredicate).toBeUndefined();
});

test('what leads to no cluster, and what says itself what is tried again, stays as it is', () => {
  const redirect: envoy.EnvoyRoute = { name: 'r', match: { prefix: '/' }, redirect: { responseCode: 0 } };
  expect(withRetries(redirect, { method: undefined, sticky: false })).toEqual([redirect]);
  const own = plain({ retryPolicy: { retryOn: 'reset', numRetries: 0, retriableStatusCodes: [] } });
  expect(withRetries(own, { method: undefined, sticky: false })).toEqual([own]);
});
