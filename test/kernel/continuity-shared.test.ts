// SPDX-License-Identifier: Apache-2.0
// The agent beside others who change the same maps: commands, growth, deleted cgroups, and hands that should have kept off.
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { withLock } from '../../src/agent/lock.ts';
import { cgroupId } from '../../src/kernel/cgroup.ts';
import { bulkYaml, entryYaml } from '../support/bulk.ts';
import { type Load, startLoad } from '../support/load.ts';
import { type AgentProcess, type Node, openNode } from '../support/node.ts';
import { normalise } from '../support/normalise.ts';

let node: Node;
let agent: AgentProcess | undefined;
let load: Load;

/** The service that is called, and so many others. */
const write = (others: number) => {
  const endpoints = ['one', 'two'].map((name) => ({ address: node.pod(name).address4 }));
  node.write('mesh.yaml', entryYaml({ name: 'cart', address: '10.96.0.1', endpoints, targetPort: 9000 }));
  node.write('others.yaml', others === 0 ? '' : bulkYaml(others, 'a'));
};
const start = async (...words: readonly string[]) => {
  agent = node.startAgent({ words });
  await node.ready();
};
const heal = async () => (await node.client.status({})).heal;
const diff = async () => (await node.kmeshctl('dump', 'diff')).code;
const frontends = () => node.held((plane) => plane.map('frontend').count());

beforeAll(async () => {
  node = await openNode('shared', ['client', 'one', 'two']);
  for (const name of ['one', 'two']) await node.serve(name, 'tcp/9000');
  write(0);
  await start('--max-frontends', '64', '--max-services', '64', '--heal-interval', '0s');
  expect((await node.kmeshctl('enroll', node.pod('client').cgroup, '--authz', 'off')).code).toBe(0);
  load = await startLoad(node.pod('client'), { host: '10.96.0.1', port: 80 });
}, 120_000);
afterEach(async () => {
  if (agent?.child.exitCode === null && agent.child.signalCode === null) await agent.end('SIGTERM');
});
afterAll(() => node?.close(), 120_000);

test('a configuration that outgrows its maps makes them grow under load; nothing is refused', async () => {
  const sizes = () => node.held((plane) => [plane.map('frontend').maxEntries, plane.map('backend').maxEntries]);
  expect(sizes()).toEqual([64, 64]);
  // Of 400 services 360 exist in this state.
  write(400);
  await node.until(() => frontends() === 361);
  await node.ready();
  const { growth, faults } = await node.client.status({});
  expect(faults).toEqual([]);
  expect(growth.map((g) => g.map)).toEqual(expect.arrayContaining(['frontend', 'backend', 'robin']));
  expect(growth.find((g) => g.map === 'frontend')?.from).toBe(64);
  expect((await node.kmeshctl('status')).out).toContain('frontend from 64 to ');
  for (const size of sizes()) expect(size).toBeGreaterThan(361);
  expect(await diff()).toBe(0);
  write(0);
  await node.until(() => frontends() === 1);
}, 120_000);

test('commands and the agent take turns: nothing is lost of what each of them writes', async () => {
  await start('--heal-interval', '0s');
  const pods = Array.from({ length: 8 }, (_, i) => join(node.place.cgroupRoot, `pod-${i}`));
  for (const pod of pods) mkdirSync(pod);
  const answers = pods.map((pod) => node.kmeshctl('enroll', pod, '--authz', 'off'));
  for (let n = 10; n <= 100; n += 10) {
    write(n);
    await pause(50);
  }
  for (const answer of await Promise.all(answers)) expect(answer).toMatchObject({ code: 0 });
  // The first four go again, while the agent writes.
  const gone = pods.slice(0, 4).map((pod) => node.kmeshctl('unenroll', pod));
  write(0);
  for (const answer of await Promise.all(gone)) expect(answer).toMatchObject({ code: 0 });
  await node.until(() => frontends() === 1);
  await node.ready();
  const ids = [node.pod('client').cgroup, ...pods.slice(4)].map(cgroupId);
  const held = node.held((plane) => ({
    enrolled: [...plane.map('enrolled').entries()].map(([id]) => id),
    records: [...plane.map('enrolment').entries()].map(([id]) => id),
    epoch: plane.map('level').get(0)?.epoch ?? 1n,
    stray: normalise(plane).stray,
  }));
  const sorted = (list: readonly bigint[]) => list.map(String).sort();
  expect(sorted(held.enrolled)).toEqual(sorted(ids));
  expect(sorted(held.records)).toEqual(sorted(ids));
  expect(held.epoch % 2n).toBe(0n);
  expect(held.stray).toEqual([]);
  expect(await diff()).toBe(0);
}, 120_000);

test('whoever holds the lock is waited for by the agent, and named by a command', async () => {
  await start('--heal-interval', '0s');
  await withLock(node.place.runDir, { command: 'a long change', waitMs: 30_000 }, async () => {
    write(10);
    const answer = await node.kmeshctl('enroll', join(node.place.cgroupRoot, 'pod-0'), '--authz', 'off');
    expect(answer.code).toBe(1);
    expect(answer.err).toContain(`KM_BUSY`);
    expect(answer.err).toContain(`${process.pid} (a long change)`);
    expect(frontends()).toBe(1);
  });
  await node.until(() => frontends() === 10);
  write(0);
  await node.until(() => frontends() === 1);
}, 120_000);

test('enrolments of deleted cgroups are removed; those of living ones stay', async () => {
  for (const n of [5, 6, 7]) rmdirSync(join(node.place.cgroupRoot, `pod-${n}`));
  await start('--heal-interval', '1s');
  await node.until(async () => (await heal()).removedEnrolments === 3);
  const left = node.held((plane) => [...plane.map('enrolled').entries()].map(([id]) => id));
  expect(left.map(String).sort()).toEqual(
    [node.pod('client').cgroup, join(node.place.cgroupRoot, 'pod-4')].map((path) => String(cgroupId(path))).sort(),
  );
}, 120_000);

test('what others delete or overwrite is told by dump diff, repaired and counted', async () => {
  write(20);
  await start('--heal-interval', '4s');
  const before = node.held(normalise);
  /** Damages everything but the service that is called. */
  const damage = () =>
    node.held((plane) => {
      const keys = [...plane.map('frontend').entries()].filter(([key]) => key.addr !== '10.96.0.1');
      const [first, second, third] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]];
      plane.map('frontend').delete([first[0]]);
      plane.map('frontend').put([[second[0], third[1]]]);
      const { first: slot } = plane.map('backend').get(third[1].backend_id) ?? { first: 0 };
      const endpoint = plane.map('endpoint').get(slot + 1);
      if (endpoint) plane.map('endpoint').put([[slot + 1, { ...endpoint, port: 1 }]]);
      plane.map('client').put([[999, { addr4: '1.2.3.4', addr6: '', namespace_id: 9, flags: 0 }]]);
    });
  let told = 0;
  for (let tries = 0; told === 0 && tries < 10; tries++) {
    // Right after a round, so that there is time to ask before the next.
    const { comparisons, repairedEntries } = await heal();
    await node.until(async () => (await heal()).comparisons > comparisons);
    damage();
    told = await diff();
    await node.until(async () => (await heal()).repairedEntries >= repairedEntries + 4);
  }
  expect(told).toBe(1);
  expect(node.held(normalise)).toEqual(before);
  expect(await diff()).toBe(0);
  expect((await heal()).repairedEntries).toBeGreaterThanOrEqual(4);
}, 120_000);

test('all the while no call failed', async () => {
  const { failures, calls, answers } = await load.end();
  expect(failures).toEqual({});
  expect(Object.keys(answers).sort()).toEqual(['one', 'two']);
  expect(calls).toBeGreaterThan(500);
});
