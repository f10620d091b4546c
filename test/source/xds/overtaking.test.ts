// SPDX-License-Identifier: Apache-2.0
// A short response does not wait for a long one to be read, and in the end everything is as if it had.
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { openReading, type Reading } from '../../../src/source/xds/reading.ts';
import type { Session } from '../../../src/source/xds/session.ts';
import type { Checked } from '../../../src/source/xds/types.ts';
import { openAdsServer } from '../../support/ads-server.ts';
import { encodeResponse, podResource } from '../../support/xds-messages.ts';
import { openListening, until } from './listening.ts';
import {
  begin,
  check,
  open,
  refusedOf,
  response,
  started,
  take,
  takeAndAnswer,
  takeAt,
  texts,
} from './session-parts.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const versionsOf = (session: Session) => {
  session.close();
  return open(session).map(({ initialVersions }) => Object.fromEntries(initialVersions ?? []));
};

test('what a later response told counts, and answers go out in the order in which responses came', () => {
  const session = started(['a@1', 'b@1', 'c@1']);
  const [long, short] = [session.expect(), session.expect()];
  const overtook = takeAt(session, response('address', 'n4', ['a@3', 'd@3', 'f@3'], ['b']), short);
  expect(texts(overtook.changes)).toEqual(['+workload a', '+workload d', '+workload f', '-workload b']);
  expect(session.answer(short)).toEqual([]);
  const behind = response('address', 'n3', ['a@2', 'b@2', 'c@2', 'd@!', 'e@!'], ['f']);
  const taken = takeAt(session, behind, long, 'a', 'b', 'd', 'f');
  expect(texts(taken.changes)).toEqual(['+workload c']);
  const [nack, ack] = session.answer(long);
  expect(nack?.error?.message).toBe('d: ! is bad; so is this; e: ! is bad; so is this');
  expect(ack).toEqual({ type: 'address', nonce: 'n4' });
  expect(refusedOf(session).map(({ name }) => name)).toEqual(['e']);
  expect(session.status()[0]).toMatchObject({ systemVersion: 'of n4' });
  expect(versionsOf(session)[0]).toEqual({ a: '3', c: '2', d: '3', f: '3' });
});

test('order may be left only once both types have answered on the stream', () => {
  const session = begin();
  open(session);
  expect(session.following).toBe(false);
  takeAndAnswer(session, response('address', 'n1', ['a@1']));
  expect(session.following).toBe(false);
  takeAndAnswer(session, response('authorization', 'n2'));
  expect(session.following).toBe(true);
  session.close();
  expect(session.following).toBe(false);
  open(session);
  take(session, response('address', 'n3'));
  expect(session.following).toBe(false);
  expect(started([], { onDemand: true }).following).toBe(false);
});

const names = ['a', 'b', 'c', 'd'];
const put = fc.record({ name: fc.constantFrom(...names), flavour: fc.constantFrom('w', 's', '!') });
const pushed = fc.record({ puts: fc.array(put, { maxLength: 5 }), gone: fc.subarray(names) });
type Pushed = typeof pushed extends fc.Arbitrary<infer T> ? T : never;

test('any two responses', () => {
  const good = put.filter(({ flavour }) => flavour !== '!');
  const first = fc.uniqueArray(good, { selector: ({ name }) => name });
  const short = fc.record({ puts: fc.array(good, { maxLength: 5 }), gone: fc.subarray(names) });
  const run = (before: Pushed['puts'], long: Pushed, small: Pushed, overtakes: boolean) => {
    const list = ({ puts }: Pick<Pushed, 'puts'>, of: number) =>
      puts.map(({ name, flavour }) => `${name}@${flavour}${of}`);
    const session = started(list({ puts: before }, 0));
    const there = new Set(before.map(({ name, flavour }) => `${flavour === 's' ? 'service' : 'workload'} ${name}`));
    const places = [session.expect(), session.expect()] as const;
    const longOne = response('address', 'n3', list(long, 1), long.gone);
    const smallOne = response('address', 'n4', list(small, 2), small.gone);
    const later = [...small.puts.map(({ name }) => name), ...small.gone];
    const taken = overtakes
      ? [takeAt(session, smallOne, places[1]), takeAt(session, longOne, places[0], ...later)]
      : [takeAt(session, longOne, places[0]), takeAt(session, smallOne, places[1])];
    for (const { changes } of taken) {
      for (const text of texts(changes) ?? []) {
        if (text.startsWith('+')) there.add(text.slice(1));
        else there.delete(text.slice(1));
      }
    }
    return {
      there: [...there].sort(),
      refused: refusedOf(session)
        .map(({ name }) => name)
        .sort(),
      answers: places.flatMap((place) => session.answer(place)).map(({ nonce, error }) => [nonce, error !== undefined]),
      versions: versionsOf(session)[0],
    };
  };
  fc.assert(
    fc.property(first, pushed, short, (before, long, small) => {
      expect(run(before, long, small, true)).toEqual(run(before, long, small, false));
    }),
    { numRuns: 2000 },
  );
});

test('in the middle of a long one that is being taken in', () => {
  const list = (from: number, count: number, version: string) =>
    Array.from({ length: count }, (_, i) => `n${from + i}@${version}`);
  const run = (stepsBefore: number) => {
    const session = started(list(0, 4000, 'w0'));
    const [long, short] = [session.expect(), session.expect()];
    const given = response('address', 'n3', list(2000, 3000, 'w1'), ['n0', 'n1', 'n2']);
    const checked = given.resources.map((raw) => check('address', raw));
    const steps = session.take(given, { at: 1, bytes: 1, place: long }, checked);
    let taken = false;
    const takeShort = () => {
      taken = true;
      takeAt(session, response('address', 'n4', ['n100@s2', 'm@w2'], ['n101', 'n7']), short);
    };
    for (let i = 0; ; i++) {
      if (i === stepsBefore) takeShort();
      if (steps.next().done) break;
    }
    if (!taken) takeShort();
    return { answers: [session.answer(short), session.answer(long)], versions: versionsOf(session)[0] };
  };
  const inOrder = run(Number.POSITIVE_INFINITY);
  for (const steps of [0, 1, 3, 4, 5]) expect(run(steps)).toEqual(inOrder);
});

const numbered = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, i) => podResource(`${prefix}-${i}`, '10.0.0.1'));
const typeUrl = 'type.googleapis.com/istio.workload.Address';
const bytesOf = (nonce: string, prefix: string, count: number) =>
  encodeResponse({ typeUrl, nonce, systemVersionInfo: '', resources: numbered(prefix, count), removedResources: [] });
const many = 20_000;

/** Nonces in the order in which what came was taken in. */
async function orderOf(given: readonly Uint8Array[], mayOvertake: boolean): Promise<string[]> {
  const order: string[] = [];
  const session = started([]);
  let turn: Promise<unknown> = Promise.resolve();
  const reading: Reading = openReading({
    check: (_type, { name }) =>
      (name.includes('bad') ? { ok: false, faults: ['bad'] } : { ok: true }) as unknown as Checked,
    mayOvertake: () => mayOvertake,
    async take({ response: { nonce }, later }) {
      order.push(later.size > 0 ? `${nonce} without ${later.size}` : nonce);
    },
    inTurn(work) {
      const result = turn.then(work);
      turn = result;
      return result;
    },
  });
  for (const bytes of given) void reading.add({ bytes, at: 0, place: session.expect(), over: () => {} });
  await reading.idle();
  return order;
}

test.each([
  [
    'short ones overtake long ones, in their order',
    [many, 1, 2, many, 1],
    true,
    ['1', '2', '4', '0 without 4', '3 without 1'],
  ],
  ['not before everything was told once', [many, 1, many], false, ['0', '1', '2']],
  ['short ones by themselves', [1, 1, 1], true, ['0', '1', '2']],
])('%s', async (_name, counts, mayOvertake, order) => {
  const given = counts.map((count, i) => bytesOf(String(i), `p${i}`, count));
  expect(await orderOf(given, mayOvertake)).toEqual(order);
});

test('one with a fault does not overtake, nor do those after it', async () => {
  const given = [bytesOf('0', 'p', many), bytesOf('1', 'bad', 1), bytesOf('2', 'q', 1)];
  expect(await orderOf(given, true)).toEqual(['0', '1', '2']);
});

test('a pod that changes while thousands are read is told before them', async () => {
  const server = await openAdsServer({
    onRequest(stream, request) {
      if (request.responseNonce !== '') return;
      const nonce = request.typeUrl === typeUrl ? 'a1' : 'p1';
      stream.send({ typeUrl: request.typeUrl, nonce, systemVersionInfo: '', resources: [], removedResources: [] });
    },
  });
  closers.push(() => server.close());
  const listening = openListening({ port: server.port });
  closers.push(() => listening.close());
  const answered = () => server.streams[0]?.requests.map(({ responseNonce }) => responseNonce).filter((n) => n !== '');
  await until(() => answered()?.length === 2);
  server.streams[0]?.sendBytes(bytesOf('a2', 'p', many));
  server.streams[0]?.sendBytes(bytesOf('a3', 'one', 1));
  await until(() => answered()?.length === 4);
  expect(listening.news.map(({ changes }) => changes.length)).toEqual([0, 1, many]);
  expect(answered()?.slice(2)).toEqual(['a2', 'a3']);
});
