// SPDX-License-Identifier: Apache-2.0
// The protocol on demand, by tables.
import { expect, test } from 'vitest';
import type { Session } from '../../../src/source/xds/session.ts';
import { begin, done, node, open, response, take, texts } from './session-parts.ts';

const onDemand = { onDemand: true };
const subscribe = (...names: string[]) => ({ type: 'address', subscribe: names });
const unsubscribe = (...names: string[]) => ({ type: 'address', unsubscribe: names });

/** A stream whose first responses have come, both empty. */
function running(): Session {
  const session = begin(onDemand);
  open(session);
  take(session, response('address', 'n1'));
  take(session, response('authorization', 'n2'));
  return session;
}

test('the first request takes back what it asks for; policies are asked for whole', () => {
  expect(open(begin(onDemand))).toEqual([
    { type: 'address', node, subscribe: ['*'], unsubscribe: ['*'] },
    { type: 'authorization', node, subscribe: [] },
  ]);
});

test('the first, empty response counts as the whole state', () => {
  const session = begin(onDemand);
  open(session);
  take(session, response('address', 'n1'));
  expect(take(session, response('authorization', 'n2')).first).toBe(true);
});

test('a name is asked for once', () => {
  const session = running();
  expect(session.want(['/10.0.0.1', '/10.0.0.1'])).toEqual({ requests: [subscribe('/10.0.0.1')], present: [] });
  expect(session.want(['/10.0.0.1'])).toEqual({ requests: [], present: [] });
  expect(session.demanded).toBe(1);
});

test('what comes answers by its name and its other names', () => {
  const session = running();
  session.want(['/10.1.0.1', '/10.9.9.9']);
  const taken = take(
    session,
    response('address', 'n3', ['shop/cart@s1=/10.1.0.1', 'uid-a@1=/10.0.0.1'], ['/10.9.9.9']),
  );
  expect([...taken.present]).toEqual(['shop/cart', '/10.1.0.1', 'uid-a', '/10.0.0.1']);
  expect(taken.absent).toEqual(['/10.9.9.9']);
  expect(session.absent).toBe(1);
});

test('what is known already is not asked for', () => {
  const session = running();
  session.want(['/10.1.0.1']);
  take(session, response('address', 'n3', ['shop/cart@s1=/10.1.0.1', 'uid-a@1=/10.0.0.1']));
  const names = ['shop/cart', '/10.0.0.1', '/10.1.0.1', 'uid-a'];
  expect(session.want(names)).toEqual({ requests: [], present: names });
});

test('what is asked for again leaves the list of the server first', () => {
  const session = running();
  session.want(['/10.0.0.1']);
  take(session, response('address', 'n3', [], ['/10.0.0.1']));
  expect(session.want(['/10.0.0.1']).requests).toEqual([]);
  expect(session.again(['/10.0.0.1', '/10.0.0.2']).requests).toEqual([
    unsubscribe('/10.0.0.1'),
    subscribe('/10.0.0.1', '/10.0.0.2'),
  ]);
  expect(session.absent).toBe(0);
});

test('a service that came along is on the list by its name', () => {
  const session = running();
  session.want(['/10.1.0.1']);
  take(session, response('address', 'n3', ['shop/cart@s1=/10.1.0.1']));
  expect(session.again(['shop/cart'])).toEqual({
    requests: [unsubscribe('shop/cart'), subscribe('shop/cart')],
    present: ['shop/cart'],
  });
});

test('a name that is wanted no more', () => {
  const session = running();
  session.want(['/10.1.0.1', '/10.9.9.9']);
  take(session, response('address', 'n3', ['shop/cart@s1=/10.1.0.1'], ['/10.9.9.9']));
  expect(session.unwant(['/10.1.0.1', '/10.9.9.9', '/10.3.3.3'])).toEqual([unsubscribe('/10.1.0.1', '/10.9.9.9')]);
  expect([session.demanded, session.absent, session.held]).toEqual([0, 0, 1]);
  // The server goes on telling what is held, so that stays on its list.
  session.want(['shop/cart']);
  expect(session.unwant(['shop/cart'])).toEqual([]);
});

test('a resource that goes leaves its other names without answer, unless another has them', () => {
  const session = running();
  session.want(['/10.0.0.1', '/10.0.0.2', '/10.0.0.3']);
  take(session, response('address', 'n3', ['a@1=/10.0.0.1=/10.0.0.3', 'b@1=/10.0.0.2=/10.0.0.3']));
  expect(take(session, response('address', 'n4', [], ['a'])).absent.toSorted()).toEqual(['/10.0.0.1', 'a']);
  expect(take(session, response('address', 'n5', ['b@2=/10.0.0.2'])).absent).toEqual(['/10.0.0.3']);
  expect(session.absent).toBe(2);
});

test('an address that moves from one resource to another within a response is there', () => {
  const session = running();
  session.want(['/10.0.0.1']);
  take(session, response('address', 'n3', ['a@1=/10.0.0.1']));
  expect(take(session, response('address', 'n4', ['b@1=/10.0.0.1'], ['a'])).absent).toEqual(['a']);
});

test('wishes without a stream go with the first request of the next one', () => {
  const session = running();
  session.want(['/10.0.0.1', '/10.0.0.2']);
  take(session, response('address', 'n3', ['a@1=/10.0.0.1'], ['/10.0.0.2']));
  session.close();
  expect(session.want(['/10.0.0.3']).requests).toEqual([]);
  expect(session.again(['/10.0.0.2']).requests).toEqual([]);
  expect(session.unwant(['/10.9.9.9'])).toEqual([]);
  const [first] = open(session);
  expect(first).toMatchObject({ subscribe: ['*', '/10.0.0.1', '/10.0.0.2', '/10.0.0.3'], unsubscribe: ['*'] });
  expect([...(first?.initialVersions ?? [])]).toEqual([['a', '1']]);
  // They are on the list now.
  expect(session.unwant(['/10.0.0.3'])).toEqual([unsubscribe('/10.0.0.3')]);
});

test('what is wanted before the first stream is answered before anything is told', () => {
  const session = begin(onDemand);
  session.want(['/10.0.0.1', 'shop/cart', 'uid-x']);
  open(session);
  take(session, response('authorization', 'n1', ['p@']));
  expect(take(session, response('address', 'n2', ['a@1=/10.0.0.1'])).changes).toBeUndefined();
  session.want(['/10.0.0.9']);
  expect(take(session, response('address', 'n3', ['shop/cart@s1'])).changes).toBeUndefined();
  const last = take(session, response('address', 'n4', [], ['uid-x']));
  expect(texts(last.changes)?.toSorted()).toEqual(['+policy p', '+service shop/cart', '+workload a']);
});

test('but not for ever', () => {
  const session = begin(onDemand);
  session.want(['/10.0.0.1']);
  open(session);
  take(session, response('address', 'n1', ['a@1']));
  expect(done(session.stopWaiting())).toBeUndefined();
  expect(texts(take(session, response('authorization', 'n2')).changes)).toEqual(['+workload a']);

  const other = begin(onDemand);
  other.want(['/10.0.0.1']);
  open(other);
  take(other, response('address', 'n1', ['a@1']));
  take(other, response('authorization', 'n2'));
  expect(texts(done(other.stopWaiting()))).toEqual(['+workload a']);
  expect(done(other.stopWaiting())).toBeUndefined();
});

test('a resource that is refused is there all the same: asking again does not help', () => {
  const session = running();
  session.want(['/10.0.0.1']);
  const taken = take(session, response('address', 'n3', ['a@!=/10.0.0.1']));
  expect([[...taken.present], taken.absent]).toEqual([['a', '/10.0.0.1'], []]);
});

test('names count in the room of a request: what has none goes in further ones, before anything else', () => {
  const maxRequestBytes = 2 * JSON.stringify(node).length + 60;
  const session = begin({ ...onDemand, maxRequestBytes });
  const names = Array.from({ length: 10 }, (_, i) => `/10.0.0.${i}`);
  session.want(names);
  const [first, second, ...more] = open(session);
  expect([first?.subscribe, second?.type]).toEqual([['*', ...names.slice(0, 3)], 'authorization']);
  expect(more.length).toBeGreaterThan(2);
  expect(more.flatMap(({ subscribe }) => subscribe)).toEqual(names.slice(3));
  expect(more.every((request) => request.type === 'address' && request.node === undefined)).toBe(true);
  // Nothing is told before all of them are answered.
  take(session, response('authorization', 'n1'));
  expect(take(session, response('address', 'n2', [], names.slice(0, 3))).changes).toBeUndefined();
  expect(take(session, response('address', 'n3', [], names.slice(3))).changes).toEqual([]);
  // They take the room of versions.
  session.close();
  expect(open(session)[0]?.initialVersions).toBeUndefined();
});

test('many names at once go in several requests, each list in its turn', () => {
  const session = begin({ ...onDemand, maxRequestBytes: 2 * JSON.stringify(node).length + 60 });
  open(session);
  const names = Array.from({ length: 100 }, (_, i) => `/10.0.0.${i}`);
  const { requests } = session.want(names);
  expect(requests.length).toBeGreaterThan(3);
  expect(requests.flatMap(({ subscribe }) => subscribe)).toEqual(names);
  const again = session.again(names).requests;
  const taken = again.filter(({ unsubscribe }) => unsubscribe !== undefined);
  expect(again.slice(0, taken.length)).toEqual(taken);
  expect(taken.flatMap(({ unsubscribe }) => unsubscribe)).toEqual(names);
  expect(again.slice(taken.length).flatMap(({ subscribe }) => subscribe)).toEqual(names);
  expect(session.unwant(names).length).toBe(taken.length);
});
