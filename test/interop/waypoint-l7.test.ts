// SPDX-License-Identifier: Apache-2.0
// Requests through a real Envoy that our control plane tells: what goes in, which backend it reaches, and with which headers.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ask, type Backend, hasEnvoy, type Lab, openBackend, openLab, refusedRegex } from '../support/l7.ts';
import { waypointGateway } from '../support/waypoint-gateway.ts';

const backends = new Map<string, Backend>();
let lab: Lab;

const service = (name: string, ip: string, port: number, target: number, more = '') => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: ${ip}, ports: [{name: http, port: ${port}, targetPort: ${target}, appProtocol: ${more || 'http'}}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, namespace: shop, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{name: http, port: ${target}}]
endpoints: [{addresses: [127.0.0.1]}]
---`;

const gateway = `
${waypointGateway}`;

const names = ['cart', 'v1', 'v2', 'shadow', 'slow', 'flaky'];

function base(): string {
  const parts = names.map((name, i) => service(name, `10.96.0.${i + 1}`, 80, backends.get(name)?.port ?? 0));
  return gateway + parts.join('');
}

/** An HTTPRoute for service cart. */
const route = (rules: string, name = 'r', namespace = 'shop') => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ${name}, namespace: ${namespace}}
spec: {parentRefs: [{group: "", kind: Service, name: cart, namespace: shop}], rules: [${rules}]}
---`;

let generation = 0;
/** Tells of routes, and waits until they hold. */
async function tell(...documents: string[]): Promise<void> {
  generation++;
  const probe = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: probe, namespace: probe}
spec: {parentRefs: [{group: "", kind: Service, name: cart, namespace: shop}],
  rules: [{matches: [{path: {type: Exact, value: /probe-${generation}}}], filters: [{type: RequestRedirect, requestRedirect: {statusCode: 307}}]}]}
---`;
  lab.tell(base() + documents.join('') + probe);
  const ask = { path: `/probe-${generation}`, identity: 'spiffe://cluster.local/ns/probe/sa/x' };
  await lab.until(async () => (await lab.request(ask)).status === 307, 'told');
}

const to = (name: string, weight = 1) => `{name: ${name}, namespace: shop, port: 80, weight: ${weight}}`;

describe.skipIf(!hasEnvoy)('through Envoy', () => {
  beforeAll(async () => {
    for (const name of names) {
      backends.set(
        name,
        await openBackend(name, (_, count) =>
          name === 'slow' ? { afterMs: 1500 } : name === 'flaky' && count % 3 !== 0 ? { status: 503 } : {},
        ),
      );
    }
    // A waypoint that serves nobody yet is told all the same.
    lab = await openLab(gateway);
  });
  afterAll(async () => {
    await lab?.close();
    for (const backend of backends.values()) await backend.close();
  });

  async function reached(ask: Ask): Promise<string> {
    const reply = await lab.request(ask);
    return reply.seen?.backend ?? String(reply.status);
  }

  test('a service without routes is reached, and what shows of the waypoint is that requests have a number', async () => {
    await tell();
    const { seen } = await lab.request({ headers: { 'X-Mine': 'a' } });
    expect(seen).toMatchObject({ backend: 'cart', path: '/', headers: { host: 'cart', 'x-mine': 'a' } });
    const ours = Object.keys(seen?.headers ?? {}).filter((name) => /^x-(envoy|forwarded|request)/.test(name));
    expect(ours.sort()).toEqual(['x-forwarded-proto', 'x-request-id']);
    const other = await lab.request({});
    expect(other.seen?.headers['x-request-id']).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(other.seen?.headers['x-request-id']).not.toBe(seen?.headers['x-request-id']);
    const given = await lab.request({ headers: { 'x-request-id': 'from before' } });
    expect(given.seen?.headers['x-request-id']).toBe('from before');
  });

  test('matches: the most specific counts, whatever the order; nothing else is found', async () => {
    await tell(
      route(`{matches: [{path: {value: /}, headers: [{name: version, value: two}]}], backendRefs: [${to('v2')}]},
        {matches: [{path: {value: /v2}}, {path: {value: /v2/exact/}}], backendRefs: [${to('v2')}]},
        {matches: [{path: {type: Exact, value: /v2/exact}}], backendRefs: [${to('v1')}]},
        {matches: [{path: {value: /one/}}], backendRefs: [${to('v1')}]},
        {matches: [{path: {value: /m}, method: POST}], backendRefs: [${to('v1')}]},
        {matches: [{path: {value: /m}}], backendRefs: [${to('v2')}]},
        {matches: [{path: {value: /q}, queryParams: [{name: a, value: b}]}], backendRefs: [${to('v1')}]},
        {matches: [{path: {value: /q}, queryParams: [{name: a, value: b}, {name: c, type: RegularExpression, value: "d+"}]}],
          backendRefs: [${to('v2')}]},
        {matches: [{path: {type: RegularExpression, value: "/r/[0-9]+"}}], backendRefs: [${to('v1')}]}`),
    );
    const table: readonly (readonly [Ask, string])[] = [
      [{ path: '/' }, '404'],
      [{ path: '/', headers: { Version: 'two' } }, 'v2'],
      [{ path: '/', headers: { version: 'two-and-a-half' } }, '404'],
      [{ path: '/v2' }, 'v2'],
      [{ path: '/v2/x?y=z' }, 'v2'],
      [{ path: '/v2example' }, '404'],
      [{ path: '/v2/exact' }, 'v1'],
      [{ path: '/v2/exact/more' }, 'v2'],
      [{ path: '/one' }, 'v1'],
      [{ path: '/one/two' }, 'v1'],
      [{ path: '/one', headers: { version: 'two' } }, 'v1'],
      [{ path: '/m', method: 'POST' }, 'v1'],
      [{ path: '/m', method: 'GET' }, 'v2'],
      [{ path: '/q' }, '404'],
      [{ path: '/q?a=b' }, 'v1'],
      [{ path: '/q?c=ddd&a=b' }, 'v2'],
      [{ path: '/q?a=bb' }, '404'],
      [{ path: '/r/12' }, 'v1'],
      [{ path: '/r/12/' }, '404'],
    ];
    for (const [ask, backend] of table) expect([ask, await reached(ask)]).toEqual([ask, backend]);
  });

  test("routes of a client's namespace are for that one, and in place of the service's own", async () => {
    await tell(
      route(`{matches: [{path: {value: /p}}], backendRefs: [${to('v1')}]}`),
      route(`{matches: [{path: {value: /c}}], backendRefs: [${to('v2')}]}`, 'c', 'away'),
    );
    const identity = 'spiffe://cluster.local/ns/away/sa/x';
    expect(await reached({ path: '/p' })).toBe('v1');
    expect(await reached({ path: '/c' })).toBe('404');
    expect(await reached({ path: '/p', identity })).toBe('404');
    expect(await reached({ path: '/c', identity })).toBe('v2');
  });

  test('weights', async () => {
    await tell(route(`{backendRefs: [${to('v1', 70)}, ${to('v2', 30)}, ${to('cart', 0)}]}`));
    const count: Record<string, number> = {};
    for (let i = 0; i < 400; i++) {
      const name = await reached({});
      count[name] = (count[name] ?? 0) + 1;
    }
    expect(Object.keys(count).sort()).toEqual(['v1', 'v2']);
    // Of 400 drawn at random, six times the deviation that is to be expected.
    expect(Math.abs((count.v1 ?? 0) - 280)).toBeLessThan(55);
  });

  test('backends that are not there fail for their share, rules without any always', async () => {
    await tell(
      route(`{matches: [{path: {value: /none}}]}, {matches: [{path: {value: /gone}}], backendRefs: [${to('nobody')}]},
        {matches: [{path: {value: /zero}}], backendRefs: [${to('v1', 0)}]},
        {matches: [{path: {value: /half}}], backendRefs: [${to('v1')}, ${to('nobody')}]}`),
    );
    for (const path of ['/none', '/gone', '/zero']) expect(await reached({ path })).toBe('500');
    const got = new Set<string>();
    for (let i = 0; i < 60; i++) got.add(await reached({ path: '/half' }));
    expect([...got].sort()).toEqual(['500', 'v1']);
    expect(lab.control.routes().get('HTTPRoute shop/r')?.[0]?.conditions).toMatchObject([
      { type: 'Accepted', status: true },
      { type: 'ResolvedRefs', status: false, reason: 'BackendNotFound' },
    ]);
  });

  test('headers of requests and responses', async () => {
    await tell(
      route(`{filters: [{type: RequestHeaderModifier, requestHeaderModifier:
          {set: [{name: X-Set, value: "100%"}], add: [{name: X-Add, value: more}], remove: [X-Gone]}},
        {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Backend, value: other}], add: [{name: X-New, value: n}]}}],
        backendRefs: [${to('v1')}]}`),
    );
    const reply = await lab.request({ headers: { 'X-Set': 'old', 'X-Add': 'one', 'X-Gone': 'x', 'X-Stays': 'y' } });
    expect(reply.headers).toMatchObject({ 'x-backend': 'other', 'x-new': 'n' });
    expect(reply.seen?.headers).toMatchObject({ 'x-set': '100%', 'x-add': 'one, more', 'x-stays': 'y' });
    expect(reply.seen?.headers['x-gone']).toBeUndefined();
  });

  test('headers of one backend', async () => {
    const change = 'filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-For, value: v1}]}}]';
    await tell(route(`{backendRefs: [{name: v1, port: 80, ${change}}]}`));
    expect((await lab.request({})).seen?.headers['x-for']).toBe('v1');
  });

  test('redirects', async () => {
    const rule = (path: string, filter: string) =>
      `{matches: [{path: {value: ${path}}}], filters: [{type: RequestRedirect, requestRedirect: ${filter}}]}`;
    await tell(
      route(
        [
          rule('/host', '{hostname: example.org}'),
          rule('/status', '{hostname: example.org, statusCode: 301}'),
          rule('/see', '{hostname: example.org, statusCode: 303}'),
          rule('/temporary', '{statusCode: 307, scheme: https}'),
          rule('/permanent', '{statusCode: 308, port: 8080}'),
          rule('/secure', '{scheme: https, hostname: example.org, port: 443}'),
          rule('/full', '{path: {type: ReplaceFullPath, replaceFullPath: /all}}'),
          rule('/prefix', '{path: {type: ReplacePrefixMatch, replacePrefixMatch: /new/}}'),
        ].join(', '),
      ),
    );
    const table = [
      ['/host/a?b=c', 302, 'http://example.org/host/a?b=c'],
      ['/status', 301, 'http://example.org/status'],
      ['/see', 303, 'http://example.org/see'],
      ['/temporary', 307, 'https://cart/temporary'],
      ['/permanent', 308, 'http://cart:8080/permanent'],
      ['/secure', 302, 'https://example.org/secure'],
      ['/full/x?a=b', 302, 'http://cart/all?a=b'],
      ['/prefix/x', 302, 'http://cart/new/x'],
      ['/prefix', 302, 'http://cart/new'],
    ] as const;
    for (const [path, status, location] of table) {
      const reply = await lab.request({ path });
      expect([path, reply.status, reply.headers.location]).toEqual([path, status, location]);
    }
  });

  test('rewrites of paths, as the table of the Gateway API says, and of hosts', async () => {
    const cases = [
      ['/foo/bar', '/foo', '/xyz', '/xyz/bar'],
      ['/foo/bar', '/foo', '/xyz/', '/xyz/bar'],
      ['/foo/bar', '/foo/', '/xyz', '/xyz/bar'],
      ['/foo', '/foo', '/xyz', '/xyz'],
      ['/foo/', '/foo', '/xyz', '/xyz/'],
      ['/foo/bar', '/foo', '', '/bar'],
      ['/foo/', '/foo', '', '/'],
      ['/foo', '/foo', '', '/'],
      ['/foo/bar', '/foo', '/', '/bar'],
      ['/foo', '/foo', '/', '/'],
      ['/foo/bar?a=/foo', '/', '/xyz', '/xyz/foo/bar?a=/foo'],
    ] as const;
    const value = (i: number) =>
      `matches: [{path: {value: "${cases[i]?.[1]}"}, headers: [{name: case, value: "${i}"}]}]`;
    const rules = cases.map(
      ([, , by], i) =>
        `{${value(i)}, backendRefs: [${to('v1')}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: "${by}"}}}]}`,
    );
    rules.push(
      `{matches: [{path: {value: /whole}}], backendRefs: [${to('v1')}], filters: [{type: URLRewrite, urlRewrite: {hostname: other.example, path: {type: ReplaceFullPath, replaceFullPath: "/a\\\\1b"}}}]}`,
    );
    await tell(route(rules.join(', ')));
    for (const [i, [path, from, by, want]] of cases.entries()) {
      const { seen } = await lab.request({ path, headers: { case: String(i) } });
      expect([path, from, by, seen?.path]).toEqual([path, from, by, want]);
    }
    const { seen } = await lab.request({ path: '/whole/x?y=z' });
    expect([seen?.path, seen?.headers.host]).toEqual(['/a\\1b?y=z', 'other.example']);
  });

  test('mirrors', async () => {
    await tell(
      route(
        `{backendRefs: [${to('v1')}], filters: [{type: RequestMirror, requestMirror: {backendRef: {name: shadow, port: 80}}}]}`,
      ),
    );
    const shadow = backends.get('shadow') as Backend;
    expect(await reached({ path: '/seen-twice' })).toBe('v1');
    await lab.until(() => shadow.seen.some(({ path }) => path === '/seen-twice'), 'mirrored');
    expect(shadow.seen.at(-1)?.headers.host).toBe('cart');
  });

  test('timeouts and retries', async () => {
    await tell(
      route(`{matches: [{path: {value: /late}}], backendRefs: [${to('slow')}], timeouts: {request: 200ms}},
        {matches: [{path: {value: /backend}}], backendRefs: [${to('slow')}], timeouts: {request: 5s, backendRequest: 200ms}},
        {matches: [{path: {value: /patient}}], backendRefs: [${to('slow')}], timeouts: {request: 0s}},
        {matches: [{path: {value: /again}}], backendRefs: [${to('flaky')}], retry: {codes: [503], attempts: 2, backoff: 1ms}},
        {matches: [{path: {value: /once}}], backendRefs: [${to('flaky')}]}`),
    );
    expect(await reached({ path: '/late' })).toBe('504');
    expect(await reached({ path: '/backend' })).toBe('504');
    expect(await reached({ path: '/patient' })).toBe('slow');
    expect((await lab.request({ path: '/again' })).status).toBe(200);
    expect((await lab.request({ path: '/once' })).status).toBe(503);
  });

  test('a filter that nobody knows fails its requests; a rule that cannot be is left out', async () => {
    await tell(
      route(`{matches: [{path: {value: /ext}}], filters: [{type: ExtensionRef, extensionRef: {group: a, kind: B, name: c}}], backendRefs: [${to('v1')}]},
        {matches: [{path: {value: /bad}, headers: [{name: a, type: RegularExpression, value: "("}]}], backendRefs: [${to('v1')}]},
        {matches: [{path: {value: /good}}], backendRefs: [${to('v1')}]}`),
    );
    expect([
      await reached({ path: '/ext' }),
      await reached({ path: '/bad' }),
      await reached({ path: '/good' }),
    ]).toEqual(['500', '404', 'v1']);
    const conditions = lab.control.routes().get('HTTPRoute shop/r')?.[0]?.conditions ?? [];
    expect(conditions.map(({ type, status, reason }) => [type, status, reason])).toEqual([
      ['Accepted', true, 'Accepted'],
      ['ResolvedRefs', false, 'InvalidKind'],
      ['PartiallyInvalid', true, 'UnsupportedValue'],
    ]);
  });

  test('policies: paths, methods, hosts, headers, identities, addresses', async () => {
    const policy = (name: string, spec: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: shop}
spec: {targetRefs: [{group: "", kind: Service, name: cart}], ${spec}}
---`;
    const away = 'spiffe://cluster.local/ns/away/sa/x';
    await tell(
      policy(
        'allow',
        `rules: [{from: [{source: {namespaces: [shop, probe]}}], to: [{operation: {methods: [GET], notPaths: ["/secret/*"]}}]},
          {from: [{source: {principals: ["*/ns/away/sa/x"]}}], to: [{operation: {paths: ["/items/{*}/view"]}}]},
          {from: [{source: {ipBlocks: [10.9.0.0/16]}}], when: [{key: "request.headers[X-Key]", values: ["a*"]}]}]`,
      ),
      policy('deny', 'action: DENY, rules: [{to: [{operation: {hosts: ["evil.*"]}}]}]'),
      policy('dry', 'action: DENY, rules: [{}]').replace(
        'namespace: shop}',
        'namespace: shop, annotations: {istio.io/dry-run: "true"}}',
      ),
    );
    const table: readonly (readonly [Ask, string])[] = [
      [{}, 'cart'],
      [{ method: 'POST' }, '403'],
      [{ path: '/secret/x' }, '403'],
      [{ host: 'evil.org' }, '403'],
      [{ identity: away }, '403'],
      [{ identity: away, path: '/items/7/view' }, 'cart'],
      [{ identity: away, path: '/items/7/8/view' }, '403'],
      [{ identity: '', from: '10.9.1.1', method: 'PUT', headers: { 'x-key': 'abc' } }, 'cart'],
      [{ identity: '', from: '10.9.1.1', method: 'PUT', headers: { 'x-key': 'b' } }, '403'],
      [{ identity: '', from: '10.8.1.1', headers: { 'x-key': 'abc' } }, '403'],
    ];
    for (const [ask, backend] of table) expect([ask, await reached(ask)]).toEqual([ask, backend]);
  });

  test('what is refused is told by name, and the last good one stands', async () => {
    await lab.close();
    lab = await openLab(gateway, 'DELTA_GRPC', { smallRegex: true });
    await tell(route(`{backendRefs: [${to('v1')}]}`));
    lab.tell(
      base() +
        route(
          `{matches: [{headers: [{name: a, type: RegularExpression, value: "${refusedRegex}"}]}], backendRefs: [${to('v2')}]}`,
        ),
    );
    await lab.until(() => lab.control.status().some(({ refused }) => refused.length > 0), 'refused');
    expect(lab.control.status()[0]?.refused).toMatchObject([
      { type: 'routes', name: 'shop/cart.shop.svc.cluster.local|80', stands: expect.stringMatching(/^[0-9a-f]{16}$/) },
    ]);
    expect(await reached({})).toBe('v1');
    await tell(route(`{backendRefs: [${to('v2')}]}`));
    expect(await reached({})).toBe('v2');
    expect(lab.control.status()[0]?.refused).toEqual([]);
  });
});
