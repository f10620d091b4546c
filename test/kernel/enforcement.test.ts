// SPDX-License-Identifier: Apache-2.0
// What is attached for single pods: where, for how long, and through swaps.
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Lab, openLab } from '../../src/demo/lab.ts';
import { netnsPath } from '../../src/demo/network.ts';
import type { KmeshError } from '../../src/errors.ts';
import { cgroupId, cgroupMount } from '../../src/kernel/cgroup.ts';
import { linkInfo, programInfo } from '../../src/kernel/info.ts';
import { load, unload } from '../../src/kernel/load.ts';
import { openNetns } from '../../src/kernel/netns.ts';
import { openPinned, type PinnedDataPlane } from '../../src/kernel/pinned.ts';
import { pinFolders, unpin, withPin } from '../../src/kernel/pins.ts';
import { swap } from '../../src/kernel/swap.ts';
import { openPlace } from '../support/instance.ts';
import { labName, removeLeftovers } from '../support/leftovers.ts';
import { startPython, startServer } from '../support/python.ts';
import { openTinyObjects } from '../support/tiny-objects.ts';

const tiny = openTinyObjects();
/** Programs that deny everything, and others that do. */
const first = tiny.folder();
const second = tiny.folder('REASON=KM_REASON_PASSTHROUGH');

let lab: Lab;
let bpffs = '';
let closePlace: () => Promise<void>;
let plane: PinnedDataPlane;

const pod = (name: string) => lab.pods.get(name) as NonNullable<ReturnType<Lab['pods']['get']>>;
const inodeOf = (path: string) => statSync(path, { bigint: true }).ino;
const ip = (...words: readonly string[]) => execFileSync('ip', words, { encoding: 'utf8' });
const inSwitch = (...words: readonly string[]) => ip('-n', `${lab.name}-switch`, ...words);
const pinned = (program: 'authz' | 'spoof' | 'no_group') => {
  const folder = pinFolders(bpffs)[program];
  return existsSync(folder) ? readdirSync(folder).sort() : [];
};
const linkIds = () =>
  (['authz', 'spoof', 'no_group'] as const).flatMap((program) =>
    pinned(program).map((name) => withPin(join(pinFolders(bpffs)[program], name), linkInfo).id),
  );
function enforce(path: string) {
  const fd = openNetns(path);
  try {
    return plane.enforce(fd);
  } finally {
    closeSync(fd);
  }
}
/** Index and name of the switch's side of a pod's link. */
function port(name: string): { index: number; name: string } {
  const [eth0] = JSON.parse(ip('-n', `${lab.name}-${name}`, '-j', 'link', 'show', 'dev', 'eth0'));
  const all: { ifindex: number; ifname: string }[] = JSON.parse(inSwitch('-j', 'link', 'show'));
  const found = all.find(({ ifindex }) => ifindex === eth0.link_index);
  return { index: found?.ifindex ?? 0, name: found?.ifname ?? '' };
}
async function call(from: string, to: string, family: 4 | 6 = 4): Promise<string> {
  const python = await startPython(pod(from));
  try {
    const host = family === 4 ? pod(to).address4 : pod(to).address6;
    return await python.run<string>('out = call(host, 8080)', { host });
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    await python.kill();
  }
}

beforeAll(async () => {
  await removeLeftovers();
  const name = labName('enforce');
  lab = await openLab(name, join(cgroupMount(), name));
  for (const [i, each] of ['client', 'server', 'brief'].entries()) {
    await lab.addPod(each, { address4: `10.0.0.${i + 1}`, address6: `fd00::${i + 1}` });
  }
  await startServer(pod('server'), 'tcp/8080');
  const opened = await openPlace(lab.cgroupRoot);
  closePlace = opened.close;
  bpffs = opened.place.bpffs;
});
afterAll(async () => {
  plane?.close();
  if (bpffs) unload(bpffs);
  await closePlace?.();
  await lab?.close();
  tiny.close();
});
beforeEach(() => {
  plane?.close();
  unload(bpffs);
  load({ bpffs, cgroupRoot: lab.cgroupRoot, version: 'test', now: 0, objects: first });
  plane = openPinned(bpffs);
});

test('a pod is judged from then on, its link is guarded, its addresses are written down', async () => {
  const { netns } = pod('server');
  expect(await call('client', 'server')).toBe('server');
  const begun = process.hrtime.bigint();
  const network = enforce(netns);
  expect([await call('client', 'server'), await call('client', 'server', 6)]).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
  const host = { netns: inodeOf(netnsPath(lab.name, 'switch')), ifindex: port('server').index };
  expect(network.hosts).toEqual([host]);
  const inode = inodeOf(netns);
  expect([...plane.enforced()]).toEqual([[inode, [host]]]);
  const entry = { netns: Number(inode), host_netns: Number(host.netns), ifindex: host.ifindex, flags: 0 };
  expect(new Map(plane.map('pod_address').entries())).toEqual(
    new Map([
      ['10.0.0.2', entry],
      ['fd00::2', entry],
    ]),
  );

  // Handshakes that began before are looked at again.
  expect(plane.map('authz_state').get(0)?.changed_ns).toBeGreaterThan(begun);

  const ids = linkIds();
  expect(ids).toHaveLength(3);
  expect(enforce(netns)).toEqual(network);
  expect(linkIds()).toEqual(ids);

  plane.collect(new Set());
  expect(await call('client', 'server')).toBe('server');
  expect([linkIds(), [...plane.enforced()], plane.map('pod_address').count()]).toEqual([[], [], 0]);
  plane.collect(new Set());
});

test("the host's own network is refused, and stays as it was", () => {
  const faultOf = (path: string) => {
    try {
      enforce(path);
    } catch (error) {
      return error as KmeshError;
    }
    throw new Error('it did not fail');
  };
  expect(faultOf('/proc/self/ns/net')).toMatchObject({
    code: 'KM_NETNS',
    hint: expect.stringContaining('--authz off'),
  });
  expect([linkIds(), plane.map('pod_address').count()]).toEqual([[], 0]);
});

test('denials are told once', async () => {
  expect(plane.denials()).toEqual([]);
  enforce(pod('server').netns);
  await call('client', 'server');
  expect(plane.denials()).toMatchObject([{ destination_port: 8080, protocol: 6 }]);
  expect(plane.denials()).toEqual([]);
});

test('programs are replaced while nothing gets through, and a swap keeps what is attached', async () => {
  enforce(pod('server').netns);
  const ids = linkIds();
  const python = await startPython(pod('client'));
  await python.run(
    `
import threading
going, outcomes = True, {}
def go():
    while going:
        for name, n in calls(host, 8080, 1).items(): outcomes[name] = outcomes.get(name, 0) + n
thread = threading.Thread(target=go)
thread.start()
out = 1`,
    { host: pod('server').address4 },
  );
  for (let i = 0; i < 6; i++) {
    const sizes = { pod_address: 1000 + i, authz_dest: 2000 + i };
    await swap({ bpffs, version: '2', now: 0, objects: i % 2 ? first : second, sizes });
  }
  const outcomes = await python.run<Record<string, number>>('going = False\nthread.join()\nout = outcomes');
  expect(Object.keys(outcomes)).toEqual(['ECONNREFUSED']);
  await python.kill();

  expect(linkIds()).toEqual(ids);
  plane.close();
  plane = openPinned(bpffs);
  expect(plane.info('pod_address').maxEntries).toBe(1005);
  expect(plane.map('pod_address').count()).toBe(2);
  const folders = pinFolders(bpffs);
  for (const program of ['authz', 'spoof', 'no_group'] as const) {
    const running = withPin(join(folders[program], pinned(program)[0] as string), linkInfo).programId;
    expect(running).toBe(withPin(join(folders.progs, program), programInfo).id);
  }
  // The maps that the program counts in are those that are pinned.
  const before = plane.reasons().get('balanced') ?? 0n;
  await call('client', 'server');
  expect(plane.reasons().get('balanced')).toBeGreaterThan(before);
});

test('a swap goes on when a pod has gone', async () => {
  await lab.addPod('gone', { address4: '10.0.0.9' });
  enforce(pod('gone').netns);
  await lab.removePod('gone');
  await swap({ bpffs, version: '2', now: 0, objects: second });
  expect([...plane.enforced()]).toEqual([]);
  expect(pinned('authz')).toHaveLength(1);
});

test('what no enrolment asks for, and what is gone, is collected', async () => {
  await lab.addPod('gone', { address4: '10.0.0.9' });
  const inode = inodeOf(pod('gone').netns);
  const id = cgroupId(pod('server').cgroup);
  const server = inodeOf(pod('server').netns);
  for (const name of ['gone', 'client', 'server']) enforce(pod(name).netns);
  expect(plane.keepEnforced(new Map([[id, server]]))).toMatchObject({ attached: 0, removed: 2, faults: [] });
  enforce(pod('gone').netns);
  await lab.removePod('gone');
  // Nobody is in that cgroup any more.
  const kept = plane.keepEnforced(
    new Map([
      [id, server],
      [1234567n, inode],
    ]),
  );
  expect(kept).toMatchObject({ attached: 0, removed: 1, faults: [] });
  expect([...plane.enforced().keys()]).toEqual([server]);
  expect([...plane.map('pod_address').entries()].map(([address]) => address).sort()).toEqual(['10.0.0.2', 'fd00::2']);
  expect(plane.keepEnforced(new Map([[id, server]]))).toMatchObject({ attached: 0, removed: 0 });
});

test('what came off is attached again, where a process proves that it is the same pod', async () => {
  const id = cgroupId(pod('server').cgroup);
  const server = inodeOf(pod('server').netns);
  const wanted = new Map([[id, server]]);
  enforce(pod('server').netns);
  for (const name of pinned('authz')) unpin(join(pinFolders(bpffs).authz, name));
  expect(await call('client', 'server')).toBe('server');
  expect(plane.keepEnforced(wanted)).toMatchObject({ attached: 1, faults: [] });
  expect(await call('client', 'server')).toBe('ECONNREFUSED');
});

test('a device in place of another is guarded as that was', async () => {
  const turned = await lab.addPod('turned', { address4: '10.0.0.7' });
  const inode = inodeOf(turned.netns);
  const wanted = new Map([[cgroupId(turned.cgroup), inode]]);
  enforce(turned.netns);
  const before = port('turned');
  inSwitch('link', 'del', before.name);
  inSwitch('link', 'add', 'fresh0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', `${lab.name}-turned`);
  ip('-n', `${lab.name}-turned`, 'addr', 'add', '10.0.0.7/24', 'dev', 'eth0');
  const after = port('turned').index;
  expect(after).not.toBe(before.index);
  expect(plane.keepEnforced(wanted)).toMatchObject({ attached: 1, removed: 0, faults: [] });
  expect(plane.enforced().get(inode)).toMatchObject([{ ifindex: after }]);
  expect(plane.map('pod_address').get('10.0.0.7')).toMatchObject({ ifindex: after });
  expect([pinned('spoof').length, pinned('no_group').length]).toEqual([1, 1]);
  expect(plane.keepEnforced(wanted)).toMatchObject({ attached: 0, removed: 0 });
});

test('a pod that got another network is followed', async () => {
  const brief = pod('brief');
  const old = inodeOf(brief.netns);
  enforce(brief.netns);
  const id = cgroupId(brief.cgroup);
  const other = await lab.addPod('other', { address4: '10.0.0.8' });
  // A process of the cgroup, in the new network; the old one goes.
  const shell = other.start('sleep', ['600'], { cgroup: brief.cgroup });
  await new Promise((done) => shell.child.once('spawn', done));
  ip('netns', 'del', `${lab.name}-brief`);
  let kept = plane.keepEnforced(new Map([[id, old]]));
  for (let i = 0; i < 500 && kept.moved.size === 0; i++) {
    await new Promise((done) => setTimeout(done, 10));
    kept = plane.keepEnforced(new Map([[id, old]]));
  }
  const now = inodeOf(other.netns);
  expect(kept).toMatchObject({ faults: [], moved: new Map([[id, now]]) });
  expect([...plane.enforced().keys()]).toEqual([now]);
  expect(plane.map('pod_address').get('10.0.0.8')).toMatchObject({ netns: Number(now) });
  await shell.stop();
});

test('unload leaves nothing attached', async () => {
  enforce(pod('server').netns);
  plane.close();
  unload(bpffs);
  expect(await call('client', 'server')).toBe('server');
  expect(existsSync(bpffs)).toBe(false);
});
