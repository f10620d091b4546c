// SPDX-License-Identifier: Apache-2.0
// A real Envoy that refuses one route, one policy or one chain: everything else of the same port and of the same listener goes on, policies first.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Backend, hasEnvoy, type Lab, openBackend, openLab, refusedRegex } from '../support/l7.ts';
import { waypointGateway } from '../support/waypoint-gateway.ts';

const service = (name: string, ip: string, port: number, speaks = 'http') => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: ${ip}, ports: [{name: main, port: 80, targetPort: ${port}, appProtocol: ${speaks}}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, namespace: shop, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{name: main, port: ${port}}]
endpoints: [{addresses: [127.0.0.1]}]
---`;

const bad = `{headers: [{name: a, type: RegularExpression, value: "${refusedRegex}"}]}`;
const path = (value: string): string => `{path: {value: ${value}}}`;

const route = (name: string, to: string, ...matches: string[]) => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ${name}, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: cart}]
  rules: [${matches.map((match) => `{matches: [${match}], backendRefs: [{name: ${to}, port: 80}]}`).join(', ')}]
---`;

const policy = (name: string, to: string, action: string, rules: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: shop}
spec: {targetRefs: [{group: "", kind: Service, name: ${to}}], action: ${action}, rules: [${rules}]}
---`;
/** Denies requests that say so. */
const denies = (name: string, word: string) =>
  policy(name, 'cart', 'DENY', `{when: [{key: "request.headers[x-word]", values: ["${word}"]}]}`);
/** A path in all its spellings is a large regular expression. */
const refused = (name: string) => policy(name, 'cart', 'DENY', '{to: [{operation: {paths: [/one/two/three/four]}}]}');
const from = (namespace: string) => `{from: [{source: {namespaces: [${namespace}]}}]}`;
const longNames = `"${'x'.repeat(100)}*"`;

describe.skipIf(!hasEnvoy).each(['DELTA_GRPC', 'GRPC'] as const)('%s', (api) => {
  const backends: Backend[] = [];
  let lab: Lab;
  let mesh = '';

  beforeAll(async () => {
    for (const name of ['one', 'two']) backends.push(await openBackend(name));
    const [one, two] = backends.map(({ port }) => port) as [number, number];
    mesh = `
${waypointGateway}${service('cart', '10.96.0.1', one)}${service('one', '10.96.0.2', one)}${service('two', '10.96.0.3', two)}${service('tcp', '10.96.0.4', one, 'tcp')}${service('other', '10.96.0.5', two, 'tcp')}`;
    lab = await openLab(mesh, api, { smallRegex: true });
  });
  afterEach(async () => {
    lab.tell(mesh);
    await lab.until(() => lab.control.status()[0]?.refused.length === 0, 'mended');
  });
  afterAll(async () => {
    await lab?.close();
    for (const backend of backends.splice(0)) await backend.close();
  });

  const at = async (to: string, where = '/', word = ''): Promise<string> => {
    const reply = await lab.request({ to, path: where, headers: { 'x-word': word } });
    return reply.seen?.backend ?? String(reply.status);
  };
  const becomes = (where: string, what: string, to = '10.96.0.1') =>
    lab.until(async () => (await at(to, where)) === what, `${what} at ${where}`);
  const isDenied = (word: string, where: string) =>
    lab.until(async () => (await at('10.96.0.1', where, word)) === '403', `denied: ${word}`);
  const parts = () => (lab.control.status()[0]?.refused ?? []).flatMap((one) => one.parts.map(({ part }) => part));

  test('a route that is refused leaves policies and other routes of its port alone', async () => {
    const first = route('a', 'one', path('/a')) + route('b', 'one', path('/b'));
    lab.tell(mesh + first);
    await becomes('/a', 'one');
    await becomes('/b', 'one');
    lab.tell(mesh + route('a', 'two', path('/a'), bad) + route('b', 'two', path('/b')) + denies('p', 'x'));
    await becomes('/b', 'two');
    expect(await at('10.96.0.1', '/b', 'x')).toBe('403');
    // As it was when it was good.
    expect(await at('10.96.0.1', '/a')).toBe('one');
    await lab.until(() => parts().join() === 'HTTPRoute shop/a', 'known');
    // Later changes do not wait for it either.
    lab.tell(mesh + route('a', 'two', path('/a'), bad) + route('b', 'one', path('/b')) + denies('p', 'y'));
    await isDenied('y', '/b');
    await becomes('/b', 'one');
    expect(await at('10.96.0.1', '/b', 'x')).toBe('one');
    expect([await at('10.96.0.1', '/a'), parts()]).toEqual(['one', ['HTTPRoute shop/a']]);
    lab.tell(mesh + route('a', 'two', path('/a')));
    await becomes('/a', 'two');
    await lab.until(() => lab.control.status()[0]?.refused.length === 0, 'forgotten');
  });

  test('of one that never was good the rules hold that are', async () => {
    lab.tell(mesh + route('new', 'two', path('/n'), bad) + denies('p', 'x'));
    await becomes('/n', 'two');
    await isDenied('x', '/n');
    await lab.until(() => parts().join() === 'HTTPRoute shop/new 1', 'known');
    expect(await at('10.96.0.1', '/else')).toBe('404');
  });

  test('a policy that is refused holds as it was, or closes; others hold', async () => {
    lab.tell(mesh + route('a', 'one', path('/')) + denies('p', 'p'));
    await isDenied('p', '/');
    lab.tell(mesh + route('a', 'two', path('/')) + refused('p') + denies('q', 'q'));
    await isDenied('q', '/');
    await becomes('/', 'two');
    expect([await at('10.96.0.1', '/', 'p'), parts()]).toEqual(['403', ['AuthorizationPolicy shop/p']]);
    // Nobody knows what a new one would keep out.
    lab.tell(mesh + route('a', 'two', path('/')) + refused('new'));
    await becomes('/', '403');
    await lab.until(() => parts().join() === 'AuthorizationPolicy shop/new', 'known');
    lab.tell(mesh + route('a', 'two', path('/')));
    await becomes('/', 'two');
  });

  test('in the listener, too: a policy of one service without HTTP keeps nothing from another', async () => {
    lab.tell(mesh);
    await becomes('/', 'one', '10.96.0.4');
    const bad = policy('bad', 'tcp', 'DENY', from(longNames));
    lab.tell(mesh + bad + policy('good', 'other', 'DENY', from('shop')));
    await becomes('/', '0', '10.96.0.5');
    // Closed, as nobody knows whom it would keep out.
    await becomes('/', '0', '10.96.0.4');
    await lab.until(() => parts().join() === 'AuthorizationPolicy shop/bad', 'known');
    lab.tell(mesh + bad);
    await becomes('/', 'two', '10.96.0.5');
    expect(await at('10.96.0.4')).toBe('0');
    lab.tell(mesh);
    await becomes('/', 'one', '10.96.0.4');
  });
});
