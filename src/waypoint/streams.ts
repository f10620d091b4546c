// SPDX-License-Identifier: Apache-2.0
// Streams of proxies over gRPC: within limits, and not answered before there is something to say.
import { logVerbosity, Server, type ServerDuplexStream, setLogVerbosity, status } from '@grpc/grpc-js';
import { decodeRequest, encodeResponse, type Request, type Response, type Way } from './messages.ts';

/** What one stream is served by. */
export interface Served {
  /** Gives why it is to be ended; undefined: it goes on. */
  take(request: Request): string | undefined;
  leave(): void;
}

export interface StreamsOptions {
  /** Nobody is answered before. */
  readonly ready: Promise<void>;
  /** For the first request of a stream. */
  open(request: Request, way: Way, peer: string, send: (response: Response) => void): Served | Refusal;
  readonly mostUnread?: number | undefined;
  /** A stream of this peer began. @returns what is called when it has ended. */
  begun(peer: string): () => void;
  /** Why a stream was ended from here. */
  ended(reason: EndReason, peer: string, details: string): void;
}

/** Why a stream is not served. */
export interface Refusal {
  readonly reason: EndReason;
  readonly details: string;
}

export const endReasons = ['too_many', 'silent', 'malformed', 'misnamed', 'greedy', 'failed'] as const;
/** More streams than there may be; no request in time; no message; says no waypoint; asks for more than it may; a fault here. */
export type EndReason = (typeof endReasons)[number];

const service = '/envoy.service.discovery.v3.AggregatedDiscoveryService/';
const methods = { delta: 'DeltaAggregatedResources', world: 'StreamAggregatedResources' } as const;

/** Of all proxies together, and of one connection: an Envoy needs one. */
export const mostStreams = 1000;
/** Those without a stream too: 20 kB each. */
export const mostConnections = 2 * mostStreams;
const mostOfConnection = 16;
/** Bytes of answers that all of them together have not read: beyond that the one that has not read for longest is ended. */
const usualUnread = 256 << 20;
/** Who comes back names all that it holds: some hundred bytes for each of 100,000. */
const largestRequest = 16 << 20;
const firstRequestMs = 30_000;
/** A proxy that does not answer a ping is gone. */
const pingMs = 30_000;
const pongMs = 20_000;

const codes: Readonly<Record<EndReason, status>> = {
  too_many: status.RESOURCE_EXHAUSTED,
  silent: status.DEADLINE_EXCEEDED,
  malformed: status.INVALID_ARGUMENT,
  misnamed: status.INVALID_ARGUMENT,
  greedy: status.RESOURCE_EXHAUSTED,
  failed: status.UNAVAILABLE,
};

/** False: comes by a unix socket, for which gRPC has no address. That one is only for who may end us anyway. */
export const isStranger = (peer: string): boolean => !/^(?:unix|unknown)/.test(peer);

/** A server for both ways, which listens nowhere yet. */
export function openStreams({ ready, open, begun, ended, mostUnread = usualUnread }: StreamsOptions): Server {
  // What fails is told to whoever called; the library would write it to standard error as well.
  setLogVerbosity(logVerbosity.NONE);
  let count = 0;
  let unread = 0;
  /** Streams with answers that are not read, by how long. */
  const slow = new Set<{ end(): void }>();

  const serve = (way: Way) => (call: ServerDuplexStream<Buffer, Buffer>) => {
    const peer = call.getPeer();
    let served: Served | undefined;
    let over = false;
    let own = 0;
    const counts = isStranger(peer) ? 1 : 0;
    count += counts;
    const hasEnded = begun(peer);
    const one = { end: () => end('greedy', `answers are not read, and those of all streams have ${unread} bytes`) };
    const read = (bytes: number): void => {
      own -= bytes;
      unread -= bytes;
      // It reads: the others have waited for longer.
      if (slow.delete(one) && own > 0) slow.add(one);
    };
    const leave = (): void => {
      if (over) return;
      over = true;
      count -= counts;
      hasEnded();
      clearTimeout(silent);
      read(own);
      served?.leave();
    };
    const end = (reason: EndReason, details: string): void => {
      if (over) return;
      ended(reason, peer, details);
      leave();
      call.emit('error', { code: codes[reason], details });
    };
    const silent = setTimeout(() => end('silent', 'no request came'), firstRequestMs).unref();
    const send = (response: Response): void => {
      if (over) return;
      const bytes = encodeResponse(response, way);
      own += bytes.length;
      unread += bytes.length;
      slow.add(one);
      call.write(bytes, () => {
        if (!over) read(bytes.length);
      });
      for (const { end } of slow) if (unread > mostUnread) end();
    };
    const take = (bytes: Buffer): void => {
      if (over) return;
      let request: Request;
      try {
        request = decodeRequest(bytes, way);
      } catch (error) {
        end('malformed', `no request: ${String(error)}`);
        return;
      }
      clearTimeout(silent);
      if (!served) {
        const opened = open(request, way, peer, send);
        if ('reason' in opened) {
          end(opened.reason, opened.details);
          return;
        }
        served = opened;
      }
      try {
        const fault = served.take(request);
        if (fault !== undefined) end('greedy', fault);
      } catch (error) {
        end('failed', String(error));
      }
    };
    call.on('cancelled', leave);
    call.on('error', leave);
    if (counts && count > mostStreams) {
      end('too_many', `there are ${mostStreams} streams already`);
      return;
    }
    void ready.then(() => {
      // Requests wait in the stream until here, and its window bounds them.
      call.on('data', take);
      call.on('end', () => {
        leave();
        call.end();
      });
    });
  };

  const server = new Server({
    'grpc.max_receive_message_length': largestRequest,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': mostOfConnection,
    'grpc.keepalive_time_ms': pingMs,
    'grpc.keepalive_timeout_ms': pongMs,
  });
  const same = (value: Buffer) => value;
  for (const way of ['delta', 'world'] as const) {
    server.register(service + methods[way], serve(way) as never, same, same, 'bidi');
  }
  return server;
}
