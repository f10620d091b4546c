// SPDX-License-Identifier: Apache-2.0
// The commands that change the kernel, run as a person would run them: the built program, its output and its exit code.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { takeLock } from '../../src/agent/lock.ts';
import { makeCgroup, removeCgroupTree } from '../../src/demo/cgroup-tree.ts';
import type { Place } from '../../src/env.ts';
import { cgroupMount } from '../../src/kernel/cgroup.ts';
import { openPlace } from '../support/instance.ts';

const program = join(import.meta.dirname, '../../bin/kmeshctl.js');

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

let root: string;
let place: Place;
let close: () => Promise<void>;

beforeAll(async () => {
  root = join(cgroupMount(), `km-commands-${process.pid}`);
  await makeCgroup(root);
});
afterAll(() => removeCgroupTree(root));
beforeEach(async () => {
  ({ place, close } = await openPlace(root));
});
afterEach(async () => {
  await kmeshctl('unload', '--force');
  await close();
});

const flags = () => ['--bpffs', place.bpffs, '--cgroup-root', root, '--run-dir', place.runDir];

function kmeshctl(...args: readonly string[]): Promise<Answer> {
  const split = args.indexOf('--');
  const [own, rest] = split < 0 ? [args, []] : [args.slice(0, split), args.slice(split)];
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...own, ...flags(), ...rest], (error, out, err) => {
      resolve({ code: error ? Number(error.code) : 0, out, err });
    });
  });
}

const json = (answer: Answer) => JSON.parse(answer.out);

test('load, again, unload, again', async () => {
  const dry = await kmeshctl('load', '--dry-run', '-o', 'json');
  expect(json(dry)).toMatchObject({ dryRun: true, summary: 'nothing was changed' });
  expect(existsSync(place.bpffs) ? readdirSync(place.bpffs) : []).toEqual([]);

  expect((await kmeshctl('load', '--max-frontends', '1000')).code).toBe(0);
  expect(readdirSync(join(place.bpffs, 'links'))).toContain('connect4');
  const dump = json(await kmeshctl('dump', 'maps', 'frontend', '-o', 'json'));
  expect(dump[0]).toMatchObject({ name: 'frontend', type: 'hash', maxEntries: 1000, entries: [] });

  const again = await kmeshctl('load');
  expect(again.code).toBe(1);
  expect(again.err).toMatch(/^error KM_ALREADY_LOADED: .*\n.*kmeshctl upgrade/);

  expect(await kmeshctl('unload')).toMatchObject({ code: 0 });
  expect(existsSync(place.bpffs)).toBe(false);
  const gone = await kmeshctl('unload', '-o', 'json');
  expect(gone.code).toBe(1);
  expect(JSON.parse(gone.err)).toMatchObject({ error: { code: 'KM_NOT_LOADED' } });
});

test('load mounts a bpffs where there is none, and unload takes it and the run directory away', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'km-mount-'));
  const own = ['--bpffs', join(folder, 'bpf', 'kmesh'), '--run-dir', join(folder, 'run'), '--cgroup-root', root];
  const run = (...args: readonly string[]): Promise<Answer> =>
    new Promise((resolve) => {
      execFile(process.execPath, [program, ...own, ...args], (error, out, err) => {
        resolve({ code: error ? Number(error.code) : 0, out, err });
      });
    });
  try {
    writeFileSync(join(folder, 'ours'), '');
    const hiding = await run('load', '--bpffs', join(folder, 'kmesh'));
    expect(hiding).toMatchObject({
      code: 1,
      err: expect.stringContaining(`"${folder}" is no bpffs, and one mounted there`),
    });
    rmSync(join(folder, 'ours'));
    const loaded = await run('load', '-o', 'json');
    expect(json(loaded).steps[0]).toEqual({ action: 'mount', what: `bpffs at ${join(folder, 'bpf')}` });
    expect(readFileSync('/proc/mounts', 'utf8')).toContain(join(folder, 'bpf'));
    expect((await run('unload')).code).toBe(0);
    expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(join(folder, 'bpf'));
    expect(readdirSync(folder)).toEqual(['bpf']);
  } finally {
    await run('unload', '--force');
    rmSync(folder, { recursive: true, force: true });
  }
});

test('two loads at once: one does it, the other says so', async () => {
  const answers = await Promise.all([kmeshctl('load'), kmeshctl('load')]);
  expect(answers.map(({ code }) => code).sort()).toEqual([0, 1]);
  expect(answers.find(({ code }) => code === 1)?.err).toContain('KM_ALREADY_LOADED');
});

test('enroll, list, unenroll', async () => {
  await kmeshctl('load');
  mkdirSync(join(root, 'pod'));
  try {
    expect((await kmeshctl('enroll', 'pod', '--authz', 'off', '--dry-run')).code).toBe(0);
    expect(json(await kmeshctl('enrolled', '-o', 'json')).rows).toEqual([]);
    expect((await kmeshctl('enroll', 'pod', '--workload', 'shop/cart', '--authz', 'off')).code).toBe(0);
    const [row] = json(await kmeshctl('enrolled', '-o', 'json')).rows;
    expect(row).toMatchObject({ path: join(root, 'pod'), workload: 'shop/cart', known: '' });

    const busy = await kmeshctl('unload');
    expect(busy.code).toBe(1);
    expect(busy.err).toMatch(/KM_BUSY: 1 cgroup is enrolled/);

    const bad = await kmeshctl('enroll', 'nowhere');
    expect(bad.err).toMatch(/^error KM_CGROUP: cgroup "nowhere" does not exist\n/);
    const elsewhere = await kmeshctl('enroll', '/tmp', '--authz', 'off');
    expect(elsewhere.err).toMatch(/^error KM_CGROUP: cgroup "\/tmp" is not a cgroup2 directory\n/);
    expect((await kmeshctl('enroll', 'pod', '--workload', 'no-slash')).code).toBe(2);

    expect((await kmeshctl('unenroll', '--workload', 'shop/cart')).code).toBe(0);
    const none = await kmeshctl('unenroll', 'pod');
    expect(none.err).toContain('KM_NOT_ENROLLED');
    expect((await kmeshctl('unload')).code).toBe(0);
  } finally {
    rmdirSync(join(root, 'pod'));
  }
});

test('enrolments of deleted cgroups are shown and pruned', async () => {
  await kmeshctl('load');
  mkdirSync(join(root, 'short'));
  await kmeshctl('enroll', 'short', '--authz', 'off');
  rmdirSync(join(root, 'short'));
  const before = json(await kmeshctl('enrolled', '-o', 'json'));
  expect(before.rows).toHaveLength(1);
  expect(before.rows[0].path).toBeUndefined();
  const dry = json(await kmeshctl('enrolled', '--prune', '--dry-run', '-o', 'json'));
  expect(dry).toEqual({ ...before, wouldPrune: 1 });
  expect(json(await kmeshctl('enrolled', '--prune', '-o', 'json'))).toEqual({ rows: [], pruned: 1 });
});

test('exec gives the exit code of its command, and 125, 126, 127 as env(1)', async () => {
  const unloaded = await kmeshctl('exec', '--workload', 'a/b', '--', 'true');
  expect(unloaded.code).toBe(125);
  expect(unloaded.err).toContain('KM_NOT_LOADED');
  await kmeshctl('load');
  const run = (...command: readonly string[]) => kmeshctl('exec', '--workload', 'a/b', '--', ...command);
  expect(await run('sh', '-c', 'echo out; echo err >&2; exit 7')).toEqual({ code: 7, out: 'out\n', err: 'err\n' });
  expect((await run('/etc/passwd')).code).toBe(126);
  expect((await run('/no/such/command')).code).toBe(127);
  expect((await run('sh', '-c', 'kill -TERM $$')).code).toBe(143);
  const inside = await run('cat', '/proc/self/cgroup');
  expect(inside.out).toMatch(/^0::\/km-commands-\d+\/kmesh-exec-/m);
  expect(readdirSync(root).filter((name) => name.startsWith('kmesh-exec'))).toEqual([]);
  expect(json(await kmeshctl('enrolled', '-o', 'json')).rows).toEqual([]);
});

/** The process once it has printed something. */
function started(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.stdout?.once('data', () => resolve());
  });
}

test('exec passes signals on and takes everything away at its end', async () => {
  await kmeshctl('load');
  const script = 'trap "echo got; exit 9" TERM; sleep 300 & echo ready; wait';
  const args = ['exec', '--workload', 'a/b', ...flags(), '--', 'sh', '-c', script];
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code));
  });
  await started(child);
  child.kill('SIGTERM');
  expect(await ended).toBe(9);
  expect(readdirSync(root).filter((name) => name.startsWith('kmesh-exec'))).toEqual([]);
});

test('exec that is told to end before its command runs takes everything away too', async () => {
  await kmeshctl('load');
  const lock = await takeLock(place.runDir, { command: 'test' });
  const args = ['exec', '--workload', 'a/b', ...flags(), '--', 'sh', '-c', 'echo ran'];
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (part: Buffer) => {
    out += part.toString();
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code));
  });
  const cgroups = () => readdirSync(root).filter((name) => name.startsWith('kmesh-exec'));
  while (cgroups().length === 0) await pause(5);
  child.kill('SIGTERM');
  await pause(50);
  lock.release();
  expect([await ended, out, cgroups()]).toEqual([143, '', []]);
  expect(json(await kmeshctl('enrolled', '-o', 'json')).rows).toEqual([]);
});

test('upgrade of what is up to date changes nothing; with a size it swaps', async () => {
  expect((await kmeshctl('upgrade')).err).toContain('KM_NOT_LOADED');
  await kmeshctl('load');
  expect(json(await kmeshctl('upgrade', '-o', 'json'))).toMatchObject({ steps: [] });
  const swapped = json(await kmeshctl('upgrade', '--max-frontends', '200000', '-o', 'json'));
  expect(swapped.steps[0]).toEqual({
    action: 'replace',
    what: 'map frontend',
    detail: '131072 -> 200000 entries, copied',
  });
  const [frontend] = json(await kmeshctl('dump', 'maps', 'frontend', '-o', 'json'));
  expect(frontend.maxEntries).toBe(200_000);
});

test('dump of a map that is not there names those that are', async () => {
  await kmeshctl('load');
  const answer = await kmeshctl('dump', 'maps', 'nothing');
  expect(answer.code).toBe(1);
  expect(answer.err).toMatch(/^error KM_NOT_FOUND: there is no map "nothing"\n.*there are: active, affinity/);
});

test('check finds this machine fit, and says what is loaded', async () => {
  await kmeshctl('load');
  const answer = await kmeshctl('check', '-o', 'json');
  const { ok, groups } = json(answer);
  expect(
    groups
      .flatMap((g: { checks: { state: string }[] }) => g.checks)
      .filter((c: { state: string }) => c.state === 'failed'),
  ).toEqual([]);
  expect(ok).toBe(true);
  expect(answer.code).toBe(0);
  expect(answer.out).toContain('pins and their layout');
});
