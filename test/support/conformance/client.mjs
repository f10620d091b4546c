// SPDX-License-Identifier: Apache-2.0
// Sends what it is told: one JSON line {n, as, address, port, method, path, headers, sni, until, times} in, one JSON line {n, replies} out.
import { Agent, request as httpRequest } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const patienceMs = 30_000;

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function ofHttp(ask, send, options) {
  return new Promise((resolve) => {
    const { address: host, port, method, path, headers } = ask;
    const request = send({ host, port, method, path, headers, timeout: patienceMs, ...options }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('error', (error) => resolve({ error: error.code }));
      response.on('end', () => {
        const { statusCode: status, headers } = response;
        resolve({ status, headers, body: parsed(Buffer.concat(parts).toString()) });
      });
    });
    request.on('upgrade', (response, socket) => {
      socket.on('error', () => {});
      socket.once('data', (data) => {
        socket.destroy();
        resolve({ status: response.statusCode, headers: response.headers, body: data.toString() });
      });
      socket.write('over');
    });
    request.on('timeout', () => request.destroy(Object.assign(new Error(), { code: 'timeout' })));
    request.on('error', (error) => resolve({ error: error.code }));
    request.end();
  });
}

/** gRPC, or HTTP/2 as it is. */
function ofHttp2({ as, address, port, method, path, headers: { host, ...headers } }) {
  return new Promise((resolve) => {
    const session = connectHttp2(`http://${address.includes(':') ? `[${address}]` : address}:${port}`);
    const done = (reply) => {
      resolve(reply);
      session.destroy();
    };
    session.on('error', (error) => done({ error: error.code }));
    const isGrpc = as === 'grpc';
    const call = session.request({
      ...headers,
      ':method': isGrpc ? 'POST' : method,
      ':path': path,
      ':authority': host,
      ...(isGrpc && { 'content-type': 'application/grpc', te: 'trailers' }),
    });
    const reply = {};
    const parts = [];
    call.setTimeout(patienceMs, () => done({ error: 'timeout' }));
    call.on('response', ({ ':status': status, ...rest }) => Object.assign(reply, { status, headers: rest }));
    call.on('trailers', (trailers) => Object.assign(reply.headers, trailers));
    call.on('data', (part) => parts.push(part));
    call.on('error', (error) => done({ error: error.code }));
    call.on('end', () => {
      const body = Buffer.concat(parts);
      done({ ...reply, body: parsed(body.subarray(isGrpc ? 5 : 0).toString()) });
    });
    call.end(isGrpc ? Buffer.alloc(5) : undefined);
  });
}

function ofTcp({ address, port }) {
  return new Promise((resolve) => {
    const socket = connect(port, address, () => socket.write('hello'));
    const done = (reply) => {
      resolve(reply);
      socket.destroy();
    };
    socket.setTimeout(patienceMs, () => done({ error: 'timeout' }));
    socket.on('error', (error) => done({ error: error.code }));
    socket.on('close', () => done({ error: 'closed' }));
    socket.on('data', (data) => done({ body: { pod: data.toString().split(' ')[0] } }));
  });
}

/** Sends `path` as it is; the answer is all that comes until `until` is in it, or the other side closes. */
function ofBytes({ address, port, path, until }) {
  return new Promise((resolve) => {
    let body = '';
    const socket = connect(port, address, () => socket.write(path));
    const done = () => {
      resolve({ body });
      socket.destroy();
    };
    socket.setTimeout(patienceMs, done);
    socket.on('error', done);
    socket.on('close', done);
    socket.on('data', (data) => {
      body += data;
      if (body.includes(until)) done();
    });
  });
}

function send(ask, agent) {
  const { as, headers, sni } = ask;
  if (as === 'grpc' || as === 'h2') return ofHttp2(ask);
  if (as === 'tcp') return ofTcp(ask);
  if (as === 'bytes') return ofBytes(ask);
  if (as === 'https') return ofHttp(ask, httpsRequest, { agent: false, servername: sni, rejectUnauthorized: false });
  const websocket = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' };
  if (as === 'websocket') {
    const key = { 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' };
    return ofHttp({ ...ask, headers: { ...headers, ...websocket, ...key } }, httpRequest, { agent: false });
  }
  return ofHttp(ask, httpRequest, { agent: agent ?? false });
}

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { times = 1, ...ask } = JSON.parse(line);
    const agent = times > 1 ? new Agent({ keepAlive: true, maxSockets: 4 }) : undefined;
    const replies = [];
    let left = times;
    const some = async () => {
      while (left-- > 0) replies.push(await send(ask, agent));
    };
    await Promise.all(times > 1 ? [some(), some(), some(), some()] : [some()]);
    agent?.destroy();
    process.stdout.write(`${JSON.stringify({ n: ask.n, replies })}\n`);
  })
  .on('close', () => process.exit());
process.stdout.write('{"ready":true}\n');
