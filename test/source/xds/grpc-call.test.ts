// SPDX-License-Identifier: Apache-2.0
// How a call of gRPC ends, by what the server on the other side does.
import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { headOf } from '../../../src/source/xds/frames.ts';
import { type Call, type KeepAlive, openCall } from '../../../src/source/xds/grpc-call.ts';
import { until } from './listening.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Listener {
  once(event: 'listening', then: () => void): unknown;
  listen(port: number, host: string): unknown;
  address(): AddressInfo | string | null;
}
async function portOf(server: Listener): Promise<number> {
  const listening = new Promise<void>((resolve) => server.once('listening', resolve));
  server.listen(0, '127.0.0.1');
  await listening;
  return (server.address() as AddressInfo).port;
}

async function serve(onStream: (stream: ServerHttp2Stream) => void): Promise<number> {
  const sessions = new Set<ServerHttp2Session>();
  const server: Http2Server = createServer();
  server.on('session', (session) => sessions.add(session.on('error', () => {})));
  server.on('stream', (stream) => onStream(stream.on('error', () => {})));
  closers.push(() => {
    for (const session of sessions) session.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return portOf(server);
}

interface Told {
  readonly call: Call;
  readonly messages: string[];
  readonly ends: (readonly [string, string])[];
  readonly ready: () => boolean;
}
function open(port: number, keepAlive?: KeepAlive): Told {
  const messages: string[] = [];
  const ends: (readonly [string, string])[] = [];
  let ready = false;
  const call = openCall(
    { host: '127.0.0.1', port, path: '/a/b', headers: {}, maxBytes: 1000, ...(keepAlive && { keepAlive }) },
    {
      onReady() {
        ready = true;
      },
      onLeaving() {},
      onMessage: (message) => messages.push(Buffer.from(message).toString()),
      onEnd: (status, details) => ends.push([status, details]),
    },
  );
  closers.push(() => call.cancel());
  return { call, messages, ends, ready: () => ready };
}

const message = (text: string): Buffer => Buffer.concat([headOf(text.length), Buffer.from(text)]);
const grpc = { ':status': 200, 'content-type': 'application/grpc' };

test.each<readonly [string, (stream: ServerHttp2Stream) => void, string, RegExp]>([
  [
    'a status in the head',
    (s) => s.respond({ ...grpc, 'grpc-status': '7', 'grpc-message': 'no%2C%20never' }, { endStream: true }),
    'PERMISSION_DENIED',
    /^no, never$/,
  ],
  ['no status', (s) => s.respond(grpc, { endStream: true }), 'INTERNAL', /without a status/],
  [
    'a web page',
    (s) => {
      s.respond({ ':status': 503, 'content-type': 'text/html' });
      s.end('<html>not now</html>');
    },
    'UNAVAILABLE',
    /HTTP status 503/,
  ],
  ['a refusal', (s) => s.close(constants.NGHTTP2_REFUSED_STREAM), 'UNAVAILABLE', /refused/],
  ['a reset', (s) => s.close(constants.NGHTTP2_INTERNAL_ERROR), 'INTERNAL', /code 2/],
  ['a lost connection', (s) => s.session?.destroy(), 'UNAVAILABLE', /./],
  [
    'a message cut off',
    (s) => {
      s.respond(grpc);
      s.end(message('cut off').subarray(0, 8));
    },
    'INTERNAL',
    /without a status/,
  ],
  [
    'the end of the connection with a reason',
    (s) => s.session?.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('too_many_pings')),
    'UNAVAILABLE',
    /code 11: too_many_pings/,
  ],
])('the server answers with %s', async (_name, answer, status, details) => {
  const { call, ends } = open(await serve(answer));
  call.read();
  await until(() => ends.length > 0);
  expect(ends).toEqual([[status, expect.stringMatching(details)]]);
});

test('all that came before the end is handed out first, each when it is asked for', async () => {
  const port = await serve((stream) => {
    stream.respond(grpc, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.concat(['one', 'two', 'three'].map(message)));
  });
  const { call, messages, ends } = open(port);
  for (const n of [1, 2]) {
    call.read();
    await until(() => messages.length === n);
    expect(ends).toEqual([]);
  }
  call.read();
  await until(() => ends.length === 1);
  expect([messages, ends]).toEqual([['one', 'two', 'three'], [['OK', '']]]);
});

test('a connection over which nothing comes any more is given up', async () => {
  const behind = await serve((stream) => stream.respond(grpc));
  const sockets: Socket[] = [];
  const between = createTcpServer((from) => {
    const to = connect(behind, '127.0.0.1');
    sockets.push(
      from.on('error', () => {}),
      to.on('error', () => {}),
    );
    from.pipe(to).pipe(from);
  });
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => between.close(resolve));
  });
  const { ends, ready } = open(await portOf(between), { everyMs: 20, answerMs: 1000 });
  await until(ready);
  // Answered pings keep it.
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(ends).toEqual([]);
  for (const socket of sockets) socket.unpipe().pause();
  await until(() => ends.length > 0);
  expect(ends).toEqual([['UNAVAILABLE', 'the connection does not answer']]);
});
