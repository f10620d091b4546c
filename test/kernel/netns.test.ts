// SPDX-License-Identifier: Apache-2.0
// cgroups and network namespaces as the programs see them, and waiting for programs.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KmeshError } from '../../src/errors.ts';
import {
  cgroupId,
  cgroupLevel,
  cgroupMount,
  cgroupPath,
  cgroupProcesses,
  isTrueRoot,
} from '../../src/kernel/cgroup.ts';
import { openGrace } from '../../src/kernel/grace.ts';
import { inNetns, netnsInode, netnsOfCgroups, openNetns } from '../../src/kernel/netns.ts';

const name = `km-netns-${process.pid}`;
const ends: (() => void)[] = [];
let root: string;

beforeEach(() => {
  root = join(cgroupMount(), name);
  mkdirSync(join(root, 'pod/app'), { recursive: true });
});
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
  for (const folder of ['pod/app', 'pod', '']) rmdirSync(join(root, folder));
});

function addNetns(suffix: string): string {
  execFileSync('ip', ['netns', 'add', `${name}-${suffix}`]);
  ends.push(() => execFileSync('ip', ['netns', 'del', `${name}-${suffix}`]));
  return `/run/netns/${name}-${suffix}`;
}

/** A process in the cgroup and the namespace; it ends with the test. */
async function addProcess(cgroup: string, netns?: string): Promise<number> {
  const command = `echo $$ > ${cgroup}/cgroup.procs; echo in; exec sleep 60`;
  const into = netns === undefined ? [] : ['nsenter', `--net=${netns}`];
  const child = spawn('env', [...into, 'bash', '-c', command], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  ends.push(() => {
    child.kill('SIGKILL');
    execFileSync('bash', ['-c', `while grep -qx ${child.pid} ${cgroup}/cgroup.procs; do sleep 0.01; done`]);
  });
  return child.pid as number;
}

test('ids, levels and paths are those of the kernel', () => {
  expect(isTrueRoot(cgroupMount())).toBe(true);
  expect(isTrueRoot(root)).toBe(false);
  expect([cgroupLevel(cgroupMount()), cgroupLevel(root), cgroupLevel(`${root}/pod/app/`)]).toEqual([0, 1, 3]);
  const id = cgroupId(join(root, 'pod'));
  expect(cgroupPath(id)).toBe(join(root, 'pod'));
  expect(() => cgroupId(join(root, 'gone'))).toThrow('does not exist');
  expect(() => cgroupLevel('/tmp')).toThrow('is not below the cgroup2 mount');
});

test('a cgroup that is gone has no path', () => {
  const path = join(root, 'pod/brief');
  mkdirSync(path);
  const id = cgroupId(path);
  const held = openSync(path, 'r');
  rmdirSync(path);
  expect(cgroupPath(id)).toBeUndefined();
  closeSync(held);
  expect(cgroupPath(id)).toBeUndefined();
  expect(cgroupPath(123_456_789n)).toBeUndefined();
});

test('processes of a cgroup are those of everything below', async () => {
  const outer = await addProcess(join(root, 'pod'));
  const inner = await addProcess(join(root, 'pod/app'));
  expect(cgroupProcesses(join(root, 'pod')).sort()).toEqual([outer, inner].sort());
  expect(cgroupProcesses(join(root, 'pod/app'))).toEqual([inner]);
  expect(cgroupProcesses(join(root, 'gone'))).toEqual([]);
});

test('a step runs inside another namespace and the thread comes back, also when it throws', () => {
  const fd = openNetns(addNetns('a'));
  const here = () => statSync('/proc/thread-self/ns/net', { bigint: true }).ino;
  const home = here();
  const interfaces = () => readFileSync('/proc/thread-self/net/dev', 'utf8').trim().split('\n').length - 2;
  expect(interfaces()).toBeGreaterThan(1);
  expect(inNetns(fd, () => [here(), interfaces()])).toEqual([netnsInode(fd), 1]);
  expect(here()).toBe(home);
  expect(() =>
    inNetns(fd, () => {
      throw new Error('inside');
    }),
  ).toThrow('inside');
  expect(here()).toBe(home);
  closeSync(fd);
  const file = openSync('/proc/self/status', 'r');
  expect(() => inNetns(file, here)).toThrow(expect.objectContaining({ code: 'KM_NETNS' }) as KmeshError);
  expect(here()).toBe(home);
  closeSync(file);
  expect(() => openNetns('/run/netns/km-none')).toThrow('cannot be opened');
});

test('namespaces of cgroups: each once, with what is gone left out', async () => {
  const [a, b] = [addNetns('a'), addNetns('b')];
  const pod = join(root, 'pod');
  await addProcess(pod, a);
  await addProcess(join(pod, 'app'), a);
  await addProcess(join(pod, 'app'), b);
  const spaces = netnsOfCgroups([cgroupId(pod), cgroupId(join(pod, 'app')), 123_456_789n]);
  const inode = (path: string) => statSync(path, { bigint: true }).ino;
  expect(new Set(spaces.byInode.keys())).toEqual(new Set([inode(a), inode(b)]));
  for (const [expected, fd] of spaces.byInode) expect(netnsInode(fd)).toBe(expected);
  spaces.close();
  expect(spaces.byInode.size).toBe(0);
});

test.each(['membarrier', 'map'] as const)('grace by %s waits without holding up the event loop', async (way) => {
  const grace = openGrace(way);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  for (let i = 0; i < 5; i++) await grace.wait();
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(0);
  await Promise.all(Array.from({ length: 500 }, () => grace.wait()));
  grace.close();
});
