// SPDX-License-Identifier: Apache-2.0
// What is no plain HTTP through a real Envoy that our control plane tells, the state of the world at a time: gRPC, TLS by server name, TCP, WebSocket.
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Certificates, makeCertificates } from '../support/certificates.ts';
import { hasEnvoy, type Lab, openLab } from '../support/l7.ts';
import { waypointGateway } from '../support/waypoint-gateway.ts';

const service = (name: string, ip: string, target: number, protocol: string, port = 80) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: ${ip}, ports: [{name: p, port: ${port}, targetPort: ${target}, appProtocol: ${protocol}}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, namespace: shop, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{name: p, port: ${target}}]
endpoints: [{addresses: [127.0.0.1]}]
---`;
const route = (kind: string, name: string, parent: string, rest: string) => `
apiVersion: gateway.networking.k8s.io/${kind === 'GRPCRoute' ? 'v1' : 'v1alpha2'}
kind: ${kind}
metadata: {name: ${name}, namespace: shop}
spec: {parentRefs: [{group: "", kind: Service, name: ${parent}}], ${rest}}
---`;
const to = (name: string, port = 80) => `backendRefs: [{name: ${name}, port: ${port}}]`;

const gateway = `
${waypointGateway}`;

function listening(server: { listen(port: number, host: string, done: () => void): unknown; address(): unknown }) {
  return new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

describe.skipIf(!hasEnvoy)('through Envoy', () => {
  const closing: (() => void)[] = [];
  let certificates: Certificates;
  let lab: Lab;

  const grpcBackend = async (name: string) => {
    const server = createHttp2();
    server.on('stream', (stream, headers) => {
      stream.resume();
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'x-backend': name, 'x-path': headers[':path'] },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.from([0, 0, 0, 0, 0]));
    });
    closing.push(() => server.close());
    return listening(server);
  };
  /** Says its name, and then what it hears. */
  const echo = async (name: string) => {
    const server: Server = createServer((socket) => {
      socket.on('error', () => {});
      socket.write(`${name}:`);
      socket.pipe(socket);
    });
    closing.push(() => server.close());
    return listening(server);
  };
  const tlsBackend = async (name: string) => {
    const server = createTlsServer({ key: certificates.key, cert: certificates.cert }, (socket) => {
      socket.on('error', () => {});
      socket.end(name);
    });
    closing.push(() => server.close());
    return listening(server);
  };

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kmesh-l7-tls-'));
    closing.push(() => rmSync(folder, { recursive: true }));
    certificates = makeCertificates(folder, 'DNS:two.example');
    const [g1, g2, t1, t2, e1, e2] = [
      await grpcBackend('g1'),
      await grpcBackend('g2'),
      await tlsBackend('t1'),
      await tlsBackend('t2'),
      await echo('e1'),
      await echo('e2'),
    ];
    const text = [
      gateway,
      service('g1', '10.96.1.1', g1, 'grpc'),
      service('g2', '10.96.1.2', g2, 'kubernetes.io/h2c'),
      service('t1', '10.96.1.3', t1, 'https'),
      service('t2', '10.96.1.4', t2, 'tls'),
      service('e1', '10.96.1.5', e1, 'tcp'),
      service('e2', '10.96.1.6', e2, 'mysql', 3306),
      route(
        'GRPCRoute',
        'g',
        'g1',
        `rules: [{matches: [{method: {service: a.B, method: Get}}], ${to('g2')}}, {matches: [{method: {service: a.B}}], ${to('g1')}}]`,
      ),
      route('TLSRoute', 't', 't1', `hostnames: [two.example], rules: [{${to('t2')}}]`),
      route('TLSRoute', 'u', 't1', `hostnames: ["*.example", two.example], rules: [{${to('t1')}}]`),
      route('TCPRoute', 'e', 'e1', `rules: [{${to('e2', 3306)}}]`),
      route('TCPRoute', 'x', 'g1', `rules: [{${to('e2', 3306)}}]`),
    ].join('');
    lab = await openLab(text, 'GRPC');
  });
  afterAll(async () => {
    await lab?.close();
    for (const close of closing) close();
  });

  const call = (path: string) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      const socket = lab.connect({ to: '10.96.1.1' });
      const session = connectHttp2('http://g1', { createConnection: () => socket });
      session.on('error', reject);
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      let headers: Record<string, unknown> = {};
      let trailers: Record<string, unknown> = {};
      stream.on('response', (got) => {
        headers = got;
      });
      stream.on('trailers', (got) => {
        trailers = got;
      });
      stream.resume();
      stream.on('end', () => {
        session.close();
        resolve({ backend: headers['x-backend'], status: trailers['grpc-status'] ?? headers['grpc-status'] });
      });
      stream.end(Buffer.from([0, 0, 0, 0, 0]));
    });

  test('gRPC by service and method; what nothing matches is unimplemented', async () => {
    expect(await call('/a.B/Get')).toEqual({ backend: 'g2', status: '0' });
    expect(await call('/a.B/Put')).toEqual({ backend: 'g1', status: '0' });
    expect(await call('/c.D/Get')).toEqual({ backend: undefined, status: '12' });
  });

  const secure = (servername: string) =>
    new Promise<string>((resolve) => {
      const tls = connectTls({ socket: lab.connect({ to: '10.96.1.3' }), servername, rejectUnauthorized: false });
      let text = '';
      tls.on('data', (data) => {
        text += data;
      });
      tls.on('error', () => resolve('refused'));
      tls.on('close', () => resolve(text));
    });

  test('TLS is passed through by its server name; the older route has the name', async () => {
    expect(await secure('two.example')).toBe('t2');
    expect(await secure('three.example')).toBe('t1');
    expect(await secure('elsewhere.test')).toBe('refused');
  });

  const hear = (to: string, say: string, port = 80) =>
    new Promise<string>((resolve) => {
      const socket = lab.connect({ to, port });
      let text = '';
      socket.on('data', (data) => {
        text += data;
        if (say === '' || text.includes(say)) socket.destroy();
      });
      socket.on('close', () => resolve(text));
      if (say !== '') socket.write(say);
    });

  test('TCP, by its route and without; a server that speaks first is heard', async () => {
    expect(await hear('10.96.1.5', 'hello')).toBe('e2:hello');
    expect(await hear('10.96.1.6', '', 3306)).toBe('e2:');
    expect(await hear('10.96.1.99', 'nobody')).toBe('');
  });

  test('of several kinds of routes at a port one holds, and the others are told', () => {
    const said = (key: string) => lab.control.routes().get(key)?.[0]?.conditions[0];
    expect(said('GRPCRoute shop/g')).toMatchObject({ type: 'Accepted', status: true });
    expect(said('TCPRoute shop/x')).toMatchObject({ type: 'Accepted', status: false, reason: 'Conflicted' });
    expect(lab.control.status()[0]).toMatchObject({ proxies: [{ way: 'world' }], refused: [] });
  });
});
