// SPDX-License-Identifier: Apache-2.0
// Metrics and health over HTTP.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { KmeshError, messageOf } from '../errors.ts';
import { type ListenAddress, socketAddressText } from '../net/socket-address.ts';

export interface Pages {
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  /** Why not ready; none: ready. */
  notReady(): readonly string[];
  /** As JSON at "/"; absent: there is no such page. */
  status?(): unknown;
}

export interface OutputServer {
  /** "127.0.0.1:15020" */
  readonly address: string;
  close(): Promise<void>;
}

/** Beyond so many the oldest is ended. */
const mostConnections = 64;

const plain = 'text/plain; charset=utf-8';

interface Page {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

const notFound: Page = { status: 404, type: plain, text: 'there are /metrics, /healthz/live and /healthz/ready\n' };

async function pageAt(path: string, pages: Pages): Promise<Page> {
  switch (path) {
    case '/metrics':
      return { status: 200, type: pages.metrics.contentType, text: await pages.metrics.text() };
    // That it answers is what it says.
    case '/healthz/live':
      return { status: 200, type: plain, text: 'ok\n' };
    case '/healthz/ready': {
      const why = pages.notReady();
      return why.length === 0
        ? { status: 200, type: plain, text: 'ready\n' }
        : { status: 503, type: plain, text: why.map((reason) => `not ready: ${reason}\n`).join('') };
    }
    case '/':
      if (pages.status) {
        return { status: 200, type: 'application/json', text: `${JSON.stringify(pages.status())}\n` };
      }
      return notFound;
    default:
      return notFound;
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, pages: Pages): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD', 'content-length': 0 }).end();
    return;
  }
  const path = (request.url ?? '').replace(/\?.*$/s, '');
  const { status, type, text } = await pageAt(path, pages).catch((fault: unknown) => ({
    status: 500,
    type: plain,
    text: `${messageOf(fault)}\n`,
  }));
  const body = Buffer.from(text);
  response.writeHead(status, { 'content-type': type, 'content-length': body.length });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function listenFault({ host, port }: ListenAddress, flag: string, cause: NodeJS.ErrnoException): KmeshError {
  const where = socketAddressText(host ?? '', port);
  const why = cause.code === 'EADDRINUSE' ? 'something else listens there' : cause.message;
  return new KmeshError('KM_LISTEN', `metrics cannot be served at "${where}": ${why}`, {
    hint: `choose another address with ${flag}; port 0 takes one that is free`,
    cause,
  });
}

/**
 * `flag`: says where.
 * @throws KmeshError KM_LISTEN
 */
export async function openOutputServer(listen: ListenAddress, pages: Pages, flag = '--metrics'): Promise<OutputServer> {
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 10_000 }, (request, response) => {
    void answer(request, response, pages);
  });
  // Who does not read on is no better than who does not ask.
  server.setTimeout(30_000);
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    const [oldest] = open;
    // Whoever scrapes needs few; nobody may take all descriptors of the agent, nor keep those out who ask whether it lives.
    if (open.size > mostConnections) oldest?.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(listenFault(listen, flag, cause)));
    server.listen({ port: listen.port, ...(listen.host === undefined ? {} : { host: listen.host }) }, resolve);
  });
  const { address, port } = server.address() as AddressInfo;
  return {
    address: socketAddressText(address, port),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
