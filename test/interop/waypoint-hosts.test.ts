// SPDX-License-Identifier: Apache-2.0
// Backends that are named by their host (Istio's kind Hostname), through a real Envoy: routes of each kind.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Backend, hasEnvoy, type Lab, openBackend, openLab } from '../support/l7.ts';
import { waypointGateway } from '../support/waypoint-gateway.ts';

const parent = (name: string, ip: string, speaks: string) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: ${ip}, ports: [{name: main, port: 80, appProtocol: ${speaks}}]}
---`;

/** Of a namespace that the routes are not in. */
const entry = (host: string, port: number, more = '') => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${host.split('.')[0]}, namespace: outside}
spec:
  hosts: [first.${host}, ${host}]
  ports: [{number: 8080, name: http, targetPort: ${port}}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]${more}
---`;

const route = (kind: string, host: string, more = '') => `
apiVersion: gateway.networking.k8s.io/${/^T/.test(kind) ? 'v1alpha2' : 'v1'}
kind: ${kind}
metadata: {name: r, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: ${kind.toLowerCase()}}]
  rules: [{backendRefs: [{group: networking.istio.io, kind: Hostname, name: ${host}, port: 8080}]${more}}]
---`;

const kinds = ['HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute'] as const;
const speaks = { HTTPRoute: 'http', GRPCRoute: 'http', TLSRoute: 'tcp', TCPRoute: 'tcp' } as const;
const parents = kinds.map((kind, i) => parent(kind.toLowerCase(), `10.96.0.${i + 1}`, speaks[kind])).join('');

describe.skipIf(!hasEnvoy)('hosts as backends', () => {
  const backends: Backend[] = [];
  let lab: Lab;
  let mesh = '';

  beforeAll(async () => {
    for (const name of ['api', 'other', 'copies']) backends.push(await openBackend(name));
    const entries = backends.map(({ name, port }) => entry(`${name}.example.com`, port)).join('');
    mesh = `
${waypointGateway}${parents}${entries}`;
    lab = await openLab(mesh);
  });
  afterAll(async () => {
    await lab?.close();
    for (const backend of backends) await backend.close();
  });

  const reached = async (to: string): Promise<string> => {
    const reply = await lab.request({ to, path: '/pkg.Service/Method', method: 'POST' });
    return reply.seen?.backend ?? String(reply.status);
  };

  test.each(kinds.map((kind, i) => [kind, `10.96.0.${i + 1}`] as const))('%s', async (kind, to) => {
    const key = `${kind} shop/r`;
    const resolved = () =>
      lab.control
        .routes()
        .get(key)?.[0]
        ?.conditions.find(({ type }) => type === 'ResolvedRefs');
    lab.tell(mesh + route(kind, 'api.example.com'));
    await lab.until(async () => (await reached(to)) === 'api', 'api');
    expect(resolved()).toMatchObject({ status: true });
    lab.tell(mesh + route(kind, 'other.example.com'));
    await lab.until(async () => (await reached(to)) === 'other', 'other');
    // Nobody's: an error of ours, or of a connection its end.
    lab.tell(mesh + route(kind, 'nobody.example.com'));
    const failed = speaks[kind] === 'http' ? '500' : '0';
    await lab.until(async () => (await reached(to)) === failed, failed);
    expect(resolved()).toMatchObject({ status: false, reason: 'BackendNotFound' });
  });

  test('copies, too', async () => {
    const ref = 'backendRef: {group: networking.istio.io, kind: Hostname, name: copies.example.com, port: 8080}';
    const filters = `, filters: [{type: RequestMirror, requestMirror: {${ref}}}]`;
    lab.tell(mesh + route('HTTPRoute', 'api.example.com', filters));
    const copies = backends[2]?.seen ?? [];
    await lab.until(async () => (await reached('10.96.0.1')) === 'api' && copies.length > 0, 'copied');
  });
});
