// SPDX-License-Identifier: Apache-2.0
// How a control plane is reached: plaintext and TLS, names and addresses, token and headers, and what is said when that fails.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { realTimers } from '../../../src/source/timers.ts';
import type { XdsServer } from '../../../src/source/xds/settings.ts';
import { connectMs, maxUnsentBytes, openTransport, type Stream } from '../../../src/source/xds/transport.ts';
import { type AdsServer, type AdsServerOptions, openAdsServer } from '../../support/ads-server.ts';
import { type Certificates, makeCertificates } from '../../support/certificates.ts';
import { openHandTimers } from '../file/hand-timers.ts';
import { until } from './listening.ts';

const folder = mkdtempSync(join(tmpdir(), 'kmesh-xds-'));
const tokenFile = join(folder, 'token');
let good: Certificates;
let other: Certificates;

beforeAll(() => {
  for (const name of ['good', 'other']) mkdirSync(join(folder, name));
  good = makeCertificates(join(folder, 'good'), 'DNS:localhost,DNS:istiod.example,IP:127.0.0.1');
  other = makeCertificates(join(folder, 'other'), 'DNS:elsewhere.example');
  writeFileSync(tokenFile, 'secret\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

const servers: AdsServer[] = [];
const greeting = { typeUrl: 'hello', nonce: 'n' };
async function serve(options: AdsServerOptions = {}): Promise<AdsServer> {
  const server = await openAdsServer({ onStream: (stream) => stream.send(greeting), ...options });
  servers.push(server);
  return server;
}
afterAll(async () => {
  for (const server of servers) await server.close();
});

function connect(to: Partial<XdsServer> & { readonly port: number }): Stream {
  return openTransport({ host: '127.0.0.1', headers: [], ...to }, realTimers).open({ clusterId: 'c1' });
}
/** True when a message came; else why the stream ended. */
async function outcome(to: Partial<XdsServer> & { readonly port: number }): Promise<string | true> {
  const stream = connect(to);
  const message = await stream.next();
  stream.cancel();
  return message === undefined ? (await stream.ended).fault : true;
}

test.each(['127.0.0.1', 'localhost'])('plaintext to %s', async (host) => {
  const { port } = await serve();
  expect(await outcome({ host, port })).toBe(true);
});

test('an IPv6 address', async () => {
  const { port } = await serve({ host: '::1' });
  expect(await outcome({ host: '::1', port })).toBe(true);
});

test('headers: cluster, token, and others', async () => {
  const server = await serve({ token: 'secret' });
  const headers = [['x-tenant', 'blue']] as const;
  expect(await outcome({ port: server.port, tokenFile, headers })).toBe(true);
  expect(server.streams[0]?.headers).toMatchObject({
    clusterid: 'c1',
    authorization: 'Bearer secret',
    'x-tenant': 'blue',
  });
});

test.each([
  ['by the name it is dialled by', 'localhost', undefined],
  ['by the address it is dialled by', '127.0.0.1', undefined],
  ['by the name that is said to be its own', '127.0.0.1', 'istiod.example'],
  ['by the address that is said to be its own', 'localhost', '127.0.0.1'],
])('TLS: the certificate is checked %s', async (_how, host, serverName) => {
  const { port } = await serve({ tls: good });
  const tls = { rootFile: good.root, ...(serverName !== undefined && { serverName }) };
  expect(await outcome({ host, port, tls })).toBe(true);
});

test.each([
  [
    'another root',
    () => ({ tls: { rootFile: other.root } }),
    /UNAVAILABLE: .*(unable to verify|self.signed|certificate)/i,
  ],
  ['another name', () => ({ tls: { rootFile: good.root, serverName: 'elsewhere' } }), /elsewhere\. is not in the cert/],
  ['another address', () => ({ host: '127.0.0.2', tls: { rootFile: good.root } }), /127\.0\.0\.2 is not in the cert/],
  ['no TLS', () => ({}), /^UNAVAILABLE: .+/],
])('a TLS port and %s', async (_name, to, fault) => {
  const { port } = await serve({ tls: good, host: '0.0.0.0' });
  expect(await outcome({ port, ...to() })).toMatch(fault);
});

test('a token that is refused', async () => {
  const { port } = await serve({ token: 'another' });
  expect(await outcome({ port, tokenFile })).toBe('UNAUTHENTICATED: no');
});

test('files that cannot be used', async () => {
  const { port } = await serve();
  const missing = join(folder, 'missing');
  const text = join(folder, 'text');
  const damaged = join(folder, 'damaged');
  writeFileSync(text, 'two words');
  writeFileSync(damaged, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  const of = (rootFile: string) => outcome({ port, tls: { rootFile } });
  expect(await of(missing)).toBe(`root certificate file "${missing}" does not exist`);
  expect(await of(text)).toBe(`root certificate file "${text}" holds no certificate`);
  expect(await of(damaged)).toMatch(/^root certificate file ".*damaged" is damaged: /);
  expect(await outcome({ port, tokenFile: missing })).toBe(`token file "${missing}" does not exist`);
  expect(await outcome({ port, tokenFile: text })).toBe(`token file "${text}" holds no token`);
  expect(await of(folder)).toBe(`root certificate file "${folder}" is a folder, not a file`);
  expect(await outcome({ port, tokenFile: '/dev/zero' })).toBe('token file "/dev/zero" is a device, not a file');
});

test('a pipe in place of a file is refused: whoever opens one that nobody writes to can not even exit', async () => {
  const { port } = await serve();
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  expect(await outcome({ port, tls: { rootFile: pipe } })).toBe(
    `root certificate file "${pipe}" is a pipe, not a file`,
  );
  expect(await outcome({ port, tokenFile: pipe })).toBe(`token file "${pipe}" is a pipe, not a file`);
});

test('token and root are read again for each stream', async () => {
  const server = await serve({ tls: good, token: 'second' });
  const root = join(folder, 'root');
  const token = join(folder, 'changing');
  writeFileSync(root, 'nothing yet');
  writeFileSync(token, 'first');
  const transport = openTransport(
    { host: 'localhost', port: server.port, tls: { rootFile: root }, tokenFile: token, headers: [] },
    realTimers,
  );
  const again = async () => {
    const stream = transport.open({ clusterId: 'c1' });
    const message = await stream.next();
    stream.cancel();
    return message === undefined ? (await stream.ended).fault : true;
  };
  expect(await again()).toMatch(/holds no certificate/);
  copyFileSync(good.root, root);
  expect(await again()).toMatch(/UNAUTHENTICATED/);
  writeFileSync(token, 'second');
  expect(await again()).toBe(true);
});

test.each([
  ['a name that nobody knows', { host: 'nobody.invalid', port: 15012 }, /nobody\.invalid/],
  ['a port that nobody listens on', { port: 1 }, /^UNAVAILABLE: connect ECONNREFUSED 127\.0\.0\.1:1$/],
])('%s', async (_name, to, fault) => {
  expect(await outcome(to)).toMatch(fault);
});

test('a server that accepts and says nothing is given up after a while', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => silent.once('listening', resolve));
  const { port } = silent.address() as { port: number };
  const timers = openHandTimers();
  const accepted = new Promise((resolve) => silent.once('connection', resolve));
  const stream = openTransport({ host: '127.0.0.1', port, headers: [] }, timers).open({ clusterId: '' });
  await accepted;
  timers.run(connectMs);
  expect(await stream.next()).toBeUndefined();
  expect(await stream.ended).toEqual({ clean: false, fault: `no connection to 127.0.0.1:${port} within 10 s` });
  silent.close();
});

test('a stream that is ended from here ends at once, also while it is being opened', async () => {
  const server = await serve();
  const early = connect({ port: server.port });
  early.cancel();
  expect(await early.ended).toEqual({ clean: false, fault: '' });
  const late = connect({ port: server.port });
  await late.next();
  const pending = late.next();
  late.cancel();
  expect(await pending).toBeUndefined();
  await until(() => server.connections === 0);
});

test('many messages in both directions, large ones too, keep their order', async () => {
  const server = await serve({ onStream: () => {} });
  const stream = connect({ port: server.port });
  // The reflection of the test reads requests: a type URL of its own size.
  const lengths = Array.from({ length: 200 }, (_, i) => (i % 50 === 0 ? 300_000 : 3) + i);
  for (const length of lengths) {
    stream.send(Buffer.concat([Buffer.from([0x12]), varint(length), Buffer.alloc(length, 'x')]));
  }
  await until(() => server.streams[0]?.requests.length === lengths.length);
  expect(server.streams[0]?.requests.map(({ typeUrl }) => typeUrl.length)).toEqual(lengths);
  for (const length of lengths) server.streams[0]?.sendBytes(Buffer.alloc(length));
  for (const length of lengths) expect((await stream.next())?.length).toBe(length);
  stream.cancel();
});

test('a server that reads nothing is given up before what waits fills the memory', async () => {
  const server = await serve({ onStream: (stream) => stream.deafen() });
  const stream = connect({ port: server.port });
  const message = Buffer.alloc(1 << 20);
  let sent = 0;
  let over = false;
  void stream.ended.then(() => {
    over = true;
  });
  for (; !over && sent < 2 * maxUnsentBytes; sent += message.length) {
    stream.send(message);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await stream.ended).toEqual({
    clean: false,
    fault: `127.0.0.1:${server.port} does not take what is sent to it`,
  });
  expect(sent).toBeGreaterThan(maxUnsentBytes);
});

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let left = value; ; left >>>= 7) {
    bytes.push(left > 127 ? (left & 127) | 128 : left);
    if (left <= 127) return Buffer.from(bytes);
  }
}
