// SPDX-License-Identifier: Apache-2.0
// The agent as a process on the real kernel: told to a service manager, killed, swapped under, grown, healed.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { adminClient } from '../../src/admin/client.ts';
import { load } from '../../src/kernel/load.ts';
import { isLoaded, openPinned, type PinnedDataPlane } from '../../src/kernel/pinned.ts';
import { serviceRows } from '../../src/tasks/held/rows.ts';
import { openSite, type Site } from '../support/site.ts';

const bin = join(import.meta.dirname, '../../bin/kmeshctl.js');
let site: Site;
let folder = '';
let agent: ChildProcess | undefined;
let receiver: ChildProcess | undefined;
let log = '';

const pod = () => join(site.cgroupRoot, 'pod');
const runDir = () => join(folder, 'run');
const client = () => adminClient(runDir());
const place = () => ['--bpffs', site.bpffs, '--cgroup-root', site.cgroupRoot, '--run-dir', runDir()];

// One instance for all: loading the programs takes seconds.
beforeAll(() => {
  site = openSite('agent');
  folder = mkdtempSync(join(tmpdir(), 'km-agent-run-'));
  mkdirSync(join(folder, 'config'));
});
afterEach(async () => {
  receiver?.kill('SIGKILL');
  await end('SIGKILL');
});
afterAll(() => {
  if (existsSync(pod())) rmdirSync(pod());
  site.close();
  rmSync(folder, { recursive: true, force: true });
});

async function end(signal: NodeJS.Signals): Promise<number | null> {
  if (!agent || agent.exitCode !== null || agent.signalCode !== null) return agent?.exitCode ?? null;
  const exit = once(agent, 'exit');
  agent.kill(signal);
  const [code] = await exit;
  return code;
}

function start(words: readonly string[] = [], env: Record<string, string> = {}): void {
  log = '';
  const all = [bin, 'agent', ...place(), '--config', join(folder, 'config'), '--node', 'n1', ...words];
  agent = spawn(process.execPath, all, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } });
  agent.stderr?.on('data', (part: Buffer) => {
    log += part.toString();
  });
}

async function until(check: () => boolean | Promise<boolean>, ms = 50_000): Promise<void> {
  const begun = performance.now();
  while (!(await check())) {
    if (performance.now() - begun > ms) throw new Error(`not within ${ms} ms; the agent said:\n${log}`);
    await pause(10);
  }
}

const isReady = async (): Promise<boolean> => {
  try {
    return (await client().ready({})).ready;
  } catch {
    return false;
  }
};
const ready = () => until(isReady);

function kmeshctl(...words: string[]): { readonly code: number | null; readonly text: string } {
  const [first = '', ...rest] = words;
  const done = spawnSync(process.execPath, [bin, first, ...place(), ...rest], { encoding: 'utf8' });
  return { code: done.status, text: done.stdout + done.stderr };
}

function held<T>(read: (plane: PinnedDataPlane) => T): T {
  const plane = openPinned(site.bpffs);
  try {
    return read(plane);
  } finally {
    plane.close();
  }
}
/** Endpoints of the service; none while nothing is loaded. */
const endpoints = (): number =>
  isLoaded(site.bpffs)
    ? held((plane) => [...serviceRows(plane, { filter: 'cart' })][0]?.backends[0]?.endpoints.length ?? 0)
    : 0;

/** A service with `n` pods, all on one node, written at once. */
function shop(n: number): void {
  const pods = Array.from({ length: n }, (_, i) => {
    const name = `cart-${i + 1}`;
    const status = { podIPs: [{ ip: `10.0.${i >> 8}.${(i & 255) + 1}` }], phase: 'Running', conditions };
    return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'shop', labels }, spec, status };
  });
  const ports = [{ port: 80, targetPort: 8080 }];
  const service = { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], selector: labels, ports };
  const items = [{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'cart', namespace: 'shop' }, spec: service }];
  const list = { apiVersion: 'v1', kind: 'List', items: [...items, ...pods] };
  writeFileSync(join(folder, 'config', 'shop.json'), JSON.stringify(list));
}
const labels = { app: 'cart' };
const spec = { nodeName: 'n1', containers: [{ name: 'main' }] };
const conditions = [{ type: 'Ready', status: 'True' }];

/** Datagrams that a service manager would get, one text each. */
async function manager(): Promise<{ readonly path: string; heard(): string[] }> {
  const path = join(folder, 'notify');
  const program = `
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(${JSON.stringify(path)}); print('bound', flush=True)
while True: print(s.recv(4096).decode().replace('\\n', '|'), flush=True)`;
  const child = spawn('python3', ['-c', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  receiver = child;
  let text = '';
  child.stdout.on('data', (part: Buffer) => {
    text += part.toString();
  });
  await once(child.stdout, 'data');
  return { path, heard: () => text.trim().split('\n').slice(1) };
}

describe('agent process', { timeout: 150_000 }, () => {
  it('loads the programs itself, and tells a service manager of its life', async () => {
    shop(2);
    const told = await manager();
    start(['--map-size', 'endpoint=32'], { NOTIFY_SOCKET: told.path });
    await ready();
    await until(() => told.heard().includes('READY=1'));
    expect(told.heard()).toContain('STATUS=ready: 1 service, 2 workloads');
    agent?.kill('SIGHUP');
    await until(() => told.heard().filter((line) => line === 'READY=1').length === 2);
    expect(told.heard().some((line) => /^RELOADING=1\|MONOTONIC_USEC=\d+$/.test(line))).toBe(true);
    await until(() => log.includes('configuration read again'));
    expect(await end('SIGTERM')).toBe(0);
    expect(told.heard().at(-1)).toBe('STOPPING=1');
    expect(endpoints()).toBe(2);
    expect(kmeshctl('status').text).toMatch(/agent +none/);
  });

  it('brings an edit into the kernel, and writes nothing after kill -9 and restart', async () => {
    shop(2);
    start();
    await ready();
    shop(3);
    await until(() => endpoints() === 3);
    // The switch to the new endpoints is not the last thing written.
    await until(async () => (await client().status({})).queue === 0);
    await end('SIGKILL');
    start();
    await ready();
    expect((await client().status({})).lastApply).toMatchObject({ operations: 0 });
    expect(kmeshctl('dump', 'diff')).toEqual({ code: 0, text: '' });
  });

  it('shows drift, repairs it, and takes out enrolments of deleted cgroups', async () => {
    shop(1);
    mkdirSync(pod());
    start(['--heal-interval', '2s']);
    await ready();
    expect(kmeshctl('enroll', pod(), '--workload', 'shop/cart-1', '--authz', 'off').code).toBe(0);
    rmdirSync(pod());
    held((plane) => plane.map('frontend').delete([...plane.map('frontend').entries()].map(([key]) => key)));
    const diff = kmeshctl('dump', 'diff');
    expect(diff.code === 1 ? diff.text : 'repaired already').toMatch(/frontend +missing|repaired already/);
    await until(async () => (await client().status({})).heal.removedEnrolments === 1);
    await until(async () => (await client().status({})).heal.repairedEntries === 1);
    expect(held((plane) => plane.map('frontend').count())).toBe(1);
    expect(held((plane) => plane.map('enrolled').count())).toBe(0);
  });

  it('grows a map before it is full', async () => {
    shop(8);
    start();
    await ready();
    expect(held((plane) => plane.map('endpoint').maxEntries)).toBe(32);
    shop(100);
    await until(() => endpoints() === 100);
    await ready();
    expect((await client().status({})).growth.map((g) => g.map)).toContain('endpoint');
    expect(held((plane) => plane.map('endpoint').maxEntries)).toBeGreaterThanOrEqual(128);
    shop(99);
    await until(() => endpoints() === 99);
    expect(kmeshctl('dump', 'diff')).toEqual({ code: 0, text: '' });
  });

  it('goes on in the new maps when another process swaps them, and loads again what was taken away', async () => {
    shop(1);
    start();
    await ready();
    expect(kmeshctl('upgrade', '--map-size', 'frontend=4096').text).toMatch(/0\.1\.0 -> 0\.1\.0|replace/);
    expect(held((plane) => plane.map('frontend').maxEntries)).toBe(4096);
    shop(4);
    await until(() => endpoints() === 4);
    await ready();
    expect(kmeshctl('unload', '--force').code).toBe(0);
    shop(5);
    await until(async () => (await isReady()) && endpoints() === 5);
    expect(kmeshctl('dump', 'diff')).toEqual({ code: 0, text: '' });
  });

  it('refuses a second agent, and programs of another version', async () => {
    start();
    await ready();
    const second = kmeshctl('agent', '--config', folder);
    expect(second.code).toBe(1);
    expect(second.text).toContain(`KM_AGENT_RUNNING: process ${agent?.pid} (kmeshctl agent)`);
    await end('SIGTERM');
    expect(kmeshctl('unload').text).toBe('unloaded\n');
    load(site.options);
    start();
    await once(agent as ChildProcess, 'exit');
    expect(agent?.exitCode).toBe(1);
    expect(log).toContain('KM_VERSION_MISMATCH');
    expect(log).toContain('kmeshctl upgrade');
  });
});
