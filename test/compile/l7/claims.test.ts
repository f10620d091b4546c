// SPDX-License-Identifier: Apache-2.0
// Addresses that several want: Envoy refuses a listener in which two chains are for the same.
import { expect, test } from 'vitest';
import { attachRoutes } from '../../../src/compile/l7/attach.ts';
import { openWaypointCompiler } from '../../../src/compile/l7/compile.ts';
import { waypointScope } from '../../../src/compile/l7/scope.ts';
import { modelOfYaml } from '../../support/l7.ts';

const mesh = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop, labels: {istio.io/waypoint-for: all}}
spec: {gatewayClassName: istio-waypoint, listeners: [
  {name: mesh, port: 15008, protocol: HBONE, allowedRoutes: {namespaces: {from: All}}}]}
status: {addresses: [{type: IPAddress, value: 10.96.9.9}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80, appProtocol: http}]}
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {nodeName: n, containers: [{name: c, image: x}]}
status: {phase: Running, podIP: 10.98.0.1, podIPs: [{ip: 10.98.0.1}], conditions: [{type: Ready, status: "True"}]}
---`;
const entry = (name: string, address: string, namespace = 'shop') => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: ${namespace}, labels: {istio.io/use-waypoint: waypoint, istio.io/use-waypoint-namespace: shop}}
spec: {hosts: [${name}.example], addresses: ["${address}"], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC}
---`;
const view = { node: 'n', network: '', clusterId: '', locality: { region: '', zone: '', subzone: '' } };

/** Of each address and port, the chains that are for it. */
function chainsAt(text: string): ReadonlyMap<string, readonly string[]> {
  const model = modelOfYaml(text);
  const scope = waypointScope(model, { namespace: 'shop', name: 'waypoint' });
  const { listeners } = openWaypointCompiler(view).compile(model, attachRoutes(model), scope);
  const found = new Map<string, string[]>();
  for (const { name, filterChainMatch: match } of listeners.get('waypoint')?.filterChains ?? []) {
    for (const { addressPrefix, prefixLen } of match.prefixRanges) {
      const at = `${addressPrefix}/${prefixLen} ${match.destinationPort ?? '*'} ${match.serverNames ?? ''}`.trim();
      found.set(at, [...(found.get(at) ?? []), name]);
    }
  }
  return found;
}

test.each([
  [
    "the address of a Service of the waypoint's namespace",
    entry('a', '10.96.0.1', 'away'),
    '10.96.0.1/32 80',
    'shop/cart.shop',
  ],
  ['the same of one in that namespace', entry('a', '10.96.0.1'), '10.96.0.1/32 80', 'shop/cart.shop'],
  ['two entries', entry('a', '10.97.0.1', 'away') + entry('b', '10.97.0.1'), '10.97.0.1/32 80', 'shop/b.example'],
  ['ranges', entry('b', '10.97.1.0/16') + entry('a', '10.97.0.0/16'), '10.97.0.0/16 80', 'shop/a.example'],
  ['a pod', entry('a', '10.98.0.1'), '10.98.0.1/32 80', 'shop/a.example'],
])('claimed twice: %s', (_, more, at, owner) => {
  const chains = chainsAt(mesh + more);
  for (const [where, names] of chains) expect([where, names.length]).toEqual([where, 1]);
  expect(chains.get(at)?.[0]).toContain(owner);
  expect(chains.has('10.98.0.1/32 *')).toBe(true);
});
