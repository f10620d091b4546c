// SPDX-License-Identifier: Apache-2.0
// Sockets that are not made the usual way: older than the enrolment, moved, MPTCP, fast open, dissolved and used again.
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { makeCgroup } from '../../src/demo/cgroup-tree.ts';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { endpoint } from '../support/wanted.ts';

let mesh: Mesh;
let client: Python;

beforeAll(async () => {
  mesh = await openMesh(['client', 'late', 'a', 'b', 'decoy']);
  await mesh.serve('a', 'tcp/8080', 'udp/8080', 'mptcp/8081', 'tfo/8082');
  await mesh.serve('b', 'tcp/8080');
  await mesh.serve('decoy', 'tcp/80', 'udp/80');
  await mesh.enroll('client');
  client = await mesh.python('client');
  const decoy = mesh.pod('decoy');
  const a = endpoint(mesh.pod('a'), 8080);
  await mesh.want(
    { name: 'shadow', at: [`${decoy.address4}:80`], endpoints: [a] },
    { name: 'shadow-udp', at: [`${decoy.address4}:80`], protocol: 'udp', endpoints: [a] },
    { name: 'v6', at: ['[fd96::1]:80'], endpoints: [endpoint(mesh.pod('a'), 8080, 1, 6)] },
    { name: 'mptcp', at: ['10.96.0.2:80'], endpoints: [endpoint(mesh.pod('a'), 8081)] },
    { name: 'mptcp6', at: ['[fd96::2]:80'], endpoints: [endpoint(mesh.pod('a'), 8081, 1, 6)] },
    { name: 'mptcp-mapped', at: ['[fd96::3]:80'], endpoints: [endpoint(mesh.pod('a'), 8081)] },
    { name: 'tfo', at: ['10.96.0.4:80'], endpoints: [endpoint(mesh.pod('a'), 8082)] },
    { name: 'other', at: ['10.96.0.5:80'], endpoints: [endpoint(mesh.pod('b'), 8080)] },
    { name: 'closed', at: ['10.96.0.6:80'], endpoints: [endpoint(mesh.pod('a'), 1)] },
  );
});
afterAll(() => mesh?.close());
// A connection that was closed counts until the other side has closed it, too.
beforeEach(idle);

function idle(): Promise<void> {
  return mesh.until(() => mesh.active('a') === 0 && mesh.active('b') === 0);
}

const address = () => ({ decoy: mesh.pod('decoy').address4 });

test('sockets made before the enrolment are found when they are used: unbound, bound, TCP and UDP', async () => {
  const late = await mesh.python('late');
  const make = `
tcp = [socket.socket(), socket.socket()]
tcp[1].bind(("0.0.0.0", 0))
udp = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(3)]
udp[1].bind(("0.0.0.0", 0))
udp[2].bind(("0.0.0.0", 0))
for s in tcp + udp: s.settimeout(3)
open_before = dial(decoy, 80)
out = first_line(open_before)`;
  expect(await late.run(make, address())).toBe('decoy 80');
  await mesh.enroll('late');
  const use = `
for s in tcp: s.connect((decoy, 80))
udp[2].connect((decoy, 80))
udp[2].send(b"x")
out = {
    "tcp": [[first_line(s), s.getpeername()[0]] for s in tcp],
    "udp": [exchange(s, decoy, 80) for s in udp[:2]],
    "connected": udp[2].recv(99).decode(),
    "open": echo(open_before, "still"),
}`;
  const { value, reasons } = await mesh.counting(() => late.run(use, address()));
  const { decoy } = address();
  expect(value).toEqual({
    tcp: Array(2).fill(['a 8080', decoy]),
    udp: Array(2).fill({ who: 'a', host: decoy, port: 80 }),
    connected: 'a 8080 x',
    open: 'decoy 80 still',
  });
  expect(reasons.late_enrolled).toBeGreaterThanOrEqual(4);
  await late.kill();
  await mesh.unenroll('late');
});

test('a socket belongs to the cgroup it was made in, wherever its process goes', async () => {
  const outside = join(mesh.lab.cgroupRoot, 'outside');
  await makeCgroup(outside);
  const code = `
def move(to):
    with open(to + "/cgroup.procs", "w") as f: f.write("0")
def use(s):
    with s:
        s.settimeout(3)
        s.connect((decoy, 80))
        return first_line(s).split()[0]
made_inside = socket.socket()
move(outside)
made_outside = socket.socket()
out = [use(made_inside), call(decoy, 80)]
move(inside)
out += [use(made_outside), call(decoy, 80)]`;
  const mover = await mesh.python('client');
  expect(await mover.run(code, { ...address(), outside, inside: mesh.pod('client').cgroup })).toEqual([
    'a',
    'decoy',
    'decoy',
    'a',
  ]);
});

test('a cgroup below an enrolled one is in the mesh, too', async () => {
  const inner = join(mesh.pod('client').cgroup, 'inner', 'most');
  await makeCgroup(join(mesh.pod('client').cgroup, 'inner'));
  await makeCgroup(inner);
  const nested = await mesh.python('client', { cgroup: inner });
  expect(await nested.run('out = call(decoy, 80)', address())).toBe('a');
});

test.each([
  ['IPv4, to a listener without it', 'decoy', 'a 8080', true],
  ['IPv4', '10.96.0.2', 'a 8081', false],
  ['IPv6', 'fd96::2', 'a 8081', false],
  ['IPv6 to an IPv4 endpoint', 'fd96::3', 'a 8081', false],
])('MPTCP client, %s: balanced, shown the service, counted once', async (_what, where, who, fallback) => {
  const host = where === 'decoy' ? address().decoy : where;
  const code = `
def fell_back(s):
    """SOL_MPTCP, MPTCP_INFO: bit 0 of mptcpi_flags; not there at all once the socket is plain TCP."""
    try: return bool(struct.unpack_from("I", s.getsockopt(284, 1, 64), 8)[0] & 1)
    except OSError: return True
s = dial(host, 80, MPTCP)
out = [first_line(s), echo(s, "x"), s.getpeername()[0], fell_back(s)]`;
  expect(await client.run(code, { host })).toEqual([who, `${who} x`, host, fallback]);
  expect(mesh.active('a')).toBe(1);
  await client.run('s.close()');
  await idle();
});

test('MPTCP to a closed port leaves no count behind', async () => {
  expect(await client.run('out = failure(lambda: dial("10.96.0.6", 80, MPTCP))')).toBe('ECONNREFUSED');
  await idle();
});

test('an enrolled MPTCP listener serves, and its children are no connections of its own', async () => {
  await mesh.enroll('late');
  const server = await mesh.python('late');
  await server.run('l = socket.socket(proto=MPTCP); l.bind(("0.0.0.0", 7000)); l.listen()');
  await server.run('t = threading.Thread(target=lambda: globals().__setitem__("s", l.accept()[0])); t.start()');
  await client.run('c = dial(to, 7000, MPTCP)', { to: mesh.pod('late').address4 });
  const code = 't.join(); s.sendall(b"hello 1\\n"); out = [s.getpeername()[0], s.recv(9).decode()]';
  const [hello] = await Promise.all([
    client.run('c.sendall(b"x"); out = first_line(c)'),
    expect(server.run(code)).resolves.toEqual([mesh.pod('client').address4, 'x']),
  ]);
  expect(hello).toBe('hello 1');
  expect(mesh.active('late')).toBe(0);
  await Promise.all([client.run('c.close()'), server.run('s.close(); l.close()')]);
  await mesh.unenroll('late');
});

test.each(['connect', 'sendto'])('TCP fast open by %s, with a cookie from an earlier connection', async (way) => {
  const code = `
def fast():
    s = socket.socket()
    s.settimeout(3)
    if way == "connect":
        s.setsockopt(socket.IPPROTO_TCP, 30, 1)  # TCP_FASTOPEN_CONNECT
        s.connect(("10.96.0.4", 80))
        s.sendall(b"early\\n")
    else:
        s.sendto(b"early\\n", 0x20000000, ("10.96.0.4", 80))  # MSG_FASTOPEN
    said = b""
    while said.count(b"\\n") < 2: said += s.recv(99)
    peer = s.getpeername()[0]
    s.close()
    return [*said.decode().split("\\n")[:2], peer]
open("/proc/sys/net/ipv4/tcp_fastopen", "w").write("1")
out = [fast() for _ in range(3)]`;
  expect(await client.run(code, { way })).toEqual(Array(3).fill(['a 8082', 'a 8082 early', '10.96.0.4']));
  const data = await client.run<string>('out = open("/proc/net/netstat").read()');
  expect(fastOpens(data)).toBeGreaterThan(0);
  await idle();
});

/** TcpExtTCPFastOpenActive: connections of this namespace whose SYN carried data that was taken. */
function fastOpens(netstat: string): number {
  const [names = '', values = ''] = netstat.split('\n').filter((line) => line.startsWith('TcpExt:'));
  return Number(values.split(' ')[names.split(' ').indexOf('TCPFastOpenActive')]);
}

const DISSOLVE = `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def dissolve(s):
    """connect(AF_UNSPEC)"""
    if libc.connect(s.fileno(), (ctypes.c_char * 16)(), 16): raise OSError(ctypes.get_errno(), "connect")
`;

test('a TCP socket that is dissolved and dials elsewhere forgets the service', async () => {
  const code = `${DISSOLVE}
s = socket.socket()
s.settimeout(3)
out = []
for host, port in [(decoy, 80), (b, 8080), ("10.96.0.5", 80)]:
    s.connect((host, port))
    out.append([first_line(s).split()[0], s.getpeername()[0]])
    dissolve(s)
    out.append(failure(s.getpeername))
s.close()`;
  const b = mesh.pod('b').address4;
  const { decoy } = address();
  expect(await client.run(code, { decoy, b })).toEqual([
    ['a', decoy],
    'ENOTCONN',
    ['b', b],
    'ENOTCONN',
    ['b', '10.96.0.5'],
    'ENOTCONN',
  ]);
  await idle();
});

test('a UDP socket that is connected again, or dissolved, forgets the service', async () => {
  const code = `${DISSOLVE}
s = socket.socket(type=socket.SOCK_DGRAM)
s.settimeout(3)
out = []
s.connect((decoy, 80)); s.send(b"1"); out += [s.recv(99).decode(), s.getpeername()[0]]
s.connect((a, 8080)); s.send(b"2"); out += [s.recv(99).decode(), s.getpeername()[0]]
s.connect((decoy, 80)); dissolve(s); out += [failure(s.getpeername)]
out.append(exchange(s, a, 8080, "3"))
out.append(exchange(s, decoy, 80, "4"))`;
  const { address4: a } = mesh.pod('a');
  const { decoy } = address();
  expect(await client.run(code, { decoy, a })).toEqual([
    'a 8080 1',
    decoy,
    'a 8080 2',
    a,
    'ENOTCONN',
    { who: 'a', host: a, port: 8080 },
    { who: 'a', host: decoy, port: 80 },
  ]);
});

test('a socket whose connect failed may try again', async () => {
  const code = `
s = socket.socket()  # blocking: a non-blocking one may not connect again on Linux
out = [failure(lambda: s.connect(("10.96.0.6", 80)))]
s.connect((decoy, 80))
out += [first_line(s), s.getpeername()[0]]
s.close()`;
  const { decoy } = address();
  expect(await client.run(code, { decoy })).toEqual(['ECONNREFUSED', 'a 8080', decoy]);
});
