// SPDX-License-Identifier: Apache-2.0
// A backend that answers with what it saw: echo.mjs NAME KEY-FILE CERTIFICATE-FILE. HTTP/1.1 on 8080, HTTP/2 without TLS (and gRPC) on 7070,
// HTTPS on 8443, lines of TCP on 9090. Each request is told on stdout, too. How a request is answered is what its headers ask for:
// x-fail (a status, or "reset") for the first x-until tries of one x-id, x-delay (milliseconds), x-answer (headers of the answer, as JSON).
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';

const [name = '', keyFile = '', certificateFile = ''] = process.argv.slice(2);
const tries = new Map();

/** What is to be done with a request that was seen. */
function take(seen) {
  const { headers } = seen;
  const id = headers['x-id'] ?? '';
  const count = (tries.get(id) ?? 0) + 1;
  tries.set(id, count);
  process.stdout.write(`${JSON.stringify({ id, pod: name, path: seen.path })}\n`);
  const fails = headers['x-fail'] !== undefined && count <= Number(headers['x-until'] ?? Number.POSITIVE_INFINITY);
  const waits = fails || headers['x-fail'] === undefined;
  return {
    delay: waits ? Number(headers['x-delay'] ?? 0) : 0,
    reset: fails && headers['x-fail'] === 'reset',
    status: fails ? Number(headers['x-fail']) : 200,
    headers: { 'content-type': 'application/json', ...JSON.parse(headers['x-answer'] ?? '{}') },
    body: JSON.stringify(seen),
  };
}

/** Answers that are written as they are, by path; their connection is closed. */
const written = {
  '/until-the-end': 'HTTP/1.1 200 OK\r\nx-pod: NAME\r\n\r\nall of it',
  '/chunked':
    'HTTP/1.1 200 OK\r\nconnection: close\r\nx-pod: NAME\r\ntransfer-encoding: chunked\r\n\r\n4\r\nall \r\n5\r\nof it\r\n0\r\n\r\n',
  '/http-1.0': 'HTTP/1.0 200 OK\r\nx-pod: NAME\r\n\r\nall of it',
  '/no-content': 'HTTP/1.1 204 No Content\r\nconnection: close\r\nx-pod: NAME\r\n\r\n',
  '/not-modified': 'HTTP/1.1 304 Not Modified\r\nconnection: close\r\nx-pod: NAME\r\ncontent-length: 9\r\n\r\n',
  '/early':
    'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nlate',
  '/twice': 'HTTP/1.1 200 OK\r\nconnection: close\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 0\r\n\r\n',
};

async function answer(request, response) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const { method, url: path, headers, httpVersion, socket } = request;
  const raw = written[path];
  if (raw !== undefined) return void socket.end(raw.replace('NAME', name));
  const sni = socket.servername || undefined;
  const peer = socket.remoteAddress.replace('::ffff:', '');
  const sent = Buffer.concat(parts).toString();
  const protocol = `HTTP/${httpVersion}`;
  const done = take({ pod: name, protocol, method, path, host: headers.host, headers, sni, peer, sent });
  setTimeout(() => {
    if (done.reset) socket.resetAndDestroy();
    else response.writeHead(done.status, { ...done.headers, 'content-length': done.body.length }).end(done.body);
  }, done.delay);
}

/** The socket of a WebSocket is echoed as it is. */
function upgrade(request, socket) {
  const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${guid}`).digest('base64');
  socket.on('error', () => {});
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nx-pod: ${name}\r\n\r\n`,
  );
  socket.pipe(socket);
}

function stream(stream, headers) {
  stream.on('error', () => {});
  stream.resume();
  const { ':method': method, ':path': path, ':authority': host } = headers;
  const done = take({ pod: name, protocol: 'HTTP/2', method, path, host, headers });
  setTimeout(() => {
    if (done.reset) {
      stream.close(8);
    } else if (!String(headers['content-type']).startsWith('application/grpc')) {
      stream.respond({ ':status': done.status, ...done.headers });
      stream.end(done.body);
    } else {
      const message = Buffer.from(done.body);
      const head = Buffer.alloc(5);
      head.writeUInt32BE(message.length, 1);
      stream.respond(
        { ':status': 200, ...done.headers, 'content-type': 'application/grpc' },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.concat([head, message]));
    }
  }, done.delay);
}

function lines(socket) {
  socket.on('error', () => {});
  socket.on('data', (data) => socket.write(`${name} ${data}`));
}

/** Connections that nobody uses stay: a request that met the end of one would fail. */
const stays = { keepAliveTimeout: 0 };
const tls = { key: readFileSync(keyFile), cert: readFileSync(certificateFile) };
const servers = [
  [createServer({ ...stays, maxHeaderSize: 1 << 18 }, answer).on('upgrade', upgrade), 8080],
  [createHttp2Server().on('stream', stream), 7070],
  [createHttpsServer({ ...stays, ...tls }, answer), 8443],
  [createTcpServer(lines), 9090],
];
await Promise.all(servers.map(([server, port]) => new Promise((resolve) => server.listen(port, '::', resolve))));
process.stdout.write('{"ready":true}\n');
// Ends with its starter.
process.stdin.on('end', () => process.exit()).resume();
