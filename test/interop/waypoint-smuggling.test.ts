// SPDX-License-Identifier: Apache-2.0
// Requests that one reader may take for another: whatever reaches the backend was judged as the backend sees it.
import { connect as connectHttp2, createServer, type Http2Server, type IncomingHttpHeaders } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Backend, hasEnvoy, type Lab, openBackend, openLab } from '../support/l7.ts';
import { waypointGateway } from '../support/waypoint-gateway.ts';

let lab: Lab;
let backend: Backend;
let backend2: Http2Server;
/** What reached the backend that speaks HTTP/2. */
const seen2: IncomingHttpHeaders[] = [];

const port2 = () => (backend2.address() as AddressInfo).port;

const mesh = () => `
${waypointGateway}
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80, targetPort: ${backend.port}, appProtocol: http},
  {name: role, port: 82, targetPort: ${backend.port}, appProtocol: http},
  {name: h2, port: 81, targetPort: ${port2()}, appProtocol: kubernetes.io/h2c}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart, namespace: shop, labels: {kubernetes.io/service-name: cart}}
addressType: IPv4
ports: [{name: http, port: ${backend.port}}, {name: role, port: ${backend.port}}, {name: h2, port: ${port2()}}]
endpoints: [{addresses: [127.0.0.1]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: out, namespace: shop}
spec:
  targetRefs: [{group: "", kind: Service, name: cart}]
  action: DENY
  rules:
    - to: [{operation: {paths: ["/admin", "/admin/*"]}}, {operation: {hosts: [admin.example]}}, {operation: {methods: [DELETE]}}]
    - when: [{key: "request.headers[x-user]", values: [evil]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: in, namespace: shop}
spec:
  targetRefs: [{group: "", kind: Service, name: cart}]
  action: ALLOW
  rules:
    - to: [{operation: {ports: ["80", "81"]}}]
    - when: [{key: "request.headers[x-role]", values: [reader, "guest*", "*-bot"]}]
    - when: [{key: "request.headers[x-team]", values: ["*"], notValues: [none, "old*"]}]
`;

/** Sends this, and waits until the proxy closes, or has been silent for a while. */
async function raw(text: string, port = 80): Promise<string> {
  const socket: Socket = lab.connect({ port });
  let answer = '';
  socket.on('data', (data) => {
    answer += data.toString('latin1');
  });
  socket.write(Buffer.from(text, 'latin1'));
  socket.setTimeout(1000, () => socket.destroy());
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('close', resolve));
  return answer;
}

describe.skipIf(!hasEnvoy)('requests with two meanings', () => {
  beforeAll(async () => {
    backend = await openBackend('cart');
    backend2 = createServer((request, response) => {
      seen2.push(request.headers);
      response.end();
    });
    await new Promise<void>((resolve) => backend2.listen(0, '127.0.0.1', () => resolve()));
    lab = await openLab(mesh());
    await lab.until(async () => (await lab.request({ path: '/admin' })).status === 403, 'told');
  });
  afterAll(async () => {
    await lab?.close();
    await backend?.close();
    backend2?.close();
  });

  const one = 'GET / HTTP/1.1\r\nHost: cart\r\n';
  const inner = 'GET /admin HTTP/1.1\r\nHost: cart\r\n\r\n';
  const close = 'Connection: close\r\n\r\n';
  const texts = [
    `POST / HTTP/1.1\r\nHost: cart\r\nContent-Length: ${inner.length + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`, // both lengths
    `POST / HTTP/1.1\r\nHost: cart\r\nContent-Length: 0\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`, // two lengths
    `POST / HTTP/1.1\r\nHost: cart\r\nContent-Length: 0, ${inner.length}\r\n\r\n${inner}`, // two lengths in one
    `POST / HTTP/1.1\r\nHost: cart\r\nContent-Length: +${inner.length}\r\n\r\n${inner}`, // a length with a sign
    `POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${inner}`, // an encoding that is not known
    `POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${inner}`, // chunked twice
    `POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${inner}`, // a space before the colon
    `POST / HTTP/1.1\r\nHost: cart\r\nX: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${inner}`, // a folded line
    `POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding:\x0bchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${inner}`, // a tab in the encoding
    `POST / HTTP/1.1\nHost: cart\nContent-Length: 5\n\n0\r\n\r\n${inner}`, // lines that end with LF
    `POST / HTTP/1.1\r\nHost: cart\r\nTransfer-Encoding: chunked\r\n\r\n2;\nxx\r\n4c\r\n0\r\n\r\n${inner}`, // a chunk extension with a line end
    `GET / HTTP/1.1\r\nHost: cart\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`, // a GET with a body
    `${one}\r\n${inner}`, // pipelined
    `GET / HTTP/1.1\r\nHost: cart\r\nHost: admin.example\r\n${close}`, // two hosts
    `GET / HTTP/1.1\r\nHost: admin.example\r\nHost: cart\r\n${close}`, // two hosts, the other way
    `GET / HTTP/1.1\r\nHost: cart, admin.example\r\n${close}`, // hosts in one
    `GET http://admin.example/ HTTP/1.1\r\nHost: cart\r\n${close}`, // absolute
    `GET http://cart/ HTTP/1.1\r\nHost: admin.example\r\n${close}`, // absolute, host below
    `GET http://cart/admin HTTP/1.1\r\nHost: cart\r\n${close}`, // absolute path
    `GET http://cart@admin.example/ HTTP/1.1\r\nHost: cart\r\n${close}`, // absolute with a user
    `GET http://cart#@admin.example/ HTTP/1.1\r\nHost: cart\r\n${close}`, // absolute with a fragment
    `GET http://cart\\@admin.example/admin HTTP/1.1\r\nHost: cart\r\n${close}`, // absolute with a backslash
    `GET x://admin.example/admin HTTP/1.1\r\nHost: cart\r\n${close}`, // a scheme that is none
    `CONNECT admin.example:80 HTTP/1.1\r\nHost: cart\r\n\r\n${inner}`, // connect
    `CONNECT /admin HTTP/1.1\r\nHost: cart\r\n\r\n`, // connect to a path
    `${one}Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n${inner}`, // h2c upgrade
    `${one}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n${inner}`, // websocket that is none
    `GET /admin HTTP/1.1\r\nHost: cart\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`, // websocket to the path
    `GET /admin HTTP/1.0\r\n\r\n`, // old HTTP
    `GET /admin\r\n`, // no version
    `GET /admin HTTP/1.1\r\n${close}`, // no host
    `GET /admin\0 HTTP/1.1\r\nHost: cart\r\n${close}`, // NUL
    `GET /#/../admin HTTP/1.1\r\nHost: cart\r\n${close}`, // fragment
    `GET /admin#x HTTP/1.1\r\nHost: cart\r\n${close}`, // fragment behind
    `GET /admin?x HTTP/1.1\r\nHost: cart\r\n${close}`, // question
    `GET admin HTTP/1.1\r\nHost: cart\r\n${close}`, // no slash
    `delete / HTTP/1.1\r\nHost: cart\r\n${close}`, // method in small letters
    `${one}X-User: me\r\nX-User: evil\r\n${close}`, // header twice
    `${one}X-User: evil\r\nX-User: me\r\n${close}`, // header twice, the other way
    `${one}X-User: me, evil\r\n${close}`, // several in one header
    `${one}X-User: evil ,me\r\n${close}`, // several in one header, the other way
    `${one}X-User: \xff, evil\r\n${close}`, // several in one header, of which one is no text
    `${one}X-User: evil,\xff\r\n${close}`, // the same, the other way
    `GET /admin/\xff HTTP/1.1\r\nHost: cart\r\n${close}`, // a path that is no text
    `GET /\xff/../admin HTTP/1.1\r\nHost: cart\r\n${close}`, // the same, before
    `GET /\xff/..%2fadmin HTTP/1.1\r\nHost: cart\r\n${close}`, // the same, past an escaped slash
    `GET /admin/%ff HTTP/1.1\r\nHost: cart\r\n${close}`, // escaped, and no text
    `GET /admin/%0a HTTP/1.1\r\nHost: cart\r\n${close}`, // a line end, escaped
    `GET / HTTP/1.1\r\nHost: \xff@admin.example\r\n${close}`, // a host that is no text
    `GET / HTTP/1.1\r\nHost: admin.example,\xff\r\n${close}`, // the same, behind
    `GET / HTTP/1.1\r\nHost: admin.example:\xff\r\n${close}`, // the same, as a port
    `GET / HTTP/1.1\r\nHost: admin.example/\r\n${close}`, // a host with a slash
    `GET / HTTP/1.1\r\nHost: admin.example \r\n${close}`, // a host with a space
    `GET / HTTP/1.1\r\nHost: cart admin.example\r\n${close}`, // two with a space
    `GET / HTTP/1.1\r\nHost: admin%2eexample\r\n${close}`, // a host with an escaped dot
    `GET http://admin.example?/ HTTP/1.1\r\nHost: cart\r\n${close}`, // absolute without a path
    `GET http:///admin HTTP/1.1\r\nHost: cart\r\n${close}`, // absolute without a host
    `GET //admin.example/admin HTTP/1.1\r\nHost: cart\r\n${close}`, // relative to the scheme
    `${one}X_User: evil\r\n${close}`.replace('evil', 'me'), // another name
    `${one}X-User: \t evil \t\r\n${close}`, // header with spaces
    `${one}X-USER: evil\r\n${close}`, // header in capitals
    `${one}X-User: evil\r\nConnection: close, x-user\r\n\r\n`, // header named by connection
    `${one}X-Envoy-Original-Path: /admin\r\nX-Original-URL: /admin\r\n${close}`, // path of another header
  ];
  test('HTTP/1.1', async () => {
    await Promise.all(texts.map((text) => raw(text)));
    expect(backend.seen.length).toBeGreaterThan(5);
    for (const { method, path, headers } of backend.seen) {
      expect(method.toUpperCase()).not.toBe('DELETE');
      expect(path).not.toMatch(/admin/);
      expect(headers.host).not.toMatch(/admin/);
      expect(headers['x-user'] ?? '').not.toMatch(/evil/);
    }
  });

  test('headers of several lines, and lines of several values', async () => {
    const letIn = [
      ...['X-Role: reader', 'X-Role: guest-1', 'X-Role: a-bot', 'X-Role: \xff-bot', 'X-Role: reader\r\nX-Role: guest'],
      ...['X-Team: shop', 'X-Team: shop\r\nX-Team: nonesuch', 'X-Team: \xff'],
    ];
    const keptOut = [
      ...['X-Role: root', 'X-Role: reader\r\nX-Role: root', 'X-Role: root\r\nX-Role: reader', 'X-Role: reader, root'],
      ...[
        'X-Role: guest\r\nX-Role: root',
        'X-Role: root\r\nX-Role: a-bot',
        'X-Role: reader\r\nX-Role: \xff',
        'X-Role:',
      ],
      ...[
        'X-Team: none',
        'X-Team: shop, none',
        'X-Team: none,shop',
        'X-Team: shop\r\nX-Team: none',
        'X-Team: \xff ,older',
      ],
    ];
    const status = async (header: string) =>
      (await raw(`GET / HTTP/1.1\r\nHost: cart\r\n${header}\r\n${close}`, 82)).slice(9, 12);
    const wanted = [...letIn.map((header) => [header, '200']), ...keptOut.map((header) => [header, '403'])];
    const answers = wanted.map(async ([header = '']) => [header, await status(header)]);
    expect(await Promise.all(answers)).toEqual(wanted);
  });

  const headers2: Record<string, string | string[]>[] = [
    {},
    { ':authority': 'cart', host: 'admin.example' }, // authority and host
    { host: 'cart', ':authority': 'admin.example' }, // host and authority
    { host: 'admin.example' }, // host alone
    { ':authority': 'cart', ':path': '/admin' }, // path
    { ':authority': 'cart', ':path': 'admin' }, // path without a slash
    { ':authority': 'cart', ':path': '/ HTTP/1.1 \r\nx: /admin' }, // path with a line
    { ':authority': 'cart', ':path': 'http://admin.example/admin' }, // absolute path
    { ':authority': 'cart', ':path': '*', ':method': 'OPTIONS' }, // star
    { ':authority': 'cart', ':path': '/', ':method': 'DELETE' }, // method
    { ':authority': 'cart', ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':path': '/admin' }, // extended connect
    { ':authority': 'cart', ':path': '/', ':method': 'POST', 'content-length': '5' }, // length that lies
    { ':authority': 'x@admin.example', ':path': '/' }, // user
    { ':authority': 'cart', ':path': '/', 'x-user': ['me', 'evil'] }, // header twice
    { ':authority': 'cart', ':path': '/', 'x-a': 'b\r\nx-user: evil' }, // header with a line
    { ':authority': 'cart', ':path': '/', ':scheme': 'http://admin.example/admin?' }, // scheme
  ];
  test('HTTP/2', async () => {
    await Promise.all(
      headers2.map(async (headers) => {
        const socket = lab.connect({ port: 81 });
        const session = connectHttp2('http://cart', { createConnection: () => socket });
        session.on('error', () => {});
        const stream = session.request({ ':path': '/', ...headers }, { endStream: true });
        stream.on('error', () => {});
        stream.resume();
        await new Promise((resolve) => stream.once('close', resolve));
        session.destroy();
      }),
    );
    expect(seen2.length).toBeGreaterThan(1);
    for (const one of seen2) {
      expect(one[':method']).not.toBe('DELETE');
      expect(one[':path']).not.toMatch(/admin/);
      expect(`${one[':authority']} ${one.host ?? ''}`).not.toMatch(/admin/);
      expect(one['x-user'] ?? '').not.toMatch(/evil/);
    }
  });
});
