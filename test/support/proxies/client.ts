// SPDX-License-Identifier: Apache-2.0
// A program of its own, in a pod: calls services as applications do.
import { randomBytes } from 'node:crypto';
import { Agent, request as ask, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as askTls } from 'node:https';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { credentials, makeGenericClientConstructor, type ServiceError } from '@grpc/grpc-js';
import type { Told } from './backend.ts';
import { type Hashed, hashed, stream } from './bytes.ts';
import { echoService } from './grpc.ts';
import { begin, end, soFar } from './load-client.ts';
import { serve, within } from './serve.ts';
import { acceptOf, frame, onFrames } from './websocket.ts';

interface At {
  readonly host: string;
  readonly port: number;
}

export interface Asked {
  readonly status: number;
  /** Undefined where a proxy answered by itself. */
  readonly told: Told | undefined;
  /** The client's own port. */
  readonly port: number;
}

type Ask = At & { readonly path?: string; readonly headers?: Readonly<Record<string, string>> };

function begun(options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => ask(options, resolve).on('error', reject).end());
}

async function request({ host, port, path = '/', headers = {} }: Ask, agent: Agent): Promise<Asked> {
  const response = await begun({ host, port, path, headers: { host: 'shop', ...headers }, agent });
  const { localPort = 0 } = response.socket;
  let text = '';
  for await (const part of response) text += part;
  const told = text.startsWith('{"backend"') ? (JSON.parse(text) as Told) : undefined;
  return { status: response.statusCode ?? 0, told, port: localPort };
}

/** So many requests one after the other, on one connection for as long as the other side keeps it. */
async function get({ times = 1, ...one }: Ask & { readonly times?: number }): Promise<Asked[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    const all: Asked[] = [];
    for (let i = 0; i < times; i++) all.push(await within(request(one, agent), `request ${i}`));
    return all;
  } finally {
    agent.destroy();
  }
}

async function upload({ host, port, bytes }: At & { readonly bytes: number }): Promise<Told> {
  const options = { host, port, path: '/up', method: 'POST', headers: { host: 'shop', 'content-length': bytes } };
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    const call = ask({ ...options, agent: false }, resolve).on('error', reject);
    pipeline(stream(bytes), call).catch(reject);
  });
  let text = '';
  for await (const part of await answer) text += part;
  return JSON.parse(text) as Told;
}

async function download({ host, port, bytes }: At & { readonly bytes: number }): Promise<Hashed> {
  return hashed(await begun({ host, port, path: `/bytes/${bytes}`, headers: { host: 'shop' }, agent: false }));
}

interface Secure extends At {
  readonly name: string;
  readonly root: string;
}

/** Over TLS to a server that must show a certificate for `name`. */
async function secure({ host, port, name, root }: Secure): Promise<Told> {
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    const options = { host, port, servername: name, ca: root, path: '/', headers: { host: name }, agent: false };
    askTls(options, resolve).on('error', reject).end();
  });
  let text = '';
  for await (const part of await within(answer, 'TLS')) text += part;
  return JSON.parse(text) as Told;
}

export interface Spoken {
  readonly said: string;
  readonly failed: { readonly code: number; readonly details: string };
  /** Sizes of what came back in one stream. */
  readonly chat: readonly number[];
}

/** One call, one that fails, and a stream both ways, by one connection. */
async function grpc({ host, port }: At): Promise<Spoken> {
  const Client = makeGenericClientConstructor(echoService, 'Echo');
  const at = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  // biome-ignore lint/suspicious/noExplicitAny: what the constructor makes of a definition has no type.
  const client: any = new Client(at, credentials.createInsecure(), { 'grpc.max_receive_message_length': -1 });
  const say = (text: string) =>
    new Promise<Buffer>((resolve, reject) => {
      client.say(Buffer.from(text), (error: ServiceError | null, reply: Buffer) =>
        error ? reject(error) : resolve(reply),
      );
    });
  try {
    const said = (await within(say('hello'), 'gRPC')).toString();
    const failed = await within(say('fail'), 'gRPC').then(
      () => ({ code: 0, details: '' }),
      ({ code, details }: ServiceError) => ({ code, details }),
    );
    const chat = new Promise<number[]>((resolve, reject) => {
      const call = client.chat();
      const sizes: number[] = [];
      const next = [1, 1000, 1_000_000, 5];
      const send = () => {
        const size = next.shift();
        if (size === undefined) call.end();
        else call.write(Buffer.alloc(size, 1));
      };
      call.on('data', (data: Buffer) => {
        sizes.push(data.length);
        send();
      });
      call.on('end', () => resolve(sizes));
      call.on('error', reject);
      send();
    });
    return { said, failed, chat: await within(chat, 'gRPC stream') };
  } finally {
    client.close();
  }
}

/** Sends frames of these sizes; true where each came back as it was. */
async function websocket({ host, port, sizes }: At & { readonly sizes: readonly number[] }): Promise<boolean> {
  const key = randomBytes(16).toString('base64');
  const headers = {
    host: 'shop',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': key,
    'sec-websocket-version': '13',
  };
  const upgraded = new Promise<{ socket: Socket; head: Buffer }>((resolve, reject) => {
    const call = ask({ host, port, path: '/', headers, agent: false });
    call.on('upgrade', (response, socket, head) => {
      if (response.headers['sec-websocket-accept'] === acceptOf(key)) resolve({ socket, head });
      else reject(new Error('not the answer to this key'));
    });
    call.on('response', ({ statusCode }) => reject(new Error(`no upgrade: ${statusCode}`)));
    call.on('error', reject).end();
  });
  const { socket, head } = await within(upgraded, 'upgrade');
  const want = sizes.map((size) => randomBytes(size));
  const came = new Promise<boolean>((resolve, reject) => {
    let i = 0;
    const send = () => socket.write(frame(want[i] as Buffer, true));
    onFrames(socket, head, (data) => {
      if (want[i]?.equals(data) !== true) resolve(false);
      else if (++i === want.length) resolve(true);
      else send();
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed')));
    send();
  });
  try {
    return await within(came, 'frames');
  } finally {
    socket.destroy();
  }
}

const calls = {
  async ready() {},
  get,
  upload: (one: Parameters<typeof upload>[0]) => within(upload(one), 'upload', 110_000),
  download: (one: Parameters<typeof download>[0]) => within(download(one), 'download', 110_000),
  secure,
  grpc,
  websocket,
  begin,
  soFar,
  end,
};

export type ClientCalls = typeof calls;
serve(calls);
