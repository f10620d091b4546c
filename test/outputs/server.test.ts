// SPDX-License-Identifier: Apache-2.0
// The HTTP server of metrics and health, asked as anyone would ask it.
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { listenAddress } from '../../src/cli/param.ts';
import { type OutputServer, openOutputServer, type Pages } from '../../src/outputs/server.ts';

let server: OutputServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const pages = (more: Partial<Pages> = {}): Pages => ({
  metrics: { contentType: 'text/plain; version=0.0.4', text: async () => 'up 1\n' },
  notReady: () => [],
  ...more,
});
const at = (word: string) => listenAddress('ADDRESS', 'x').read([word], '--metrics') ?? { host: undefined, port: 0 };

function ask(path: string, method = 'GET'): Promise<{ status: number; type: string; text: string }> {
  const [, host = '', port] = /^\[?(.*?)\]?:(\d+)$/.exec(server?.address ?? '') ?? [];
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: host === '::' || host === '0.0.0.0' ? 'localhost' : host, port, path, method },
      (answer) => {
        let text = '';
        answer.on('data', (part) => {
          text += part;
        });
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, type: answer.headers['content-type'] ?? '', text }),
        );
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}

describe('where it listens', () => {
  it.each([
    ['127.0.0.1:0', /^127\.0\.0\.1:[1-9]/],
    [':0', /^(\[::\]|0\.0\.0\.0):[1-9]/],
    ['[::1]:0', /^\[::1\]:[1-9]/],
    ['localhost:0', /^(\[::1\]|127\.0\.0\.1):[1-9]/],
  ])('%s', async (word, shown) => {
    server = await openOutputServer(at(word), pages());
    expect(server.address).toMatch(shown);
    expect((await ask('/healthz/live')).status).toBe(200);
  });

  it.each(['', '15020', '::1:15020', '[::1]', '[127.0.0.1]:80', '[x]:80', 'a b:80', ':65536', ':-1', ':http'])(
    'not at %j',
    (word) => {
      expect(() => at(word)).toThrow(/--metrics must be an address such as :15020/);
    },
  );

  it('says so when something else listens there', async () => {
    server = await openOutputServer(at('127.0.0.1:0'), pages());
    await expect(openOutputServer(at(server.address), pages())).rejects.toMatchObject({
      code: 'KM_LISTEN',
      message: `metrics cannot be served at "${server.address}": something else listens there`,
    });
  });
});

describe('what it answers', () => {
  it('metrics, health, and nothing else', async () => {
    let why: string[] = ['the first state is still being written', 'no room'];
    server = await openOutputServer(at('127.0.0.1:0'), pages({ notReady: () => why }));
    expect(await ask('/metrics?x=1')).toEqual({ status: 200, type: 'text/plain; version=0.0.4', text: 'up 1\n' });
    expect(await ask('/metrics', 'HEAD')).toMatchObject({ status: 200, text: '' });
    const { status, text } = await ask('/healthz/ready');
    expect([status, text]).toEqual([503, 'not ready: the first state is still being written\nnot ready: no room\n']);
    why = [];
    expect(await ask('/healthz/ready')).toMatchObject({ status: 200, text: 'ready\n' });
    expect(await ask('/healthz/live')).toMatchObject({ status: 200, text: 'ok\n' });
    expect((await ask('/')).status).toBe(404);
    expect((await ask('/metrics', 'POST')).status).toBe(405);
  });

  it('that a scrape failed, and then goes on', async () => {
    let broken = true;
    const text = async () => {
      if (broken) throw new Error('map "reason": lookup failed');
      return 'up 1\n';
    };
    server = await openOutputServer(at('127.0.0.1:0'), pages({ metrics: { contentType: 'text/plain', text } }));
    expect(await ask('/metrics')).toMatchObject({ status: 500, text: 'map "reason": lookup failed\n' });
    broken = false;
    expect((await ask('/metrics')).status).toBe(200);
  });

  it('who asks, however many connections others keep open without a question, or without reading answers', async () => {
    const text = async () => 'x'.repeat(1 << 20);
    server = await openOutputServer(at('127.0.0.1:0'), pages({ metrics: { contentType: 'text/plain', text } }));
    const port = Number(server.address.split(':')[1]);
    const held = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => undefined);
        await new Promise((resolve) => socket.once('connect', resolve));
        if (i % 2 === 0) socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
        return socket;
      }),
    );
    for (let i = 0; i < 5; i++) expect((await ask('/healthz/live')).status).toBe(200);
    for (const socket of held) socket.destroy();
  });

  it('nothing to garbage, which it outlives; closing does not wait for those who hang on', async () => {
    server = await openOutputServer(at('127.0.0.1:0'), pages());
    const port = Number(server.address.split(':')[1]);
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    socket.write('\x16\x03\x01 no http\r\n\r\n');
    await closed;
    const idle = connect(port, '127.0.0.1');
    idle.on('error', () => undefined);
    await new Promise((resolve) => idle.once('connect', resolve));
    expect((await ask('/healthz/live')).status).toBe(200);
    await server.close();
  });
});
