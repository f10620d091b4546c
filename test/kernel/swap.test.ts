// SPDX-License-Identifier: Apache-2.0
// Programs and maps replaced under way: what is kept, what is copied, and what becomes of a swap that is cut short.
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KmeshError } from '../../src/errors.ts';
import { linkInfo, mapInfo } from '../../src/kernel/info.ts';
import { libbpf } from '../../src/kernel/libbpf.ts';
import { load } from '../../src/kernel/load.ts';
import { openPinned, type PinnedDataPlane } from '../../src/kernel/pinned.ts';
import { movePin, pin, pinFolders, unpin, withPin } from '../../src/kernel/pins.ts';
import { previewSwap, type SwapOptions, swap } from '../../src/kernel/swap.ts';
import { recoverSwap } from '../../src/kernel/swap-recovery.ts';
import { openSite, type Site } from '../support/site.ts';
import { openTinyObjects } from '../support/tiny-objects.ts';

const tiny = openTinyObjects();
const first = tiny.folder();
const same = tiny.folder('REASON=KM_REASON_PASSTHROUGH');
const second = tiny.folder('REASON=KM_REASON_PASSTHROUGH', 'WITH_CONNECT6');
afterAll(() => tiny.close());

/** Programs that need a pin, sorted. */
const kept = ['authz', 'no_group', 'recvmsg4', 'recvmsg6', 'sendmsg4', 'sendmsg6', 'spoof'];

let site: Site;
const planes: PinnedDataPlane[] = [];
beforeEach(() => {
  site = openSite('swap');
  load({ ...site.options, objects: first });
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
const options = (): SwapOptions => ({ bpffs: site.bpffs, version: '2', now: 0, objects: second });
const listing = (folder: string) => (existsSync(folder) ? readdirSync(folder).sort() : []);
const linkIds = () => {
  const { links } = pinFolders(site.bpffs);
  return new Map(listing(links).map((name) => [name, withPin(join(links, name), linkInfo).id]));
};

/** connect() by a process of the cgroup, by IPv4 and by IPv6; nothing listens there. */
function connectOnce(): void {
  const connect = (host: string) => `(exec 3<>/dev/tcp/${host}/1) 2>/dev/null || true`;
  execFileSync('bash', ['-c', `echo $$ > ${site.cgroupRoot}/cgroup.procs; ${connect('127.0.0.1')}; ${connect('::1')}`]);
}

async function fault(promise: Promise<unknown>): Promise<KmeshError> {
  return promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (cause: KmeshError) => cause,
  );
}

/** Nothing of a swap is left, and pins and links belong together. */
function expectWhole(attached: readonly string[]): void {
  const folders = pinFolders(site.bpffs);
  expect(listing(site.bpffs)).toEqual(['links', 'maps', 'progs']);
  expect(listing(folders.links)).toEqual(attached);
  expect(listing(folders.progs)).toEqual(kept);
  const plane = openPinned(site.bpffs);
  try {
    const reason = plane.info('reason').id;
    const active = plane.info('active').id;
    for (const program of plane.programs().filter((p) => p.name.startsWith('connect'))) {
      expect([...program.mapIds].sort()).toEqual([reason, active].sort());
    }
  } finally {
    plane.close();
  }
}

describe('other programs', () => {
  test('run at once on the same maps; links keep their identity; new ones are attached', async () => {
    const old = open();
    const links = linkIds();
    connectOnce();
    const report = await swap(options());
    expect(report).toMatchObject({
      replaced: [],
      dropped: [],
      before: { version: '0.0.0-test' },
      after: { version: '2' },
    });
    expect(report.before?.hash).not.toBe(report.after.hash);
    expect(old.isCurrent()).toBe(true);
    connectOnce();
    expect([old.reasons().get('balanced'), old.reasons().get('passthrough')]).toEqual([1n, 2n]);
    expect(linkIds().get('connect4')).toBe(links.get('connect4'));
    expectWhole(['connect4', 'connect6']);
    expect(open().version.version).toBe('2');
  });

  test('that are gone in the new set are detached; UDP hooks stay as they were', async () => {
    await swap(options());
    open().setUdpHooks(true);
    await swap({ ...options(), objects: first });
    expectWhole(['connect4', 'recvmsg4', 'recvmsg6', 'sendmsg4', 'sendmsg6'].sort());
    expect(open().udpHooks).toBe(true);
  });

  test('refused by the verifier change nothing', async () => {
    const links = linkIds();
    const error = await fault(swap({ ...options(), objects: tiny.folder('REFUSED') }));
    expect(error).toMatchObject({ code: 'KM_LOAD', message: expect.stringContaining('invalid mem access') });
    expect(linkIds()).toEqual(links);
    expectWhole(['connect4']);
  });
});

describe('larger maps', () => {
  test('hold what the old ones held; the others are shared, socket storage always', async () => {
    const old = open();
    const key = { addr: '10.0.0.1', port: 80, protocol: 6 };
    old.map('frontend').put([[key, { backend_id: 1, tag: 2 }]]);
    old
      .map('endpoint')
      .put([[393_215, { addr: 'fd00::1', port: 1, flags: 0, workload_id: 1, threshold: 1, alias: 0 }]]);
    old.map('reason').put([[0, 5n]]);
    const sizes = { frontend: 200_000, endpoint: 400_000, active: 300_000 };
    expect(previewSwap({ ...options(), sizes }).replaced).toEqual(
      [
        { map: 'active', from: 262_144, to: 300_000, copied: true },
        { map: 'frontend', from: 131_072, to: 200_000, copied: true },
        { map: 'endpoint', from: 393_216, to: 400_000, copied: true },
      ]
        .sort((a, b) => a.map.localeCompare(b.map))
        .sort((a, b) => old.info(a.map as 'active').id - old.info(b.map as 'active').id),
    );
    connectOnce();
    const report = await swap({ ...options(), sizes });
    expect(report.kept).toContain('sock');
    expect(old.isCurrent()).toBe(false);
    const plane = open();
    expect(plane.map('frontend').maxEntries).toBe(200_000);
    expect(plane.map('frontend').get(key)).toEqual({ backend_id: 1, tag: 2 });
    expect(plane.map('endpoint').get(393_215)?.addr).toBe('fd00::1');
    expect(plane.map('active').get(1)).toEqual({ connections: 1n });
    expect(plane.info('sock').id).toBe(old.info('sock').id);
    expect(plane.reasons().get('not_enrolled')).toBe(5n);
    connectOnce();
    expect(plane.map('active').get(1)).toEqual({ connections: 3n });
    expectWhole(['connect4', 'connect6']);
  });

  test('connections counted by the old programs during the swap are not lost', async () => {
    const report = await swap({
      ...options(),
      sizes: { active: 1000 },
      fill: (staged) => {
        expect(staged.map('active').get(1)).toEqual({ connections: 0n });
        connectOnce();
      },
    });
    expect(report.replaced.map((r) => r.map)).toEqual(['active']);
    expect(open().map('active').get(1)).toEqual({ connections: 1n });
  });

  test('a smaller map than what it must hold is refused by name and nothing changes', async () => {
    open()
      .map('enrolled')
      .put(Array.from({ length: 20 }, (_, i) => [BigInt(i), { workload_id: 1, flags: 0 }]));
    const error = await fault(swap({ ...options(), sizes: { enrolled: 10 } }));
    expect(error).toMatchObject({ code: 'KM_MAP_FULL', facts: { map: 'enrolled' } });
    expectWhole(['connect4']);
    expect(open().map('enrolled').count()).toBe(20);
  });

  test('a map of another form is handed over empty, to be filled before anything reads it', async () => {
    // As if the version before had 16-byte counters.
    const { maps } = pinFolders(site.bpffs);
    const fd = libbpf().bpf_map_create(2, 'robin', 4, 16, 10, null);
    unpin(join(maps, 'robin'));
    pin(fd, join(maps, 'robin'));
    closeSync(fd);
    const report = await swap({
      ...options(),
      sizes: { robin: 20 },
      fill: async (staged, plan) => {
        expect(plan.replaced).toEqual([{ map: 'robin', from: 10, to: 20, copied: false }]);
        expect(linkIds().size).toBe(1);
        staged.map('robin').put([[3, 7n]]);
      },
    });
    expect(report.replaced).toHaveLength(1);
    expect([...open().map('robin').entries()]).toEqual([[3, 7n]]);
  });

  test('a fill that throws leaves everything as it was', async () => {
    const old = open();
    const error = await fault(
      swap({
        ...options(),
        sizes: { frontend: 10 },
        fill: () => Promise.reject(new Error('no')),
      }),
    );
    expect(error.message).toBe('no');
    expect(old.isCurrent()).toBe(true);
    expectWhole(['connect4']);
    connectOnce();
    expect(old.reasons().get('balanced')).toBe(1n);
  });

  test('socket storage of another form is refused', async () => {
    const { maps } = pinFolders(site.bpffs);
    const size = withPin(join(maps, 'sock'), mapInfo).valueSize;
    const fd = libbpf().bpf_map_create(2, 'sock', 4, size - 8, 1, null);
    unpin(join(maps, 'sock'));
    pin(fd, join(maps, 'sock'));
    closeSync(fd);
    expect(await fault(swap(options()))).toMatchObject({
      code: 'KM_LAYOUT',
      message: expect.stringMatching(/^map "sock": /),
    });
    expect(linkIds().size).toBe(1);
  });
});

describe('a swap that was cut short', () => {
  const state = () => pinFolders(site.bpffs);
  /** Leaves what `swap` has made when it is about to switch the first link. */
  async function stopBefore(): Promise<void> {
    const { mapsNext, progsNext } = state();
    const aside = join(site.bpffs, 'aside');
    await fault(
      swap({
        ...options(),
        objects: same,
        sizes: { frontend: 10 },
        fill: () => {
          mkdirSync(aside);
          movePin(mapsNext, join(aside, 'm'));
          movePin(progsNext, join(aside, 'p'));
          throw new Error('stop');
        },
      }),
    );
    movePin(join(aside, 'm'), mapsNext);
    movePin(join(aside, 'p'), progsNext);
    execFileSync('rmdir', [aside]);
  }
  const update = (name: string) =>
    withPin(join(state().links, name), (link) =>
      withPin(join(state().progsNext, name), (program) => {
        expect(libbpf().bpf_link_update(link, program, null)).toBe(0);
      }),
    );

  test('nothing to do', () => {
    expect(recoverSwap(site.bpffs)).toBe('nothing');
    expectWhole(['connect4']);
  });

  test('before the first link: undone', async () => {
    await stopBefore();
    expect(listing(site.bpffs)).toEqual(['links', 'maps', 'maps_next', 'progs', 'progs_next']);
    expect(recoverSwap(site.bpffs)).toBe('undone');
    expectWhole(['connect4']);
  });

  test('the next swap clears up by itself', async () => {
    await stopBefore();
    await swap(options());
    expectWhole(['connect4', 'connect6']);
  });

  test('after some links: finished', async () => {
    open().setUdpHooks(true);
    await stopBefore();
    update('sendmsg4');
    expect(recoverSwap(site.bpffs)).toBe('finished');
    expect(open().map('frontend').maxEntries).toBe(10);
    connectOnce();
    expect(open().reasons().get('passthrough')).toBe(1n);
    expect(listing(site.bpffs)).toEqual(['links', 'maps', 'progs']);
  });

  test.each([
    ['programs set aside', 1],
    ['programs in place', 2],
    ['maps set aside', 3],
    ['maps in place', 4],
  ])('between the renames (%s): finished, and readers find the maps at any time', async (_, steps) => {
    await stopBefore();
    update('connect4');
    const { progs, progsOld, progsNext, maps, mapsOld, mapsNext } = state();
    const moves = [
      [progs, progsOld],
      [progsNext, progs],
      [maps, mapsOld],
      [mapsNext, maps],
    ] as const;
    for (const [from, to] of moves.slice(0, steps)) movePin(from, to);
    expect(open().version).toBeDefined();
    expect(recoverSwap(site.bpffs)).toBe('finished');
    expectWhole(['connect4']);
    expect(open().map('frontend').maxEntries).toBe(10);
    expect(recoverSwap(site.bpffs)).toBe('nothing');
  });
});
