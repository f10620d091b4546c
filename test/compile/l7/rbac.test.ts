// SPDX-License-Identifier: Apache-2.0
// Which policies hold for which port, and what is left of them where no HTTP is read.
import { expect, test } from 'vitest';
import { attachRoutes } from '../../../src/compile/l7/attach.ts';
import { openWaypointCompiler } from '../../../src/compile/l7/compile.ts';
import type * as envoy from '../../../src/compile/l7/envoy.ts';
import { waypointScope } from '../../../src/compile/l7/scope.ts';
import { modelOfYaml } from '../../support/l7.ts';

const base = `
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}, {name: tcp, port: 81, protocol: TCP}]}
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.2, ports: [{name: tcp, port: 81}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop, labels: {istio.io/waypoint-for: all}}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
status: {addresses: [{type: IPAddress, value: 10.96.9.9}]}
---`;
const policy = (spec: string, name = 'p', namespace = 'shop') => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: ${namespace}}
spec: {${spec}}
---`;
const cart = 'targetRefs: [{kind: Service, group: "", name: cart}]';
const gateway = 'targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: waypoint}]';

function compiled(...policies: string[]) {
  const model = modelOfYaml(base + policies.join(''));
  const view = { node: 'n', network: '', clusterId: '', locality: { region: '', zone: '', subzone: '' } };
  const scope = waypointScope(model, { namespace: 'shop', name: 'waypoint' });
  const { listeners, routes } = openWaypointCompiler(view).compile(model, attachRoutes(model), scope);
  const host = routes.get('shop/cart.shop.svc.cluster.local|80')?.virtualHosts[0];
  const chains = listeners.get('waypoint')?.filterChains ?? [];
  const stream = (name: string): Record<string, envoy.Rbac | undefined> => {
    const filters =
      chains.find((chain) => chain.name.startsWith(`shop/${name}.shop.svc.cluster.local|81`))?.filters ?? [];
    return Object.fromEntries(
      filters
        .filter((filter) => filter.name.startsWith('kmesh.authz'))
        .map((filter) => [filter.name, (filter.typedConfig.value as envoy.NetworkRbac).rules]),
    );
  };
  const inspector = listeners.get('waypoint')?.listenerFilters.find(({ name }) => name.includes('tls'));
  const range = inspector?.filterDisabled?.notMatch?.destinationPortRange;
  return { host, stream, chains, tls: range ? [range.start] : [] };
}

test('no policy asks nothing; one of a service is for its ports alone, one of the gateway for all', () => {
  expect(compiled().host?.typedPerFilterConfig).toBeUndefined();
  const one = compiled(policy(`${cart}, rules: [{from: [{source: {namespaces: [a]}}]}]`));
  expect(Object.keys(one.host?.typedPerFilterConfig ?? {})).toEqual(['kmesh.authz.allow']);
  expect([Object.keys(one.stream('cart')), Object.keys(one.stream('other'))]).toEqual([['kmesh.authz.allow'], []]);
  const all = compiled(policy(`${gateway}, action: DENY, rules: [{}]`));
  expect([Object.keys(all.stream('cart')), Object.keys(all.stream('other'))]).toEqual([
    ['kmesh.authz.deny'],
    ['kmesh.authz.deny'],
  ]);
  const elsewhere = compiled(policy(`${gateway}, action: DENY, rules: [{}]`, 'p', 'away'));
  expect(elsewhere.stream('cart')).toEqual({});
});

test('without rules an ALLOW lets nobody in, and a DENY denies nothing', () => {
  const { stream } = compiled(policy(cart, 'a'), policy(`${cart}, action: DENY`, 'd'));
  expect(stream('cart')).toEqual({
    'kmesh.authz.deny': { action: 1, policies: {} },
    'kmesh.authz.allow': { action: 0, policies: {} },
  });
});

test('where no HTTP is read: an ALLOW that rests on it allows nothing, a DENY does without', () => {
  const rules = 'rules: [{from: [{source: {namespaces: [a]}}], to: [{operation: {methods: [GET], ports: ["81"]}}]}]';
  const { stream } = compiled(policy(`${cart}, ${rules}`, 'a'), policy(`${cart}, action: DENY, ${rules}`, 'd'));
  const namespace = { filterState: { key: 'kmesh.source', stringMatch: { contains: '/ns/a/sa/' } } };
  expect(stream('cart')).toEqual({
    'kmesh.authz.deny': {
      action: 1,
      policies: { 'shop/d[0]': { permissions: [{ destinationPort: 81 }], principals: [namespace] } },
    },
    'kmesh.authz.allow': { action: 0, policies: {} },
  });
});

test('no token is read: what asks for one lets nobody in, and keeps out whoever else it is for', () => {
  for (const asks of ['requestPrincipals: ["*"]', 'notRequestPrincipals: [me]']) {
    const { host } = compiled(policy(`${cart}, rules: [{from: [{source: {${asks}}}]}]`));
    expect(JSON.stringify(host?.typedPerFilterConfig)).toContain('"principals":[{"notId":{"any":true}}]');
    const denied = compiled(policy(`${cart}, action: DENY, rules: [{from: [{source: {${asks}}}]}]`));
    expect(JSON.stringify(denied.host?.typedPerFilterConfig)).toContain('"principals":[{"any":true}]');
  }
});

test('a server name is waited for where a policy asks for it; where nothing can wait for it a DENY does without', () => {
  const sni = `${gateway}, action: DENY, rules: [{when: [{key: connection.sni, values: [a.b]}]}]`;
  const pod = `
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
status: {podIP: 10.2.0.1, phase: Running, conditions: [{type: Ready, status: "True"}]}
---`;
  const { chains, tls } = compiled(policy(sni), pod);
  expect(tls).toEqual([81]);
  const rulesAt = (name: string) =>
    JSON.stringify(
      chains.find((chain) => chain.name.startsWith(name))?.filters.find((f) => f.name === 'kmesh.authz.deny'),
    );
  expect(rulesAt('shop/other.shop')).toContain('requestedServerName');
  expect(rulesAt('workload@*')).toContain('"permissions":[{"any":true}]');
});

test('a condition on the header "host" asks for the host', () => {
  const { host } = compiled(
    policy(`${cart}, action: DENY, rules: [{when: [{key: "request.headers[Host]", values: [a.b]}]}]`),
  );
  const text = JSON.stringify(host?.typedPerFilterConfig);
  expect(text).toContain('"name":":authority"');
  expect(text).not.toContain('"name":"host"');
});

test('who says no server name in time is kept out by a DENY that asks for one, and not let in by notValues', () => {
  const rules = (more: string) => policy(`${gateway}, ${more}`);
  const rulesOf = (text: string, filter: string) =>
    JSON.stringify(
      compiled(text)
        .chains.find(({ name }) => name.startsWith('shop/other.shop'))
        ?.filters.find(({ name }) => name === filter),
    );
  const none = '{"requestedServerName":{"safeRegex":{"regex":"^$"}}}';
  const deny = rulesOf(
    rules('action: DENY, rules: [{when: [{key: connection.sni, values: [A.b]}]}]'),
    'kmesh.authz.deny',
  );
  expect(deny).toContain(`{"orRules":{"rules":[{"requestedServerName":{"exact":"a.b"}},${none}]}}`);
  const allow = rulesOf(rules('rules: [{when: [{key: connection.sni, notValues: [a.b]}]}]'), 'kmesh.authz.allow');
  expect(allow).toContain(`{"notRule":{"orRules":{"rules":[{"requestedServerName":{"exact":"a.b"}},${none}]}}}`);
});
