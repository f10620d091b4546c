// SPDX-License-Identifier: Apache-2.0
// The protocol over several streams: what is said to be held, what counts as gone, and what could not be told.
import { expect, test } from 'vitest';
import { begin, node, open, refusedOf, response, settle, started, take, texts } from './session-parts.ts';

const versionsOf = (requests: ReturnType<typeof open>) =>
  requests.map(({ initialVersions }) => Object.fromEntries(initialVersions ?? []));

test('after a reconnect only what is refused again counts as refused', () => {
  const session = started(['a@1']);
  take(session, response('address', 'n3', ['a@2!', 'b@1!', 'c@1!']));
  session.close();
  open(session);
  expect(refusedOf(session).map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  take(session, response('address', 'n4', ['a@2!']));
  expect(session.unsettled).toEqual(['address']);
  expect(refusedOf(session).map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  settle(session);
  expect(session.unsettled).toEqual([]);
  expect(refusedOf(session).map(({ name }) => name)).toEqual(['a']);
});

/** Room for two entries beside the node. */
const maxRequestBytes = 2 * JSON.stringify(node).length + 44;

test('versions for which a request has no room: what does not come again, in any part of the answer, is gone', () => {
  const session = started(['aa@1', 'bb@1', 'cc@1', 'dd@1', 'ee@1'], { maxRequestBytes });
  session.close();
  expect(versionsOf(open(session))[0]).toEqual({ aa: '1', bb: '1' });
  expect(session.unsettled).toEqual([]);
  // Of those reported the server says what changed; of the others it sends all there are, perhaps in several responses.
  const { changes } = take(session, response('address', 'n3', ['cc@1'], ['bb']));
  expect(texts(changes)).toEqual(['+workload cc', '-workload bb']);
  expect(texts(take(session, response('address', 'n4', ['ee@1', 'ff@1'])).changes)).toEqual([
    '+workload ee',
    '+workload ff',
  ]);
  expect(session.unsettled).toEqual(['address']);
  expect(texts(settle(session).changes)).toEqual(['-workload dd']);
  expect([session.unsettled, session.held]).toEqual([[], 4]);
});

test('a stream that ends before it is sure what is gone takes nothing away', () => {
  const session = started(['aa@1', 'bb@1', 'cc@1'], { maxRequestBytes });
  session.close();
  open(session);
  take(session, response('address', 'n3'));
  session.close();
  expect(versionsOf(open(session))[0]).toEqual({ aa: '1', bb: '1' });
  take(session, response('address', 'n4', ['cc@1']));
  expect(texts(settle(session).changes)).toEqual([]);
  expect(session.held).toBe(3);
});

test('a refused resource for which there was no room stays: the server has it', () => {
  const session = started(['aa@1', 'bb@1', 'cc@1'], { maxRequestBytes });
  session.close();
  open(session);
  expect(texts(take(session, response('address', 'n3', ['cc@2!'])).changes)).toEqual([]);
  settle(session);
  expect(session.held).toBe(3);
});

test('bytes of names count as they are sent', () => {
  const session = started(['éé@1', 'üü@1', 'cc@1'], { maxRequestBytes });
  session.close();
  expect(versionsOf(open(session))[0]).toEqual({ éé: '1', üü: '1' });
  const less = started(['日本@1', 'bb@1'], { maxRequestBytes: maxRequestBytes - 22 });
  less.close();
  expect(versionsOf(open(less))[0]).toEqual({});
});

test('what could not be told counts as not held, and comes again', () => {
  const session = started(['a@1', 'b@s1', 'c@1']);
  session.lose(take(session, response('address', 'n3', ['a@2', 'd@1'], ['b'])));
  session.close();
  expect(versionsOf(open(session))[0]).toEqual({ c: '1' });
  // The server has no b: it cannot say so, but does not tell it either.
  // As which kind a name is known is not sure either.
  expect(texts(take(session, response('address', 'n4', ['a@2'])).changes)).toEqual(['+workload a', '-service a']);
  expect(texts(settle(session).changes)?.toSorted()).toEqual([
    '-service b',
    '-service d',
    '-workload b',
    '-workload d',
  ]);
  session.close();
  expect(versionsOf(open(session))[0]).toEqual({ a: '2', c: '1' });
});

test('a first state that could not be told is asked for anew, whole', () => {
  const session = begin();
  open(session);
  take(session, response('address', 'n1', ['a@1', 'x@!']));
  session.lose(take(session, response('authorization', 'n2', ['p@'])));
  expect(session.complete).toBe(false);
  expect(refusedOf(session)).toEqual([]);
  session.close();
  expect(versionsOf(open(session))).toEqual([{}, {}]);
  expect(take(session, response('address', 'n3', ['a@1'])).changes).toBeUndefined();
  const second = take(session, response('authorization', 'n4', ['p@']));
  expect([second.first, texts(second.changes)]).toEqual([true, ['+workload a', '+policy p']]);
});
