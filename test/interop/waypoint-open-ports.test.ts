// SPDX-License-Identifier: Apache-2.0
// Ports of which nobody says what is spoken, behind a real Envoy: where a policy asks for what HTTP tells, HTTP is recognized, and the rest passed through.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Backend, hasEnvoy, type Lab, openBackend, openLab } from '../support/l7.ts';
import { waypointGateway } from '../support/waypoint-gateway.ts';

const admin = 'spiffe://cluster.local/ns/shop/sa/admin';
const line = 'hello\n';
const guest = 'spiffe://cluster.local/ns/shop/sa/guest';

const service = (name: string, address: string, port: number, target: number) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: ${address}, ports: [{port: ${port}, targetPort: ${target}}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, namespace: shop, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{port: ${target}}]
endpoints: [{addresses: [127.0.0.1]}]
---`;

const policy = (target: string, action: string, rules: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: shop}
spec: {targetRefs: [${target}], action: ${action}, rules: [${rules}]}
---`;
const toGateway = '{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}';
const fromAdmin = '{from: [{source: {principals: [cluster.local/ns/shop/sa/admin]}}]}';

describe.skipIf(!hasEnvoy)('ports that say nothing', () => {
  let lab: Lab;
  let web: Backend;
  let echo: Server;
  let echoes: number;
  const tell = (policies: string) => {
    lab.tell(
      [
        waypointGateway,
        service('web', '10.96.0.1', 80, web.port),
        service('raw', '10.96.0.2', 7000, echoes),
        policies,
      ].join(''),
    );
  };
  const ask = async (method: string, path: string, identity: string, port = 80) =>
    (await lab.request({ method, path, identity, port })).status;
  /** What comes back for a line. */
  const hear = async (identity: string): Promise<string> => {
    const socket = lab.connect({ to: '10.96.0.2', port: 7000, identity });
    let heard = '';
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      heard += bytes;
      if (heard === line) socket.end();
    });
    socket.write(line);
    await once(socket, 'close');
    return heard;
  };

  beforeAll(async () => {
    web = await openBackend('web');
    echo = createServer((socket) => {
      socket.on('error', () => {});
      socket.pipe(socket);
    });
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    echoes = (echo.address() as AddressInfo).port;
    lab = await openLab(waypointGateway);
  });
  afterAll(async () => {
    await lab?.close();
    await web?.close();
    echo?.close();
  });

  test('an ALLOW of the gateway: requests are judged by what they say, other connections by who they are from', async () => {
    tell(policy(toGateway, 'ALLOW', `{to: [{operation: {methods: [GET], paths: [/ok]}}]}, ${fromAdmin}`));
    await lab.until(async () => (await ask('GET', '/no', guest)) === 403, 'told');
    expect(await ask('GET', '/ok', guest)).toBe(200);
    expect(await ask('POST', '/ok', guest)).toBe(403);
    expect(await ask('POST', '/no', admin)).toBe(200);
    expect([await hear(admin), await hear(guest)]).toEqual([line, '']);
  });

  test('a DENY of one service: the rest of its requests pass, and what is no HTTP is kept out, as nobody can tell', async () => {
    const all = (name: string) =>
      policy(`{group: "", kind: Service, name: ${name}}`, 'DENY', '{to: [{operation: {paths: [/no]}}]}');
    tell(all('web'));
    await lab.until(async () => (await ask('GET', '/no', admin)) === 403, 'told');
    expect(await ask('GET', '/ok', guest)).toBe(200);
    expect(await hear(guest)).toBe(line);
    tell(all('raw'));
    await lab.until(async () => (await hear(guest)) === '', 'told');
    expect(await ask('GET', '/no', guest)).toBe(200);
  });

  test('one that is for another port, or asks for nothing of HTTP, changes nothing', async () => {
    tell(
      policy(
        toGateway,
        'DENY',
        `{to: [{operation: {ports: ["81"], paths: [/no]}}]}, {from: [{source: {namespaces: [away]}}]}`,
      ),
    );
    await lab.until(async () => (await hear(guest)) === line, 'told');
    expect(await ask('GET', '/no', guest)).toBe(200);
    const inspectors = async () => {
      const answer = await fetch(`http://127.0.0.1:${lab.admin}/config_dump?resource=dynamic_listeners`);
      return (await answer.text()).includes('http_inspector');
    };
    await lab.until(async () => !(await inspectors()), 'nothing is waited for');
  });
});
