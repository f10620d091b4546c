// SPDX-License-Identifier: Apache-2.0
// The built program as a person uses it: load, agent, every command that shows something, exec, unload.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { shapeOf } from '../support/shape.ts';
import { openSite, type Site } from '../support/site.ts';

const bin = join(import.meta.dirname, '../../bin/kmeshctl.js');
let site: Site;
let folder = '';
let pod = '';
let agent: ChildProcess | undefined;

beforeAll(() => {
  site = openSite('cli');
  folder = mkdtempSync(join(tmpdir(), 'km-cli-run-'));
  pod = join(site.cgroupRoot, 'pod');
  mkdirSync(pod);
  writeFileSync(join(folder, 'shop.yaml'), shop);
});
afterAll(async () => {
  agent?.kill('SIGKILL');
  rmdirSync(pod);
  site.close();
  rmSync(folder, { recursive: true, force: true });
});

const shop = `
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  clusterIPs: [10.96.0.10, 'fd96::10']
  ipFamilies: [IPv4, IPv6]
  selector: {app: cart}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: cart-1, namespace: shop, labels: {app: cart}, uid: c1}
spec: {nodeName: node1, containers: [{name: main}]}
status: {podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}], phase: Running, conditions: [{type: Ready, status: 'True'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: frontend, namespace: shop, uid: f1}
spec: {nodeName: node1, containers: [{name: main}]}
status: {podIPs: [{ip: 10.0.0.9}], phase: Running, conditions: [{type: Ready, status: 'True'}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
`;

/** Objects whose keys are data, not fields. */
const dataKeys = new Set(['labels', 'key', 'value']);
const configKeys = new Set(['ports', 'port', 'endpoints', 'stagedServices']);

const place = (): string[] => [
  '--bpffs',
  site.bpffs,
  '--cgroup-root',
  site.cgroupRoot,
  '--run-dir',
  join(folder, 'run'),
];

function kmeshctl(...words: string[]): { code: number | null; stdout: string; stderr: string } {
  const [first = '', ...rest] = words;
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, first, ...place(), ...rest], {
    encoding: 'utf8',
  });
  return { code: status, stdout, stderr };
}

const code = (...words: string[]): string => JSON.parse(kmeshctl(...words, '-o', 'json').stderr).error.code;

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 100) throw new Error('waited for too long');
    await pause(100);
  }
}

test('with nothing loaded: status says so, the rest names the code', () => {
  expect(kmeshctl('status')).toEqual({
    code: 0,
    stdout: 'loaded  nothing ("kmeshctl load" loads the programs)\nagent   none\n',
    stderr: '',
  });
  expect(code('dump', 'maps')).toBe('KM_NOT_LOADED');
  expect(code('unload')).toBe('KM_NOT_LOADED');
  expect(code('dump', 'config')).toBe('KM_AGENT_UNREACHABLE');
  expect(kmeshctl('exec', '--workload', 'a/b', '--', 'true').code).toBe(125);
});

test('load: a dry run changes nothing; twice is refused and names the way on', () => {
  expect(kmeshctl('load', '--dry-run').stdout).toMatch(/create +map frontend +131072 entries/);
  expect(existsSync(site.bpffs)).toBe(false);
  expect(kmeshctl('load', '--max-frontends', '1000')).toMatchObject({ code: 0, stderr: '' });
  expect(code('load')).toBe('KM_ALREADY_LOADED');
  expect(kmeshctl('load').stderr).toContain('upgrade');
});

test('an agent becomes ready, and what it wants is in the kernel', async () => {
  const words = [bin, 'agent', ...place(), '--config', join(folder, 'shop.yaml'), '--node', 'node1'];
  agent = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] });
  await until(() => JSON.parse(kmeshctl('status', '-o', 'json').stdout).agent?.ready === true);
  expect(kmeshctl('dump', 'diff')).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(kmeshctl('dump', 'services', '-o', 'hosts').stdout.split('\n').sort()).toEqual([
    '',
    '10.96.0.10\tcart.shop.svc.cluster.local',
    'fd96::10\tcart.shop.svc.cluster.local',
  ]);
  expect(kmeshctl('enroll', pod, '--workload', 'shop/frontend', '--authz', 'off', '--dry-run').code).toBe(0);
  expect(JSON.parse(kmeshctl('enrolled', '-o', 'json').stdout).rows).toEqual([]);
  expect(kmeshctl('enroll', pod, '--workload', 'shop/frontend', '--authz', 'off')).toMatchObject({
    code: 0,
    stderr: '',
  });
});

const shown = [
  ['status'],
  ['check'],
  ['enrolled'],
  ['version'],
  ['log'],
  ['dump', 'maps', 'frontend', 'backend', 'endpoint', 'name', 'enrolled', 'reason', 'sock'],
  ['dump', 'services'],
  ['dump', 'workloads'],
  ['dump', 'config'],
  ['dump', 'diff'],
  ['explain', '--from', 'shop/frontend', '--to', '10.96.0.10:80'],
] as const;

test.each(shown.map((words) => [words.join(' '), words] as const))(
  '%s: JSON keeps its shape, YAML says the same, the table has something to say',
  async (name, words) => {
    const json = kmeshctl(...words, '-o', 'json');
    expect({ code: json.code, stderr: json.stderr }).toEqual({ code: 0, stderr: '' });
    const open = words[1] === 'config' ? configKeys : dataKeys;
    const shape = shapeOf(JSON.parse(json.stdout), open);
    const file = `json/${words
      .filter((word) => /^[a-z]+$/.test(word))
      .slice(0, 2)
      .join('-')}.json`;
    await expect(`${JSON.stringify(shape, null, 2)}\n`).toMatchFileSnapshot(file);
    expect(shapeOf(parse(kmeshctl(...words, '-o', 'yaml').stdout), open)).toEqual(shape);
    const table = kmeshctl(...words);
    expect(table.code).toBe(0);
    expect(table.stdout.length > 0).toBe(name !== 'dump diff');
    expect(table.stdout).not.toContain('[object');
  },
);

test('exec: exit codes are those of the command, own failures 125, signals passed on', async () => {
  const run = (...words: string[]) => kmeshctl('exec', '--workload', 'shop/frontend', '--', ...words);
  expect(run('sh', '-c', 'echo out; echo err >&2; exit 7')).toEqual({ code: 7, stdout: 'out\n', stderr: 'err\n' });
  expect(run('no-such-command-anywhere').code).toBe(127);
  expect(run('/dev/null').code).toBe(126);
  expect(kmeshctl('exec', '--workload', 'shop/frontend', '--netns', 'no-such-netns', '--', 'true').code).toBe(125);
  const words = [
    bin,
    'exec',
    ...place(),
    '--workload',
    'shop/frontend',
    '--',
    'sh',
    '-c',
    'trap "exit 9" TERM; echo up; sleep 60 & wait',
  ];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.once('data', () => child.kill('SIGTERM'));
  expect(await new Promise((done) => child.once('exit', done))).toBe(9);
  expect(readdirSync(site.cgroupRoot).filter((name) => name.startsWith('kmesh-exec'))).toEqual([]);
});

test('a reader that goes away ends it quietly', () => {
  const script = `set -o pipefail; "$@" | head -1`;
  const words = [process.execPath, bin, 'dump', 'maps', 'name', 'reason', ...place()];
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', ...words], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^name \(hash, room for \d+\)\n$/);
});

test('unload is refused while something needs it, and leaves nothing', async () => {
  expect(code('unload')).toBe('KM_BUSY');
  agent?.kill('SIGTERM');
  expect(await new Promise((done) => agent?.once('exit', done))).toBe(0);
  expect(code('unload')).toBe('KM_BUSY');
  expect(kmeshctl('unenroll', '--workload', 'shop/frontend').code).toBe(0);
  expect(kmeshctl('unload')).toEqual({ code: 0, stdout: 'unloaded\n', stderr: '' });
  expect(existsSync(site.bpffs)).toBe(false);
});
