// SPDX-License-Identifier: Apache-2.0
// One stream to the control plane over gRPC. Bytes in, bytes out; a message is read only when asked for, so that none pile up here.
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parseAddress } from '../../net/address.ts';
import type { Timers } from '../timers.ts';
import { type Call, type CallTls, openCall } from './grpc-call.ts';
import { defaultServer, serverText, type XdsServer } from './settings.ts';

export interface StreamEnd {
  /** The server closed it in good order. */
  readonly clean: boolean;
  /** '' when it was closed in good order, or from here. */
  readonly fault: string;
}

export interface Stream {
  /** True once there is a connection; false: the stream ended before. */
  readonly ready: Promise<boolean>;
  send(bytes: Uint8Array): void;
  /** The next message; undefined once the stream is over. One at a time. */
  next(): Promise<Uint8Array | undefined>;
  /** Ends it from here. */
  cancel(): void;
  /** How it ended. */
  readonly ended: Promise<StreamEnd>;
}

export interface Transport {
  /** Reads the files, connects, and begins a stream. What fails shows as its end. */
  open(facts: { readonly clusterId: string }): Stream;
}

const method = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
/** Bytes of one message at most. */
export const maxMessageBytes = 200 * 1024 * 1024;
/**
 * A connection that is lost ends its call at once. A call that goes on so long after its connection is no more in use for new ones was told
 * to end in its own time (GOAWAY).
 */
export const leavingMs = 100;
/** Bytes that wait to be sent at most: more than any first request takes. A server that does not read would fill this node's memory. */
export const maxUnsentBytes = 64 * 1024 * 1024;
/** So long may a connection take, its TLS handshake included. */
export const connectMs = 10_000;

export function openTransport(server: XdsServer, timers: Timers): Transport {
  return { open: ({ clusterId }) => begin(server, clusterId, timers) };
}

/** A file, a certificate or a token that cannot be used. */
class Unusable extends Error {}

function begin(server: XdsServer, clusterId: string, timers: Timers): Stream {
  /** What waits for a connection. */
  let unsent: Uint8Array[] = [];
  let unsentBytes = 0;
  let call: Call | undefined;
  let isReady = false;
  let over: StreamEnd | undefined;
  let wanting: ((bytes: Uint8Array | undefined) => void) | undefined;
  let stopWatch = () => {};
  /** The server has given up the connection, as it does with old ones: that it ends later on is in good order. */
  let leaving = false;
  let settle: (end: StreamEnd) => void = () => {};
  const ended = new Promise<StreamEnd>((resolve) => {
    settle = resolve;
  });
  let connected: (yes: boolean) => void = () => {};
  const ready = new Promise<boolean>((resolve) => {
    connected = resolve;
  });

  const end = (how: StreamEnd) => {
    if (over) return;
    over = how;
    wanting?.(undefined);
    wanting = undefined;
    unsent = [];
    stopWatch();
    connected(false);
    settle(how);
  };
  const cancel = (fault: string) => {
    call?.cancel();
    end({ clean: false, fault });
  };

  const start = async () => {
    const tls = await tlsOf(server);
    const headers = await headersOf(server, clusterId);
    if (over) return;
    stopWatch = timers.after(connectMs, () =>
      cancel(`no connection to ${serverText(server)} within ${connectMs / 1000} s`),
    );
    const { host, port } = server;
    call = openCall(
      { host: parseAddress(host) ?? host, port, tls, path: method, headers, maxBytes: maxMessageBytes },
      {
        onReady() {
          stopWatch();
          isReady = true;
          connected(true);
          const waiting = unsent;
          unsent = [];
          for (const bytes of waiting) write(bytes);
        },
        onLeaving() {
          stopWatch();
          stopWatch = timers.after(leavingMs, () => {
            leaving = true;
          });
        },
        onMessage(message) {
          wanting?.(message);
          wanting = undefined;
        },
        onEnd(status, details) {
          const clean = status === 'OK' || (leaving && status === 'UNAVAILABLE');
          end({ clean, fault: clean ? '' : `${status}: ${details}` });
        },
      },
    );
    if (wanting) call.read();
  };

  const write = (bytes: Uint8Array) =>
    call?.send(bytes, () => {
      unsentBytes -= bytes.length;
    });

  start().catch((error: unknown) => {
    end({ clean: false, fault: error instanceof Unusable ? error.message : String(error) });
  });

  return {
    ready,
    ended,
    send(bytes) {
      if (over) return;
      unsentBytes += bytes.length;
      if (unsentBytes > maxUnsentBytes) cancel(`${serverText(server)} does not take what is sent to it`);
      else if (isReady) write(bytes);
      else unsent.push(bytes);
    },
    next() {
      if (over) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        wanting = resolve;
        call?.read();
      });
    },
    cancel: () => cancel(''),
  };
}

async function tlsOf({ tls, host }: XdsServer): Promise<CallTls | undefined> {
  if (!tls) return undefined;
  const root = await read(tls.rootFile, 'root certificate');
  requireCertificates(tls.rootFile, root);
  const name = tls.serverName ?? host;
  // An address may not be asked for as a server's name in the handshake, but it is what the certificate must be for.
  return { root, name, sni: parseAddress(name) === undefined ? name : defaultServer.replace(/:\d+$/, '') };
}

async function headersOf({ tokenFile, headers }: XdsServer, clusterId: string): Promise<Record<string, string>> {
  const own: Record<string, string> = { clusterid: clusterId };
  if (tokenFile !== undefined) {
    const token = (await read(tokenFile, 'token')).toString().trim();
    if (!/^[\x21-\x7e]+$/.test(token)) throw new Unusable(`token file "${tokenFile}" holds no token`);
    own.authorization = `Bearer ${token}`;
  }
  for (const [name, value] of headers) own[name.toLowerCase()] = value;
  return own;
}

async function read(path: string, what: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new Unusable(`${what} file "${path}" cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

function requireCertificates(path: string, pem: Buffer): void {
  const blocks = pem.toString('latin1').match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Unusable(`root certificate file "${path}" holds no certificate`);
  for (const block of blocks) {
    try {
      new X509Certificate(block);
    } catch (error) {
      throw new Unusable(
        `root certificate file "${path}" is damaged: ${error instanceof Error ? error.message : error}`,
      );
    }
  }
}
