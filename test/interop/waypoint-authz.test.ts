// SPDX-License-Identifier: Apache-2.0
// Random policies and requests through a real Envoy, against what the documents say; and what paths there are round them.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Backend, hasEnvoy, type Lab, openBackend, openLab } from '../support/l7.ts';
import { anyRequest, documents, isAllowed, type RawPolicy, type Request, rawPolicy } from '../support/l7-authz.ts';
import { waypointGateway } from '../support/waypoint-gateway.ts';

let lab: Lab;
let backend: Backend;

const mesh = (policies: readonly RawPolicy[]) => `
${waypointGateway}
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80, targetPort: ${backend.port}, appProtocol: http}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart, namespace: shop, labels: {kubernetes.io/service-name: cart}}
addressType: IPv4
ports: [{name: http, port: ${backend.port}}]
endpoints: [{addresses: [127.0.0.1]}]
---${documents(policies)}`;

let generation = 0;
/** Tells of policies, and waits until they hold. */
async function tell(policies: readonly RawPolicy[]): Promise<void> {
  generation++;
  const name = `g${generation}`;
  lab.tell(`${mesh(policies)}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop}
spec: {parentRefs: [{group: "", kind: Service, name: cart}], rules: [
  {matches: [{headers: [{name: x-generation, value: ${name}}]}], filters: [{type: RequestRedirect, requestRedirect: {statusCode: 308}}]},
  {backendRefs: [{name: cart, port: 80}]}]}
`);
  await lab.until(async () => {
    const { status } = await lab.request({ headers: { 'x-generation': name } });
    return status === 308 || (status === 403 && (await holds(name)));
  }, 'told');
}

/** Where the policies shut the question out, Envoy itself says what it goes by. */
async function holds(name: string): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${lab.admin}/config_dump?resource=dynamic_route_configs`);
  if (!(await answer.text()).includes(`"${name}"`)) return false;
  // Whoever answers this has heard of it, too.
  await lab.request({});
  return true;
}

async function isLetIn({
  path,
  method,
  host,
  headers,
  identity,
  source,
  destination,
  port,
}: Request): Promise<boolean> {
  const { status } = await lab.request({
    ...{ path, method, host, headers, from: source, to: destination, port },
    identity: identity ? `spiffe://${identity.domain}/ns/${identity.namespace}/sa/${identity.account}` : '',
  });
  expect([200, 403]).toContain(status);
  return status === 200;
}

describe.skipIf(!hasEnvoy)('policies through Envoy', () => {
  beforeAll(async () => {
    backend = await openBackend('cart');
    lab = await openLab(mesh([]));
  });
  afterAll(async () => {
    await lab?.close();
    await backend?.close();
  });

  test('verdicts of random policies', async () => {
    const seen = { true: 0, false: 0 };
    const policies = fc.array(rawPolicy, { minLength: 1, maxLength: 3 });
    const requests = fc.array(anyRequest, { minLength: 20, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(policies, requests, async (some, list) => {
        await tell(some);
        for (const request of list) {
          const letIn = await isLetIn(request);
          seen[`${letIn}`]++;
          expect([request, letIn]).toEqual([request, isAllowed(some, request)]);
        }
      }),
      { numRuns: 40, endOnFailure: true },
    );
    expect(Math.min(seen.true, seen.false)).toBeGreaterThan(50);
    expect(lab.log()).not.toContain('refuses what it was told');
  });

  test('another spelling of a path, or of a host, is no way round a DENY, and none into an ALLOW', async () => {
    const request: Request = {
      ...{
        method: 'GET',
        host: 'cart',
        headers: {},
        source: '10.2.0.9',
        destination: '10.96.0.1',
        port: 80,
        path: '/',
      },
      identity: { domain: 'cluster.local', namespace: 'shop', account: 'x' },
    };
    const spellings = [
      '/a/b',
      '//a/b',
      '//cart/a/b',
      '/a//b',
      '/a%2Fb',
      '/a%2fb',
      '/x/../a/b',
      '/a/./b',
      '/%61/b',
      '/a\\b',
      '/a/b?c=d',
      // What Envoy leaves to servers, of which some resolve it.
      '/a%5cb',
      '/.%2fa/b',
      '/x/..%2fa/b',
      '/x%2f..%2fa/b',
      '/x%2f../a/b',
      '/x/%2e%2e%5ca/b',
      '/x/..;/a/b',
    ];
    const others = ['/a/bc', '/ab', '/x/a/b', '/a/B', '/a/b/c'];
    await tell([{ action: 'DENY', rules: [{ to: [{ operation: { paths: ['/a/b'] } }] }] }]);
    for (const path of spellings) expect([path, await isLetIn({ ...request, path })]).toEqual([path, false]);
    for (const path of others) expect([path, await isLetIn({ ...request, path })]).toEqual([path, true]);
    const paths = ['/v1/x:del', '/a b', '/\u00e4', '/p%2fq', '*.php'];
    await tell([{ action: 'DENY', rules: [{ to: [{ operation: { paths } }] }] }]);
    for (const path of ['/v1/x:del', '/v1/x%3Adel', '/v1/x%3adel', '/a%20b', '/%c3%A4', '/p%2Fq', '/p/q', '/a%2Ephp'])
      expect([path, await isLetIn({ ...request, path })]).toEqual([path, false]);
    for (const path of ['/v1/x', '/ab', '/pq', '/php']) expect(await isLetIn({ ...request, path })).toBe(true);
    await tell([{ action: 'ALLOW', rules: [{ to: [{ operation: { notPaths: ['/a/*'] } }] }] }]);
    for (const path of [...spellings, '/a/b/c'])
      expect([path, await isLetIn({ ...request, path })]).toEqual([path, false]);
    await tell([{ action: 'DENY', rules: [{ to: [{ operation: { hosts: ['admin.example'] } }] }] }]);
    for (const host of [
      ...['admin.example', 'ADMIN.example', 'admin.example:80', 'admin.example:8443', 'admin.example:x'],
      ...['admin.example.', 'admin.example.:80', 'me@admin.example'],
    ]) {
      expect([host, await isLetIn({ ...request, host })]).toEqual([host, false]);
    }
    expect(await isLetIn({ ...request, host: 'xadmin.example' })).toBe(true);
    await tell([
      { action: 'DENY', rules: [{ to: [{ operation: { hosts: ['admin.example:8443', 'x:*', '*.y:1'] } }] }] },
    ]);
    const ports = ['ADMIN.example:8443', 'admin.example.:8443', 'me@admin.example:8443', 'a,admin.example:8443,b'];
    for (const host of [...ports, 'x:1', 'x.:80', 'me@x:', 'a.y:1', 'a.y.:1'])
      expect([host, await isLetIn({ ...request, host })]).toEqual([host, false]);
    for (const host of ['admin.example', 'admin.example:84', 'admin.example:84430', 'x', 'xy:1', 'a.y:10'])
      expect([host, await isLetIn({ ...request, host })]).toEqual([host, true]);
    await tell([{ action: 'ALLOW', rules: [{ to: [{ operation: { hosts: ['cart.example'] } }] }] }]);
    expect(await isLetIn({ ...request, host: 'Cart.example' })).toBe(true);
    expect(await isLetIn({ ...request, host: 'cart.example:80' })).toBe(false);
    await tell([{ action: 'ALLOW', rules: [{ to: [{ operation: { hosts: ['*.example', '*:8080', 'cart*'] } }] }] }]);
    const letIn = ['a.example', 'A.b.Example', 'x:8080', '[::1]:8080', 'cart', 'cart.x:80'];
    for (const host of letIn) expect([host, await isLetIn({ ...request, host })]).toEqual([host, true]);
    const keptOut = ['x:.example', 'x:1.example', 'x,a.example', 'x:80,y:8080', 'cart,x', 'cart@x', 'cart:80@x'];
    for (const host of keptOut) expect([host, await isLetIn({ ...request, host })]).toEqual([host, false]);
  });

  test('values as long as they may be', async () => {
    const long = 'ab-.'.repeat(511);
    const header = 'request.headers[x-user]';
    await tell([
      { action: 'ALLOW', rules: [{ when: [{ key: header, values: ['good', long, `${long}*`, `*${long}`] }] }] },
      {
        action: 'DENY',
        rules: [
          { to: [{ operation: { hosts: ['x.y', long] } }, { operation: { paths: ['/y', `/${long}*`] } }] },
          { when: [{ key: header, values: ['bad', long] }] },
        ],
      },
    ]);
    const status = async (user: string, ask = {}) =>
      (await lab.request({ headers: { 'x-user': user }, ...ask })).status;
    expect(await status('good')).toBe(200);
    expect(await status(`${long}x`)).toBe(200);
    expect(await status(long)).toBe(403);
    expect(await status('good', { host: 'x.y' })).toBe(403);
    expect(await status('good', { path: `/${long}` })).toBe(403);
    expect(lab.log()).not.toContain('refuses what it was told');
  });
});
