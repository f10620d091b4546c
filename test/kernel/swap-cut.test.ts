// SPDX-License-Identifier: Apache-2.0
// A swap that ends between the links and the folders: whoever writes next puts that right first.
import { mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { processEnv } from '../../src/env.ts';
import { load } from '../../src/kernel/load.ts';
import { openPinned } from '../../src/kernel/pinned.ts';
import { swap } from '../../src/kernel/swap.ts';
import { enrollCgroup } from '../../src/tasks/enroll.ts';
import { runAgent } from '../../src/tasks/run-agent.ts';
import { version } from '../../src/version.ts';
import { sink } from '../support/sink.ts';
import { openSite, type Site } from '../support/site.ts';

const cut = vi.hoisted(() => ({ reached: (): void => {}, next: false }));
vi.mock('../../src/kernel/grace.ts', async (original) => {
  const real = await original<typeof import('../../src/kernel/grace.ts')>();
  const openGrace: typeof real.openGrace = (force) => {
    const grace = real.openGrace(force);
    const mine = cut.next;
    cut.next = false;
    const stop = () => new Promise<void>(() => cut.reached());
    return mine ? { wait: stop, close: grace.close } : grace;
  };
  return { ...real, openGrace };
});

const larger = 4096;
let site: Site;
let runDir = '';

/** As a process that was killed after the last link was switched leaves it. */
async function cutShort(): Promise<void> {
  const stopped = new Promise<void>((done) => {
    cut.reached = done;
  });
  cut.next = true;
  const { bpffs } = site;
  void swap({ bpffs, version, now: 0, sizes: { frontend: larger } });
  await stopped;
  expect(readdirSync(bpffs)).toContain('maps_next');
}

const env = (signal = new AbortController().signal) => ({ ...processEnv(signal), stderr: sink() });
const place = () => ({ bpffs: site.bpffs, cgroupRoot: site.cgroupRoot, runDir });
const whole = () => readdirSync(site.bpffs).sort().join(' ') === 'links maps progs';
function frontends(): { readonly size: number; readonly held: number } {
  const plane = openPinned(site.bpffs);
  const size = plane.info('frontend').maxEntries;
  const held = [...plane.map('frontend').entries()].length;
  plane.close();
  return { size, held };
}
async function until(check: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !check(); await pause(10)) {
    if (performance.now() > end) throw new Error(`not within ten seconds: ${check}`);
  }
}
const service = (ip: string) => `
apiVersion: v1
kind: Service
metadata: { name: cart, namespace: shop }
spec: { clusterIP: ${ip}, clusterIPs: [${ip}], ports: [{ port: 80 }] }
`;

beforeEach(() => {
  site = openSite('swap-cut');
  runDir = mkdtempSync(join(tmpdir(), 'km-swap-cut-'));
  load({ ...site.options, version, sizes: { frontend: 1024 } });
});
afterEach(() => {
  site.close();
  rmSync(runDir, { recursive: true, force: true });
});

test('an agent that starts, and one that runs, write into the maps that programs read', async () => {
  await cutShort();
  const stop = new AbortController();
  const config = join(runDir, 'config');
  mkdirSync(config);
  writeFileSync(join(config, 'a.yaml'), service('10.96.0.1'));
  const running = runAgent(env(stop.signal), { place: place(), config: [config], node: 'n1' });
  await until(() => whole() && frontends().held === 1);
  expect(frontends().size).toBe(larger);

  const { bpffs } = site;
  await swap({ bpffs, version, now: 0, sizes: { frontend: 1024 } });
  await cutShort();
  // As another process that held the lock.
  writeFileSync(join(runDir, 'lock'), '1 kmeshctl upgrade\n');
  writeFileSync(join(config, 'b.yaml'), service('10.96.0.2').replace('cart', 'web'));
  await until(() => whole() && frontends().held === 2);
  expect(frontends().size).toBe(larger);
  stop.abort();
  await running;
});

test('enroll finishes it too', async () => {
  await cutShort();
  const cgroup = join(site.cgroupRoot, 'pod');
  mkdirSync(cgroup);
  try {
    await enrollCgroup(env(), { place: place(), cgroup, authz: 'off', dryRun: false });
    expect([whole(), frontends().size]).toEqual([true, larger]);
  } finally {
    rmdirSync(cgroup);
  }
});
