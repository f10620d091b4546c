// SPDX-License-Identifier: Apache-2.0
// A control plane in this process, down to its HTTP/2 frames, so that it can do what none should: cut messages, drip bytes, close at once.
import {
  createSecureServer,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type AdsRequest, type AdsResponse, decodeRequest, encodeResponse } from './xds-messages.ts';

export interface AdsStream {
  /** Headers that it was begun with. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** All so far. */
  readonly requests: AdsRequest[];
  /** Bytes of each of `requests`. */
  readonly sizes: number[];
  readonly closed: boolean;
  send(response: AdsResponse): void;
  /** One message of these bytes, whatever they are. */
  sendBytes(message: Uint8Array): void;
  /** Bytes of the body as they are. */
  sendRaw(bytes: Uint8Array): Promise<void>;
  /** Closes it in good order with a gRPC status. */
  end(status?: number, message?: string): void;
  /** Resets it, or closes its whole connection. */
  reset(): void;
  dropConnection(): void;
  /** Reads nothing any more. */
  deafen(): void;
  /** Says that the connection is to be given up, as servers do with old ones; its streams go on. */
  goAway(): void;
}

export interface AdsServer {
  readonly port: number;
  /** All so far, those that are over too. */
  readonly streams: readonly AdsStream[];
  /** Connections that are open. */
  readonly connections: number;
  close(): Promise<void>;
}

export interface AdsServerOptions {
  readonly port?: number;
  readonly host?: string;
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Bearer token that must come along. */
  readonly token?: string;
  readonly onStream?: (stream: AdsStream) => void;
  readonly onRequest?: (stream: AdsStream, request: AdsRequest) => void;
}

const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
/** Code of gRPC. */
const unauthenticated = 16;

/** The five bytes before each message. */
export function prefixOf(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return prefix;
}

export async function openAdsServer(options: AdsServerOptions = {}): Promise<AdsServer> {
  const streams: AdsStream[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const settings = { initialWindowSize: 4 << 20 };
  const server: Http2Server = options.tls
    ? createSecureServer({ ...options.tls, settings })
    : createServer({ settings });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {});
  });
  server.on('sessionError', () => {});
  server.on('stream', (http, headers) => {
    const token = options.token;
    if (headers[':path'] !== path || (token !== undefined && headers.authorization !== `Bearer ${token}`)) {
      http.on('error', () => {});
      http.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': unauthenticated, 'grpc-message': 'no' },
        { endStream: true },
      );
      return;
    }
    const stream = openStream(http, headers, options);
    streams.push(stream);
    options.onStream?.(stream);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    streams,
    get connections() {
      return sessions.size;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
}

function openStream(http: ServerHttp2Stream, headers: AdsStream['headers'], options: AdsServerOptions): AdsStream {
  const requests: AdsRequest[] = [];
  const sizes: number[] = [];
  let responded = false;
  let trailers: Record<string, string> = { 'grpc-status': '0' };
  const respond = () => {
    if (responded || http.destroyed) return;
    responded = true;
    http.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  };
  http.on('wantTrailers', () => http.sendTrailers(trailers));
  http.on('error', () => {});
  const stream: AdsStream = {
    headers,
    requests,
    sizes,
    get closed() {
      return http.closed || http.destroyed;
    },
    send: (response) => stream.sendBytes(encodeResponse(response)),
    sendBytes(message) {
      respond();
      if (http.writable) http.write(Buffer.concat([prefixOf(message), message]));
    },
    sendRaw(bytes) {
      respond();
      return new Promise((resolve) => {
        if (http.writable) http.write(bytes, () => resolve());
        else resolve();
      });
    },
    end(status = 0, message = '') {
      trailers = { 'grpc-status': String(status), ...(message !== '' && { 'grpc-message': encodeURI(message) }) };
      respond();
      http.end();
    },
    reset: () => http.close(2),
    dropConnection: () => http.session?.destroy(),
    deafen: () => http.pause(),
    goAway: () => http.session?.goaway(),
  };
  let unread = Buffer.alloc(0);
  http.on('data', (data: Buffer) => {
    unread = Buffer.concat([unread, data]);
    while (unread.length >= 5 && unread.length >= 5 + unread.readUInt32BE(1)) {
      const bytes = unread.subarray(5, 5 + unread.readUInt32BE(1));
      unread = unread.subarray(5 + bytes.length);
      const request = decodeRequest(bytes);
      requests.push(request);
      sizes.push(bytes.length);
      options.onRequest?.(stream, request);
    }
  });
  return stream;
}
