// SPDX-License-Identifier: Apache-2.0
// Two agents on one node, as processes under calls: the second is refused, by run directory and by pins, or takes over; no call fails.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { adminClient } from '../../src/admin/client.ts';
import { bulkYaml, entryYaml } from '../support/bulk.ts';
import { type Load, startLoad } from '../support/load.ts';
import { type AgentProcess, type Node, openNode } from '../support/node.ts';

const SERVICES = 300;

let node: Node;
let agent: AgentProcess;
let load: Load;
let elsewhere = '';

function write(state: 'a' | 'b'): void {
  const endpoints = ['one', 'two'].map((name) => ({ address: node.pod(name).address4 }));
  const targetPort = state === 'a' ? 9000 : 9001;
  node.write(
    'mesh.yaml',
    entryYaml({ name: 'cart', address: '10.96.0.1', endpoints, targetPort }) + bulkYaml(SERVICES, state),
  );
}

beforeAll(async () => {
  elsewhere = mkdtempSync(join(tmpdir(), 'km-elsewhere-'));
  node = await openNode('take', ['client', 'one', 'two']);
  for (const name of ['one', 'two']) await node.serve(name, 'tcp/9000-9001');
  write('a');
  agent = node.startAgent();
  await node.ready();
  expect((await node.kmeshctl('enroll', node.pod('client').cgroup, '--authz', 'off')).code).toBe(0);
  load = await startLoad(node.pod('client'), { host: '10.96.0.1', port: 80, pauseMs: 5 });
}, 180_000);
afterAll(async () => {
  await node?.close();
  rmSync(elsewhere, { recursive: true, force: true });
}, 120_000);

async function expectCalls(): Promise<void> {
  const before = await load.calls();
  await node.until(async () => (await load.calls()) > before + 50);
}

const pidOf = async (runDir: string) =>
  (
    await adminClient(runDir)
      .version({})
      .catch(() => undefined)
  )?.pid;

test('a second agent is refused, in the same run directory and with the same pins', async () => {
  const same = await node.kmeshctl('agent', '--config', '/nowhere');
  expect(same.code).toBe(1);
  expect(same.err).toContain(`KM_AGENT_RUNNING: process ${agent.child.pid} (kmeshctl agent) runs as the agent of`);
  expect(same.err).toContain('--take-over');
  const { bpffs, cgroupRoot } = node.place;
  const other = node.startAgent({ words: ['--run-dir', elsewhere, '--bpffs', bpffs, '--cgroup-root', cgroupRoot] });
  await node.until(() => other.child.exitCode !== null);
  expect(other.child.exitCode).toBe(1);
  expect(other.log()).toContain(`KM_AGENT_RUNNING: process ${agent.child.pid} runs as the agent of the pins under`);
  expect(agent.child.exitCode).toBe(null);
  await expectCalls();
}, 120_000);

test('takes over while the configuration changes: the first ends by itself, nothing else changes hands', async () => {
  for (const state of ['b', 'a', 'b'] as const) {
    write(state);
    const next = node.startAgent({ words: ['--take-over'] });
    await node.until(() => agent.child.exitCode !== null);
    expect(agent.child.exitCode).toBe(0);
    agent = next;
    await node.until(async () => (await pidOf(node.place.runDir)) === agent.child.pid);
    await node.ready();
    await expectCalls();
  }
  expect((await node.kmeshctl('dump', 'diff')).code).toBe(0);
}, 180_000);

test('takes over pins from an agent of another run directory, by a signal', async () => {
  const next = node.startAgent({ words: ['--run-dir', elsewhere, '--take-over'] });
  await node.until(() => agent.child.exitCode !== null);
  expect(agent.child.exitCode).toBe(0);
  await node.until(async () => (await pidOf(elsewhere)) === next.child.pid);
  await node.until(async () => (await adminClient(elsewhere).ready({})).ready);
  expect(next.log()).toContain('was sent SIGTERM');
  await expectCalls();
  agent = node.startAgent({ words: ['--take-over'] });
  await node.until(() => next.child.exitCode !== null);
  await node.until(async () => (await pidOf(node.place.runDir)) === agent.child.pid);
  await node.ready();
}, 180_000);

test('no call has failed', async () => {
  await expectCalls();
  const { failures, calls } = await load.end();
  expect(failures).toEqual({});
  expect(calls).toBeGreaterThan(200);
}, 120_000);
