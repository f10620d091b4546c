// SPDX-License-Identifier: Apache-2.0
// UDP through service addresses: connected and not, what replies show, and endpoints that leave.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { endpoint, type ServiceSpec } from '../support/wanted.ts';

let mesh: Mesh;
let client: Python;

beforeAll(async () => {
  mesh = await openMesh(['client', 'a', 'b', 'c', 'decoy']);
  for (const name of ['a', 'b', 'c']) await mesh.serve(name, 'udp/5300');
  await mesh.serve('decoy', 'udp/53');
  await mesh.enroll('client');
  client = await mesh.python('client');
});
afterAll(() => mesh?.close());

const at = (name: string, family: 4 | 6 = 4) => endpoint(mesh.pod(name), 5300, 1, family);
const udp = (name: string, address: string, ...endpoints: ServiceSpec['endpoints']): ServiceSpec => ({
  name,
  at: [address],
  protocol: 'udp',
  endpoints,
});

test.each([
  ['IPv4', '10.96.0.1'],
  ['IPv6', 'fd96::1'],
  ['an IPv6 socket that sends to v4-mapped', '::ffff:10.96.0.1'],
])('%s: an unconnected socket sees the service as the source of replies', async (_what, host) => {
  await mesh.want(udp('v4', '10.96.0.1:53', at('a')), udp('v6', '[fd96::1]:53', at('a', 6)));
  expect(await client.run('out = ask(host, 53)', { host })).toEqual({ who: 'a', host, port: 53 });
});

test.each([
  ['IPv4', '10.96.0.1'],
  ['IPv6', 'fd96::1'],
  ['v4-mapped', '::ffff:10.96.0.1'],
  ['IPv6 to an endpoint that has IPv4 only', 'fd96::2'],
])('%s: a connected socket sees the service as its peer and as the source', async (_what, host) => {
  await mesh.want(
    udp('v4', '10.96.0.1:53', at('a')),
    udp('v6', '[fd96::1]:53', at('a', 6)),
    udp('mapped', '[fd96::2]:53', at('a')),
  );
  const code = `
with socket.socket(address(host), socket.SOCK_DGRAM) as s:
    s.settimeout(3)
    s.connect((host, 53))
    s.send(b"x")
    data, source = s.recvfrom(99)
    s.sendall(b"y")
    out = [data.decode(), list(source[:2]), s.recv(99).decode(), list(s.getpeername()[:2])]`;
  expect(await client.run(code, { host })).toEqual(['a 5300 x', [host, 53], 'a 5300 y', [host, 53]]);
});

test('a connected socket that names its service again stays with its endpoint, or no reply would reach it', async () => {
  await mesh.want(
    udp('v4', '10.96.0.1:53', at('a'), at('b'), at('c')),
    udp('v6', '[fd96::1]:53', at('a', 6), at('b', 6), at('c', 6)),
    udp('mapped', '[fd96::2]:53', at('a'), at('b'), at('c')),
  );
  const code = `
def both(host, to):
    with socket.socket(address(host), socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.connect((host, 53))
        s.send(b"x")
        who = s.recv(99)[:1].decode()
        return {who, *(exchange(s, to, 53)["who"] for _ in range(3))}
out = [len(both(host, to)) for host, to in [
    ("10.96.0.1", "10.96.0.1"), ("fd96::1", "fd96::1"), ("::ffff:10.96.0.1", "::ffff:10.96.0.1"),
] for _ in range(8)]`;
  expect(new Set(await client.run<number[]>(code))).toEqual(new Set([1]));
});

test('datagrams of an unconnected IPv6 socket to a service with IPv4 endpoints only are refused', async () => {
  await mesh.want(udp('mapped', '[fd96::2]:53', at('a')));
  const { value, reasons } = await mesh.counting(() => client.run('out = failure(lambda: ask("fd96::2", 53))'));
  expect(value).toBe('ECONNREFUSED');
  expect(reasons).toMatchObject({ family: 1 });
});

test('one socket talks to several services and to pods, each reply from whom it asked', async () => {
  const { address4: b } = mesh.pod('b');
  await mesh.want(
    udp('one', '10.96.0.1:53', at('a')),
    udp('two', '10.96.0.2:53', at('b')),
    udp('three', '10.96.0.1:54', at('c')),
  );
  const code = `
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.settimeout(3)
    targets = [("10.96.0.1", 53), ("10.96.0.2", 53), ("10.96.0.1", 54), (b, 5300)]
    for t in targets: s.sendto(b"x", t)
    got = [s.recvfrom(99) for _ in targets]
    out = sorted([data.decode().split()[0], *source] for data, source in got)`;
  const seen = await client.run<[string, string, number][]>(code, { b });
  // The endpoint of "two" is that pod itself, so its own answer and the service's carry the same source: the service's.
  expect(seen.filter(([who]) => who !== 'b')).toEqual([
    ['a', '10.96.0.1', 53],
    ['c', '10.96.0.1', 54],
  ]);
  expect(seen.filter(([who]) => who === 'b')).toHaveLength(2);
});

test('recvmsg, sendmsg with several buffers and a look ahead see the service, too', async () => {
  await mesh.want(udp('v4', '10.96.0.1:53', at('a')));
  const code = `
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.settimeout(3)
    s.sendmsg([b"x", b"y"], [], 0, ("10.96.0.1", 53))
    peeked = s.recvfrom(99, socket.MSG_PEEK)[1]
    data, _, _, source = s.recvmsg(99)
    out = [data.decode(), list(source), list(peeked)]`;
  const service = ['10.96.0.1', 53];
  expect(await client.run(code)).toEqual(['a 5300 xy', service, service]);
});

test('a socket keeps its endpoint; other sockets get others', async () => {
  await mesh.want(udp('v4', '10.96.0.1:53', at('a'), at('b'), at('c')));
  const code = `
def flow():
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        return sorted({exchange(s, "10.96.0.1", 53)["who"] for _ in range(10)})
out = [flow() for _ in range(60)]`;
  const flows = await client.run<string[][]>(code);
  expect(new Set(flows.map((who) => who.length))).toEqual(new Set([1]));
  expect(new Set(flows.map(([who]) => who))).toEqual(new Set(['a', 'b', 'c']));
});

test('replies from a pod that was asked by its own address carry that address', async () => {
  await mesh.want(udp('v4', '10.96.0.1:53', at('a')));
  const { address4: host } = mesh.pod('decoy');
  expect(await client.run('out = ask(host, 53)', { host })).toEqual({ who: 'decoy', host, port: 53 });
});

test('an endpoint that leaves: the next datagram of an unconnected socket goes to another', async () => {
  await mesh.want(udp('v4', '10.96.0.1:53', at('a')));
  await client.run('s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(3)');
  const send = 'out = exchange(s, "10.96.0.1", 53)';
  expect(await client.run(send)).toEqual({ who: 'a', host: '10.96.0.1', port: 53 });
  await mesh.want(udp('v4', '10.96.0.1:53', at('b'), at('c')));
  const { value, reasons } = await mesh.counting(() => client.run<{ who: string }>(send));
  expect(['b', 'c']).toContain(value.who);
  expect(value).toMatchObject({ host: '10.96.0.1', port: 53 });
  expect(reasons).toMatchObject({ udp_rebalanced: 1 });
  await client.run('s.close()');
});

test('a change that keeps the endpoint keeps the flow', async () => {
  await mesh.want(udp('v4', '10.96.0.1:53', at('b')));
  await client.run('s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(3)');
  const send = 'out = exchange(s, "10.96.0.1", 53)["who"]';
  expect(await client.run(send)).toBe('b');
  for (const set of [
    [at('a'), at('b'), at('c')],
    [at('b'), at('c')],
    [at('a'), at('b')],
  ]) {
    await mesh.want(udp('v4', '10.96.0.1:53', ...set));
    expect(await client.run(send)).toBe('b');
  }
  await client.run('s.close()');
});

test('an endpoint that leaves: a connected socket is destroyed, those of others are not', async () => {
  await mesh.want(udp('one', '10.96.0.1:53', at('a')), udp('two', '10.96.0.2:53', at('b')));
  const open = `
def connected(host, family=socket.AF_INET):
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(3); s.connect((host, 53))
    return s
def talk(s):
    s.send(b"x"); return s.recv(99).decode().split()[0]
one, mapped, two = connected("10.96.0.1"), connected("::ffff:10.96.0.1", socket.AF_INET6), connected("10.96.0.2")
out = [talk(one), talk(mapped), talk(two)]`;
  expect(await client.run(open)).toEqual(['a', 'a', 'b']);
  await mesh.want(udp('one', '10.96.0.1:53', at('c')), udp('two', '10.96.0.2:53', at('b')));
  const { value, reasons } = await mesh.counting(async () => mesh.plane.sweepUdp());
  expect(value).toBe(2);
  expect(reasons).toMatchObject({ udp_destroyed: 2 });
  const [first, second, other, again] = await client.run<string[]>(`
out = [failure(lambda: talk(one)), failure(lambda: talk(mapped)), talk(two), talk(connected("10.96.0.1"))]
for s in one, mapped, two: s.close()`);
  expect(first).not.toBe('');
  expect(second).not.toBe('');
  expect([other, again]).toEqual(['b', 'c']);
  expect(mesh.plane.sweepUdp()).toBe(0);
});

test('a service that goes takes its connected sockets along', async () => {
  await mesh.want(udp('one', '10.96.0.1:53', at('a')));
  const open = 's = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(3); s.connect(("10.96.0.1", 53)); s.send(b"x")';
  await client.run(open);
  await mesh.want(udp('two', '10.96.0.2:53', at('b')));
  expect(mesh.plane.sweepUdp()).toBe(1);
  expect(await client.run('out = failure(lambda: s.send(b"x")); s.close()')).not.toBe('');
});

test('datagrams from a bound socket, to a closed port, and of an odd size', async () => {
  await mesh.want(udp('v4', '10.96.0.1:53', at('a')), udp('closed', '10.96.0.3:53', { ...at('a'), port: 9 }));
  const code = `
s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(3)
s.bind((own, 5000))
out = [exchange(s, "10.96.0.1", 53, "z" * 1200)["host"], s.getsockname()[1]]
c = socket.socket(type=socket.SOCK_DGRAM); c.settimeout(3); c.connect(("10.96.0.3", 53)); c.send(b"x")
out.append(failure(lambda: c.recv(9)))
s.close(); c.close()`;
  expect(await client.run(code, { own: mesh.pod('client').address4 })).toEqual(['10.96.0.1', 5000, 'ECONNREFUSED']);
});

test('one send that the kernel cuts into datagrams (GSO) goes to one endpoint', async () => {
  await mesh.want(udp('v4', '10.96.0.1:53', at('a'), at('b')));
  const code = `
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.settimeout(3)
    s.setsockopt(socket.IPPROTO_UDP, 103, 500)  # UDP_SEGMENT
    s.sendto(b"z" * 1200, ("10.96.0.1", 53))
    got = [s.recvfrom(2048) for _ in range(3)]
    out = [len({data[:1] for data, _ in got}), sorted(len(data) - len("a 5300 ") for data, _ in got),
           [list(source) for _, source in got]]`;
  expect(await client.run(code)).toEqual([1, [200, 500, 500], Array(3).fill(['10.96.0.1', 53])]);
});

test('sockets of other protocols are left alone, and the reason says so', async () => {
  const { address4: host } = mesh.pod('decoy');
  await mesh.want(udp('shadow', `${host}:53`, at('a')));
  const code = `
with open("/proc/sys/net/ipv4/ping_group_range", "w") as f: f.write("0 0")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as s:
    s.settimeout(3)
    s.connect((host, 53))
    s.send(b"\\x08" + bytes(7))  # echo request
    out = [s.recv(99)[0], s.getpeername()[0]]`;
  const { value, reasons } = await mesh.counting(() => client.run(code, { host }));
  expect(value).toEqual([0, host]);
  expect(reasons).toMatchObject({ not_balanced_protocol: 1 });
});

test('more flows than there is room for: none gets a wrong answer, each keeps its endpoint while it is in use', async () => {
  const few = await openMesh(['client', 'a', 'b'], { name: 'few', sizes: { udp_flow: 64, udp_reverse: 64 } });
  try {
    for (const name of ['a', 'b']) await few.serve(name, 'udp/5300');
    await few.enroll('client');
    const endpoints = ['a', 'b'].map((name) => endpoint(few.pod(name), 5300));
    await few.want({ name: 's', at: ['10.96.0.1:53'], protocol: 'udp', endpoints });
    const python = await few.python('client');
    const code = `
busy = socket.socket(type=socket.SOCK_DGRAM); busy.settimeout(3)
def use(s): return exchange(s, "10.96.0.1", 53)
sockets = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(400)]
kept, sources = set(), set()
for s in sockets:
    s.settimeout(3)
    sources.add((use(s)["host"], use(s)["port"]))
    kept.add(use(busy)["who"])
for s in sockets: sources.add((use(s)["host"], use(s)["port"]))
out = [len(kept), sorted(sources)]`;
    expect(await python.run(code)).toEqual([1, [['10.96.0.1', 53]]]);
  } finally {
    await few.close();
  }
});
