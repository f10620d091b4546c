// SPDX-License-Identifier: Apache-2.0
// Run directories that cannot be made, or have no room: each command says so by one error, at once, or does all that it can.
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { takeLock } from '../../src/agent/lock.ts';
import { envoyMissing, envoyProgram } from '../support/envoy.ts';
import { type Node, openNode } from '../support/node.ts';
import { project } from '../support/project.ts';
import { gatewayYaml } from '../support/waypoint-run.ts';

let node: Node;
let folder = '';
const mounts: string[] = [];

/** A file system with room for so many files, and bytes. */
function small(inodes: number, bytes = 1 << 20): string {
  const at = mkdtempSync(join(folder, 'fs'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `nr_inodes=${inodes},size=${bytes}`, 'tmpfs', at]);
  mounts.push(at);
  return at;
}

beforeAll(async () => {
  node = await openNode('rundir', []);
  folder = mkdtempSync(join(tmpdir(), 'km-rundir-'));
  mkdirSync(join(folder, 'config'));
  writeFileSync(join(folder, 'config', 'way.yaml'), gatewayYaml());
});
afterAll(async () => {
  for (const at of mounts) execFileSync('umount', ['-l', at]);
  rmSync(folder, { recursive: true, force: true });
  await node?.close();
});

const config = () => ['--config', join(folder, 'config')];
const waypointRun = () => [
  'waypoint',
  'run',
  'way',
  '-n',
  'shop',
  ...config(),
  '--proxy',
  envoyProgram,
  '--listen',
  ':0',
];
const commands: readonly (readonly [string, () => readonly string[]])[] = [
  ['waypoint serve', () => ['waypoint', 'serve', ...config(), '--listen', '127.0.0.1:0']],
  ['agent', () => ['agent', ...config()]],
  ['load', () => ['load']],
  ...(envoyMissing() === undefined ? [['waypoint run', waypointRun] as const] : []),
];

const program = join(project, 'bin/kmeshctl.js');

/** Exit code and standard error; none is waited for longer than it may take. */
function run(words: readonly string[]): Promise<{ readonly code: unknown; readonly err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], { timeout: 60_000 }, (error, _, err) => {
      resolve({ code: error?.code ?? 0, err });
    });
  });
}

async function fails(words: readonly string[], runDir: string): Promise<string> {
  const { bpffs, cgroupRoot } = node.place;
  const { code, err } = await run([...words, '--bpffs', bpffs, '--cgroup-root', cgroupRoot, '--run-dir', runDir]);
  expect([code, err.match(/error KM_/g)], err).toEqual([1, ['error KM_']]);
  return err;
}

describe.each(commands)('%s', (_, words) => {
  test.each(['/proc/kmesh-test', '/proc', '/sys/kmesh-test', '/dev/null', '/dev/null/a/b'])('%s', async (runDir) => {
    expect(await fails(words(), runDir)).toMatch(/error KM_IO: /);
  });

  test('no file can be made', async () => {
    // One for the folder itself.
    expect(await fails(words(), small(1))).toMatch(/error KM_IO: .*ENOSPC/);
  });
});

test('a bpffs below /proc', async () => {
  const { cgroupRoot, runDir } = node.place;
  const place = ['--bpffs', '/proc/kmesh-test/bpf', '--cgroup-root', cgroupRoot, '--run-dir', runDir];
  const { code, err } = await run(['load', ...place]);
  expect([code, err]).toEqual([1, expect.stringMatching(/error KM_(?:PIN|MOUNT)/)]);
});

test('a lock holds on a full disk, too: nobody reads whose it is', async () => {
  const runDir = small(10, 64 << 10);
  expect(() => writeFileSync(join(runDir, 'rest'), Buffer.alloc(1 << 20))).toThrow(/ENOSPC/);
  const lock = await takeLock(runDir, { command: 'kmeshctl test' });
  await expect(takeLock(runDir, { command: 'kmeshctl other', waitMs: 0 })).rejects.toMatchObject({ code: 'KM_BUSY' });
  lock.release();
  (await takeLock(runDir, { command: 'kmeshctl other', waitMs: 0 })).release();
});

test('sockets that cannot be made end an agent', async () => {
  // The lock, and nothing beside it.
  expect(await fails(commands[1]?.[1]() ?? [], small(2))).toMatch(/error KM_IO: .*ENOSPC/);
  const waypoints = ['agent', ...config(), '--waypoint-ads', '127.0.0.1:0'];
  expect(await fails(waypoints, small(2))).toMatch(/error KM_IO: .*ENOSPC/);
});
