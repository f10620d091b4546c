// SPDX-License-Identifier: Apache-2.0
// What the author of a policy is told that waypoints enforce.
import { expect, test } from 'vitest';
import { attachRoutes } from '../../../src/compile/l7/attach.ts';
import { policyStatuses } from '../../../src/compile/l7/policy-status.ts';
import { apply } from '../../../src/mesh/apply.ts';
import type { WaypointPolicy } from '../../../src/mesh/waypoint-policy.ts';
import { modelOfYaml } from '../../support/l7.ts';

const mesh = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: kmesh-waypoint, listeners: [{name: mesh, port: 15088, protocol: istio.io/PROXY}], addresses: [{value: 10.0.0.9}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: own, namespace: shop, annotations: {kmesh.net/waypoint-binding: KMESH}}
spec: {gatewayClassName: other, listeners: [{name: mesh, port: 15019, protocol: TCP}], addresses: [{value: 10.0.0.8}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: kmesh, namespace: shop, labels: {istio.io/use-waypoint: own}}
spec: {clusterIP: 10.96.0.2, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: bare, namespace: shop}
spec: {clusterIP: 10.96.0.3, ports: [{name: http, port: 80}]}
---
`;

function said(target: string, namespace = 'shop'): readonly string[] {
  const model = modelOfYaml(`${mesh}
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: ${namespace}}
spec: {targetRefs: [${target}], action: DENY, rules: [{to: [{operation: {paths: ["/admin*"]}}]}]}
`);
  const statuses = policyStatuses(model, attachRoutes(model)).get(`AuthorizationPolicy ${namespace}/p`) ?? [];
  return statuses.flatMap(({ conditions }) =>
    conditions.map(({ status, reason, message }) => `${status} ${reason}${message === '' ? '' : `: ${message}`}`),
  );
}
const gateway = 'group: gateway.networking.k8s.io';

test('targets that are there and have a waypoint', () => {
  expect(said('{kind: Service, name: cart}')).toEqual(['true Accepted']);
  expect(said(`{${gateway}, kind: Gateway, name: waypoint}`)).toEqual(['true Accepted']);
  expect(said(`{${gateway}, kind: GatewayClass, name: kmesh-waypoint}`, 'istio-system')).toEqual(['true Accepted']);
});

test('nobody judges at targets that are not there, have no waypoint, or one that is told elsewhere', () => {
  const gone = (what: string) => [`false TargetNotFound: ${what} is not there: nothing is judged`];
  expect(said('{kind: Service, name: kart}')).toEqual(gone('Service shop/kart'));
  expect(said(`{${gateway}, kind: Gateway, name: way}`)).toEqual(gone('Gateway shop/way'));
  expect(said(`{${gateway}, kind: GatewayClass, name: no}`, 'istio-system')).toEqual([
    'false TargetNotFound: there is no Gateway of class no: nothing is judged',
  ]);
  expect(said('{kind: Service, name: bare}')).toEqual([
    'false AncestorNotBound: the service has no waypoint that could act on it',
  ]);
  expect(said('{kind: Service, name: kmesh}')[0]).toMatch(/^false UnsupportedValue: .* KMESH/);
  expect(said(`{${gateway}, kind: Gateway, name: own}`)[0]).toMatch(/^false UnsupportedValue/);
  expect(said('{kind: Service, name: cart}, {kind: Service, name: kart}')).toEqual([
    'true Accepted',
    ...gone('Service shop/kart'),
  ]);
});

test('a policy that was refused denies where somebody judges, and closes nothing where the target cannot be read', () => {
  const refused = (target: string, namespace = 'shop') => {
    const found = modelOfYaml(mesh);
    const [group = '', kind = '', name = ''] = target.split(' ');
    const policy: WaypointPolicy = {
      ...{ kind: 'AuthorizationPolicy', namespace, name: 'p', targets: [{ group, kind, name }] },
      ...{ action: 'deny', rules: [], dryRun: false, refused: 'why' },
    };
    const { model } = apply(found, [{ kind: 'put-route', route: policy }]);
    const [status] = policyStatuses(model, attachRoutes(model)).get(`AuthorizationPolicy ${namespace}/p`) ?? [];
    return [status?.parent.kind, status?.parent.name, status?.conditions[0]?.reason, status?.conditions[0]?.message];
  };
  const shut = 'it was refused, and denies everything: why';
  const open = 'nothing is judged; it was refused, and closes nothing here: why';
  const group = 'gateway.networking.k8s.io';
  expect(refused(' Service cart')).toEqual(['Service', 'cart', 'Invalid', shut]);
  expect(refused(' Service kart')).toEqual([
    'Service',
    'kart',
    'TargetNotFound',
    `Service shop/kart is not there: ${open}`,
  ]);
  const unread = `what it is aimed at cannot be read: ${open}`;
  expect(refused('')).toEqual(['?', '?', 'InvalidTarget', unread]);
  expect(refused(' Service ')).toEqual(['Service', '?', 'InvalidTarget', unread]);
  expect(refused(`${group} GatewayClass `, 'istio-system')).toEqual(['GatewayClass', '?', 'InvalidTarget', unread]);
  expect(refused(' Servcie cart')).toEqual([
    'Servcie',
    'cart',
    'InvalidTarget',
    `it cannot be aimed at Servcie cart: ${open}`,
  ]);
  expect(refused(' GatewayClass kmesh-waypoint')[2]).toBe('InvalidTarget');
});
