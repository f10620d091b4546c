// SPDX-License-Identifier: Apache-2.0
// The source against a control plane that behaves as istiod does.
import { expect, test } from 'vitest';
import { garbageOf, podResource, policyResource, resourceOf, serviceResource } from '../../support/xds-messages.ts';
import { openHandTimers } from '../file/hand-timers.ts';
import { listen, serveStore } from './lasting.ts';
import { type Listening, until } from './listening.ts';

const a = podResource('a', '10.0.0.1');
const b = podResource('b', '10.0.0.2');
const cart = serviceResource('cart', '10.1.0.1');
const workload = (name: string) => `workload Kubernetes//Pod/shop/${name}`;
const service = (name: string) => `service shop/${name}.shop.svc.cluster.local`;
const statusOf = ({ source }: Listening) => source.status();

test('first everything of both types, then what differs', async () => {
  const store = await serveStore();
  store.change({ put: [a, cart, policyResource('deny')] });
  const listening = listen({ port: store.port });
  await until(() => listening.news.length === 1);
  expect(listening.state()).toEqual(['policy shop/deny', service('cart'), workload('a')]);
  await until(() => store.answers.length === 2);
  store.change({ put: [b], remove: ['shop/deny'] });
  await until(() => listening.news.length === 3);
  expect(listening.state()).toEqual([service('cart'), workload('a'), workload('b')]);
  await until(() => store.answers.length === 4);
  expect(store.answers.every(({ nack }) => nack === undefined)).toBe(true);
  expect(store.offences).toEqual([]);
  expect(listening.news.at(-1)?.report).toEqual({ files: 0, objects: 3, faults: [], warnings: [], ignored: [] });
});

test('a node with nothing to know is told so', async () => {
  const store = await serveStore();
  const listening = listen({ port: store.port });
  await until(() => listening.news.length === 1);
  expect(listening.news[0]?.changes).toEqual([]);
  expect(listening.source.name).toBe(`xds 127.0.0.1:${store.port}`);
});

test('what a stream begins with', async () => {
  const store = await serveStore();
  listen({ port: store.port, flags: { pod: 'istio-system/kmesh-x', instanceIp: '10.0.0.9', node: 'node-a' } });
  await until(() => store.server.streams[0]?.requests.length === 4);
  const [first] = store.server.streams[0]?.requests ?? [];
  expect(first?.node?.id).toBe('ztunnel~10.0.0.9~kmesh-x.istio-system~istio-system.svc.cluster.local');
  expect(first?.node?.metadata?.fields).toMatchObject({
    NAME: { stringValue: 'kmesh-x' },
    NAMESPACE: { stringValue: 'istio-system' },
    NODE_NAME: { stringValue: 'node-a' },
    INSTANCE_IPS: { stringValue: '10.0.0.9' },
    CLUSTER_ID: { stringValue: 'Kubernetes' },
  });
  expect(store.server.streams[0]?.headers.clusterid).toBe('Kubernetes');
});

test('an ACK goes out only when what it acknowledges is applied', async () => {
  const store = await serveStore();
  const gates: (() => void)[] = [];
  const listening = listen({ port: store.port, tell: () => new Promise((resolve) => gates.push(resolve)) });
  await until(() => gates.length === 1);
  gates[0]?.();
  await until(() => store.answers.length === 2);
  store.change({ put: [a] });
  await until(() => gates.length === 2);
  store.change({ put: [b] });
  await until(() => gates.length === 3);
  const answered = () => store.server.streams[0]?.requests.flatMap(({ responseNonce: n }) => (n === '' ? [] : [n]));
  gates[2]?.();
  await new Promise((resolve) => setImmediate(resolve));
  expect(answered()).toEqual(['nonce-1', 'nonce-2']);
  gates[1]?.();
  await until(() => answered()?.length === 4);
  expect(answered()).toEqual(['nonce-1', 'nonce-2', 'nonce-3', 'nonce-4']);
  expect(statusOf(listening).types[0]).toMatchObject({ acks: 3, nacks: 0 });
});

test('what changes while the control plane is away is made good when it is back', async () => {
  const store = await serveStore();
  store.change({ put: [a, cart, policyResource('deny')] });
  const timers = openHandTimers();
  const listening = listen({ port: store.port, timers, random: () => 0.5 });
  await until(() => listening.news.length === 1);
  await store.close();
  await until(() => !statusOf(listening).connected && timers.pending > 0);
  expect(statusOf(listening).lastFault).not.toBe('');
  expect(listening.state().length).toBe(3);

  const back = await serveStore({ port: store.port });
  back.change({ put: [a, b] });
  await until(() => {
    timers.run(15_000);
    return statusOf(listening).connected;
  });
  await until(() => listening.state().length === 2);
  expect(listening.state()).toEqual([workload('a'), workload('b')]);
  // What did not change is not sent again, so not told either.
  expect(listening.news.slice(1).flatMap(({ changes }) => changes).length).toBe(3);
});

test('what is refused is named to the server and in the status, and asked for again', async () => {
  const store = await serveStore();
  store.change({ put: [a, cart] });
  const listening = listen({ port: store.port });
  await until(() => store.answers.length === 2);
  store.change({ put: [garbageOf('address', cart.name), garbageOf('address', 'shop/x'), b] });
  await until(() => store.answers.length === 3);
  expect(store.answers[2]?.nack).toMatch(/^shop\/cart.*; shop\/x: /);
  expect(listening.state()).toEqual([service('cart'), workload('a'), workload('b')]);
  expect(statusOf(listening).types[0]?.refused).toMatchObject([
    { name: cart.name, kept: true },
    { name: 'shop/x', kept: false },
  ]);
  expect(listening.logged.filter(({ level }) => level === 'warn')).toMatchObject([{ facts: { refused: 2 } }]);

  await listening.source.reload();
  const [first] = store.server.streams[1]?.requests ?? [];
  expect(Object.keys(first?.initialResourceVersions ?? {}).sort()).toEqual([a.name, b.name, cart.name].sort());
  expect(first?.initialResourceVersions[cart.name]).toBe(cart.version);
  expect(statusOf(listening).types[0]?.refused.map(({ name }) => name)).toEqual([cart.name, 'shop/x']);
});

test('reload asks for what differs, and is done when that is applied', async () => {
  const store = await serveStore();
  store.change({ put: [a] });
  const listening = listen({ port: store.port });
  await until(() => listening.news.length === 1);
  await listening.source.reload();
  expect(statusOf(listening)).toMatchObject({ connected: true, streams: 2 });
  const both = Promise.all([listening.source.reload(), listening.source.reload()]);
  await both;
  expect(statusOf(listening).streams).toBe(3);
});

test('a reload that comes to nothing says so', async () => {
  const listening = listen({ port: 1 });
  await expect(listening.source.reload()).rejects.toMatchObject({
    code: 'KM_XDS',
    message: '"127.0.0.1:1" did not tell everything again: UNAVAILABLE: connect ECONNREFUSED 127.0.0.1:1',
  });
});

test('closing ends everything, whatever it is at', async () => {
  const store = await serveStore();
  const timers = openHandTimers();
  const listening = listen({ port: store.port, timers, tell: () => new Promise(() => {}) });
  await until(() => listening.news.length === 1);
  await listening.close();
  await until(() => store.server.connections === 0);
  expect(timers.pending).toBe(0);
  await expect(listening.source.reload()).rejects.toMatchObject({ code: 'KM_XDS' });
  const waiting = listen({ port: 1, timers, random: () => 0.9 });
  await until(() => timers.pending === 1 && waiting.source.status().lastFault !== '');
  await waiting.close();
  expect(timers.pending).toBe(0);
});

test('host names of workloads are resolved beside all else', async () => {
  const store = await serveStore();
  const more = { addresses: [], hostname: 'db.example' };
  store.change({ put: [podResource('db', '10.0.0.9', more)] });
  const answers = [{ addresses: ['192.0.2.7'], ttl: 5 }];
  const listening = listen({
    port: store.port,
    async resolver() {
      const answer = answers.shift();
      if (!answer) throw new Error('nobody answers');
      return answer;
    },
  });
  await until(() => listening.news.length === 2);
  expect(listening.news[1]?.changes).toMatchObject([{ workload: { addresses: ['192.0.2.7'] } }]);
});

test('a name that cannot be resolved is a warning', async () => {
  const store = await serveStore();
  store.change({ put: [podResource('db', '10.0.0.9', { addresses: [], hostname: 'db.example' })] });
  const listening = listen({ port: store.port, resolver: () => Promise.reject(new Error('nobody answers')) });
  await until(() => listening.news.at(-1)?.report.warnings.length === 1);
  expect(listening.news.at(-1)?.report.warnings).toMatchObject([
    { resource: 'host name db.example', reason: 'nobody answers' },
  ]);
});

test('fields and values that nobody knows yet', async () => {
  const store = await serveStore();
  const known = resourceOf('address', a.name, { workload: { uid: a.name, name: 'a', namespace: 'shop' } });
  const value = Buffer.concat([known.resource.value, Buffer.from([0xfa, 0x7f, 3, 1, 2, 3])]);
  store.change({ put: [{ ...known, resource: { ...known.resource, value } }] });
  const listening = listen({ port: store.port });
  await until(() => listening.news.length === 1);
  expect(listening.state()).toEqual([workload('a')]);
});
