// SPDX-License-Identifier: Apache-2.0
// Calls of pods by their own addresses through a real Envoy: on to where they were dialled, read as HTTP where a service says so.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Backend, hasEnvoy, type Lab, openBackend, openLab } from '../support/l7.ts';

let lab: Lab;
let web: Backend;
let plain: Backend;

/** The pod's `web` port is HTTP by its service; of `plain` nobody says anything, but another service has a port of that number. */
const mesh = (policy: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop, labels: {istio.io/waypoint-for: all}}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
status: {addresses: [{type: IPAddress, value: 10.96.9.9}]}
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop, labels: {app: a, istio.io/use-waypoint: waypoint}}
spec: {nodeName: n}
status: {podIP: 127.0.0.3, phase: Running, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
spec: {clusterIP: 10.96.0.1, selector: {app: a}, ports: [{name: http, port: 80, targetPort: ${web.port}, appProtocol: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.2, selector: {app: a}, ports: [{name: tcp-x, port: ${plain.port}}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: shop}
spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}], action: DENY, rules: [{to: [{operation: {${policy}}}]}]}
`;

describe.skipIf(!hasEnvoy)('pods behind a waypoint', () => {
  beforeAll(async () => {
    web = await openBackend('web', undefined, '127.0.0.3');
    plain = await openBackend('plain', undefined, '127.0.0.3');
    lab = await openLab(mesh('paths: ["/secret*"]'));
  });
  afterAll(async () => {
    await lab?.close();
    await web?.close();
    await plain?.close();
  });
  const call = (port: number, path: string) => lab.request({ to: '127.0.0.3', port, path });

  test('requests are judged where a service says HTTP', async () => {
    await lab.until(async () => (await call(web.port, '/')).status === 200, 'served');
    expect((await call(web.port, '/x')).seen).toMatchObject({ backend: 'web', path: '/x' });
    expect((await call(web.port, '/secret/x')).status).toBe(403);
  });

  test('other ports are passed on as they are, whatever services have that number', async () => {
    // What asks for a path cannot be judged there, so that it denies.
    expect((await call(plain.port, '/x')).status).toBe(0);
    lab.tell(mesh(`paths: ["/secret*"], ports: ["${web.port}"]`));
    await lab.until(async () => (await call(plain.port, '/')).status === 200, 'told');
    expect((await call(plain.port, '/secret/x')).seen).toMatchObject({ backend: 'plain', path: '/secret/x' });
    expect((await call(web.port, '/secret/x')).status).toBe(403);
    expect((await lab.request({ to: '10.96.0.2', port: plain.port, path: '/b' })).seen?.path).toBe('/b');
  });

  test('addresses of nobody are closed', async () => {
    expect((await lab.request({ to: '127.0.0.4', port: web.port })).status).toBe(0);
  });
});
