// SPDX-License-Identifier: Apache-2.0
// Policies that are refused: nothing that is wrong with one opens anything.
import { expect, test } from 'vitest';
import { begin, open, refusedOf, response, settle, started, take, takeAndAnswer, texts } from './session-parts.ts';

const versionsOf = (requests: ReturnType<typeof open>) =>
  requests.map(({ initialVersions }) => Object.fromEntries(initialVersions ?? []));

test('a policy that is refused and never was good closes what it may hold for, until it is good or gone', () => {
  const session = started([]);
  const { taken, sent } = takeAndAnswer(session, response('authorization', 'n3', ['shop/p@!', 'shop/q@!']));
  expect(texts(taken.changes)).toEqual(['+policy shop/p closes', '+policy shop/q closes']);
  expect(sent).toMatchObject([{ nonce: 'n3', error: { code: 3 } }]);
  expect(refusedOf(session)).toMatchObject([{ name: 'shop/p', kept: false }, { name: 'shop/q' }]);
  expect(session.held).toBe(0);
  const after = take(session, response('authorization', 'n4', ['shop/p@'], ['shop/q', 'shop/none']));
  expect(texts(after.changes)).toEqual(['+policy shop/p', '-policy shop/q']);
});

test('a policy whose later version is refused stays as it was, marked as stale', () => {
  const session = started([]);
  take(session, response('authorization', 'n3', ['shop/p@']));
  const bad = response('authorization', 'n4', ['shop/p@!']);
  expect(texts(take(session, bad).changes)).toEqual(['+policy shop/p stale']);
  expect(refusedOf(session)).toMatchObject([{ name: 'shop/p', kept: true }]);
  expect(texts(take(session, bad).changes)).toEqual(['+policy shop/p stale']);
  expect(texts(take(session, response('authorization', 'n5', ['shop/p@'])).changes)).toEqual(['+policy shop/p']);
  take(session, bad);
  expect(texts(take(session, response('authorization', 'n6', [], ['shop/p'])).changes)).toEqual(['-policy shop/p']);
  expect([session.held, refusedOf(session)]).toEqual([0, []]);
});

test('after a reconnect a policy closes until the server has said everything without it', () => {
  const session = started([]);
  take(session, response('authorization', 'n3', ['shop/p@!', 'shop/q@']));
  take(session, response('authorization', 'n4', ['shop/q@!']));
  session.close();
  expect(versionsOf(open(session))[1]).toEqual({ 'shop/q': '' });
  expect(texts(take(session, response('authorization', 'n5')).changes)).toEqual([]);
  // Of what was said to be held the server has that very version.
  expect(texts(settle(session, 'authorization').changes)).toEqual(['+policy shop/q', '-policy shop/p']);
  expect(refusedOf(session)).toEqual([]);
});

test('a refused policy in the first state closes, too', () => {
  const session = begin();
  open(session);
  take(session, response('authorization', 'n1', ['shop/p@!', 'shop/q@!']));
  take(session, response('authorization', 'n2', [], ['shop/q']));
  expect(texts(take(session, response('address', 'n3')).changes)).toEqual(['+policy shop/p closes']);
});
