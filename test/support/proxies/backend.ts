// SPDX-License-Identifier: Apache-2.0
// A program of its own, in a pod: HTTP and WebSocket on port 8080, the same over TLS on 8443, gRPC on 9090. Says what reached it.
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTls } from 'node:https';
import type { Server } from 'node:net';
import { pipeline } from 'node:stream/promises';
import {
  Server as GrpcServer,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { hashed, stream } from './bytes.ts';
import { echoService } from './grpc.ts';
import { serve } from './serve.ts';
import { acceptOf, frame, onFrames } from './websocket.ts';

const name = process.argv[2] ?? '';

/** What the backend tells of a request. */
export interface Told {
  readonly backend: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: number;
  readonly hash: string;
}

let requests = 0;
/** Requests that came past every proxy: each of those leaves its mark. */
let bare = 0;

function count(marked: boolean): void {
  requests++;
  if (!marked) bare++;
}

async function answer(request: IncomingMessage, response: ServerResponse, marked: boolean): Promise<void> {
  const { method = '', url = '' } = request;
  count(marked || request.headers['x-waypoint'] !== undefined);
  const size = /^\/bytes\/(\d+)$/.exec(url)?.[1];
  if (size !== undefined) {
    response.writeHead(200, { 'content-length': size });
    await pipeline(stream(Number(size)), response);
    return;
  }
  const { bytes, hash } = await hashed(request);
  const headers = request.headers as Record<string, string>;
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ backend: name, method, path: url, headers, bytes, hash } satisfies Told));
}

/** `marked`: what comes there cannot be marked. */
const answering =
  (marked: boolean): RequestListener =>
  (request, response) =>
    // A client that is gone is no fault of ours.
    void answer(request, response, marked).catch(() => response.destroy());

function listen<S extends Server & { keepAliveTimeout: number; requestTimeout: number }>(server: S, port: number) {
  // Whoever keeps a connection decides when it ends: a close from here could meet a request on its way.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  server.on('upgrade', (request: IncomingMessage, socket, head: Buffer) => {
    count(request.headers['x-waypoint'] !== undefined);
    const accept = acceptOf(request.headers['sec-websocket-key'] ?? '');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    onFrames(socket, head, (data) => socket.write(frame(data, false)));
  });
  return new Promise<void>((resolve) => {
    server.listen(port, '::', () => resolve());
  });
}

async function listenGrpc(): Promise<void> {
  const server = new GrpcServer({ 'grpc.max_receive_message_length': -1 });
  server.addService(echoService, {
    say(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
      const text = call.request.toString();
      if (text === 'fail') done({ code: status.NOT_FOUND, details: `${name} has none` });
      else done(null, Buffer.from(`${name}: ${text}`));
    },
    chat(call: ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', (data: Buffer) => call.write(data));
      call.on('end', () => call.end());
      call.on('error', () => undefined);
    },
  });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync('[::]:9090', ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
}

const calls = {
  async ready() {},
  /** Listens; over TLS with this certificate. */
  async open({ key, cert }: { readonly key: string; readonly cert: string }) {
    await listen(createServer(answering(false)), 8080);
    await listen(createTls({ key, cert }, answering(true)), 8443);
    await listenGrpc();
  },
  counts: (_: object) => ({ requests, bare }),
};

export type BackendCalls = typeof calls;
serve(calls);
