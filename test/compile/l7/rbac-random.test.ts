// SPDX-License-Identifier: Apache-2.0
// Random policies and requests: what Envoy is told, read as Envoy reads it, says what the documents say.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { attachRoutes } from '../../../src/compile/l7/attach.ts';
import { openWaypointCompiler } from '../../../src/compile/l7/compile.ts';
import type * as envoy from '../../../src/compile/l7/envoy.ts';
import { waypointScope } from '../../../src/compile/l7/scope.ts';
import { passes } from '../../support/envoy-rbac.ts';
import { modelOfYaml } from '../../support/l7.ts';
import { anyRequest, documents, isAllowed, rawPolicy } from '../../support/l7-authz.ts';
import { waypointGateway } from '../../support/waypoint-gateway.ts';

const cart = `
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
---
${waypointGateway}`;
const view = { node: 'n', network: '', clusterId: '', locality: { region: '', zone: '', subzone: '' } };

function filtersOf(text: string): readonly (envoy.Rbac | undefined)[] {
  const model = modelOfYaml(cart + text);
  const scope = waypointScope(model, { namespace: 'shop', name: 'waypoint' });
  const { routes } = openWaypointCompiler(view).compile(model, attachRoutes(model), scope);
  const fields = routes.get('shop/cart.shop.svc.cluster.local|80')?.virtualHosts[0]?.typedPerFilterConfig ?? {};
  return ['kmesh.authz.deny', 'kmesh.authz.allow'].map(
    (name) => (fields[name]?.value as envoy.HttpRbacPerRoute | undefined)?.rbac.rules,
  );
}

test('verdicts', () => {
  const seen = { allowed: 0, denied: 0 };
  fc.assert(
    fc.property(
      fc.array(rawPolicy, { minLength: 1, maxLength: 3 }),
      fc.array(anyRequest, { minLength: 12, maxLength: 12 }),
      (policies, requests) => {
        const filters = filtersOf(documents(policies));
        for (const request of requests) {
          const allowed = isAllowed(policies, request);
          seen[allowed ? 'allowed' : 'denied']++;
          expect([request, filters.every((rules) => passes(rules, request))]).toEqual([request, allowed]);
        }
      },
    ),
    { numRuns: 300 },
  );
  expect(Math.min(seen.allowed, seen.denied)).toBeGreaterThan(300);
});
