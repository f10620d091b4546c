// SPDX-License-Identifier: Apache-2.0
// The agent's interface over real sockets in temporary run directories.
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adminClient } from '../../src/admin/client.ts';
import { type AdminServer, type Handlers, openAdminServer } from '../../src/admin/server.ts';
import type { AgentStatus, ConfigItem } from '../../src/admin/types.ts';
import { KmeshError } from '../../src/errors.ts';

const handlers: Handlers = {
  status: () => ({ node: 'n1', faults: [] }) as unknown as AgentStatus,
  ready: () => ({ ready: false, notReady: ['no source is complete'] }),
  version: async () => ({ version: '1', abiVersion: 1, node: 'n1', pid: 1 }),
  explain: ({ address }) => {
    throw new KmeshError('KM_NOT_FOUND', `no frontend "${address}"`, { hint: 'look at the address' });
  },
  authzExplain: () => {
    throw new KmeshError('KM_NOT_FOUND', 'not judged');
  },
  *authz() {},
  ads: () => ({ address: '127.0.0.1:1', tls: 'none' }),
  *waypoints() {},
  log: ({ level }) => ({ was: 'info', level }),
  stop: () => ({ pid: 1 }),
  reload: () => {
    throw new Error('surprise');
  },
  *config({ kind, filter, limit }) {
    for (let i = 0; i < (limit ?? 30_000); i++) {
      yield { kind: kind ?? 'service', name: `${filter ?? 'all'}-${i}`, fields: { text: 'x'.repeat(40) } };
    }
  },
  async *diff({ limit }) {
    yield { map: 'frontend', kind: 'missing', about: 'one' };
    if (limit === 7) throw new KmeshError('KM_MAP', 'map "frontend" could not be read');
  },
};

let runDir = '';
let server: AdminServer | undefined;

beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'km-admin-'));
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(runDir, { recursive: true, force: true });
});

/** What a plain HTTP client sees. */
function raw(
  path: string,
  options: { method?: string; body?: string } = {},
): Promise<{ status: number; text: string }> {
  return new Promise((done, fail) => {
    const out = request(
      { socketPath: join(runDir, 'agent.sock'), path, method: options.method ?? 'GET', agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => done({ status: response.statusCode ?? 0, text }));
      },
    );
    out.on('error', fail);
    out.end(options.body);
  });
}

describe('admin', () => {
  it('serves one answer a call, on a socket of mode 0600 and nothing beside it', async () => {
    server = await openAdminServer(runDir, handlers);
    expect(statSync(server.path).mode & 0o777).toBe(0o600);
    expect(readdirSync(runDir)).toEqual(['agent.sock']);
    const client = adminClient(runDir);
    expect(await client.status({})).toMatchObject({ node: 'n1' });
    expect(await client.log({ level: 'debug' })).toEqual({ was: 'info', level: 'debug' });
  });

  it('answers 503 to a probe while not ready, which the client reads as an answer', async () => {
    server = await openAdminServer(runDir, handlers);
    expect((await raw('/ready')).status).toBe(503);
    expect(await adminClient(runDir).ready({})).toEqual({ ready: false, notReady: ['no source is complete'] });
  });

  it('streams many items and stops when the client has enough', async () => {
    server = await openAdminServer(runDir, handlers);
    const client = adminClient(runDir);
    let count = 0;
    for await (const item of client.config({ kind: 'workload', filter: 'a&b=c' })) {
      if (count === 0) expect(item).toMatchObject({ kind: 'workload', name: 'a&b=c-0' } satisfies Partial<ConfigItem>);
      count++;
    }
    expect(count).toBe(30_000);
    count = 0;
    for await (const _ of client.config({})) if (++count === 10) break;
    expect(count).toBe(10);
    expect((await client.config({ limit: 2 }).next()).value).toMatchObject({ name: 'all-0' });
  });

  it('hands errors over with code, message and hint, also in the middle of a stream', async () => {
    server = await openAdminServer(runDir, handlers);
    const client = adminClient(runDir);
    await expect(client.explain({ address: '10.0.0.1', port: 80, protocol: 'tcp' })).rejects.toMatchObject({
      code: 'KM_NOT_FOUND',
      message: 'no frontend "10.0.0.1"',
      hint: 'look at the address',
    });
    await expect(client.reload({})).rejects.toMatchObject({ code: 'KM_INTERNAL', message: 'surprise' });
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const item of client.diff({ limit: 7 })) seen.push(item);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'KM_MAP' });
    expect(seen).toHaveLength(1);
  });

  it.each([
    ['/nothing', {}, 404, 'KM_NOT_FOUND'],
    ['/status?x=1', {}, 400, 'KM_USAGE'],
    ['/status', { method: 'POST' }, 405, 'KM_USAGE'],
    ['/log', { method: 'POST', body: '{"level":"loud"}' }, 400, 'KM_USAGE'],
    ['/log', { method: 'POST', body: '{' }, 400, 'KM_USAGE'],
    ['/log', { method: 'POST', body: '[]' }, 400, 'KM_USAGE'],
    ['/log', { method: 'POST', body: `{"level":"${'x'.repeat(70_000)}"}` }, 400, 'KM_USAGE'],
    ['/explain?address=10.0.0.1', {}, 400, 'KM_USAGE'],
    ['/explain?address=10.0.0.1&port=-1&protocol=tcp', {}, 400, 'KM_USAGE'],
    ['/explain?address=10.0.0.1&port=1&protocol=sctp', {}, 400, 'KM_USAGE'],
    ['/config?limit=two', {}, 400, 'KM_USAGE'],
  ])('refuses %s %j with %d %s as JSON', async (path, options, status, code) => {
    server = await openAdminServer(runDir, handlers);
    const answer = await raw(path, options);
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([status, code]);
  });

  it('refuses a live socket and replaces a dead one', async () => {
    server = await openAdminServer(runDir, handlers);
    await expect(openAdminServer(runDir, handlers)).rejects.toMatchObject({ code: 'KM_AGENT_RUNNING' });
    expect(await adminClient(runDir).version({})).toMatchObject({ version: '1' });
    await server.close();
    await expect(adminClient(runDir).version({})).rejects.toMatchObject({ code: 'KM_AGENT_UNREACHABLE' });
    writeFileSync(join(runDir, 'agent.sock'), '');
    server = await openAdminServer(runDir, handlers);
    expect(await adminClient(runDir).version({})).toMatchObject({ version: '1' });
  });

  it('says how to reach an agent when there is none', async () => {
    await expect(adminClient(runDir).status({})).rejects.toMatchObject({
      code: 'KM_AGENT_UNREACHABLE',
      hint: expect.stringContaining('kmeshctl agent'),
    });
  });

  it('notices an answer that is late or cut off', async () => {
    const broken = createServer((incoming, response) => {
      if (incoming.url === '/diff') {
        response.write('{"item":{"map":"frontend","kind":"extra","about":"a"}}\n');
        setTimeout(() => response.destroy(), 20);
      }
    });
    await new Promise<void>((done) => broken.listen(join(runDir, 'agent.sock'), done));
    const client = adminClient(runDir, { timeoutMs: 100 });
    await expect(client.status({})).rejects.toMatchObject({ code: 'KM_AGENT_UNREACHABLE' });
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const item of client.diff({})) seen.push(item);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'KM_AGENT_UNREACHABLE' });
    expect(seen).toHaveLength(1);
    broken.closeAllConnections();
    await new Promise((done) => broken.close(done));
  });

  it('refuses a run directory whose socket path would be cut', async () => {
    await expect(openAdminServer(join(runDir, 'x'.repeat(120)), handlers)).rejects.toMatchObject({ code: 'KM_IO' });
    chmodSync(runDir, 0o700);
  });
});
