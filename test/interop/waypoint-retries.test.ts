// SPDX-License-Identifier: Apache-2.0
// Backends that end connections, through a real Envoy: what is tried again where nobody says anything about it, and what never is.
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ask, freePort, hasEnvoy, type Lab, openLab } from '../support/l7.ts';
import { waypointGateway } from '../support/waypoint-gateway.ts';

/** What a backend does with a request, by its place on its connection, from 0. */
type Manner = (place: number) => 'answer' | 'answer and end' | 'end' | 'unavailable';

interface Backend {
  readonly port: number;
  /** Paths of requests that arrived whole, in their order. */
  readonly seen: string[];
  /** Their lines. */
  readonly heads: string[];
  manner: Manner;
  /** Connections that the other side has ended. */
  readonly left: { count: number };
  close(): Promise<void>;
}

/** Speaks HTTP/1.1 as far as it is needed, and ends connections as it is told. */
async function openBackend(host = '127.0.0.1', at = 0): Promise<Backend> {
  const sockets = new Set<Socket>();
  const seen: string[] = [];
  const heads: string[] = [];
  const left = { count: 0 };
  const backend = { seen, heads, left, manner: (() => 'answer') as Manner };
  const server = createServer((socket) => {
    let place = 0;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('end', () => {
      left.count++;
    });
    socket.on('data', (data) => {
      const path = /^[A-Z]+ (\S+) HTTP/.exec(data.toString('latin1'))?.[1];
      if (path === undefined) return;
      seen.push(path);
      heads.push(data.toString('latin1'));
      const does = backend.manner(place++);
      if (does === 'end') {
        socket.destroy();
        return;
      }
      const status = does === 'unavailable' ? '503 Service Unavailable' : '200 OK';
      socket.write(`HTTP/1.1 ${status}\r\nx-backend: ${host}\r\ncontent-length: 2\r\n\r\nok`);
      if (does === 'answer and end') setTimeout(() => socket.destroy(), Math.random() * 3);
    });
  });
  await new Promise<void>((resolve) => server.listen(at, host, resolve));
  return Object.assign(backend, {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  });
}

const gateway = `
${waypointGateway}`;

const service = (name: string, ip: string, port: number, endpoints: readonly string[]) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: ${ip}, ports: [{name: http, port: 80, targetPort: ${port}, appProtocol: http}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, namespace: shop, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{name: http, port: ${port}}]
endpoints: [${endpoints.map((address) => `{addresses: [${address}]}`).join(', ')}]
---`;

const routed = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: routed, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: routed}]
  rules:
  - {matches: [{path: {value: /never}}], retry: {attempts: 0}, backendRefs: [{name: plain, port: 80}]}
  - {matches: [{path: {value: /once}}], retry: {attempts: 1}, backendRefs: [{name: plain, port: 80}]}
  - {matches: [{path: {value: /session}}], sessionPersistence: {sessionName: s}, backendRefs: [{name: plain, port: 80}]}
  - {matches: [{path: {value: /mirror}}], filters: [{type: RequestMirror, requestMirror: {backendRef: {name: plain, port: 80}}}], backendRefs: [{name: plain, port: 80}]}
  - {matches: [{path: {value: /method}, method: GET}], backendRefs: [{name: plain, port: 80}]}
  - {backendRefs: [{name: plain, port: 80}]}
---`;

const sticky = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: sticky, namespace: shop}
spec: {host: sticky.shop.svc.cluster.local, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}}
---`;

const [toPlain, toRouted, toPair, toSticky] = ['10.96.0.1', '10.96.0.2', '10.96.0.3', '10.96.0.4'];

describe.skipIf(!hasEnvoy)('connections that backends end', () => {
  const [first, second] = ['127.0.0.1', '127.0.0.2'];
  const backends: Backend[] = [];
  let [one, other]: Backend[] = [];
  let lab: Lab;

  beforeAll(async () => {
    one = await openBackend(first);
    backends.push(one);
    other = await openBackend(second, one.port);
    backends.push(other);
    const dead = await freePort();
    lab = await openLab(
      gateway +
        service('plain', toPlain as string, one.port, [first]) +
        service('routed', toRouted as string, dead, [first]) +
        service('pair', toPair as string, one.port, [first, second, '127.0.0.3']) +
        service('sticky', toSticky as string, one.port, [first, second]) +
        routed +
        sticky,
    );
    for (const to of [toPlain, toRouted, toPair, toSticky]) {
      await lab.until(async () => (await lab.request({ to, path: '/begin' })).status === 200, `told of ${to}`);
    }
  });
  afterAll(async () => {
    await lab?.close();
    for (const backend of backends) await backend.close();
  });

  function behave(manner: Manner): void {
    for (const backend of backends) {
      backend.manner = manner;
      backend.seen.length = 0;
      backend.heads.length = 0;
    }
  }

  /** Requests behind one another on one connection of a client: how many had which status. */
  async function statuses(count: number, ask: Ask): Promise<Record<string, number>> {
    const { to, path = '/x', method = 'GET' } = ask;
    const socket = lab.connect(to === undefined ? {} : { to });
    const found: Record<string, number> = {};
    let text = '';
    let wake = (): void => {};
    socket.on('data', (data) => {
      text += data.toString('latin1');
      wake();
    });
    socket.on('close', () => {
      text += 'closed';
      wake();
    });
    const body = method === 'POST' ? 'content-length: 2\r\n\r\nhi' : '\r\n';
    for (let i = 0; i < count; i++) {
      text = '';
      socket.write(`${method} ${path}/${i} HTTP/1.1\r\nhost: x\r\n${body}`);
      const length = () => Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      while (!text.includes('\r\n\r\n') || text.length < text.indexOf('\r\n\r\n') + 4 + length()) {
        if (text.endsWith('closed')) throw new Error(`the connection was closed: ${text}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const status = text.split(' ')[1] ?? '';
      found[status] = (found[status] ?? 0) + 1;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
    }
    socket.destroy();
    return found;
  }

  /** Never the first request of a connection: there is one that answers at the latest when it is made anew. */
  const atRandom: Manner = (place) => (place > 0 && Math.random() < 0.3 ? 'end' : 'answer');

  test.each([
    ['without routes', { to: toPlain as string }],
    ['with a route', { to: toRouted as string }],
    ['with a route for GET', { to: toRouted as string, path: '/method' }],
  ])('after an answer, at random: nobody sees that, %s', async (_, ask) => {
    behave(() => (Math.random() < 0.5 ? 'answer and end' : 'answer'));
    expect(await statuses(500, ask)).toEqual({ 200: 500 });
  });

  test.each([
    ['without routes', { to: toPlain as string }],
    ['with a route', { to: toRouted as string }],
  ])('in place of an answer, at random: requests that may be repeated are, %s', async (_, ask) => {
    behave(atRandom);
    expect(await statuses(500, ask)).toEqual({ 200: 500 });
    expect(one?.seen.length).toBeGreaterThan(500);
    for (const method of ['PUT', 'DELETE', 'OPTIONS']) {
      expect([method, await statuses(30, { ...ask, method })]).toEqual([method, { 200: 30 }]);
    }
  });

  test.each([
    ['without routes', { to: toPlain as string }],
    ['with a route', { to: toRouted as string }],
  ])('a POST that was sent is not sent again, %s', async (_, ask) => {
    behave((place) => (place % 2 === 1 ? 'end' : 'answer'));
    const found = await statuses(100, { ...ask, method: 'POST', path: '/post' });
    expect(found['503']).toBeGreaterThan(0);
    expect(Number(found['200']) + Number(found['503'])).toBe(100);
    const posts = one?.seen.filter((path) => path.startsWith('/post')) ?? [];
    expect(new Set(posts).size).toBe(posts.length);
  });

  test.each([
    ['without routes', toPlain as string],
    ['with a route', toRouted as string],
  ])('a connection that nobody uses is left before the backend would end it, %s', async (_, to) => {
    behave(() => 'answer');
    expect(await statuses(5, { to, method: 'POST' })).toEqual({ 200: 5 });
    const before = one?.left.count ?? 0;
    await lab.until(() => (one?.left.count ?? 0) > before, 'left');
    expect(await statuses(5, { to, method: 'POST' })).toEqual({ 200: 5 });
  });

  test('an endpoint that takes no connections is left for another one, whatever the method', async () => {
    behave(() => 'answer');
    for (const method of ['GET', 'POST']) {
      expect([method, await statuses(100, { to: toPair as string, method })]).toEqual([method, { 200: 100 }]);
    }
  });

  test('where endpoints are chosen by hash, another attempt goes to the same one', async () => {
    behave(atRandom);
    expect(await statuses(200, { to: toSticky as string })).toEqual({ 200: 200 });
    expect(backends.map(({ seen }) => seen.length > 0).sort()).toEqual([false, true]);
  });

  test('what a backend answers is its answer', async () => {
    behave(() => 'unavailable');
    expect(await statuses(5, { to: toPlain as string })).toEqual({ 503: 5 });
    expect(one?.seen.length).toBe(5);
  });

  test('what a route says of retries counts alone', async () => {
    behave(() => 'end');
    for (const [path, attempts] of [
      ['/never', 1],
      ['/once', 2],
      ['/usual', 3],
    ] as const) {
      behave(() => 'end');
      expect([path, await statuses(1, { to: toRouted as string, path })]).toEqual([path, { 503: 1 }]);
      expect([path, one?.seen.length]).toEqual([path, attempts]);
    }
  });

  test('nothing of it shows, neither at the backend nor in copies', async () => {
    behave(() => 'answer');
    expect(await statuses(3, { to: toRouted as string, path: '/mirror' })).toEqual({ 200: 3 });
    await lab.until(() => one?.heads.length === 6, 'copied');
    expect(await statuses(3, { to: toPlain as string })).toEqual({ 200: 3 });
    expect(one?.heads.filter((head) => /retry/i.test(head))).toEqual([]);
  });

  test('a session is not left because a connection ended', async () => {
    behave(() => 'end');
    expect(await statuses(1, { to: toRouted as string, path: '/session' })).toEqual({ 503: 1 });
    expect(one?.seen.length).toBe(1);
  });
});
