// SPDX-License-Identifier: Apache-2.0
// Routes and policies that have no effect are told in the log, once each, and counted by reason.
import { afterEach, expect, test } from 'vitest';
import { openWaypointServer } from '../../src/waypoint/server.ts';
import { modelOfYaml } from '../support/l7.ts';

const closing: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const service = (name: string) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.${name.length}, ports: [{name: http, port: 80, appProtocol: http}]}
---`;
const route = (backend: string, parent = 'cart', name = 'r') => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ${name}, namespace: shop}
spec: {parentRefs: [{group: "", kind: Service, name: ${parent}}], rules: [{backendRefs: [{name: ${backend}, port: 80}]}]}
---`;
const policy = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: shop}
spec: {targetRefs: [{group: "", kind: Service, name: gone}], action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}
---`;
const gateway = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: kmesh-waypoint, addresses: [{value: 10.0.0.9}], listeners: [{name: mesh, port: 15088, protocol: istio.io/PROXY}]}
---`;

function open() {
  const said: Record<string, unknown>[] = [];
  const take = (facts: object) => void said.push(facts as Record<string, unknown>);
  const view = { node: 'n', network: '', clusterId: '', locality: { region: '', zone: '', subzone: '' } };
  const server = openWaypointServer({ view, log: { info: take, warn: take }, gatherMs: 1 });
  closing.push(() => server.close());
  return { server, said };
}

async function until(check: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !check(); ) {
    if (Date.now() > end) throw new Error(`never: ${check}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('once when it begins and once when it ends, by reason', async () => {
  const { server, said } = open();
  server.update(modelOfYaml(gateway + service('cart') + route('v1') + route('cart', 'nobody', 'lost') + policy));
  await until(() => said.length === 3);
  expect(server.conditions()).toEqual({ BackendNotFound: 1, NoMatchingParent: 1, TargetNotFound: 1 });
  expect(said).toContainEqual({
    ...{ event: 'route_condition', resource: 'HTTPRoute shop/r', parent: 'Service shop/cart' },
    ...{ type: 'ResolvedRefs', reason: 'BackendNotFound', details: 'Service shop/v1 is not there' },
  });
  expect(said.map(({ resource }) => resource).sort()).toEqual([
    'AuthorizationPolicy shop/p',
    'HTTPRoute shop/lost',
    'HTTPRoute shop/r',
  ]);

  said.length = 0;
  server.update(modelOfYaml(gateway + service('cart') + service('v1') + route('v1') + policy));
  await until(() => said.length === 2);
  expect(server.conditions()).toEqual({ TargetNotFound: 1 });
  expect(said.map(({ event, resource }) => [event, resource]).sort()).toEqual([
    ['route_condition_over', 'HTTPRoute shop/lost'],
    ['route_condition_over', 'HTTPRoute shop/r'],
  ]);
});

test('thousands at once are some lines, and how many more there are', async () => {
  const { server, said } = open();
  const routes = Array.from({ length: 80 }, (_, i) => route('v1', 'cart', `r${i}`));
  server.update(modelOfYaml(gateway + service('cart') + routes.join('')));
  await until(() => said.length > 0);
  expect(said).toHaveLength(51);
  expect(said.at(-1)).toEqual({ event: 'route_condition', more: 30 });
  expect(server.conditions()).toEqual({ BackendNotFound: 80 });
});
