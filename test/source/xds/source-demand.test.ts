// SPDX-License-Identifier: Apache-2.0
// The source on demand, against a control plane that keeps a list of names as istiod does.
import { expect, test } from 'vitest';
import { patienceMs } from '../../../src/source/xds/intake.ts';
import { podResource, policyResource, serviceResource } from '../../support/xds-messages.ts';
import { openHandTimers } from '../file/hand-timers.ts';
import { listen, serve, serveStore } from './lasting.ts';
import { until } from './listening.ts';

/** `wanted` is so from the beginning. */
async function start(options: Partial<Parameters<typeof listen>[0]> = {}, wanted: readonly string[] = []) {
  const store = await serveStore();
  store.change({ put: [a, b, cart, policyResource('deny')] });
  const listening = listen({ port: store.port, flags: { xdsOnDemand: true }, ...options });
  listening.source.want(wanted);
  return { store, listening, source: listening.source };
}
const a = podResource('a', '10.0.0.1');
const b = podResource('b', '10.0.0.2');
const cart = serviceResource('cart', '10.1.0.1');
const named = (name: string) => `workload Kubernetes//Pod/shop/${name}`;

test('only what is asked for comes, and policies', async () => {
  const { store, listening, source } = await start();
  await until(() => listening.news.length === 1);
  expect(listening.state()).toEqual(['policy shop/deny']);
  source.want(['/10.0.0.1', '/10.9.9.9']);
  await until(() => listening.answers.some(({ absent }) => absent.includes('/10.9.9.9')));
  expect(listening.answers.at(-1)).toEqual({ present: [a.name, '/10.0.0.1'], absent: ['/10.9.9.9'] });
  expect(listening.state()).toEqual(['policy shop/deny', named('a')]);
  expect(source.status()).toMatchObject({ onDemand: true, demanded: 2, absent: 1 });
  expect(store.offences).toEqual([]);
});

test('wishes of one moment go in one request, in their order', async () => {
  const { store, listening, source } = await start();
  await until(() => listening.news.length === 1);
  const before = store.server.streams[0]?.requests.length ?? 0;
  source.want(['/10.0.0.1']);
  source.want(['/10.0.0.2']);
  source.unwant(['/10.0.0.2']);
  source.want(['/10.0.0.2']);
  const asked = () =>
    (store.server.streams[0]?.requests ?? [])
      .slice(before)
      .filter(({ responseNonce }) => responseNonce === '')
      .map((r) => [r.resourceNamesSubscribe, r.resourceNamesUnsubscribe]);
  await until(() => asked().length === 3);
  expect(asked()).toEqual([
    [['/10.0.0.1', '/10.0.0.2'], []],
    [[], ['/10.0.0.2']],
    [['/10.0.0.2'], []],
  ]);
  await until(() => listening.state().length === 3);
  expect(store.offences).toEqual([]);
});

test('what was absent is found when it is asked for again', async () => {
  const { store, listening, source } = await start();
  source.want(['/10.0.0.7']);
  await until(() => listening.answers.some(({ absent }) => absent.includes('/10.0.0.7')));
  store.change({ put: [podResource('late', '10.0.0.7')] });
  source.again(['/10.0.0.7']);
  await until(() => listening.state().includes(named('late')));
  expect(source.status().absent).toBe(0);
  expect(store.offences).toEqual([]);
});

test('an answer is told after it is applied', async () => {
  let gate: (() => void) | undefined;
  let gated = false;
  const { listening, source } = await start({
    tell: () => (gated ? new Promise<void>((resolve) => (gate = resolve)) : Promise.resolve()),
  });
  await until(() => listening.news.length === 1);
  gated = true;
  source.want(['/10.0.0.1']);
  await until(() => gate !== undefined);
  expect(listening.answers.some(({ present }) => present.includes('/10.0.0.1'))).toBe(false);
  gate?.();
  await until(() => listening.answers.some(({ present }) => present.includes('/10.0.0.1')));
});

test('what is known is answered from here', async () => {
  const { store, listening, source } = await start();
  source.want(['/10.0.0.1']);
  await until(() => listening.state().includes(named('a')));
  const requests = () => store.server.streams[0]?.requests.filter(({ responseNonce }) => responseNonce === '').length;
  const before = requests();
  source.want([a.name]);
  await until(() => listening.answers.at(-1)?.present.join() === a.name);
  expect(requests()).toBe(before);
});

test('the first news hold what was wanted from the beginning', async () => {
  const { store, listening } = await start({}, ['/10.0.0.1', '/10.9.9.9', cart.name]);
  await until(() => listening.news.length === 1);
  expect(listening.state()).toEqual(['policy shop/deny', `service ${cart.name}`, named('a')]);
  await until(() => listening.answers.some(({ absent }) => absent.includes('/10.9.9.9')));
  const [first] = store.server.streams[0]?.requests ?? [];
  expect(first).toMatchObject({
    resourceNamesSubscribe: ['*', '/10.0.0.1', '/10.9.9.9', cart.name],
    resourceNamesUnsubscribe: ['*'],
  });
});

test('but do not wait for ever for a name that is not answered', async () => {
  const timers = openHandTimers();
  // A control plane that answers a first request by nothing.
  const server = await serve({
    onRequest(stream, request) {
      if (request.responseNonce === '') stream.send({ typeUrl: request.typeUrl, nonce: 'n' });
    },
  });
  const listening = listen({ port: server.port, flags: { xdsOnDemand: true }, timers });
  listening.source.want(['x']);
  await until(() => listening.source.status().types.every(({ complete }) => complete));
  expect(listening.news).toEqual([]);
  timers.run(patienceMs);
  await until(() => listening.news.length === 1);
});

test('a reconnect asks for everything that is wanted or held', async () => {
  const { store, listening, source } = await start();
  source.want(['/10.0.0.1', '/10.9.9.9']);
  await until(() => listening.state().includes(named('a')));
  store.server.streams[0]?.end();
  await until(() => store.server.streams[1]?.requests.length === 4);
  const [first] = store.server.streams[1]?.requests ?? [];
  expect(first).toMatchObject({
    resourceNamesSubscribe: ['*', '/10.0.0.1', '/10.9.9.9'],
    resourceNamesUnsubscribe: ['*'],
    initialResourceVersions: { [a.name]: a.version },
  });
  store.change({ remove: [a.name] });
  await until(() => !listening.state().includes(named('a')));
  await until(() => source.status().absent === 2);
  expect(store.offences).toEqual([]);
});

test('more names than a request can hold', async () => {
  // A hostname may have 253 characters.
  const names = Array.from({ length: 20_000 }, (_, i) => `shop/${'x'.repeat(240)}-${i}`);
  const { store, listening } = await start({}, ['/10.0.0.1', ...names]);
  await until(() => listening.news.length === 1);
  expect(listening.state()).toEqual(['policy shop/deny', named('a')]);
  expect(Math.max(...(store.server.streams[0]?.sizes ?? []))).toBeLessThan(4 * 1024 * 1024);
  expect(listening.source.status()).toMatchObject({ demanded: names.length + 1, absent: names.length });
  expect(store.offences).toEqual([]);
});
