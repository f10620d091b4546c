// SPDX-License-Identifier: Apache-2.0
// Tasks that ask the agent, against an admin socket with canned answers; no root.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AdminServer, type Handlers, openAdminServer } from '../../src/admin/server.ts';
import type { AgentStatus, LogLevel } from '../../src/admin/types.ts';
import { collect } from '../../src/cli/spec.ts';
import { drawBlocks } from '../../src/cli/table.ts';
import { viewConfig } from '../../src/cli/view/config.ts';
import type { Env, Place } from '../../src/env.ts';
import { setLogLevel } from '../../src/tasks/set-log-level.ts';
import { showConfig } from '../../src/tasks/show-config.ts';
import { showDiff } from '../../src/tasks/show-diff.ts';
import { showVersion } from '../../src/tasks/version.ts';
import { version } from '../../src/version.ts';
import { sink } from '../support/sink.ts';

let runDir = '';
let server: AdminServer | undefined;
let place: Place;
let level: LogLevel = 'info';

const env: Env = {
  stdin: Readable.from([]),
  stdout: sink(),
  stderr: sink(),
  getenv: () => undefined,
  environ: () => ({}),
  now: () => 0,
  hostname: () => 'host',
  cwd: () => '/',
  isRoot: () => false,
  signal: new AbortController().signal,
};

const sources = [{ name: 'files' }, { name: 'xds', xds: { server: 'istiod:15012' } }];
let asked: object = {};
const handlers: Partial<Handlers> = {
  status: () =>
    ({ logLevel: level, version: '7', node: 'n1', network: 'net', clusterId: 'c', sources }) as unknown as AgentStatus,
  ready: () => ({ ready: true, notReady: [] }),
  version: () => ({ version: '7', abiVersion: 3, node: 'n1', pid: 42 }),
  explain: () => {
    throw new Error('not asked');
  },
  authzExplain: () => {
    throw new Error('not asked');
  },
  *authz() {},
  log(input) {
    const was = level;
    level = input.level;
    return { was, level };
  },
  reload: () => ({ ready: true, changes: 3, faults: [] }),
  stop: () => ({ pid: 42 }),
  *config(query) {
    asked = query;
    yield { kind: 'staged', name: 'shop/gone', fields: { a: { workloadUid: 'a' } } };
    yield { kind: 'staged', name: 'shop/gone', fields: { b: { workloadUid: 'b' } } };
    yield { kind: 'workload', name: 'a', fields: { uid: 'a' }, origin: 'xds', shadows: ['files'] };
    yield { kind: 'workload', name: 'b', fields: { uid: 'b' } };
    yield { kind: 'service', name: 'shop/s', fields: { name: 's', endpoints: { a: 1 } } };
    yield { kind: 'endpoints', name: 'shop/s', fields: { b: 2 } };
    yield { kind: 'service', name: 'shop/t', fields: { name: 't', endpoints: {} } };
  },
  *diff() {
    for (let i = 0; i < 5; i++) yield { map: 'frontend', kind: 'missing', about: `f${i}` };
  },
};

beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'km-tasks-'));
  place = { bpffs: join(runDir, 'bpf'), cgroupRoot: '', runDir };
  level = 'info';
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(runDir, { recursive: true, force: true });
});

describe('tasks that ask the agent', () => {
  it('sets the log level, or only says it', async () => {
    server = await openAdminServer(runDir, handlers);
    expect(await setLogLevel(env, { place })).toEqual({ was: 'info', level: 'info' });
    expect(await setLogLevel(env, { place, level: 'debug' })).toEqual({ was: 'info', level: 'debug' });
    expect(await setLogLevel(env, { place })).toEqual({ was: 'debug', level: 'debug' });
  });

  it('counts all differences and lists as many as asked for', async () => {
    server = await openAdminServer(runDir, handlers);
    expect(await showDiff(env, { place })).toMatchObject({ count: 5, differences: { length: 5 } });
    const some = await showDiff(env, { place, limit: 2 });
    expect([some.count, some.differences.map((d) => d.about)]).toEqual([5, ['f0', 'f1']]);
  });

  it('puts what the model holds together in the shape of a config_dump', async () => {
    server = await openAdminServer(runDir, handlers);
    const { workloads, services, policies, gateways, routes, ...rest } = await showConfig(env, {
      place,
      limit: 2,
      origin: true,
    });
    expect(asked).toEqual({ limit: 2, origin: true });
    const lists = [];
    for (const list of [workloads, services, policies, gateways, routes]) lists.push(await collect(list));
    expect(lists).toEqual([
      [{ uid: 'a', origin: 'xds', shadows: ['files'] }, { uid: 'b' }],
      [
        { name: 's', endpoints: { a: 1, b: 2 } },
        { name: 't', endpoints: {} },
      ],
      [],
      [],
      [],
    ]);
    expect(rest).toEqual({
      stagedServices: { 'shop/gone': { a: { workloadUid: 'a' }, b: { workloadUid: 'b' } } },
      staticConfig: { workloads: [], policies: [], services: [] },
      version: { version: '7' },
      config: { localNode: 'n1', network: 'net', clusterId: 'c', xdsAddress: 'istiod:15012' },
      certificates: [],
      workloadState: {},
    });
  });

  it('prints a line for each object, and lets go of the agent when nobody reads on', async () => {
    server = await openAdminServer(runDir, handlers);
    const draw = async () => collect(drawBlocks(viewConfig(await showConfig(env, { place })), false));
    expect((await draw()).join('')).toMatch(/^KIND +NAME +ORIGIN +SHADOWS +FIELDS\nworkload +a +xds +files\n/);
    const text = drawBlocks(viewConfig(await showConfig(env, { place })), false);
    await text.next();
    await text.return(undefined);
    await server.close();
    server = undefined;
  });

  it('shows the versions there are', async () => {
    expect(await showVersion(env, { place, client: true })).toEqual({ client: { version }, faults: [] });
    expect(await showVersion(env, { place, client: false })).toEqual({ client: { version }, faults: [] });
    server = await openAdminServer(runDir, handlers);
    expect(await showVersion(env, { place, client: false })).toEqual({
      client: { version },
      agent: { version: '7', abiVersion: 3, node: 'n1', pid: 42 },
      faults: [],
    });
  });

  it('says that nobody answers', async () => {
    await expect(showDiff(env, { place })).rejects.toMatchObject({ code: 'KM_AGENT_UNREACHABLE' });
    await expect(setLogLevel(env, { place })).rejects.toMatchObject({ code: 'KM_AGENT_UNREACHABLE' });
    await expect(showConfig(env, { place })).rejects.toMatchObject({ code: 'KM_AGENT_UNREACHABLE' });
  });
});
