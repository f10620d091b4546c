// SPDX-License-Identifier: Apache-2.0
// `validate` on routes and aimed policies whose backends, parents and targets are not among the files.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { program } from '../../../src/cli/program.ts';
import { runLine } from '../../cli/program.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'km-lint-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const services = `apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80, appProtocol: http}]}
`;
const routes = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: cart}, {group: "", kind: Service, name: none}]
  rules:
  - backendRefs: [{name: cart, port: 80}, {name: v2, port: 80}]
  - matches: [{path: {value: /m}}]
    filters: [{type: RequestMirror, requestMirror: {backendRef: {name: shadow, port: 80}}}]
    backendRefs: [{name: cart, port: 81}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: tcp, namespace: shop}
spec: {parentRefs: [{group: "", kind: Service, name: cart}], rules: [{backendRefs: [{name: v3, port: 80}]}]}
`;
const policy = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: shop}
spec: {targetRefs: [{group: "", kind: Service, name: gone}], action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}
`;

async function validate(files: Readonly<Record<string, string>>) {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const { code, stdout } = await runLine(program, ['validate', folder]);
  const said = stdout.split('\n').filter((line) => line.includes('warning: '));
  return { code, lines: said.map((line) => line.replace(`${folder}/`, '')) };
}

const byPlace = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true });

test('each is a warning with its place, and no error', async () => {
  const { code, lines } = await validate({ 'a.yaml': services, 'routes.yaml': routes, 'policy.yaml': policy });
  expect(code).toBe(0);
  expect(lines.sort(byPlace)).toEqual([
    'policy.yaml:3:18: warning: AuthorizationPolicy shop/p: spec.targetRefs[0]: Service shop/gone is not there: nothing is judged',
    'routes.yaml:3:18: warning: HTTPRoute shop/cart: spec.parentRefs[1]: Service shop/none is not in these files: it holds nowhere there',
    'routes.yaml:3:18: warning: HTTPRoute shop/cart: spec.rules[0].backendRefs[1]: Service shop/v2 is not in these files: requests for it fail',
    'routes.yaml:3:18: warning: HTTPRoute shop/cart: spec.rules[1].backendRefs[0]: Service shop/cart has no TCP port 81: requests for it fail',
    'routes.yaml:3:18: warning: HTTPRoute shop/cart: spec.rules[1].filters: Service shop/shadow is not in these files: copies of requests are not sent',
    'routes.yaml:14:18: warning: TCPRoute shop/tcp: spec.parentRefs[0]: other routes hold at shop/cart.shop.svc.cluster.local|80: it holds nowhere there',
    'routes.yaml:14:18: warning: TCPRoute shop/tcp: spec.rules[0].backendRefs[0]: Service shop/v3 is not in these files: connections for it fail',
  ]);
});

test('files without any service say nothing about whether one is there', async () => {
  expect(await validate({ 'routes.yaml': routes, 'policy.yaml': policy })).toEqual({ code: 0, lines: [] });
});
