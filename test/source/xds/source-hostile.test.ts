// SPDX-License-Identifier: Apache-2.0
// The source against control planes that do what none should: nothing crashes or hangs it, and what was held stays.
import { expect, test } from 'vitest';
import { realTimers } from '../../../src/source/timers.ts';
import { patienceMs } from '../../../src/source/xds/intake.ts';
import { connectMs, leavingMs, maxMessageBytes } from '../../../src/source/xds/transport.ts';
import { typeUrls } from '../../../src/source/xds/types.ts';
import { type AdsServerOptions, type AdsStream, prefixOf } from '../../support/ads-server.ts';
import {
  type AdsResponse,
  encodeResponse,
  garbageOf,
  podResource,
  serviceResource,
} from '../../support/xds-messages.ts';
import { listen, serve } from './lasting.ts';
import { until } from './listening.ts';

const pod = (name: string, ip: string) => `workload ${podResource(name, ip).name}`;
const podA = pod('a', '10.0.0.1');
const podB = pod('b', '10.0.0.2');
const addresses = (nonce: string, more: Partial<AdsResponse> = {}): AdsResponse => ({
  typeUrl: typeUrls.address,
  nonce,
  ...more,
});
const policies: AdsResponse = { typeUrl: typeUrls.authorization, nonce: 'p1' };

/** Says on each stream that pod a is all there is, then goes on as `then` says. */
async function wellBegun(then: (stream: AdsStream, streams: number) => unknown, options: AdsServerOptions = {}) {
  let streams = 0;
  const server = await serve({
    ...options,
    onStream(stream) {
      stream.send(addresses('a1', { resources: [podResource('a', '10.0.0.1')] }));
      stream.send(policies);
      then(stream, ++streams);
    },
  });
  const listening = listen({ port: server.port });
  await until(() => listening.state().includes(podA));
  return { server, listening };
}
/** What shows that the source is well: a change is taken. */
const another = addresses('a2', { resources: [podResource('b', '10.0.0.2')] });

test('garbage in a resource refuses that one; the others count', async () => {
  const { server, listening } = await wellBegun((stream) => {
    const resources = [
      garbageOf('address', 'shop/bad'),
      podResource('b', '10.0.0.2'),
      serviceResource('cart', '1.2.3.4'),
    ];
    stream.send(addresses('a2', { resources }));
  });
  await until(() => listening.state().length === 3);
  await until(() => (server.streams[0]?.requests.length ?? 0) === 5);
  const nack = server.streams[0]?.requests.at(-1);
  expect(nack).toMatchObject({ responseNonce: 'a2', errorDetail: { code: 3 } });
  expect(nack?.errorDetail?.message).toMatch(/^shop\/bad: /);
  const [status] = listening.source.status().types;
  expect(status).toMatchObject({ nacks: 1, rejected: 1, refused: [{ name: 'shop/bad', kept: false }] });
});

test.each([
  ['bytes that are no response', Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
  ['a response that is cut', Buffer.from(encodeResponse(another)).subarray(0, 40)],
])('%s end the stream, and the next one goes on', async (_name, bytes) => {
  const { server, listening } = await wellBegun((stream, streams) => {
    if (streams === 1) stream.sendBytes(bytes);
    else stream.send(another);
  });
  await until(() => listening.state().includes(podB));
  expect(listening.state()).toEqual([podA, podB]);
  expect(server.streams.length).toBe(2);
  expect(listening.source.status().lastFault).toMatch(/^a response cannot be read: /);
  const { initialResourceVersions: versions } = server.streams[1]?.requests[0] ?? { initialResourceVersions: {} };
  expect(Object.keys(versions)).toEqual(['Kubernetes//Pod/shop/a']);
});

test.each([
  ['the stream is reset', (stream: AdsStream) => stream.reset()],
  ['the connection is dropped', (stream: AdsStream) => stream.dropConnection()],
  ['the stream is closed in good order', (stream: AdsStream) => stream.end()],
])('half a response, then %s', async (_name, stop) => {
  const { server, listening } = await wellBegun(async (stream, streams) => {
    const message = encodeResponse(another);
    const half = Buffer.concat([prefixOf(message), message.subarray(0, message.length / 2)]);
    if (streams > 1) return;
    await stream.sendRaw(half);
    stop(stream);
  });
  await until(() => server.streams.length === 2 && listening.source.status().connected);
  expect(listening.state()).toEqual([podA]);
});

test('a response that comes byte by byte', async () => {
  const { listening } = await wellBegun(async (stream) => {
    const message = encodeResponse(another);
    for (const byte of Buffer.concat([prefixOf(message), message])) {
      await stream.sendRaw(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  await until(() => listening.state().includes(podB));
});

test('nonces that are empty, alike or made up', async () => {
  const { server, listening } = await wellBegun((stream) => {
    stream.send(addresses('', { resources: [podResource('c', '10.0.0.3')] }));
    stream.send(addresses('a1', { resources: [podResource('d', '10.0.0.4')] }));
    stream.send(another);
  });
  await until(() => (server.streams[0]?.requests.length ?? 0) === 6);
  const sent = server.streams[0]?.requests.map((r) => r.responseNonce);
  expect(sent).toEqual(['', '', 'a1', 'p1', 'a1', 'a2']);
  expect(listening.state().length).toBe(4);
});

test('types that nobody asked for', async () => {
  const { server, listening } = await wellBegun((stream) => {
    for (let i = 0; i < 50; i++) stream.send({ typeUrl: `type.googleapis.com/other-${i}`, nonce: 'x' });
    stream.send({ typeUrl: '', nonce: '' });
    stream.sendBytes(new Uint8Array());
    stream.send(another);
  });
  await until(() => listening.state().includes(podB));
  expect(server.streams.length).toBe(1);
  expect(server.streams[0]?.requests.some(({ responseNonce }) => responseNonce === 'x')).toBe(false);
  expect(listening.logged.filter(({ message }) => message.includes('not asked for')).length).toBe(10);
});

test('answers before anything was asked', async () => {
  const server = await serve({
    onStream(stream) {
      stream.send(policies);
      stream.send(another);
    },
  });
  const listening = listen({ port: server.port });
  await until(() => listening.state().includes(podB));
  await until(() => server.streams[0]?.requests.length === 4);
});

test.each([
  [7, 'PERMISSION_DENIED: no, never'],
  [8, 'RESOURCE_EXHAUSTED: no, never'],
  [13, 'INTERNAL: no, never'],
  [99, 'status 99: no, never'],
])('status %i', async (code, fault) => {
  const { server, listening } = await wellBegun((stream, streams) => {
    if (streams === 1) setTimeout(() => stream.end(code, 'no, never'), 20);
    else stream.send(another);
  });
  await until(() => listening.state().includes(podB));
  expect(listening.source.status()).toMatchObject({ connected: true, streams: 2, lastFault: fault });
  expect(server.streams.length).toBe(2);
});

test('a server that gives up old connections: the stream is used to its end, and the next one begins at once', async () => {
  const { server, listening } = await wellBegun(() => {});
  const [first] = server.streams;
  first?.goAway();
  // More than it takes to see a connection that is lost.
  await new Promise((resolve) => setTimeout(resolve, 3 * leavingMs));
  expect(listening.source.status()).toMatchObject({ connected: true, streams: 1 });
  first?.send(another);
  await until(() => first?.requests.some(({ responseNonce }) => responseNonce === 'a2') === true);
  first?.dropConnection();
  await until(() => server.streams.length === 2 && listening.source.status().connected);
  const { ended, lastFault } = listening.source.status();
  expect(ended).toEqual({ connection_error: 0, error: 0, reconnect: 0, complete: 1 });
  expect(lastFault).toBe('closed by the server');
  expect(listening.logged.filter(({ level }) => level === 'warn')).toEqual([]);
  expect(server.streams[1]?.requests[0]?.initialResourceVersions).toHaveProperty([podResource('b', '10.0.0.2').name]);
});

test('a connection that is lost is a fault', async () => {
  const { server, listening } = await wellBegun(() => {});
  server.streams[0]?.dropConnection();
  await until(() => server.streams.length === 2 && listening.source.status().connected);
  expect(listening.source.status().ended).toMatchObject({ error: 1, complete: 0 });
});

/** Timers that pass at once, as many as `most`; what was asked for is kept. Those that watch over a connection or over what is wanted are real. */
function quickTimers(most = Number.POSITIVE_INFINITY) {
  const pauses: number[] = [];
  return {
    pauses,
    after(ms: number, run: () => void) {
      if (ms === connectMs || ms === patienceMs) return realTimers.after(ms, run);
      return pauses.push(ms) > most ? () => {} : realTimers.after(1, run);
    },
  };
}
const almostOne = () => 0.999_999;

test.each([
  ['closes each stream at once', (stream: AdsStream) => stream.end()],
  ['refuses each stream', (stream: AdsStream) => stream.end(14, 'not now')],
  ['answers with garbage', (stream: AdsStream) => stream.sendBytes(Buffer.alloc(20, 0xff))],
])('a server that %s is asked at longer and longer intervals', async (_name, onStream) => {
  const server = await serve({ onStream });
  const timers = quickTimers(11);
  const listening = listen({ port: server.port, timers, random: almostOne });
  await until(() => timers.pauses.length === 12);
  expect(timers.pauses).toEqual([9, 19, 39, 79, 159, 319, 639, 1279, 2559, 5119, 10_239, 14_999]);
  expect(listening.source.status()).toMatchObject({ connected: false });
  expect(listening.news).toEqual([]);
});

test('a server that answers and then closes is asked at once, but no more than thrice a second', async () => {
  const timers = quickTimers(3);
  const server = await serve({
    onStream(stream) {
      stream.send(addresses('a1'));
      stream.end();
    },
  });
  listen({ port: server.port, timers, random: almostOne, clock: () => 0 });
  await until(() => timers.pauses.length === 4);
  // Three more streams for nothing, and one for each pause that has passed.
  expect([timers.pauses, server.streams.length]).toEqual([[9, 19, 39, 79], 7]);
});

test('a clock that is set back again and again makes it wait for nothing', async () => {
  const timers = quickTimers(3);
  const server = await serve({
    onStream(stream) {
      stream.send(addresses('a1'));
      if (server.streams.length < 8) stream.end();
    },
  });
  const time = { set: Date.now(), elapsed: 0 };
  const now = () => {
    time.set -= 3_600_000;
    return time.set;
  };
  const clock = () => {
    time.elapsed += 2000;
    return time.elapsed;
  };
  listen({ port: server.port, timers, random: almostOne, now, clock });
  await until(() => server.streams.length === 8);
  expect(timers.pauses).toEqual([]);
});

test('one type is never answered: nothing is told, nothing hangs', async () => {
  const server = await serve({
    onStream: (stream) => stream.send(addresses('a1', { resources: [podResource('a', '10.0.0.1')] })),
  });
  const listening = listen({ port: server.port });
  await until(() => server.streams[0]?.requests.length === 3);
  expect(server.streams[0]?.requests[2]).toMatchObject({ responseNonce: 'a1', errorDetail: null });
  server.streams[0]?.send(another);
  await until(() => server.streams[0]?.requests.length === 4);
  expect(listening.news).toEqual([]);
  expect(listening.source.status().types.map(({ complete }) => complete)).toEqual([true, false]);
  server.streams[0]?.send(policies);
  await until(() => listening.news.length === 1);
  expect(listening.state()).toEqual([podA, podB]);
});

test('a message of 120 MB, and one that is too long', async () => {
  const { listening } = await wellBegun(async (stream, streams) => {
    if (streams > 1) return;
    const message = encodeResponse(another);
    // A field that nobody knows, of 120 MB.
    const size = 120 << 20;
    const head = Buffer.from([(15 << 3) | 2, ...varint(size)]);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(head.length + size + message.length, 1);
    await stream.sendRaw(Buffer.concat([prefix, head]));
    const piece = Buffer.alloc(1 << 20);
    for (let sent = 0; sent < size; sent += piece.length) await stream.sendRaw(piece);
    await stream.sendRaw(message);
    await until(() => stream.requests.some(({ responseNonce }) => responseNonce === 'a2'));
    prefix.writeUInt32BE(maxMessageBytes + 1, 1);
    await stream.sendRaw(prefix);
  });
  await until(() => listening.source.status().streams === 2);
  expect(listening.state()).toEqual([podA, podB]);
  expect(listening.source.status().lastFault).toMatch(/^RESOURCE_EXHAUSTED: .*larger than max/);
});

test('no more is read than can be applied', async () => {
  const most = 4;
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const big = (i: number) =>
    addresses(`b${i}`, { resources: Array.from({ length: 6000 }, (_, j) => podResource(`${i}-${j}`, '10.0.0.1')) });
  const server = await serve({
    onStream(stream) {
      stream.send(policies);
      for (let i = 0; i < 8; i++) stream.send(big(i));
    },
  });
  const listening = listen({ port: server.port, tell: () => gate });
  await until(() => listening.news.length >= 2);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(listening.news.length).toBeLessThanOrEqual(most);
  expect(server.streams[0]?.requests.filter(({ responseNonce }) => responseNonce.startsWith('b')).length).toBe(0);
  release();
  await until(() => listening.state().length === 8 * 6000);
  await until(() => server.streams[0]?.requests.at(-1)?.responseNonce === 'b7');
  const answered = server.streams[0]?.requests.flatMap(({ responseNonce: n }) => (n.startsWith('b') ? [n] : []));
  expect(answered).toEqual(Array.from({ length: 8 }, (_, i) => `b${i}`));
});

function varint(value: number): number[] {
  return value > 127 ? [(value & 127) | 128, ...varint(value >>> 7)] : [value];
}
