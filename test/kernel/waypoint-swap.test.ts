// SPDX-License-Identifier: Apache-2.0
// Connections to waypoints while programs and maps are replaced: each has its header, or is ended.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unload } from '../../src/kernel/load.ts';
import { openPinned } from '../../src/kernel/pinned.ts';
import type { MapSizes } from '../../src/kernel/sizes.ts';
import { swap } from '../../src/kernel/swap.ts';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { through } from '../support/via.ts';
import { endpoint } from '../support/wanted.ts';

let mesh: Mesh;
let client: Python;
let way: Python;

beforeAll(async () => {
  mesh = await openMesh(['client', 'way', 'a']);
  await mesh.enroll('client');
  client = await mesh.python('client');
  way = await mesh.python('way');
  await way.run('from waypoint_server import Waypoint; proxy = Waypoint(15088)');
  await client.run('from waypoint_client import *; import threading');
  const specs = [
    { name: 's', at: ['10.96.0.1:80'], endpoints: [endpoint(mesh.pod('a'), 8080)] },
    { name: 'w', at: [], endpoints: [endpoint(mesh.pod('way'), 15088)] },
  ];
  await mesh.want(...through(specs, { service: 's', waypoint: 'w' }));
});
afterAll(() => mesh?.close());

const replace = (sizes: MapSizes = {}) => swap({ bpffs: mesh.plane.bpffs, version: 'next', now: Date.now(), sizes });

/** Headers of all connections since the last call. */
const headers = () => way.run<unknown[]>('out = [r["header"] for r in proxy.log]; proxy.log.clear()');
const hold = 'held = [connect("10.96.0.1", 80) for _ in range(20)]';
const use = `
def use(s):
    try: return short(s)["header"]["kind"]
    except OSError: return "ended"
out = [use(s) for s in held]`;

test('other programs: who waits for the first byte and who comes later has the header', async () => {
  await client.run(hold);
  await replace();
  expect(await client.run(use)).toEqual(Array(20).fill('proxy'));
  await client.run(hold);
  expect(await client.run(use)).toEqual(Array(20).fill('proxy'));
  expect(await headers()).toHaveLength(40);
});

test('another map of sockets: who waits has the header or is ended; who comes later has it', async () => {
  await client.run(hold);
  await replace({ waypoint_sock: 1024 });
  const said = await client.run<string[]>(use);
  for (const kind of said) expect(['proxy', 'ended']).toContain(kind);
  await client.run(hold);
  expect(await client.run(use)).toEqual(Array(20).fill('proxy'));
  for (const header of await headers()) expect(header).toMatchObject({ kind: 'proxy' });
});

test('replaced again and again under load: no connection fails, none comes bare', async () => {
  const load = `
stop = threading.Event()
fates = {}
def run():
    while not stop.is_set():
        try: fate = short(connect("10.96.0.1", 80))["header"]["kind"]
        except OSError as e: fate = name_of(e)
        fates[fate] = fates.get(fate, 0) + 1
runners = [threading.Thread(target=run) for _ in range(2)]
for r in runners: r.start()`;
  await client.run(load);
  for (let i = 0; i < 4; i++) await replace();
  const fates = await client.run<Record<string, number>>('stop.set()\nfor r in runners: r.join()\nout = fates');
  expect(Object.keys(fates)).toEqual(['proxy']);
  const plane = openPinned(mesh.plane.bpffs);
  expect(plane.info('waypoint_sock').maxEntries).toBe(1024);
  plane.close();
});

test('its port stays closed while programs, that map, its neighbours and its own entry are replaced', async () => {
  const { address4 } = mesh.pod('way');
  const port = `${address4}:15088`;
  // Some in the same bucket of the hash, too.
  const others = Array.from({ length: 400 }, (_, i) => `10.200.${i >> 8}.${i & 255}:15088`);
  await mesh.keep(port, ...others);
  const attack = `
stop = threading.Event()
fates = {}
def run():
    while not stop.is_set():
        try:
            connect(host, 15088).close()
            fate = "in"
        except OSError as e: fate = name_of(e)
        fates[fate] = fates.get(fate, 0) + 1
runners = [threading.Thread(target=run) for _ in range(2)]
for r in runners: r.start()`;
  await client.run(attack, { host: address4 });
  for (let i = 0; i < 60; i++) {
    await mesh.keep(i % 2 === 0 ? port : `${port} node`, ...others.slice((i * 37) % 300));
  }
  for (const size of [8192, 16384]) await replace({ waypoint_port: size });
  const fates = await client.run<Record<string, number>>('stop.set()\nfor r in runners: r.join()\nout = fates');
  expect(Object.keys(fates)).toEqual(['ECONNREFUSED']);
  expect(fates.ECONNREFUSED).toBeGreaterThan(100);
  const plane = openPinned(mesh.plane.bpffs);
  expect(plane.map('waypoint_port').maxEntries).toBe(16384);
  expect(plane.map('waypoint_port').get({ addr: address4, port: 15088, protocol: 6 })).toBeDefined();
  plane.close();
});

test('unloaded: who waits for the first byte is ended, others go on', async () => {
  await client.run(`going = connect("10.96.0.1", 80)
going.sendall(b"a?\\n")
assert going.recv(9) == b"line\\n"
${hold}`);
  unload(mesh.plane.bpffs);
  expect(await client.run(use)).toEqual(Array(20).fill('ended'));
  expect(await client.run('out = short(going)["header"]["kind"]')).toBe('proxy');
  for (const header of await headers()) if (header !== 'closed') expect(header).toMatchObject({ kind: 'proxy' });
});
