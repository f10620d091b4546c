// SPDX-License-Identifier: Apache-2.0
// The agent's side of the route table: HTTP and JSON on a unix socket that only its owner may open.
import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type ErrorCode, KmeshError, messageOf } from '../errors.ts';
import { makeRunDir } from '../make-folder.ts';
import { parseInput } from './input.ts';
import { checkSocketPath, makePrivateSocket } from './private-socket.ts';
import { type CallName, type Calls, routeAt, routes, type StreamName, type Streams, socketNames } from './routes.ts';
import type { ErrorBody, Json } from './types.ts';

/** One function a route. Input has been checked against the table. */
export type Handlers = {
  readonly [N in CallName]: (input: Calls[N]['input']) => Calls[N]['output'] | Promise<Calls[N]['output']>;
} & {
  readonly [N in StreamName]: (
    input: Streams[N]['input'],
  ) => Iterable<Streams[N]['item']> | AsyncIterable<Streams[N]['item']>;
};

export interface AdminServer {
  readonly path: string;
  /** Ends open answers and removes the socket. */
  close(): Promise<void>;
}

const largestBody = 64 * 1024;
/** Bytes gathered before they are handed to the socket. */
const chunkSize = 64 * 1024;

const statusOf: Partial<Record<ErrorCode, number>> = { KM_USAGE: 400, KM_NOT_FOUND: 404, KM_BUSY: 409 };

/**
 * Serves `handlers` on a socket in `runDir` (mode 0600). The socket of a dead process is replaced. What has no handler is not found.
 * @throws KmeshError KM_AGENT_RUNNING when a live one answers there; KM_IO when the socket cannot be made.
 */
export async function openAdminServer(
  runDir: string,
  handlers: Partial<Handlers>,
  socket: keyof typeof socketNames = 'agent',
): Promise<AdminServer> {
  const path = join(runDir, socketNames[socket]);
  checkSocketPath(path);
  makeRunDir(runDir);
  if (await answers(path)) {
    throw new KmeshError('KM_AGENT_RUNNING', `an agent answers on "${path}" already`, {
      hint: 'stop it, or give this one its own --run-dir, --bpffs and --cgroup-root',
    });
  }
  const server = createServer((request, response) => {
    answer(handlers, request, response).catch((fault: unknown) => response.destroy(fault as Error));
  });
  try {
    await makePrivateSocket(path, (first) => listening(server, first));
  } catch (fault) {
    server.close();
    throw fault;
  }
  return {
    path,
    async close() {
      rmSync(path, { force: true });
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', fail);
    server.listen(path, () => done());
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', () => done(false));
  });
}

async function answer(handlers: Partial<Handlers>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const url = new URL(request.url ?? '/', 'http://agent');
    const name = routeAt(url.pathname);
    // The table ties name, input and handler together; parseInput checks the shape.
    const handler = name && (handlers[name] as ((input: unknown) => unknown) | undefined);
    if (name === undefined || handler === undefined) {
      throw new KmeshError('KM_NOT_FOUND', `no route "${url.pathname}"`, {
        hint: 'client and agent may differ in version',
      });
    }
    const route = routes[name];
    if (request.method !== route.method) {
      response.setHeader('allow', route.method);
      return sendError(response, 405, new KmeshError('KM_USAGE', `"${route.path}" takes ${route.method}`));
    }
    const given = route.method === 'GET' ? Object.fromEntries(url.searchParams) : await readBody(request);
    const input = parseInput(route, given);
    if (!input.ok) throw new KmeshError('KM_USAGE', `"${route.path}": ${input.faults.join('; ')}`);
    const result = await handler(input.value);
    if (route.stream) await sendItems(response, result as AsyncIterable<unknown>);
    else sendJson(response, name === 'ready' && !(result as Calls['ready']['output']).ready ? 503 : 200, result);
  } catch (cause) {
    const fault = faultOf(cause);
    sendError(response, statusOf[fault.code] ?? 500, fault);
  }
}

function faultOf(cause: unknown): KmeshError {
  if (cause instanceof KmeshError) return cause;
  return new KmeshError('KM_INTERNAL', messageOf(cause), { cause });
}

function errorBody(fault: KmeshError): ErrorBody {
  return { code: fault.code, message: fault.message, ...(fault.hint === undefined ? {} : { hint: fault.hint }) };
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(value)}\n`);
}

function sendError(response: ServerResponse, status: number, fault: KmeshError): void {
  sendJson(response, status, errorBody(fault));
}

/** {"item":…} a line; {"end":count} last, so that a cut answer is noticed. */
async function sendItems(response: ServerResponse, items: AsyncIterable<unknown>): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  let lines = '';
  let count = 0;
  try {
    for await (const item of items) {
      count++;
      lines += `${JSON.stringify({ item })}\n`;
      if (lines.length < chunkSize) continue;
      await write(response, lines);
      lines = '';
      if (response.destroyed) return;
    }
    lines += `${JSON.stringify({ end: count })}\n`;
  } catch (cause) {
    lines += `${JSON.stringify({ error: errorBody(faultOf(cause)) })}\n`;
  }
  response.end(lines);
}

/** Resolves when the socket takes more, or is gone. Always lets other work run in between. */
function write(response: ServerResponse, text: string): Promise<void> {
  return new Promise((done) => {
    if (response.write(text)) {
      setImmediate(done);
      return;
    }
    const go = () => {
      response.off('drain', go);
      response.off('close', go);
      done();
    };
    response.on('drain', go);
    response.on('close', go);
  });
}

async function readBody(request: IncomingMessage): Promise<Readonly<Record<string, Json>>> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > largestBody) throw new KmeshError('KM_USAGE', `a body may hold ${largestBody} bytes at most`);
    parts.push(part);
  }
  if (size === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch (cause) {
    throw new KmeshError('KM_USAGE', `the body is no JSON: ${(cause as Error).message}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new KmeshError('KM_USAGE', 'the body is no JSON object');
  }
  return value as Record<string, Json>;
}
