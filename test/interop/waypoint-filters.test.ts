// SPDX-License-Identifier: Apache-2.0
// What routes and services say to single filters of a real Envoy: other origins, sessions, and choice by the client's address.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ask, type Backend, hasEnvoy, type Lab, openBackend, openLab } from '../support/l7.ts';
import { waypointGateway } from '../support/waypoint-gateway.ts';

const backends = new Map<string, Backend>();
let lab: Lab;

const gateway = `
${waypointGateway}`;

/** Two endpoints that know their names. */
const cart = (more = '') => `
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.1, ${more} ports: [{name: http, port: 80, appProtocol: http}]}
---
${['a', 'b']
  .map(
    (name) => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart-${name}, namespace: shop, labels: {kubernetes.io/service-name: cart}}
addressType: IPv4
ports: [{name: http, port: ${backends.get(name)?.port}}]
endpoints: [{addresses: [127.0.0.${name === 'a' ? 1 : 2}]}]
---`,
  )
  .join('')}`;

let generation = 0;
/** Tells of rules for cart, and waits until they hold. */
async function tell(rules: readonly string[], more = '', documents = ''): Promise<void> {
  generation++;
  const path = `/probe-${generation}`;
  const probe = `{matches: [{path: {type: Exact, value: ${path}}}], filters: [{type: RequestRedirect, requestRedirect: {statusCode: 307}}]}`;
  lab.tell(`${gateway}${cart(more)}${documents}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop}
spec: {parentRefs: [{group: "", kind: Service, name: cart}], rules: [${[probe, ...rules].join(', ')}]}
`);
  await lab.until(async () => (await lab.request({ path })).status === 307, 'told');
}

const toCart = 'backendRefs: [{name: cart, port: 80}]';
const reached = async (ask: Ask): Promise<string> => {
  const reply = await lab.request(ask);
  return reply.seen?.backend ?? String(reply.status);
};

describe.skipIf(!hasEnvoy)('filters of Envoy', () => {
  beforeAll(async () => {
    backends.set('a', await openBackend('a'));
    backends.set('b', await openBackend('b', undefined, '127.0.0.2'));
    lab = await openLab(gateway);
  });
  afterAll(async () => {
    await lab?.close();
    for (const backend of backends.values()) await backend.close();
  });

  /** What a page at `origin` may do, of a request and of the question before it. */
  async function asked(path: string, origin: string, headers: Readonly<Record<string, string>> = {}) {
    const ask = { path, headers: { origin } };
    const preflight = await lab.request({
      path,
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'PUT', ...headers },
    });
    const pick = (all: Readonly<Record<string, string>>) =>
      Object.fromEntries(
        Object.entries(all)
          .filter(([name]) => name.startsWith('access-control-'))
          .map(([name, value]) => [name.slice('access-control-'.length), value]),
      );
    const request = await lab.request(ask);
    return { preflight: [preflight.status, pick(preflight.headers)], request: [request.status, pick(request.headers)] };
  }

  test('pages of other origins', async () => {
    const cors = (path: string, fields: string) =>
      `{matches: [{path: {value: ${path}}}], filters: [{type: CORS, cors: {${fields}}}], ${toCart}}`;
    await tell([
      cors(
        '/some',
        'allowOrigins: ["https://shop.example", "https://*.cdn.example:8443"], allowMethods: [PUT, GET], allowHeaders: [X-A, X-B], exposeHeaders: [X-C], maxAge: 60',
      ),
      cors('/any', 'allowOrigins: ["*"], allowMethods: ["*"], allowHeaders: ["*"]'),
      cors('/trusted', 'allowOrigins: ["*"], allowMethods: ["*"], allowHeaders: ["*"], allowCredentials: true'),
      cors('/none', ''),
    ]);
    const some = { 'allow-origin': 'https://shop.example', 'expose-headers': 'X-C' };
    expect(await asked('/some', 'https://shop.example')).toEqual({
      preflight: [200, { ...some, 'allow-methods': 'PUT,GET', 'allow-headers': 'X-A,X-B', 'max-age': '60' }],
      request: [200, some],
    });
    const allowed = async (origin: string) => (await asked('/some', origin)).request[1];
    expect(await allowed('https://a.b.cdn.example:8443')).toMatchObject({
      'allow-origin': 'https://a.b.cdn.example:8443',
    });
    expect(await allowed('https://shop.example:443')).toMatchObject({ 'allow-origin': 'https://shop.example:443' });
    for (const other of [
      'https://shop.example:8443',
      'http://shop.example',
      'https://shop.example.evil',
      'https://a.cdn.example',
      'https://xshop.example',
    ]) {
      const { preflight, request } = await asked('/some', other);
      expect([other, request]).toEqual([other, [200, {}]]);
      // Without the origin the rest means nothing.
      expect(preflight[1]).not.toHaveProperty('allow-origin');
      expect(preflight[1]).not.toHaveProperty('allow-credentials');
      expect(backends.get('a')?.seen.some(({ method }) => method === 'OPTIONS')).toBe(false);
    }
    const any = await asked('/any', 'https://x.example', { 'access-control-request-headers': 'X-P' });
    expect(any.preflight).toMatchObject([200, { 'allow-methods': 'PUT', 'allow-headers': 'X-P', 'max-age': '5' }]);
    const trusted = await asked('/trusted', 'https://x.example', { 'access-control-request-headers': 'X-Q' });
    expect(trusted.preflight).toEqual([
      200,
      {
        'allow-origin': 'https://x.example',
        'allow-methods': 'PUT',
        'allow-headers': 'X-Q',
        'allow-credentials': 'true',
        'max-age': '5',
      },
    ]);
    expect((await asked('/none', 'https://x.example')).request[1]).toEqual({});
  });

  test('requests of one session reach one endpoint', async () => {
    await tell([
      `{matches: [{path: {value: /cookie}}], sessionPersistence: {sessionName: s}, ${toCart}}`,
      `{matches: [{path: {value: /kept}}], sessionPersistence: {sessionName: k, absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}}, ${toCart}}`,
      `{matches: [{path: {value: /header}}], sessionPersistence: {sessionName: X-Session, type: Header}, ${toCart}}`,
    ]);
    const first = await lab.request({ path: '/cookie' });
    const cookie = (first.headers['set-cookie'] ?? '').split(';')[0] as string;
    expect(cookie).toMatch(/^s=/);
    expect(first.headers['set-cookie']).not.toMatch(/max-age/i);
    for (let i = 0; i < 12; i++) {
      expect(await reached({ path: '/cookie', headers: { cookie } })).toBe(first.seen?.backend);
    }
    expect((await lab.request({ path: '/kept' })).headers['set-cookie']).toMatch(/^k=.*Max-Age=3600/);
    const one = await lab.request({ path: '/header' });
    const session = one.headers['x-session'] as string;
    for (let i = 0; i < 12; i++) {
      expect(await reached({ path: '/header', headers: { 'x-session': session } })).toBe(one.seen?.backend);
    }
  });

  test('a DestinationRule that chooses by header, cookie or parameter', async () => {
    const rule = (hash: string) => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: shop}
spec: {host: cart, trafficPolicy: {loadBalancer: {consistentHash: {${hash}}}}}
---`;
    const asks: readonly (readonly [string, (i: number) => Ask])[] = [
      ['httpHeaderName: X-User', (i) => ({ headers: { 'x-user': `u${i}` } })],
      ['httpQueryParameterName: user', (i) => ({ path: `/?user=u${i}` })],
      ['httpCookie: {name: user, ttl: 1h}', (i) => ({ headers: { cookie: `user=u${i}` } })],
    ];
    for (const [hash, ask] of asks) {
      await tell([`{${toCart}}`], '', rule(hash));
      const all = new Set<string>();
      for (let i = 0; i < 16; i++) {
        const first = await reached(ask(i));
        for (let k = 0; k < 3; k++) expect([hash, await reached(ask(i))]).toEqual([hash, first]);
        all.add(first);
      }
      expect([...all].sort()).toEqual(['a', 'b']);
    }
    const made = (await lab.request({})).headers['set-cookie'] ?? '';
    expect(made).toMatch(/^user=.*Max-Age=3600/);
  });

  test("ClientIP affinity: a client's address is one endpoint, of many both are reached", async () => {
    await tell([`{${toCart}}`], 'sessionAffinity: ClientIP,');
    const all = new Set<string>();
    for (let i = 0; i < 24; i++) {
      const from = `10.2.0.${i + 1}`;
      const [one, two] = [await reached({ from }), await reached({ from })];
      expect(two).toBe(one);
      all.add(one);
    }
    expect([...all].sort()).toEqual(['a', 'b']);
  });
});
