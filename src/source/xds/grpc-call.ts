// SPDX-License-Identifier: Apache-2.0
// One bidirectional call of gRPC on a connection of its own.
import http2, {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls } from 'node:tls';
import { FrameFault, headOf, openFrames } from './frames.ts';

export interface CallOptions {
  readonly host: string;
  readonly port: number;
  /** Absent: plaintext. */
  readonly tls?: CallTls | undefined;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of one message that comes. */
  readonly maxBytes: number;
  readonly keepAlive?: KeepAlive;
}

export interface CallTls {
  readonly root: Buffer;
  /** Asked for in the handshake: no address. */
  readonly sni: string;
  /** The name or the address that the certificate must be for. */
  readonly name: string;
}

export interface KeepAlive {
  readonly everyMs: number;
  /** A connection is lost when it does not answer for so long. */
  readonly answerMs: number;
}

export interface CallEvents {
  /** The server is there, and speaks HTTP/2. */
  onReady(): void;
  /** The server asks for no more calls on this connection. */
  onLeaving(): void;
  /** Once for each read(). */
  onMessage(message: Uint8Array): void;
  /** Once. What came before was read, unless the connection is lost. */
  onEnd(status: CallStatus, details: string): void;
}

export interface Call {
  /** `done`: its bytes are gone, and the room that they took is free. */
  send(message: Uint8Array, done: () => void): void;
  /** Asks for the next message. Without that little more is taken from the network. */
  read(): void;
  /** Ends it without an event. */
  cancel(): void;
}

const statusNames = [
  ...['OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS'],
  ...['PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED'],
  ...['INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED'],
];
/** 'OK', 'UNAVAILABLE' …, or 'status 99'. */
export type CallStatus = string;

/** What may be on its way unread: enough to fill a fast link, little enough to hold back a server that is too fast. */
const windowBytes = 4 * 1024 * 1024;
const usualKeepAlive: KeepAlive = { everyMs: 30_000, answerMs: 10_000 };
/** Of several addresses of a name each but the last one is given up after so long. */
const attemptMs = 2_500;

/** What a proxy that speaks no gRPC answers with. */
const statusOfHttp: Readonly<Record<number, CallStatus>> = {
  ...{ 400: 'INTERNAL', 401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED', 404: 'UNIMPLEMENTED' },
  ...{ 429: 'UNAVAILABLE', 502: 'UNAVAILABLE', 503: 'UNAVAILABLE', 504: 'UNAVAILABLE' },
};
const statusOfReset: Readonly<Record<number, readonly [CallStatus, string]>> = {
  [constants.NGHTTP2_NO_ERROR]: ['INTERNAL', 'the call ended without a status'],
  [constants.NGHTTP2_REFUSED_STREAM]: ['UNAVAILABLE', 'the call was refused by the server'],
  [constants.NGHTTP2_CANCEL]: ['CANCELLED', 'the call was cancelled by the server'],
  [constants.NGHTTP2_ENHANCE_YOUR_CALM]: ['RESOURCE_EXHAUSTED', 'the server asks for less'],
  [constants.NGHTTP2_INADEQUATE_SECURITY]: ['PERMISSION_DENIED', 'the server asks for more security'],
};

export function openCall(options: CallOptions, events: CallEvents): Call {
  const { host, port, headers, keepAlive = usualKeepAlive } = options;
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const frames = openFrames(options.maxBytes);
  /** Whole ones that were not asked for yet. */
  const come: Uint8Array[] = [];
  let wanted = false;
  let over = false;
  /** All data was read. */
  let drained = false;
  let status: readonly [CallStatus, string] | undefined;
  let httpStatus = 200;
  /** What the connection died of. */
  let fault = '';
  let stream: ClientHttp2Stream | undefined;

  const session: ClientHttp2Session = http2.connect(`${options.tls ? 'https' : 'http'}://${authority}`, {
    createConnection: () => dial(options),
    settings: { enablePush: false, initialWindowSize: windowBytes },
    // Windows limit what comes; this limit would break a call within a large message.
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
  });
  const alive = keepingAlive(session, keepAlive, () => lose('the connection does not answer'));

  const close = (code: number): void => {
    over = true;
    come.length = 0;
    alive.stop();
    stream?.close(code);
    session.destroy();
  };
  const end = (name: CallStatus, details: string, code: number = constants.NGHTTP2_CANCEL): void => {
    if (over) return;
    close(code);
    events.onEnd(name, details);
  };
  const lose = (details: string): void => end('UNAVAILABLE', details);

  /** Hands out what is asked for, and stops the flow of what is not. */
  const flow = (): void => {
    if (over) return;
    if (wanted && come.length > 0) {
      wanted = false;
      events.onMessage(come.shift() as Uint8Array);
    }
    if (over) return;
    if (come.length > 0 || !wanted) stream?.pause();
    else stream?.resume();
    if (status && drained && come.length === 0) end(...status, constants.NGHTTP2_NO_ERROR);
  };

  /** There is no stream any more. */
  const breakOff = (code: number): void => {
    drained = true;
    if (status) flow();
    else if (session.destroyed) lose(fault || 'the connection was lost');
    else if (httpStatus !== 200) end(...ofHttp(httpStatus));
    else end(...(statusOfReset[code] ?? ['INTERNAL', `the call was reset with code ${code}`]));
  };

  const start = (): ClientHttp2Stream => {
    const opened = session.request(
      {
        ...headers,
        [constants.HTTP2_HEADER_METHOD]: 'POST',
        [constants.HTTP2_HEADER_PATH]: options.path,
        [constants.HTTP2_HEADER_AUTHORITY]: authority,
        'content-type': 'application/grpc',
        te: 'trailers',
        'grpc-accept-encoding': 'identity',
      },
      { endStream: false },
    );
    opened.on('response', (head, flags) => {
      httpStatus = Number(head[constants.HTTP2_HEADER_STATUS]);
      if (flags & constants.NGHTTP2_FLAG_END_STREAM) status = statusOf(head, httpStatus);
    });
    opened.on('trailers', (trailers) => {
      status = statusOf(trailers, httpStatus);
      flow();
    });
    opened.on('data', (piece: Uint8Array) => {
      if (over) return;
      try {
        come.push(...frames.take(piece));
      } catch (error) {
        // An error page of a proxy is no message.
        if (error instanceof FrameFault)
          return end(...(httpStatus === 200 ? ([error.status, error.message] as const) : ofHttp(httpStatus)));
        throw error;
      }
      if (come.length > 0) flow();
    });
    opened.on('end', () => {
      drained = true;
      flow();
    });
    opened.on('error', (error) => {
      fault ||= error.message;
    });
    // What the session says of it comes at about the same time.
    opened.on('close', () => setImmediate(() => breakOff(opened.rstCode ?? constants.NGHTTP2_NO_ERROR)));
    opened.pause();
    return opened;
  };

  session.once('connect', () => {
    if (!over) session.setLocalWindowSize(windowBytes);
  });
  session.once('remoteSettings', () => {
    if (over) return;
    stream = start();
    alive.start();
    events.onReady();
    flow();
  });
  session.on('goaway', (code, _last, data) => {
    if (code === constants.NGHTTP2_NO_ERROR) return events.onLeaving();
    fault ||= `the server ended the connection with code ${code}${data?.length ? `: ${Buffer.from(data)}` : ''}`;
  });
  session.on('error', (error) => {
    fault ||= textOf(error);
    // A call that was begun ends by itself, with all that came of it.
    if (!stream) lose(fault);
  });
  session.on('close', () => {
    if (!stream) lose(fault || 'the connection was closed');
  });

  return {
    send(message, done) {
      if (over || !stream) return;
      stream.cork();
      stream.write(headOf(message.length));
      stream.write(message, done);
      stream.uncork();
    },
    read() {
      wanted = true;
      flow();
    },
    cancel() {
      if (!over) close(constants.NGHTTP2_CANCEL);
    },
  };
}

function dial({ host, port, tls }: CallOptions): Socket {
  const route = { host, port, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: attemptMs };
  const socket = tls
    ? connectTls({
        ...route,
        ca: tls.root,
        servername: tls.sni,
        ALPNProtocols: ['h2'],
        checkServerIdentity: (_asked, certificate) => checkServerIdentity(tls.name, certificate),
      })
    : connectTcp(route);
  return socket.setNoDelay(true);
}

function keepingAlive(session: ClientHttp2Session, { everyMs, answerMs }: KeepAlive, onSilence: () => void) {
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => clearTimeout(timer);
  const start = (): void => {
    timer = setTimeout(ping, everyMs).unref();
  };
  const ping = (): void => {
    if (session.destroyed) return;
    timer = setTimeout(onSilence, answerMs).unref();
    session.ping((error) => {
      stop();
      // A connection that is lost says so itself.
      if (!error) start();
    });
  };
  return { start, stop };
}

const ofHttp = (code: number): readonly [CallStatus, string] => [
  statusOfHttp[code] ?? 'UNKNOWN',
  `the server answered with HTTP status ${code}`,
];

function statusOf(trailers: IncomingHttpHeaders, httpStatus: number): readonly [CallStatus, string] | undefined {
  const code = trailers['grpc-status'];
  // What follows then is the end of the stream.
  if (code === undefined) return httpStatus === 200 ? undefined : ofHttp(httpStatus);
  return [statusNames[Number(code)] ?? `status ${code}`, decoded(String(trailers['grpc-message'] ?? ''))];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Of several addresses each has a fault of its own. */
function textOf(error: Error): string {
  const each = error instanceof AggregateError ? error.errors : [];
  return each.length === 0 ? error.message : [...new Set(each.map(({ message }) => message))].join('; ');
}
