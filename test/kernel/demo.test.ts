// SPDX-License-Identifier: Apache-2.0
// The demo as a user runs it: it passes, leaves nothing, cleans up when it is stopped, and what it keeps works.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { adminClient } from '../../src/admin/client.ts';
import { lockHolder } from '../../src/agent/lock.ts';
import { type DemoResult, runDemo } from '../../src/demo/demo.ts';
import { isAlive } from '../../src/demo/lab.ts';
import { runCommand } from '../../src/demo/process.ts';
import { leftoverStages, removeStage } from '../../src/demo/stage.ts';
import { type Env, type Place, processEnv } from '../../src/env.ts';
import { cgroupMount } from '../../src/kernel/cgroup.ts';
import { installedFile } from '../../src/tasks/installed-file.ts';
import { envoyMissing } from '../support/envoy.ts';
import { sink } from '../support/sink.ts';

let base: string;
let place: Place;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'km-demo-'));
  place = { bpffs: join(base, 'bpf', 'kmesh'), cgroupRoot: '', runDir: join(base, 'kmesh') };
});
afterEach(async () => {
  for (const name of readdirSync(base).filter((n) => n.startsWith('kmesh-demo-'))) await removeStage(place, name);
  rmSync(base, { recursive: true, force: true });
});

/** What a demo of process `pid` would leave. */
function traces(pid: number): string[] {
  const name = `kmesh-demo-${pid}`;
  const found = [join(base, name), join(cgroupMount(), name)].filter((path) => existsSync(path));
  return [...found, ...readdirSync('/run/netns').filter((netns) => netns.startsWith(name))];
}

function envWith(signal: AbortSignal): { env: Env; said: () => string } {
  const stderr = sink();
  return { env: { ...processEnv(signal), stdout: sink(), stderr }, said: () => stderr.text() };
}

/** Waits at most half a minute. */
async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 3000 && !condition(); i++) await pause(10);
}

test('the whole demo passes, tells what it saw, and leaves nothing', async () => {
  const { env, said } = envWith(new AbortController().signal);
  const result = await runDemo(env, { place, keep: false });
  expect(result.calls.map(({ service, lost, faults }) => [service, lost, faults])).toEqual(
    ['cart', 'cart', 'catalog', 'catalog', 'prices', 'prices'].map((service) => [service, 0, []]),
  );
  expect(result.callsAfterEdit.flatMap(({ faults }) => faults)).toEqual([]);
  expect(result.callsAfterEdit[2]?.answers).not.toHaveProperty('catalog-2');
  expect(result.edit.calls).toBeGreaterThan(100);
  expect(result.edit.milliseconds).toBeLessThan(20_000);
  const { waypoint } = result;
  const missing = envoyMissing();
  if ('leftOut' in waypoint) {
    expect(missing).toBeDefined();
    expect(said()).toContain(`left out: ${waypoint.leftOut}`);
  } else {
    const faults = [...waypoint.calls, ...waypoint.callsAfterRelease].flatMap((call) => call.faults);
    expect(faults).toEqual([]);
    expect(waypoint.release.calls).toBeGreaterThan(20);
    expect(waypoint.callsAfterRelease[0]?.answers).toEqual({ 'catalog-3': 200 });
    expect(waypoint.calls.at(-1)?.answers).toEqual({ 'status 403': 200 });
  }
  expect(said()).toMatch(/✓ 6 pods.*\n(.*\n)*.*✓ agent started.*\n(.*\n)*.*✓ everything removed/);
  expect(said()).not.toContain('\x1b');
  expect(traces(process.pid)).toEqual([]);
}, 180_000);

test('a demo that is stopped half way removes what it made', async () => {
  const stop = new AbortController();
  const { env, said } = envWith(stop.signal);
  const running = runDemo(env, { place, keep: false });
  const refused = expect(running).rejects.toMatchObject({ code: 'KM_DEMO', message: 'stopped by a signal' });
  await until(() => said().includes('servers in the pods'));
  stop.abort();
  await refused;
  expect(said()).toContain('✓ cleaned up');
  expect(traces(process.pid)).toEqual([]);
});

test('a kept demo is up and serves the commands it prints; the next one removes it', async () => {
  const kmeshctl = (...args: string[]) =>
    runCommand('KM_DEMO', process.execPath, [installedFile('bin/kmeshctl.js'), ...args]);
  const made = ['--run-dir', place.runDir, '--bpffs', place.bpffs, '-o', 'json'];
  const { kept } = JSON.parse(await kmeshctl('demo', '--keep', ...made)) as DemoResult;
  if (!kept) throw new Error('nothing was kept');
  expect(await adminClient(kept.runDir).ready({})).toEqual({ ready: true, notReady: [] });
  const [name] = leftoverStages(place);
  const at = ['--bpffs', kept.bpffs, '--cgroup-root', kept.cgroupRoot, '--run-dir', kept.runDir];
  const fetching = "fetch('http://10.96.0.10/').then((r) => r.text()).then((t) => process.stdout.write(t))";
  const run = [
    'exec',
    '--workload',
    'shop/frontend',
    '--netns',
    `${name}-frontend`,
    '--authz',
    'off',
    ...at,
    '--',
    process.execPath,
    '-e',
  ];
  expect(await kmeshctl(...run, fetching)).toMatch(/^cart-[12]\n$/);
  expect(await kmeshctl('dump', 'services', ...at)).toContain('10.96.0.10');
  const running = lockHolder(join(kept.runDir, 'waypoints/shop.waypoint'), 'lock');
  expect(running === undefined).toBe(envoyMissing() !== undefined);

  // Begins with removing; more is not wanted of it here.
  const stop = new AbortController();
  const { env, said } = envWith(stop.signal);
  const next = runDemo(env, { place, keep: false });
  const stopped = expect(next).rejects.toMatchObject({ message: 'stopped by a signal' });
  await until(() => said().includes('an earlier demo removed'));
  stop.abort();
  await stopped;
  expect(readdirSync(base)).toEqual([]);
  if (running) expect(isAlive(running.pid)).toBe(false);
  expect(readdirSync('/run/netns').filter((netns) => netns.startsWith(`${name}-`))).toEqual([]);
}, 180_000);
