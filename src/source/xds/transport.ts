// SPDX-License-Identifier: Apache-2.0
// One stream to the control plane over gRPC. Bytes in, bytes out; a message is read only when asked for, so that none pile up here.
import { X509Certificate } from 'node:crypto';
import { checkServerIdentity } from 'node:tls';
import { Channel, type ChannelOptions, connectivityState, credentials, Metadata, status } from '@grpc/grpc-js';
import { fileFault, messageOf } from '../../errors.ts';
import { isV4, parseAddress } from '../../net/address.ts';
import { readPlainFile } from '../../plain-file.ts';
import type { Timers } from '../timers.ts';
import { pacing } from './paced-socket.ts';
import { placeMessages } from './placed-messages.ts';
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

const options: ChannelOptions = {
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_receive_message_length': maxMessageBytes,
  'grpc.max_send_message_length': -1,
  // What may be on its way unread: enough to fill a fast link, little enough to hold back a server that is too fast.
  'grpc-node.flow_control_window': 4 * 1024 * 1024,
  // The session decides when to try again, and each try is a connection of its own.
  'grpc.enable_retries': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_channelz': 0,
  // A control plane is no matter of the machine's web proxy.
  'grpc.enable_http_proxy': 0,
};

export function openTransport(server: XdsServer, timers: Timers): Transport {
  placeMessages();
  return { open: ({ clusterId }) => begin(server, clusterId, timers) };
}

/** A file, a certificate or a token that cannot be used. */
class Unusable extends Error {}

function begin(server: XdsServer, clusterId: string, timers: Timers): Stream {
  const unsent: Uint8Array[] = [];
  let unsentBytes = 0;
  let call: ReturnType<Channel['createCall']> | undefined;
  let channel: Channel | undefined;
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
    unsent.length = 0;
    stopWatch();
    connected(false);
    channel?.close();
    settle(how);
  };

  const start = async () => {
    const secure = await credentialsOf(server);
    const metadata = await metadataOf(server, clusterId);
    if (over) return;
    const target = targetOf(server);
    channel = new Channel(target, pacing(secure.credentials), { ...options, ...secure.options });
    // A call that cannot be made for another reason ends by itself.
    stopWatch = timers.after(connectMs, () =>
      cancel(`no connection to ${serverText(server)} within ${connectMs / 1000} s`),
    );
    call = channel.createCall(method, Number.POSITIVE_INFINITY, undefined, null, undefined);
    call.start(metadata, {
      onReceiveMetadata() {},
      onReceiveMessage(message: Uint8Array) {
        wanting?.(message);
        wanting = undefined;
      },
      onReceiveStatus({ code, details }) {
        const clean = code === status.OK || (leaving && code === status.UNAVAILABLE);
        end({ clean, fault: clean ? '' : faultText(code, details) });
      },
    });
    write();
    if (wanting) call.startRead();
    watch(channel);
  };

  const watch = (of: Channel) => {
    if (over) return;
    const state = of.getConnectivityState(false);
    if (state === connectivityState.READY) {
      stopWatch();
      connected(true);
      of.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
        if (over) return;
        stopWatch = timers.after(leavingMs, () => {
          leaving = true;
        });
      });
    } else of.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => watch(of));
  };

  let writing = false;
  /** One message after the other: a call holds one that is on its way, and forgets it over the next. */
  const write = () => {
    const bytes = unsent[0];
    if (writing || !call || bytes === undefined) return;
    unsent.shift();
    unsentBytes -= bytes.length;
    writing = true;
    const callback = () => {
      writing = false;
      write();
    };
    call.sendMessageWithContext({ callback }, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  };

  const cancel = (fault: string) => {
    call?.cancelWithStatus(status.CANCELLED, fault === '' ? 'ended by the client' : fault);
    end({ clean: false, fault });
  };

  start().catch((error: unknown) => {
    end({ clean: false, fault: error instanceof Unusable ? error.message : String(error) });
  });

  return {
    ready,
    ended,
    send(bytes) {
      if (over) return;
      unsent.push(bytes);
      unsentBytes += bytes.length;
      if (unsentBytes > maxUnsentBytes) cancel(`${serverText(server)} does not take what is sent to it`);
      else write();
    },
    next() {
      if (over) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        wanting = resolve;
        call?.startRead();
      });
    },
    cancel: () => cancel(''),
  };
}

interface Secure {
  readonly credentials: ReturnType<typeof credentials.createInsecure>;
  readonly options: ChannelOptions;
}

async function credentialsOf(server: XdsServer): Promise<Secure> {
  const { tls, host } = server;
  if (!tls) return { credentials: credentials.createInsecure(), options: {} };
  const root = await read(tls.rootFile, 'root certificate');
  requireCertificates(tls.rootFile, root);
  const name = tls.serverName ?? host;
  if (parseAddress(name) === undefined) {
    return { credentials: credentials.createSsl(root), options: { 'grpc.ssl_target_name_override': name } };
  }
  // An address may not be asked for as a server's name in the handshake, but it is what the certificate must be for.
  return {
    credentials: credentials.createSsl(root, null, null, {
      checkServerIdentity: (_asked, certificate) => checkServerIdentity(name, certificate),
    }),
    options: { 'grpc.ssl_target_name_override': defaultServer.replace(/:\d+$/, '') },
  };
}

async function metadataOf({ tokenFile, headers }: XdsServer, clusterId: string): Promise<Metadata> {
  const metadata = new Metadata();
  metadata.set('clusterid', clusterId);
  if (tokenFile !== undefined) {
    const token = (await read(tokenFile, 'token')).toString().trim();
    if (!/^[\x21-\x7e]+$/.test(token)) throw new Unusable(`token file "${tokenFile}" holds no token`);
    metadata.set('authorization', `Bearer ${token}`);
  }
  for (const [name, value] of headers) metadata.set(name, value);
  return metadata;
}

async function read(path: string, what: string): Promise<Buffer> {
  try {
    return await readPlainFile(path);
  } catch (error) {
    throw new Unusable(`${what} file "${path}" ${fileFault(error)}`);
  }
}

function requireCertificates(path: string, pem: Buffer): void {
  const blocks = pem.toString('latin1').match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Unusable(`root certificate file "${path}" holds no certificate`);
  for (const block of blocks) {
    try {
      new X509Certificate(block);
    } catch (error) {
      throw new Unusable(`root certificate file "${path}" is damaged: ${messageOf(error)}`);
    }
  }
}

function targetOf({ host, port }: XdsServer): string {
  const address = parseAddress(host);
  if (address === undefined) return `dns:${host}:${port}`;
  return isV4(address) ? `ipv4:${address}:${port}` : `ipv6:[${address}]:${port}`;
}

/** "UNAVAILABLE: connect ECONNREFUSED 10.0.0.1:15012" */
function faultText(code: number, details: string): string {
  const [, reason] =
    /^No connection established\. Last error: (?:Error: )?(.*?)\.? Resolution note: .*$/s.exec(details) ?? [];
  return `${status[code] ?? `status ${code}`}: ${reason ?? details}`;
}
