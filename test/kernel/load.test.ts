// SPDX-License-Identifier: Apache-2.0
// Loading, attaching, pinning and taking away, with small objects.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { maps } from '../../src/abi/maps.ts';
import type { KmeshError } from '../../src/errors.ts';
import { cgroupId } from '../../src/kernel/cgroup.ts';
import { load, planLoad, recoverLoad, unload } from '../../src/kernel/load.ts';
import { isLoaded, loadedVersion, openPinned, type PinnedDataPlane } from '../../src/kernel/pinned.ts';
import { mountBpffs, movePin, onBpffs, pinFolders } from '../../src/kernel/pins.ts';
import { enableStats } from '../../src/kernel/programs.ts';
import { defaultSizes } from '../../src/kernel/sizes.ts';
import { openSite, type Site } from '../support/site.ts';
import { openTinyObjects } from '../support/tiny-objects.ts';

const tiny = openTinyObjects();
const plain = tiny.folder();
afterAll(() => tiny.close());

let site: Site;
const planes: PinnedDataPlane[] = [];
beforeEach(() => {
  site = openSite('load');
});
afterEach(() => {
  for (const plane of planes.splice(0)) plane.close();
  site.close();
});

const open = (): PinnedDataPlane => {
  const plane = openPinned(site.bpffs);
  planes.push(plane);
  return plane;
};
const listing = (folder: string) => (existsSync(folder) ? readdirSync(folder).sort() : []);

/** One connect() by a process of the cgroup; nothing listens there. */
function connectOnce(cgroup: string): void {
  execFileSync('bash', ['-c', `echo $$ > ${cgroup}/cgroup.procs; (exec 3<>/dev/tcp/127.0.0.1/1) 2>/dev/null || true`]);
}

function fault(body: () => unknown): KmeshError {
  try {
    body();
  } catch (cause) {
    return cause as KmeshError;
  }
  throw new Error('nothing was thrown');
}

/** Attached later, sorted. */
const pinned = ['authz', 'no_group', 'recvmsg4', 'recvmsg6', 'sendmsg4', 'sendmsg6', 'spoof'];

describe('load', () => {
  test('pins every map, attaches, and what is attached runs', () => {
    const record = load({ ...site.options, objects: plain, sizes: { frontend: 100 } });
    expect(record).toMatchObject({ version: '0.0.0-test', abi: 1, loadedAt: '1970-01-01T00:00:00.000Z' });
    expect(record.hash).toMatch(/^[0-9a-f]{16}$/);
    const folders = pinFolders(site.bpffs);
    expect(listing(site.bpffs)).toEqual(['links', 'maps', 'progs']);
    expect(listing(folders.maps)).toEqual([...Object.keys(maps), 'version'].sort());
    expect(listing(folders.links)).toEqual(['connect4']);
    expect(listing(folders.progs)).toEqual(pinned);
    expect(loadedVersion(site.bpffs)).toEqual(record);

    const plane = open();
    expect(plane.map('frontend').maxEntries).toBe(100);
    expect(plane.map('setting').get(0)).toEqual({ abi_version: 1, flags: 0, ports: 0n });
    connectOnce(site.cgroupRoot);
    expect(plane.reasons().get('balanced')).toBe(1n);
    expect(plane.isCurrent()).toBe(true);
  });

  test('programs are listed with what they cost', () => {
    load({ ...site.options, objects: plain });
    const stats = enableStats();
    connectOnce(site.cgroupRoot);
    stats.close();
    const programs = open().programs();
    expect(programs.map((p) => p.name)).toEqual(['connect4', ...pinned]);
    const connect4 = programs[0]!;
    expect(connect4).toMatchObject({ runCount: 1n, cgroupId: cgroupId(site.cgroupRoot), attachType: 10 });
    expect(connect4.runTimeNs).toBeGreaterThan(0n);
    expect(connect4.verifiedInstructions).toBeGreaterThan(5);
    expect(connect4.mapIds).toHaveLength(2);
    expect(programs[1]).not.toHaveProperty('cgroupId');
  });

  test('the UDP hooks come and go, at the cgroup of the others', () => {
    load({ ...site.options, objects: plain });
    const plane = open();
    const linked = () => listing(pinFolders(site.bpffs).links);
    expect(plane.udpHooks).toBe(false);
    plane.setUdpHooks(true);
    plane.setUdpHooks(true);
    expect(plane.udpHooks).toBe(true);
    expect(linked()).toEqual(['connect4', 'recvmsg4', 'recvmsg6', 'sendmsg4', 'sendmsg6']);
    const attached = plane.programs().filter((p) => linked().includes(p.name));
    expect(new Set(attached.map((p) => p.cgroupId))).toEqual(new Set([cgroupId(site.cgroupRoot)]));
    plane.setUdpHooks(false);
    plane.setUdpHooks(false);
    expect(linked()).toEqual(['connect4']);
  });

  test('twice is refused; unload takes everything away, twice is no fault', () => {
    load({ ...site.options, objects: plain });
    expect(fault(() => load({ ...site.options, objects: plain }))).toMatchObject({ code: 'KM_ALREADY_LOADED' });
    unload(site.bpffs);
    expect(existsSync(site.bpffs)).toBe(false);
    unload(site.bpffs);
    expect(isLoaded(site.bpffs)).toBe(false);
    expect(fault(() => openPinned(site.bpffs))).toMatchObject({
      code: 'KM_NOT_LOADED',
      hint: '"kmeshctl load" loads them',
    });
  });
});

describe('a load that fails leaves nothing', () => {
  test('refused by the verifier: program, verdict and source line are named', () => {
    const error = fault(() => load({ ...site.options, objects: tiny.folder('REFUSED') }));
    expect(error.code).toBe('KM_LOAD');
    expect(error.message).toMatch(/^program "refused" of tiny.bpf.o could not be loaded: EACCES; /);
    expect(error.message).toMatch(/invalid mem access 'map_value_or_null'; at: if \(found->flags == 1\)/);
    expect(error.detail).toContain('BEGIN PROG LOAD LOG');
    expect(error.facts).toMatchObject({ program: 'refused', errno: 'EACCES' });
    expect(existsSync(site.bpffs)).toBe(false);
  });

  test('a cgroup that is not there', () => {
    const gone = join(site.cgroupRoot, 'gone');
    const error = fault(() => load({ ...site.options, cgroupRoot: gone, objects: plain }));
    expect(error).toMatchObject({ code: 'KM_CGROUP', message: `cgroup "${gone}" does not exist` });
    expect(existsSync(site.bpffs)).toBe(false);
  });

  test('a folder that is no cgroup2', () => {
    const error = fault(() => load({ ...site.options, cgroupRoot: '/tmp', objects: plain }));
    expect(error).toMatchObject({ code: 'KM_ATTACH', hint: 'is it a cgroup2 directory?' });
    expect(existsSync(site.bpffs)).toBe(false);
  });

  test('a folder that is on no bpffs, and objects that are not there', () => {
    const error = fault(() => load({ ...site.options, bpffs: '/tmp/km-nowhere/kmesh', objects: plain }));
    expect(error).toMatchObject({ code: 'KM_MOUNT', hint: 'mount one: mount -t bpf bpf /tmp/km-nowhere' });
    expect(existsSync('/tmp/km-nowhere')).toBe(false);
    expect(onBpffs(join(site.mount, 'a', 'b'))).toBe(true);
    expect(fault(() => mountBpffs('/proc/km-nowhere'))).toMatchObject({
      code: 'KM_MOUNT',
      message: 'a bpffs cannot be mounted at "/proc/km-nowhere": making it failed: ENOENT',
      hint: expect.stringContaining('/sys/fs/bpf/kmesh'),
    });
    const empty = join(plain, '..', 'empty');
    mkdirSync(empty, { recursive: true });
    expect(fault(() => load({ ...site.options, objects: empty }))).toMatchObject({ code: 'KM_LOAD' });
  });

  test('killed on the way: the next load clears up', () => {
    load({ ...site.options, objects: plain });
    const folders = pinFolders(site.bpffs);
    // As it stands when the last of the three moves is missing.
    mkdirSync(folders.loading);
    movePin(folders.links, join(folders.loading, 'links'));
    expect(isLoaded(site.bpffs)).toBe(false);
    recoverLoad(site.bpffs);
    expect(listing(site.bpffs)).toEqual([]);
    load({ ...site.options, objects: plain });
    mkdirSync(folders.loading);
    recoverLoad(site.bpffs);
    expect(listing(site.bpffs)).toEqual(['links', 'maps', 'progs']);
    expect(open().isCurrent()).toBe(true);
  });
});

describe('layouts', () => {
  test('a map that differs from the table refuses the load', () => {
    const folder = tiny.folder();
    tiny.add(
      folder,
      'other',
      `#include <linux/bpf.h>
       #include <bpf/bpf_helpers.h>
       struct km_backend { __u32 generation; __u32 first; };
       struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 131072); __type(key, __u32); __type(value, struct km_backend); } backend SEC(".maps");
       char LICENSE[] SEC("license") = "GPL";`,
    );
    expect(fault(() => load({ ...site.options, objects: folder }))).toMatchObject({
      code: 'KM_LAYOUT',
      message: 'struct km_backend: field "first" is 4 bytes at 4 in the object, 4 bytes at 0 in the table',
    });
    expect(existsSync(site.bpffs)).toBe(false);
  });

  test('the real objects and the tables agree; planning touches nothing', () => {
    const objects = planLoad({ sizes: { endpoint: 1000 } });
    try {
      expect([...objects.maps.keys()].sort()).toEqual(Object.keys(maps).sort());
      const sizes = [...objects.maps.values()].map((map) => [map.name, map.maxEntries] as const);
      expect(Object.fromEntries(sizes)).toEqual({ ...defaultSizes, endpoint: 1000 });
      expect(objects.programs.map((p) => p.name)).toContain('connect4');
    } finally {
      objects.close();
    }
    expect(existsSync(site.bpffs)).toBe(false);
  });
});
