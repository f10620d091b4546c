// SPDX-License-Identifier: Apache-2.0
// Two data planes at one cgroup are not let happen, and told of where they did; a filtered dump shows only what was found.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCgroup, removeCgroupTree } from '../../src/demo/cgroup-tree.ts';
import type { Place } from '../../src/env.ts';
import { cgroupMount } from '../../src/kernel/cgroup.ts';
import { load, unload } from '../../src/kernel/load.ts';
import { openInstance, openPlace } from '../support/instance.ts';

const program = join(import.meta.dirname, '../../bin/kmeshctl.js');
const root = join(cgroupMount(), `km-shared-root-${process.pid}`);
const inner = join(root, 'inner');
const closers: (() => unknown)[] = [];

beforeAll(async () => {
  await makeCgroup(root);
  await makeCgroup(inner);
});
afterAll(async () => {
  for (const close of closers.reverse()) await close();
  await removeCgroupTree(root);
});
async function openOther(cgroupRoot: string): Promise<Place> {
  const { place, close } = await openPlace(cgroupRoot);
  closers.push(close, () => unload(place.bpffs));
  return place;
}
function kmeshctl(place: Place, ...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const flags = ['--bpffs', place.bpffs, '--cgroup-root', place.cgroupRoot, '--run-dir', place.runDir];
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args, ...flags], (error, out, err) => {
      resolve({ code: error ? Number(error.code) : 0, out, err });
    });
  });
}
const problems = async (place: Place) => {
  const { code, out } = await kmeshctl(place, 'check', '-o', 'json');
  const checks: { what: string; state: string }[] = JSON.parse(out).groups.flatMap((g: { checks: [] }) => g.checks);
  return { code, failed: checks.flatMap(({ what, state }) => (state === 'failed' ? what : [])) };
};

test('a second data plane at the same cgroup is refused; one below is not', async () => {
  const first = await openInstance(root);
  closers.push(() => first.close());
  const place = await openOther(root);
  for (const more of [[], ['--dry-run']]) {
    const { code, err } = await kmeshctl(place, 'load', ...more);
    expect(err).toContain(
      `KM_ALREADY_LOADED: another data plane of kmeshctl, with its pins elsewhere, is attached to "${root}"`,
    );
    expect(code).toBe(1);
  }
  const below = await openOther(inner);
  expect((await kmeshctl(below, 'load')).err).toBe('');
  expect(await problems(below)).toEqual({ code: 0, failed: [] });
  expect(await problems(first.place)).toEqual({ code: 0, failed: [] });
  // Where it happened all the same, both are told.
  load({ bpffs: place.bpffs, cgroupRoot: root, version: 'test', now: 0, sizes: {} });
  for (const at of [place, first.place]) expect(await problems(at)).toEqual({ code: 1, failed: ['other data planes'] });
});

test('a dump with a filter prints the maps that hold something of it', async () => {
  const { place, plane, close } = await openInstance(inner);
  closers.push(close);
  plane.map('miss').put([
    ['10.0.0.5', { since_ns: 1n, state: 2 }],
    ['10.0.0.6', { since_ns: 1n, state: 2 }],
  ]);
  const { out } = await kmeshctl(place, 'dump', 'maps', '--filter', '10.0.0.5');
  expect(out.match(/room for/g)).toHaveLength(1);
  expect(out).toMatch(/^miss .*10\.0\.0\.5/s);
  expect(out).not.toContain('10.0.0.6');
  expect((await kmeshctl(place, 'dump', 'maps', '--filter', 'no such thing')).out).toBe('nothing to show\n');
  const { out: json } = await kmeshctl(place, 'dump', 'maps', '--filter', '10.0.0.5', '-o', 'json');
  expect(JSON.parse(json)).toMatchObject([{ name: 'miss', entries: [{ key: '10.0.0.5' }] }]);
});
