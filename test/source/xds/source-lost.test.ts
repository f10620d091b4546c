// SPDX-License-Identifier: Apache-2.0
// The source when what it tells is not taken up, and against control planes that say in pieces what they have: nothing is acknowledged that is
// not in effect, and nothing is taken away that is there.
import { expect, test } from 'vitest';
import { settleAfter } from '../../../src/source/xds/settling.ts';
import { typeUrls } from '../../../src/source/xds/types.ts';
import type { AdsServerOptions } from '../../support/ads-server.ts';
import { garbageOf, podResource, policyResource, serviceResource } from '../../support/xds-messages.ts';
import { openHandTimers } from '../file/hand-timers.ts';
import { listen, serve, serveStore } from './lasting.ts';
import { type Listening, until } from './listening.ts';

const a = podResource('a', '10.0.0.1');
const b = podResource('b', '10.0.0.2');
const cart = serviceResource('cart', '10.1.0.1');
const workload = (name: string) => `workload Kubernetes//Pod/shop/${name}`;
const service = (name: string) => `service shop/${name}.shop.svc.cluster.local`;
/** What is held by news that were taken up. */
function taker() {
  const there = new Set<string>();
  let refusals = 0;
  return {
    there,
    refuse: (times: number) => {
      refusals = times;
    },
    async tell({ changes }: Listening['news'][number]) {
      if (refusals-- > 0) throw new Error('no room');
      for (const change of changes) {
        if (change.kind === 'put-workload') there.add(change.workload.name);
        if (change.kind === 'put-service') there.add(change.service.name);
        if (change.kind === 'remove-workload') there.delete(change.uid.split('/').at(-1) ?? '');
        if (change.kind === 'remove-service') there.delete(change.key.split(/[/.]/)[1] ?? '');
      }
    },
  };
}

test('what is not taken up is not acknowledged: it comes again with another stream', async () => {
  const store = await serveStore();
  store.change({ put: [a, cart] });
  const { there, refuse, tell } = taker();
  const listening = listen({ port: store.port, tell });
  await until(() => store.answers.length === 2);
  refuse(1);
  store.change({ put: [b], remove: [cart.name] });
  await until(() => there.has('b'));
  const [first, second] = store.server.streams;
  // Neither ACK nor NACK: both would say that this version was judged.
  expect(first?.requests.filter(({ responseNonce: n }) => n !== '').length).toBe(2);
  expect(second?.requests[0]?.initialResourceVersions).toEqual({ [a.name]: a.version });
  expect(listening.source.status()).toMatchObject({
    streams: 2,
    lastFault: 'what came could not be taken up: no room',
    ended: { error: 1 },
  });
  await until(() => store.answers.length === 4);
});

test('what was taken back while news got lost goes once the server has said everything', async () => {
  const store = await serveStore();
  store.change({ put: [a, b, cart] });
  const timers = openHandTimers();
  const { there, refuse, tell } = taker();
  const listening = listen({ port: store.port, tell, timers, now: () => 0 });
  await until(() => store.answers.length === 2);
  refuse(1);
  store.change({ remove: [cart.name, b.name] });
  await until(() => {
    timers.run(20);
    return listening.source.status().streams === 2 && store.answers.length === 4;
  });
  expect([...there].sort()).toEqual(['a', 'b', 'cart']);
  timers.run(settleAfter.quietMs);
  await until(() => there.size === 1);
  expect(there.has('a')).toBe(true);
});

test('a first state that is not taken up is told again, whole', async () => {
  const store = await serveStore();
  store.change({ put: [a, cart, policyResource('deny')] });
  const { there, refuse, tell } = taker();
  refuse(3);
  const listening = listen({ port: store.port, tell });
  await until(() => there.size === 2);
  expect(listening.news.length).toBe(4);
  expect(listening.news.map(({ changes }) => changes.length)).toEqual([3, 3, 3, 3]);
  expect(store.server.streams.at(-1)?.requests[0]?.initialResourceVersions).toEqual({});
  store.change({ put: [b] });
  await until(() => there.has('b'));
});

test('news that are never taken up are asked for at longer and longer intervals', async () => {
  const store = await serveStore();
  const pauses: number[] = [];
  listen({
    port: store.port,
    tell: () => Promise.reject(new Error('no')),
    random: () => 0.999_999,
    timers: {
      after(ms, run) {
        if (ms > 5000) return () => {};
        pauses.push(ms);
        const timer = setTimeout(run, 1);
        return () => clearTimeout(timer);
      },
    },
  });
  await until(() => pauses.length >= 6);
  expect(pauses.slice(0, 6)).toEqual([9, 19, 39, 79, 159, 319]);
});

const many = Array.from({ length: 50_000 }, (_, i) => podResource(`${'x'.repeat(60)}-${i}`, '10.0.0.9'));

/** Says on its first stream in one response all of these, on later ones what was not said to be held, in two. */
async function inPieces(onFirst: AdsServerOptions['onStream']) {
  let streams = 0;
  const server = await serve({
    onStream: (stream) => {
      streams++;
      onFirst?.(stream);
    },
    onRequest(stream, { typeUrl, responseNonce, initialResourceVersions: held }) {
      if (responseNonce !== '') return;
      if (typeUrl !== typeUrls.address) return stream.send({ typeUrl, nonce: 'p' });
      const fresh = many.filter(({ name, version }) => held[name] !== version);
      if (streams === 1) return stream.send({ typeUrl, nonce: 'a', resources: [...fresh, b] });
      stream.send({ typeUrl, nonce: 'b', resources: fresh.slice(0, 10) });
      stream.send({ typeUrl, nonce: 'c', resources: fresh.slice(10) });
    },
  });
  return server;
}

test('more than one request can name: what comes in a second response was there all the time', async () => {
  const server = await inPieces(() => {});
  const timers = openHandTimers();
  const listening = listen({ port: server.port, timers, now: () => 0 });
  await until(() => listening.state().length === many.length + 1);
  server.streams[0]?.end();
  await until(() => server.streams[1]?.requests.some(({ responseNonce }) => responseNonce === 'c') === true);
  const reported = Object.keys(server.streams[1]?.requests[0]?.initialResourceVersions ?? {});
  expect(reported.length).toBeLessThan(many.length - 10);
  expect(server.streams[1]?.sizes[0]).toBeLessThan(3.6 * 1024 * 1024);
  const removed = () =>
    listening.news.flatMap(({ changes }) => changes.filter(({ kind }) => kind === 'remove-workload'));
  expect(removed()).toEqual([]);
  timers.run(settleAfter.quietMs);
  // The one that nobody told again.
  await until(() => removed().length > 0);
  expect(removed()).toEqual([{ kind: 'remove-workload', uid: b.name }]);
  expect(listening.state().length).toBe(many.length);
});

test('a control plane that never falls silent: at some time it has said everything', async () => {
  const store = await serveStore();
  store.change({ put: [a, garbageOf('authorization', 'shop/p')] });
  const timers = openHandTimers();
  let time = 0;
  const listening = listen({ port: store.port, timers, now: () => time });
  await until(() => listening.state().includes('policy shop/p'));
  store.server.streams[0]?.end();
  store.change({ remove: ['shop/p'] });
  await until(() => listening.source.status().streams === 2 && store.answers.length === 4);
  for (let i = 0; time < settleAfter.mostMs; i++) {
    expect(listening.state()).toContain('policy shop/p');
    store.change({ put: [policyResource(`p${i}`)] });
    await until(() => listening.state().includes(`policy shop/p${i}`));
    time += settleAfter.quietMs - 1;
    timers.run(settleAfter.quietMs - 1);
  }
  await until(() => !listening.state().includes('policy shop/p'));
  expect(listening.source.status().types[1]?.refused).toEqual([]);
});

test('a policy that cannot be read closes its namespace, and is refused by name', async () => {
  const store = await serveStore();
  store.change({ put: [a, garbageOf('authorization', 'shop/p')] });
  const listening = listen({ port: store.port });
  await until(() => store.answers.length === 2);
  expect(store.answers.find(({ type }) => type === 'authorization')?.nack).toMatch(/^shop\/p: /);
  expect(listening.news[0]?.changes).toContainEqual({
    kind: 'put-policy',
    policy: expect.objectContaining({ namespace: 'shop', name: 'p', scope: 'namespace', rules: [[]] }),
  });
  store.change({ put: [policyResource('p')] });
  await until(() => listening.news.length === 2);
  store.change({ put: [garbageOf('authorization', 'shop/p')] });
  await until(() => listening.news.length === 3);
  expect(listening.news[2]?.changes).toMatchObject([
    { policy: { name: 'p', rules: [], fault: { kind: 'stale', reason: expect.any(String) } } },
  ]);
  expect(listening.state()).toEqual(['policy shop/p', workload('a')]);
  store.change({ remove: ['shop/p'] });
  await until(() => !listening.state().includes('policy shop/p'));
});

test('a name that is none closes everything, and is taken back all the same', async () => {
  const store = await serveStore();
  store.change({ put: [a, garbageOf('authorization', 'nameless')] });
  const listening = listen({ port: store.port });
  await until(() => listening.state().includes('policy /nameless'));
  expect(listening.news[0]?.changes).toContainEqual(
    expect.objectContaining({ policy: expect.objectContaining({ scope: 'global', rules: [[]] }) }),
  );
  store.change({ remove: ['nameless'] });
  await until(() => !listening.state().includes('policy /nameless'));
});

test('a server that sends what is refused again and again does not fill the log', async () => {
  const server = await serve({
    onStream(stream) {
      stream.send({ typeUrl: typeUrls.address, nonce: 'n' });
      stream.send({ typeUrl: typeUrls.authorization, nonce: 'p' });
    },
    onRequest(stream, { typeUrl, responseNonce }) {
      if (typeUrl === typeUrls.address && responseNonce !== '' && stream.requests.length < 500) {
        stream.send({ typeUrl, nonce: 'n', resources: [garbageOf('address', 'shop/bad')] });
      }
    },
  });
  const began = performance.now();
  const listening = listen({ port: server.port });
  await until(() => server.streams[0]?.requests.length === 500);
  const lines = listening.logged.filter(({ level }) => level === 'warn').length;
  expect(lines).toBeLessThanOrEqual(Math.ceil((performance.now() - began) / 1000));
  expect(lines).toBeGreaterThan(0);
});

test('one type is never answered while the other changes: no more is kept than there is', async () => {
  const server = await serve({
    onStream(stream) {
      stream.send({ typeUrl: typeUrls.address, nonce: 'n', resources: [a, cart] });
      for (let i = 0; i < 300; i++) {
        const resources = Array.from({ length: 100 }, (_, j) => podResource(`${i}-${j}`, '10.0.0.9'));
        const removedResources =
          i === 0 ? [] : Array.from({ length: 100 }, (_, j) => `Kubernetes//Pod/shop/${i - 1}-${j}`);
        stream.send({ typeUrl: typeUrls.address, nonce: 'n', resources, removedResources });
      }
    },
  });
  const listening = listen({ port: server.port });
  await until(() => listening.source.status().types[0]?.responses === 301);
  expect(listening.news).toEqual([]);
  server.streams[0]?.send({ typeUrl: typeUrls.authorization, nonce: 'p' });
  await until(() => listening.news.length === 1);
  expect(listening.news[0]?.changes.length).toBe(102);
  expect(listening.state()).toContain(service('cart'));
});
