// SPDX-License-Identifier: Apache-2.0
// The lab itself: pods reach each other, processes are where they should be, and nothing is left behind.
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type Lab, openLab } from '../../src/demo/lab.ts';
import { cgroupMount } from '../../src/kernel/cgroup.ts';
import { labName, removeLeftovers } from '../support/leftovers.ts';
import { startPython, startServer } from '../support/python.ts';

const labs: Lab[] = [];
afterEach(async () => {
  for (const lab of labs.splice(0)) await lab.close();
});

const name = labName('lab');
const root = () => join(cgroupMount(), name);

async function twoPods(): Promise<Lab> {
  const lab = await openLab(name, root());
  labs.push(lab);
  await lab.addPod('a', { address4: '10.0.0.1', address6: 'fd00::1' });
  await lab.addPod('b', { address4: '10.0.0.2', address6: 'fd00::2' });
  return lab;
}

test('pods reach each other by both families, with processes in their own cgroups', async () => {
  const lab = await twoPods();
  const [a, b] = [lab.pods.get('a')!, lab.pods.get('b')!];
  await startServer(b, 'tcp/80', 'udp/53');
  const client = await startPython(a);
  expect(await client.run('out = [call("10.0.0.2", 80), call("fd00::2", 80)]')).toEqual(['b', 'b']);
  expect(await client.run('out = [ask("10.0.0.2", 53), ask("fd00::2", 53)]')).toEqual([
    { who: 'b', host: '10.0.0.2', port: 53 },
    { who: 'b', host: 'fd00::2', port: 53 },
  ]);
  expect(await client.run('out = [l.strip() for l in open("/proc/self/cgroup") if l.startswith("0::")]')).toEqual([
    expect.stringMatching(`/${name}/a$`),
  ]);
});

test('closing ends the processes and leaves no cgroup and no namespace', async () => {
  const lab = await twoPods();
  const client = await startPython(lab.pods.get('a')!);
  const running = client.run('time.sleep(60)');
  const ended = expect(running).rejects.toThrow('ended');
  await lab.close();
  await ended;
  expect(existsSync(root())).toBe(false);
  expect((await readdir('/run/netns')).filter((n) => n.startsWith(name))).toEqual([]);
  await lab.close();
});

test('a lab whose maker died is found by its name and removed', async () => {
  const dead = 'km-test-dead-4194300';
  const { cgroupRoot } = await openLab(dead, join(cgroupMount(), dead));
  expect(await removeLeftovers()).toContain(dead);
  expect(existsSync(cgroupRoot)).toBe(false);
  expect(await removeLeftovers()).not.toContain(dead);
});

test('a lab that cannot be made leaves nothing', async () => {
  await expect(openLab(name, '/proc/nowhere')).rejects.toMatchObject({ code: 'KM_CGROUP' });
  const lab = await twoPods();
  await expect(lab.addPod('c', { address4: 'no address' })).rejects.toMatchObject({ code: 'KM_NETNS' });
  await lab.close();
  expect((await readdir('/run/netns')).filter((n) => n.startsWith(name))).toEqual([]);
});
