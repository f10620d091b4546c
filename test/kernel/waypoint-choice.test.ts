// SPDX-License-Identifier: Apache-2.0
// Which calls go through a waypoint, to which of its endpoints, and what becomes of them where there is none.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { viaFlag } from '../../src/abi/structs.ts';
import { readEnrolments } from '../../src/agent/enrolments.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import { openPinnedMap } from '../../src/kernel/pinned-map.ts';
import { convertMap } from '../../src/tasks/convert-map.ts';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { through, type Via, wayName } from '../support/via.ts';
import { endpoint, type ServiceSpec } from '../support/wanted.ts';

let mesh: Mesh;
let client: Python;
let inWay: Python;

const ways = ['way1', 'way2', 'way3'];

beforeAll(async () => {
  mesh = await openMesh(['client', ...ways, 'a', 'b']);
  await mesh.serve('a', 'tcp/8080', 'udp/8080');
  await mesh.serve('b', 'tcp/8080', 'udp/8080');
  for (const name of ways) {
    const way = await mesh.python(name);
    await way.run('from waypoint_server import Waypoint; proxy = Waypoint(15088)');
    await way.run('same = Waypoint(8080, bare=True)');
  }
  await mesh.enroll('client');
  client = await mesh.python('client');
  await client.run('from waypoint_client import *');
  inWay = await mesh.python('way1');
});
afterAll(() => mesh?.close());

/** Service s at 10.96.0.1:80 with endpoint a, and the waypoint before it. */
async function want(
  via: Partial<Via>,
  waypoint: Partial<ServiceSpec> = {},
  service: Partial<ServiceSpec> = {},
): Promise<void> {
  const endpoints = ways.map((name) => endpoint(mesh.pod(name), 15088));
  const specs = [
    { name: 's', at: ['10.96.0.1:80'], endpoints: [endpoint(mesh.pod('a'), 8080)], ...service },
    { name: 'w', at: [], endpoints, ...waypoint },
  ];
  await mesh.want(...through(specs, { service: 's', waypoint: 'w', ...via }));
}

/** Who answers the service: the waypoint, or "a 8080". */
const call = `
def ask():
    try: s = connect("10.96.0.1", 80)
    except OSError as e: return name_of(e)
    s.sendall(b"a?\\n")
    with s: return first_line(s).split()[0]
out = ask()`;
const direct = 'a';
const waypoint = 'line';

test('a call of the waypoint itself goes past it: by its workload, or enrolled as one', async () => {
  await want({});
  expect(await client.run(call)).toBe(waypoint);
  await inWay.run('from waypoint_client import *');
  await mesh.enroll('way1');
  const { value, reasons } = await mesh.counting(() => inWay.run(call));
  expect(value).toBe(direct);
  expect(reasons).toMatchObject({ waypoint_own: 1, balanced: 1 });
  expect(reasons.waypoint).toBeUndefined();
  await mesh.enroll('way1', { workload: '' });
  expect(await inWay.run(call)).toBe(waypoint);
  await mesh.enroll('way1', { workload: '', waypoint: true });
  expect([...readEnrolments(mesh.plane).values()].filter((e) => e.waypoint)).toHaveLength(1);
  expect(await inWay.run(call)).toBe(direct);
  expect(await inWay.run(call)).toBe(direct);
  await mesh.unenroll('way1');
});

test('no endpoint of the waypoint: refused, or direct where that is said', async () => {
  await want({}, { endpoints: [] });
  const refused = await mesh.counting(() => client.run(call));
  expect(refused.value).toBe('ECONNREFUSED');
  expect(refused.reasons).toMatchObject({ waypoint_unready: 1 });
  await want({ unready: 'direct' }, { endpoints: [] });
  const direct_to = await mesh.counting(() => client.run(call));
  expect(direct_to.value).toBe(direct);
  expect(direct_to.reasons).toMatchObject({ waypoint_direct: 1, balanced: 1 });
  await want({ unready: 'direct' });
  expect(await client.run(call)).toBe(waypoint);
});

test('a waypoint that is unknown is one without endpoints', async () => {
  await want({});
  const id = mesh.image.backends.get(wayName('w'))?.id as number;
  mesh.plane.map('backend').delete([id]);
  const { value, reasons } = await mesh.counting(() => client.run(call));
  expect(value).toBe('ECONNREFUSED');
  expect(reasons).toMatchObject({ waypoint_unready: 1 });
  await mesh.want();
});

test('a server that speaks first: refused, whether or not there is a waypoint', async () => {
  for (const endpoints of [undefined, []]) {
    await want({ serverFirst: true, unready: 'direct' }, endpoints ? { endpoints } : {});
    const { value, reasons } = await mesh.counting(() => client.run(call));
    expect(value).toBe('ECONNREFUSED');
    expect(reasons).toMatchObject({ server_first: 1 });
  }
});

test('the waypoint comes before what the service says of its own endpoints: none, or pass through', async () => {
  await want({}, {}, { endpoints: [] });
  expect(await client.run(call)).toBe(waypoint);
  await want({}, {}, { passthrough: true, endpoints: [] });
  expect(await client.run(call)).toBe(waypoint);
  await want({ unready: 'direct' }, { endpoints: [] }, { endpoints: [] });
  expect(await client.run(call)).toBe('ECONNREFUSED');
});

test("a pod's own address, whatever the port: through its waypoint, UDP and exact frontends excepted", async () => {
  const b = mesh.pod('b').address4;
  await want({}, {}, { at: [`${b}:0`], passthrough: true, endpoints: [] });
  const code = `
def ask(port):
    s = connect(b, port)
    s.sendall(b"a?\\n")
    with s: return first_line(s).split()[0]
out = [ask(8080), failure(lambda: connect(b, 9))]`;
  const header = 'out = [short(connect(b, p))["header"]["to"] for p in (8080, 9)]';
  expect(await client.run(header, { b })).toEqual([
    [b, 8080],
    [b, 9],
  ]);
  expect(await client.run('out = exchange(socket.socket(type=socket.SOCK_DGRAM), b, 8080)["who"]', { b })).toBe('b');
  // Past it, a call goes where it was dialled.
  await want({ unready: 'direct' }, { endpoints: [] }, { at: [`${b}:0`], passthrough: true, endpoints: [] });
  expect(await client.run(code, { b })).toEqual(['b', 'ECONNREFUSED']);
});

test('datagrams never go through a waypoint', async () => {
  await want({}, {}, { protocol: 'udp' });
  const code = `
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.settimeout(5)
    s.connect(("10.96.0.1", 80))
    s.send(b"x")
    out = [s.recv(99).decode(), exchange(socket.socket(type=socket.SOCK_DGRAM), "10.96.0.1", 80)["who"]]`;
  expect(await client.run(code)).toEqual(['a 8080 x', 'a']);
});

test('an endpoint without a port: the port that was dialled', async () => {
  await want({ header: 'none' }, { endpoints: [endpoint(mesh.pod('way1'), 0)] }, { at: ['10.96.0.1:8080'] });
  const code = 's = connect("10.96.0.1", 8080); own = s.getpeername(); out = [short(s)["bytes"], list(own)]';
  expect(await client.run(code)).toEqual([5, ['10.96.0.1', 8080]]);
});

test('least request: connections that stay open are spread evenly, and counted at the waypoint', async () => {
  await want({}, { policy: 'least-request' });
  const code = `
held = [connect("10.96.0.1", 80) for _ in range(60)]
for s in held: s.sendall(b"a?\\n")
for s in held: assert s.recv(9) == b"line\\n"`;
  await client.run(code);
  const open = ways.map((name) => mesh.active(name));
  expect(open.reduce((a, b) => a + b)).toBe(60);
  for (const n of open) expect(Math.abs(n - 20)).toBeLessThanOrEqual(3);
  expect(mesh.active('a')).toBe(0);
  await client.run('for s in held: s.close()');
  await mesh.until(() => ways.every((name) => mesh.active(name) === 0));
});

test('least request: who refuses has no connections, and is tried once a second all the same, not first of all', async () => {
  const endpoints = [endpoint(mesh.pod('way1'), 15088), endpoint(mesh.pod('way2'), 1)];
  await want({}, { policy: 'least-request', endpoints });
  const code = `
import time
kept, refused, start = [], 0, time.monotonic()
while len(kept) < 200:
    try: s = connect("10.96.0.1", 80)
    except ConnectionRefusedError:
        refused += 1
        continue
    s.sendall(b"a?\\n")
    assert s.recv(9) == b"line\\n"
    kept.append(s)
out = [refused, time.monotonic() - start]
for s in kept: s.close()`;
  const [refused, seconds] = await client.run<[number, number]>(code);
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThanOrEqual(1 + seconds);
  await mesh.until(() => ways.every((name) => mesh.active(name) === 0));
});

test.each(['random', 'round-robin', 'source-hash'] as const)('%s among the endpoints of a waypoint', async (policy) => {
  await want({}, { policy });
  const code = `
def peer():
    with connect("10.96.0.1", 80) as s:
        s.sendall(b"a?\\n")
        return first_line(s)
out = [peer() for _ in range(60)]`;
  const { value, reasons } = await mesh.counting(() => client.run<string[]>(code));
  expect(new Set(value)).toEqual(new Set([waypoint]));
  expect(reasons).toMatchObject({ waypoint: 60, waypoint_header: 60 });
});

test('the address that was dialled is what the application sees', async () => {
  await want({});
  expect(await client.run('s = connect("10.96.0.1", 80); out = list(s.getpeername()); s.close()')).toEqual([
    '10.96.0.1',
    80,
  ]);
});

test('the slot behind the endpoints is read as what it is, and survives another layout', async () => {
  await want({ unready: 'direct' });
  const { first, workloadIds } = mesh.image.backends.get('s') as { first: number; workloadIds: readonly number[] };
  const at = first + 1 + workloadIds.length;
  const waypoint_id = mesh.image.backends.get(wayName('w'))?.id as number;
  const pinned = openPinnedMap(mesh.plane.bpffs, 'endpoint');
  const read = new Map([...pinned.entries()].map(({ key, value }) => [key, value]));
  pinned.close();
  expect(read.get(at)).toMatchObject({ backend_id: waypoint_id, flags: viaFlag.direct });
  const copy = openMemory();
  convertMap(mesh.plane.bpffs, 'endpoint', copy);
  expect(copy.via(at)).toEqual({ backend_id: waypoint_id, flags: viaFlag.direct, listed: 0 });
  expect(copy.header(first)).toEqual(mesh.plane.header(first));
});
