// SPDX-License-Identifier: Apache-2.0
// Filter chains of ports that are passed through.
import { expect, test } from 'vitest';
import { attachRoutes } from '../../../src/compile/l7/attach.ts';
import { openWaypointCompiler } from '../../../src/compile/l7/compile.ts';
import { waypointScope } from '../../../src/compile/l7/scope.ts';
import { modelOfYaml } from '../../support/l7.ts';

const view = { node: 'n', network: '', clusterId: '', locality: { region: '', zone: '', subzone: '' } };

test('a server name that stands twice is one: Envoy would refuse the listener', () => {
  const model = modelOfYaml(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: kmesh-waypoint, addresses: [{value: 10.0.0.9}], listeners: [{name: mesh, port: 15088, protocol: istio.io/PROXY}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.1, ports: [{name: tls, port: 443, appProtocol: tls}]}
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TLSRoute
metadata: {name: a, namespace: shop}
spec: {parentRefs: [{group: "", kind: Service, name: cart}], hostnames: [x.y, X.y, "*.y", x.y], rules: [{backendRefs: [{name: cart, port: 443}]}]}
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TLSRoute
metadata: {name: b, namespace: shop}
spec: {parentRefs: [{group: "", kind: Service, name: cart}], hostnames: [x.y, z.y], rules: [{backendRefs: [{name: cart, port: 443}]}]}
`);
  const scope = waypointScope(model, { namespace: 'shop', name: 'waypoint' });
  const { listeners } = openWaypointCompiler(view).compile(model, attachRoutes(model), scope);
  const chains = [...listeners.values()].flatMap(({ filterChains }) => filterChains);
  expect(chains.flatMap(({ filterChainMatch }) => filterChainMatch.serverNames ?? [])).toEqual(['x.y', '*.y', 'z.y']);
});
