// SPDX-License-Identifier: Apache-2.0
// The protocol by tables: what is answered, held, refused and reported.
import { expect, test } from 'vitest';
import { maxNackBytes, nackMessage } from '../../../src/source/xds/nack.ts';
import { most, openRefusedList } from '../../../src/source/xds/refused-list.ts';
import {
  begin,
  node,
  open,
  refusedOf,
  response,
  settle,
  started,
  take,
  takeAndAnswer,
  texts,
} from './session-parts.ts';

const ack = (type: string, nonce: string) => ({ type, nonce });
const versionsOf = (requests: ReturnType<typeof open>) =>
  requests.map(({ initialVersions }) => Object.fromEntries(initialVersions ?? []));

test('a stream begins with one request of each type, with the node', () => {
  expect(open(begin())).toEqual([
    { type: 'address', node, subscribe: [] },
    { type: 'authorization', node, subscribe: [] },
  ]);
});

test('nothing is told before both types have answered; the first is acknowledged at once', () => {
  const session = begin();
  open(session);
  const first = takeAndAnswer(session, response('address', 'n1', ['a@1', 'b@s1']));
  expect(first.taken.changes).toBeUndefined();
  expect(first.sent).toEqual([ack('address', 'n1')]);
  expect(session.complete).toBe(false);
  const second = take(session, response('authorization', 'n2', ['p@']));
  expect(second.first).toBe(true);
  expect(texts(second.changes)).toEqual(['+workload a', '+service b', '+policy p']);
  expect(session.complete).toBe(true);
});

test.each([
  ['policies first', ['authorization', 'address']],
  ['addresses first', ['address', 'authorization']],
] as const)('both orders: %s', (_name, order) => {
  const session = begin();
  open(session);
  const changes = order.map((type, i) => take(session, response(type, `n${i}`, ['x@1'])).changes);
  expect(texts(changes[1])?.toSorted()).toEqual(['+policy x', '+workload x']);
});

test('an empty first state is a state', () => {
  const session = begin();
  open(session);
  take(session, response('address', 'n1'));
  expect(take(session, response('authorization', 'n2'))).toMatchObject({ first: true, changes: [] });
});

test('what changes while the first state is waited for is folded into it', () => {
  const session = begin();
  open(session);
  take(session, response('address', 'n1', ['a@1', 'b@1', 'c@1', 'd@1']));
  take(session, response('address', 'n2', ['b@2', 'd@s2'], ['a']));
  const { changes } = take(session, response('authorization', 'n3'));
  expect(texts(changes)?.toSorted()).toEqual(['+service d', '+workload b', '+workload c']);
});

test('an answer is sent once what it answers is applied, in the order of the responses', () => {
  const session = started([]);
  const one = take(session, response('address', 'n3', ['a@1']));
  const two = take(session, response('authorization', 'n4', ['p@']));
  const three = take(session, response('address', 'n5', ['b@1']));
  if (!one.answer || !two.answer || !three.answer) throw new Error('no answers');
  expect(session.answer(two.answer)).toEqual([]);
  expect(session.answer(one.answer)).toEqual([ack('address', 'n3'), ack('authorization', 'n4')]);
  expect(session.answer(three.answer)).toEqual([ack('address', 'n5')]);
});

test('an answer to an earlier stream is not sent', () => {
  const session = started([]);
  const { answer } = take(session, response('address', 'n3', ['a@1']));
  session.close();
  if (!answer) throw new Error('no answer');
  expect(session.answer(answer)).toEqual([]);
  open(session);
  expect(session.answer(answer)).toEqual([]);
});

const tables: readonly {
  readonly name: string;
  readonly before: readonly string[];
  readonly resources?: readonly string[];
  readonly removed?: readonly string[];
  readonly changes: readonly string[];
  readonly held: Readonly<Record<string, string>>;
  readonly nack?: string;
  readonly refused?: readonly string[];
}[] = [
  { name: 'nothing', before: ['a@1'], changes: [], held: { a: '1' } },
  { name: 'a new one', before: ['a@1'], resources: ['b@1'], changes: ['+workload b'], held: { a: '1', b: '1' } },
  { name: 'another version', before: ['a@1'], resources: ['a@2'], changes: ['+workload a'], held: { a: '2' } },
  { name: 'a removal', before: ['a@1', 'b@s1'], removed: ['a', 'b'], changes: ['-workload a', '-service b'], held: {} },
  { name: 'a removal of what is not there', before: ['a@1'], removed: ['x', ''], changes: [], held: { a: '1' } },
  { name: 'a removal twice', before: ['a@1'], removed: ['a', 'a'], changes: ['-workload a'], held: {} },
  {
    name: 'puts come before removals',
    before: ['a@1'],
    resources: ['b@1'],
    removed: ['a'],
    changes: ['+workload b', '-workload a'],
    held: { b: '1' },
  },
  {
    name: 'put and removed at once',
    before: ['a@1'],
    resources: ['a@2'],
    removed: ['a'],
    changes: ['-workload a'],
    held: {},
  },
  {
    name: 'a name twice',
    before: [],
    resources: ['a@1', 'b@1', 'a@2'],
    changes: ['+workload a', '+workload b'],
    held: { a: '2', b: '1' },
  },
  {
    name: 'a name twice, the last one bad',
    before: [],
    resources: ['a@1', 'a@2!'],
    changes: [],
    held: {},
    nack: 'a: 2! is bad; so is this',
    refused: ['a'],
  },
  {
    name: 'a name twice, the first one bad',
    before: [],
    resources: ['a@1!', 'a@2'],
    changes: ['+workload a'],
    held: { a: '2' },
  },
  {
    name: 'a workload that becomes a service',
    before: ['a@1'],
    resources: ['a@s2'],
    changes: ['+service a', '-workload a'],
    held: { a: 's2' },
  },
  {
    name: 'every fault of every bad one, the good ones applied',
    before: ['a@1'],
    resources: ['a@2!', 'b@1', 'c@!'],
    changes: ['+workload b'],
    held: { a: '1', b: '1' },
    nack: 'a: 2! is bad; so is this; c: ! is bad; so is this',
    refused: ['a (an older one is kept)', 'c'],
  },
];

test.each(tables)('a response: $name', ({ before, resources, removed, changes, held, nack, refused }) => {
  const session = started(before);
  const { taken, sent } = takeAndAnswer(session, response('address', 'n3', resources, removed));
  expect(texts(taken.changes)).toEqual(changes);
  expect(sent).toEqual([{ ...ack('address', 'n3'), ...(nack !== undefined && { error: { code: 3, message: nack } }) }]);
  const kept = refusedOf(session).map((r) => (r.kept ? `${r.name} (an older one is kept)` : r.name));
  expect(kept).toEqual(refused ?? []);
  session.close();
  expect(versionsOf(open(session))).toEqual([held, {}]);
});

test('a resource is refused until it is good, or gone', () => {
  const session = started(['a@1']);
  take(session, response('address', 'n3', ['a@2!', 'b@1!', 'c@1!']));
  expect(session.status()[0]).toMatchObject({ held: 1, rejected: 3, refused: [{ name: 'a', kept: true }, {}, {}] });
  take(session, response('address', 'n4', ['a@3'], ['b']));
  expect(refusedOf(session).map(({ name }) => name)).toEqual(['c']);
});

test('policies are removed by their key, and reported without version', () => {
  const session = started([]);
  take(session, response('authorization', 'n3', ['shop/p@', 'shop/q@']));
  expect(texts(take(session, response('authorization', 'n4', [], ['shop/p'])).changes)).toEqual(['-policy shop/p']);
  session.close();
  expect(versionsOf(open(session))).toEqual([{}, { 'shop/q': '' }]);
});

test.each([
  ['the nonce of before', ['n2', 'n2'], ['n2', 'n2']],
  ['an unheard-of one', ['zzz'], ['zzz']],
  ['none at all: there is nothing to answer to', ['', 'n4'], ['n4']],
])('nonces are echoed as they are: %s', (_name, nonces, answered) => {
  const session = started([]);
  const sent = nonces.flatMap((nonce, i) => takeAndAnswer(session, response('address', nonce, [`a${i}@1`])).sent);
  expect(sent).toEqual(answered.map((nonce) => ack('address', nonce)));
  expect(session.held).toBe(nonces.length);
});

test('a type that was not asked for is neither taken nor answered', () => {
  const session = started(['a@1']);
  const { taken, sent } = takeAndAnswer(session, response('other', 'n3', ['b@1'], ['a']));
  expect(taken).toMatchObject({ type: undefined, changes: undefined, refusals: [] });
  expect(sent).toEqual([]);
  expect(session.held).toBe(1);
});

test('what came is counted', () => {
  const session = started(['a@1', 'b@!']);
  expect(session.status()).toEqual([
    {
      type: 'address',
      complete: true,
      held: 1,
      lastResponseAt: 1000,
      systemVersion: 'of n1',
      responses: 1,
      bytes: 100,
      acks: 0,
      nacks: 1,
      rejected: 1,
      refusedNow: 1,
      refused: [{ name: 'b', faults: ['! is bad', 'so is this'], kept: false }],
    },
    {
      type: 'authorization',
      complete: true,
      held: 0,
      lastResponseAt: 1000,
      systemVersion: 'of n2',
      responses: 1,
      bytes: 100,
      acks: 1,
      nacks: 0,
      rejected: 0,
      refusedNow: 0,
      refused: [],
    },
  ]);
});

test('one type says nothing while the other changes: only what is there is kept', () => {
  const session = begin();
  open(session);
  for (let i = 0; i < 1000; i++) {
    take(session, response('address', `n${i}`, [`a${i}@1`, 'b@1'], i > 0 ? [`a${i - 1}`] : []));
  }
  const { changes } = take(session, response('authorization', 'p'));
  expect(texts(changes)?.toSorted()).toEqual(['+workload a999', '+workload b']);
});

test('however many are refused, the list of them stays short', () => {
  const session = started([]);
  const count = most.names + 50;
  const bad = Array.from({ length: count }, (_, i) => `a${i}@!`);
  take(session, response('address', 'n3', bad));
  const [status] = session.status();
  expect([status?.refusedNow, status?.refused.length]).toEqual([count, most.listed]);
  take(session, response('address', 'n4', ['a0@1'], ['a1']));
  expect(session.status()[0]?.refusedNow).toBe(count - 2);
  session.close();
  open(session);
  take(session, response('address', 'n5', ['a2@!']));
  settle(session);
  expect(session.status()[0]?.refusedNow).toBe(1);
});

test('faults of what is refused are told in short', () => {
  const list = openRefusedList();
  list.add({ name: 'a', faults: Array.from({ length: 12 }, () => 'x'.repeat(400)), kept: false });
  const [told] = list.listed();
  expect(told?.faults).toHaveLength(11);
  expect(told?.faults.at(-1)).toBe('and 2 more');
  expect(told?.faults[0]).toHaveLength(301);
});

test('the text of a NACK is cut', () => {
  const many = Array.from({ length: 10_000 }, (_, i) => ({
    name: `shop/name-${i}`,
    faults: ['addresses[0]: 3 bytes'],
  }));
  const text = nackMessage(many);
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(maxNackBytes);
  expect(text).toMatch(/^shop\/name-0: addresses\[0\]: 3 bytes; shop\/name-1: .*; and \d+ more resources$/s);
  const long = nackMessage([{ name: 'é'.repeat(maxNackBytes), faults: ['x'] }, ...many.slice(0, 1)]);
  expect(Buffer.byteLength(long)).toBeLessThanOrEqual(maxNackBytes);
  expect(long).toMatch(/^é+…; and 1 more resource$/);
});
