// SPDX-License-Identifier: Apache-2.0
// What a waypoint reads first: the header, once, whatever way the application sends.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enableStats, pinnedPrograms } from '../../src/kernel/programs.ts';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { through } from '../support/via.ts';
import { endpoint } from '../support/wanted.ts';

interface Said {
  readonly peer: string;
  readonly port: number;
  readonly header: unknown;
  readonly bytes: number;
}

let mesh: Mesh;
let client: Python;
let way: Python;

const spiffe = 'spiffe://cluster.local/ns/shop/sa/client';

beforeAll(async () => {
  mesh = await openMesh(['client', 'way', 'a']);
  await mesh.serve('a', 'tcp/8080');
  await mesh.enroll('client');
  client = await mesh.python('client');
  way = await mesh.python('way');
  await way.run(
    'from waypoint_server import Waypoint; proxy = Waypoint(15088); kmesh = Waypoint(15019); bare = Waypoint(9000, bare=True)',
  );
  await client.run('from waypoint_client import *');
  const a = [endpoint(mesh.pod('a'), 8080)];
  const to = (port: number, family: 4 | 6 = 4) => [endpoint(mesh.pod('way'), port, 1, family)];
  await mesh.want(
    ...through(
      [
        { name: 's', at: ['10.96.0.1:80'], endpoints: a },
        { name: 's6', at: ['[fd96::1]:80'], endpoints: a },
        { name: 'mixed', at: ['[fd96::2]:80'], endpoints: a },
        { name: 'k', at: ['10.96.0.3:80'], endpoints: a },
        { name: 'k6', at: ['[fd96::3]:80'], endpoints: a },
        { name: 'n', at: ['10.96.0.4:9000'], endpoints: a },
        { name: 'proxy4', at: [], endpoints: to(15088) },
        { name: 'proxy6', at: [], endpoints: to(15088, 6) },
        { name: 'kmesh4', at: [], endpoints: to(15019) },
        { name: 'kmesh6', at: [], endpoints: to(15019, 6) },
        { name: 'bare', at: [], endpoints: to(0) },
      ],
      { service: 's', waypoint: 'proxy4' },
      { service: 's6', waypoint: 'proxy6' },
      { service: 'mixed', waypoint: 'proxy4' },
      { service: 'k', waypoint: 'kmesh4', header: 'kmesh' },
      { service: 'k6', waypoint: 'kmesh6', header: 'kmesh' },
      { service: 'n', waypoint: 'bare', header: 'none' },
    ),
  );
});
afterAll(() => mesh?.close());

const parts = { d0: spiffe, e0: 'shop', e1: 's' };

test.each(['write', 'writev', 'sendfile', 'splice', 'byte', 'bytes', 'megabyte', 'eagain', 'more', 'small_buffer'])(
  'first and once: %s',
  async (name) => {
    const { whole, own, said } = await client.run<{ whole: boolean; own: unknown; said: Said }>(
      'out = send(name, "10.96.0.1", 80)',
      { name },
    );
    expect(said.header).toEqual({ kind: 'proxy', from: own, to: ['10.96.0.1', 80], parts });
    expect(whole).toBe(true);
  },
);

test('several threads at once: one header, and no block of any is lost or torn', async () => {
  const code = `
import hashlib, random, threading
def go(n=16, each=40):
    s = connect("10.96.0.1", 80)
    gate = threading.Barrier(n)
    def run(i):
        gate.wait()
        for _ in range(each): s.sendall(bytes([65 + i]) * 100)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads: t.start()
    for t in threads: t.join()
    return finish(s)
out = [go() for _ in range(20)]`;
  const all = await client.run<Said[]>(code);
  for (const said of all) {
    expect(said.header).toMatchObject({ kind: 'proxy', to: ['10.96.0.1', 80] });
    expect(said.bytes).toBe(16 * 40 * 100);
  }
});

test('send() in a loop while the handshake goes on: never a byte before the header', async () => {
  const code = `
import threading
def one(threads):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("10.96.0.1", 80))
    sent = [0] * threads
    faults = []
    def run(i):
        while True:
            try:
                sent[i] = s.send(b"x" * 10)
                return
            except BlockingIOError: pass
            except OSError as e:
                faults.append(e.errno)
                return
    ts = [threading.Thread(target=run, args=(i,)) for i in range(threads)]
    for t in ts: t.start()
    for t in ts: t.join()
    if faults: return None
    try: return finish(s), sum(sent)
    except OSError: return None
out = []
for i in range(600):
    got = one(1 + i % 2)
    if got: out.append([got[0]["header"].get("kind"), got[0]["bytes"] == got[1]])`;
  const all = await client.run<[string, boolean][]>(code);
  expect(all.length).toBeGreaterThan(100);
  expect(new Set(all.map(String))).toEqual(new Set(['proxy,true']));
  const kinds = await way.run<string[]>(
    'out = [str(r["header"] and r["header"].get("kind")) if not isinstance(r["header"], str) else r["header"] for r in proxy.log]',
  );
  expect(kinds.filter((kind) => kind !== 'proxy')).toEqual([]);
});

test('IPv6, and IPv6 to a waypoint that has IPv4 only', async () => {
  const code = `
out = []
for host in ["fd96::1", "fd96::2"]:
    s = connect(host, 80)
    own, peer = s.getsockname()[:2], s.getpeername()[:2]
    said = short(s)
    out.append([list(own), list(peer), said["header"]])`;
  const all =
    await client.run<[[string, number], unknown, { from: [string, number]; to: unknown; parts: unknown }][]>(code);
  for (const [i, [own, peer, header]] of all.entries()) {
    expect(peer).toEqual([`fd96::${i + 1}`, 80]);
    expect(header.to).toEqual([`fd96::${i + 1}`, 80]);
    expect(header.parts).toEqual({ d0: spiffe, e0: 'shop', e1: i === 0 ? 's6' : 'mixed' });
    expect(header.from[1]).toBe(own[1]);
  }
  expect(all[0]?.[2].from[0]).toBe(mesh.pod('client').address6);
  expect(all[1]?.[2].from[0]).toMatch(new RegExp(`^::ffff:(${mesh.pod('client').address4}|a00:1)$`));
});

test('IPv4 by an IPv6 socket is told as IPv4', async () => {
  const code = `
s = socket.socket(socket.AF_INET6)
s.connect(("::ffff:10.96.0.1", 80))
own = s.getsockname()
out = [own[1], short(s)["header"]]`;
  const [port, header] = await client.run<[number, unknown]>(code);
  expect(header).toMatchObject({ from: [mesh.pod('client').address4, port], to: ['10.96.0.1', 80] });
});

test('MSG_ZEROCOPY after the first send: as ever', async () => {
  const code = `
s = connect("10.96.0.1", 80)
s.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
s.send(b"a?\\n")
assert s.recv(9) == b"line\\n"
for i in range(3): s.send(bytes([65 + i]) * 20_000, 0x4000000)  # MSG_ZEROCOPY
last = -1
errors = select.poll()
errors.register(s, 0)
while last < 2 and errors.poll(20_000):
    for level, kind, text in s.recvmsg(1, 100, 0x2000)[1]:  # MSG_ERRQUEUE
        last = struct.unpack_from("IBBBBII", text)[6]
said = finish(s)
out = [last, said["header"]["kind"], said["bytes"]]`;
  expect(await client.run(code)).toEqual([2, 'proxy', 60_003]);
});

test("Kmesh's header, both families; and none at the port that was dialled", async () => {
  const code =
    'out = [short(connect(h, p))["header"] for h, p in [("10.96.0.3", 80), ("fd96::3", 80), ("10.96.0.4", 9000)]]';
  expect(await client.run(code)).toEqual([
    { kind: 'kmesh', to: ['10.96.0.3', 80] },
    { kind: 'kmesh', to: ['fd96::3', 80] },
    null,
  ]);
});

test('a small first write leaves in one packet with the header', async () => {
  const code = `
import struct
def packets(host, port, text):
    s = connect(host, port)
    s.sendall(text)
    info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    again, sent = struct.unpack_from("I", info, 100)[0], struct.unpack_from("I", info, 156)[0]
    return [finish(s)["bytes"], sent - again]
out = [packets(h, p, t) for h, p, t in [("10.96.0.1", 80, b"a"), ("10.96.0.1", 80, b"x" * 1000), ("fd96::1", 80, b"abc"), ("10.96.0.3", 80, b"abc")]]`;
  expect(await client.run(code)).toEqual([
    [1, 1],
    [1000, 1],
    [3, 1],
    [3, 1],
  ]);
});

test('a first write of any size is whole, also where it is too large to be one piece with the header', async () => {
  const code = `
def whole(way, n):
    s = connect("10.96.0.1", 80)
    WAYS[way](s, blob(n))
    said = finish(s)
    return said["header"].get("kind") == "proxy" and said["hash"] == hashlib.sha256(blob(n)).hexdigest()
sizes = [2, 3900, 4096, 8192, 16000, 16200, 16300, 16384, 16385, 33000, 70000]
out = [[way, n] for way in ["write", "sendfile", "splice"] for n in sizes if not whole(way, n)]`;
  expect(await client.run(code)).toEqual([]);
});

test('one run of the program a connection, then the socket is like any other', async () => {
  const runs = () => pinnedPrograms(mesh.plane.bpffs).find(({ name }) => name === 'waypoint_msg')?.runCount ?? 0n;
  const stats = enableStats();
  try {
    const before = runs();
    const code = `
s = connect("10.96.0.1", 80)
for _ in range(20):
    s.sendall(b"a?\\n")
    assert s.recv(100) == b"line\\n"
data = b"x" * 1_000_000
for _ in range(100): s.sendall(data)
out = finish(s)["bytes"]`;
    expect(await client.run(code)).toBe(20 * 3 + 100_000_000);
    expect(runs() - before).toBe(1n);
  } finally {
    stats.close();
  }
});
