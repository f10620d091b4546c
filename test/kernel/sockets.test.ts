// SPDX-License-Identifier: Apache-2.0
// Walks over the sockets of pods: what the mesh knows of them, and those that are older than it. Swaps leave them alone.
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { protocolNumber, sockFlag } from '../../src/abi/structs.ts';
import { openPinned } from '../../src/kernel/pinned.ts';
import { swap } from '../../src/kernel/swap.ts';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { endpoint } from '../support/wanted.ts';

let mesh: Mesh;
let client: Python;
let cgroup: bigint;

beforeAll(async () => {
  mesh = await openMesh(['client', 'a'], { name: 'sockets' });
  await mesh.serve('a', 'tcp/8080', 'udp/8080');
  await mesh.want(
    { name: 'web', at: ['10.96.0.1:80'], endpoints: [endpoint(mesh.pod('a'), 8080)] },
    { name: 'dns', at: ['10.96.0.1:53'], protocol: 'udp', endpoints: [endpoint(mesh.pod('a'), 8080)] },
  );
  client = await mesh.python('client');
  await client.run(`
old = dial("${mesh.pod('a').address4}", 8080)
first_line(old)
old_udp = socket.socket(type=socket.SOCK_DGRAM)
old_udp.connect(("${mesh.pod('a').address4}", 8080))
free_udp = socket.socket(type=socket.SOCK_DGRAM)
out = 0`);
  cgroup = await mesh.enroll('client');
});
afterAll(() => mesh?.close());

test('connections older than the enrolment are found in the namespace of their pod', () => {
  const older = mesh.plane.olderSockets();
  const remote = {
    cgroup_id: cgroup,
    remote: mesh.pod('a').address4,
    remote_port: 8080,
    local: mesh.pod('client').address4,
  };
  expect(older).toEqual([
    expect.objectContaining({ ...remote, protocol: protocolNumber.tcp }),
    expect.objectContaining({ ...remote, protocol: protocolNumber.udp }),
  ]);
  expect(mesh.plane.sockets()).toEqual([]);
});

test('sockets of the mesh are listed with what they hold, across a swap of programs and larger maps', async () => {
  const dialled = await client.run<string>(`
s = dial("10.96.0.1", 80)
first_line(s)
u = socket.socket(type=socket.SOCK_DGRAM)
u.settimeout(3)
u.connect(("10.96.0.1", 53))
out = s.getpeername()[0]`);
  expect(dialled).toBe('10.96.0.1');
  const before = mesh.plane.sockets();
  const tcp = before.find((record) => !(record.flags & sockFlag.udp));
  const udp = before.find((record) => record.flags & sockFlag.udp);
  expect((tcp?.flags ?? 0) & (sockFlag.translated | sockFlag.counted)).toBe(sockFlag.translated | sockFlag.counted);
  expect((udp?.flags ?? 0) & sockFlag.translated).toBe(sockFlag.translated);
  expect(udp?.peer_workload_id).toBe(tcp?.peer_workload_id);
  expect(mesh.active('a')).toBe(1);

  const bpffs = mesh.plane.bpffs;
  const entries = mesh.plane.map('frontend').maxEntries;
  await swap({ bpffs, version: 'next', now: 0, sizes: { frontend: 2 * entries, active: 300_000, udp_flow: 20_000 } });
  const plane = openPinned(bpffs);
  try {
    expect(plane.sockets()).toEqual(before);
    expect(plane.map('active').get(tcp?.peer_workload_id ?? 0)).toEqual({ connections: 1n });
    const after = await client.run(`
u.send(b"x")
u.recv(99)
out = [s.getpeername()[0], echo(s, "still"), call("10.96.0.1", 80)]
s.close()`);
    expect(after).toEqual(['10.96.0.1', 'a 8080 still', 'a']);
    await mesh.until(() => plane.map('active').get(tcp?.peer_workload_id ?? 0)?.connections === 0n);
    expect(plane.olderSockets()).toHaveLength(2);
  } finally {
    plane.close();
  }
});

test('a client that connects all the while sees no error, with programs and the service maps replaced', async () => {
  const { bpffs } = mesh.plane;
  const stop = join(tmpdir(), `${mesh.lab.name}-stop`);
  const busy = await mesh.python('client');
  const running = busy.run<Readonly<Record<string, number>>>(
    `
out = {}
while not os.path.exists(stop):
    reply = ask("10.96.0.1", 53)
    counts = {"udp %s from %s" % (reply["who"], reply["host"]): 1, **calls("10.96.0.1", 80, 10)}
    for who, n in counts.items():
        out[who] = out.get(who, 0) + n`,
    { stop },
  );
  let counts: Readonly<Record<string, number>>;
  try {
    const sizes = { frontend: 70_000, backend: 70_000, endpoint: 200_000, udp_reverse: 9_000 };
    const report = await swap({ bpffs, version: 'smaller', now: 0, sizes });
    expect(report.replaced.map((r) => r.map).sort()).toEqual(['backend', 'endpoint', 'frontend', 'udp_reverse']);
  } finally {
    writeFileSync(stop, '');
    counts = await running.finally(() => rmSync(stop));
  }
  expect(Object.keys(counts).sort()).toEqual(['a', 'udp a from 10.96.0.1']);
  expect(counts.a).toBeGreaterThan(100);
  const plane = openPinned(bpffs);
  const active = () => [...plane.map('active').entries()].map(([, { connections }]) => connections);
  await mesh.until(() => active().length === 0);
  plane.close();
});
