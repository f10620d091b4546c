// SPDX-License-Identifier: Apache-2.0
// Who is denied is refused at once and nothing of his arrives; whatever way his packets take, and whatever kind of socket listens.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AuthzLab, authz, everyTry, from, openAuthzLab, refused } from '../support/authz-lab.ts';

let lab: AuthzLab;

beforeAll(async () => {
  lab = await openAuthzLab('refused', ['server', 'friend', 'foe']);
  // Listeners and sockets that are older than the enrolment.
  await lab.node.serve('server', 'tcp/8080', 'udp/8080', 'tcp/8081', 'udp/8081', 'mptcp/8082');
  await lab.policies(authz('friends', { app: 'server', rules: [from('friend')] }));
  await lab.enforce('server');
}, 120_000);
afterAll(() => lab?.close());

const hosts = () => ({ host4: lab.address('server'), host6: lab.address('server', 6) });

/** Nothing of what happens meanwhile reaches a socket of the server. */
async function nothingReaches<T>(body: () => Promise<T>): Promise<T> {
  const before = await lab.reached('server');
  const value = await body();
  expect(await lab.reached('server')).toEqual(before);
  return value;
}

/** Runs code in the pod that is denied; nothing of it reaches the server. */
const foe = <T>(code: string, args: Record<string, unknown> = {}) =>
  nothingReaches(() => lab.run<T>('foe', code, { ...hosts(), ...args }));
const friend = <T>(code: string, args: Record<string, unknown> = {}) =>
  lab.run<T>('friend', code, { ...hosts(), ...args });

test('TCP and UDP of both families: who is denied is refused, who is allowed gets through', async () => {
  expect(await nothingReaches(() => lab.tries('foe', 'server'))).toEqual(refused);
  expect(await lab.tries('friend', 'server')).toEqual(everyTry('server'));
});

test('the first packet is answered: a client does not have to try again', async () => {
  const code = `
before = counters()["Tcp.RetransSegs"]
out = [calls(host4, 8080, 50), calls(host6, 8080, 50), counters()["Tcp.RetransSegs"] - before]`;
  expect(await foe(code)).toEqual([{ ECONNREFUSED: 50 }, { ECONNREFUSED: 50 }, 0]);
});

test('a port nobody listens on is refused in the same way, to everyone', async () => {
  expect(await lab.tries('foe', 'server', 9)).toEqual(refused);
  expect(await lab.tries('friend', 'server', 9)).toEqual(refused);
});

test('listeners that were opened after the enrolment, of one family and of both', async () => {
  const open = `
def listen(kind, host, port, only=False):
    s = socket.socket(address(host), kind)
    if ":" in host: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    s.bind((host, port))
    if kind == socket.SOCK_STREAM: s.listen()
    return s
opened = [listen(kind, *how) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM) for how in
          [("0.0.0.0", 7001), ("::", 7002, True), ("::", 7003), (host4, 7004), (host6, 7005)]]`;
  await lab.run('server', open, hosts());
  const code = 'out = [tries(host4, host6, port) for port in range(7001, 7006)]';
  expect(await foe(code)).toEqual(Array(5).fill(refused));
  const connected = 'out = [outcome(lambda: dial(*to).close()) for to in both]';
  const both = [
    ...[7001, 7003, 7004].map((port) => [hosts().host4, port]),
    ...[7002, 7003, 7005].map((port) => [hosts().host6, port]),
  ];
  expect(await friend(connected, { both })).toEqual(Array(6).fill(null));
  await lab.run('server', 'for s in opened: s.close()');
});

test('a socket of both families sees v4-mapped addresses: judged by the IPv4 address', async () => {
  const code = 'out = [outcome(lambda: call("::ffff:" + host4, 8080)), outcome(lambda: tell("::ffff:" + host4, 8080))]';
  expect(await foe(code)).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
  expect(await friend(code)).toEqual(['server', 'server']);
});

test('groups of sockets that share a port', async () => {
  const open = `
def member(kind):
    s = socket.socket(type=kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("0.0.0.0", 7010))
    if kind == socket.SOCK_STREAM: s.listen()
    s.setblocking(False)
    return s
streams = [member(socket.SOCK_STREAM) for _ in range(4)]
datagrams = [member(socket.SOCK_DGRAM) for _ in range(4)]
def taken():
    n = [0, 0]
    for s in streams:
        while outcome(lambda: s.accept()[0].close()) is None: n[0] += 1
    for s in datagrams:
        while outcome(lambda: s.recv(9)) == b"x": n[1] += 1
    return n`;
  await lab.run('server', open);
  const code = `
out = [outcome(lambda: dial(host4, 7010).close()) for _ in range(20)]
for _ in range(20):
    with socket.socket(type=socket.SOCK_DGRAM) as s: s.sendto(b"x", (host4, 7010))`;
  expect(await foe(code)).toEqual(Array(20).fill('ECONNREFUSED'));
  expect(await lab.run('server', 'out = taken()')).toEqual([0, 0]);
  expect(await friend(code)).toEqual(Array(20).fill(null));
  expect(await lab.run('server', 'out = taken()')).toEqual([20, 20]);
  await lab.run('server', 'for s in streams + datagrams: s.close()');
});

describe('MPTCP', () => {
  test.each([
    ['by a client that speaks it', 262],
    ['by one that does not', 0],
  ])('a listener is called %s', async (_what, protocol) => {
    const code = 'out = [outcome(lambda: call(h, 8082, protocol)) for h in (host4, host6)]';
    expect(await foe(code, { protocol })).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
    expect(await friend(code, { protocol })).toEqual(['server', 'server']);
  });

  test('a client that speaks it calls a listener that does not', async () => {
    const code = 'out = outcome(lambda: call(host4, 8080, MPTCP))';
    expect(await foe(code)).toBe('ECONNREFUSED');
    expect(await friend(code)).toBe('server');
  });
});

describe('packets that are not the usual ones', () => {
  test('IPv4 options, few and as many as there is room for', async () => {
    const code = `
def with_options(kind, options):
    s = socket.socket(type=kind)
    s.settimeout(5)
    s.setsockopt(socket.IPPROTO_IP, 4, options)  # IP_OPTIONS
    with s:
        s.connect((host4, 8080))
        if kind == socket.SOCK_DGRAM:
            s.send(b"x")
            return s.recv(99).decode().split()[0]
        return first_line(s).split()[0]
record = b"\\x07\\x27\\x04" + bytes(37)
out = [outcome(lambda: with_options(kind, o)) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
       for o in (b"\\1" * 4, b"\\1" * 40, record)]`;
    expect(await foe(code)).toEqual(Array(6).fill('ECONNREFUSED'));
    expect(await friend(code)).toEqual(Array(6).fill('server'));
  });

  test('IPv6 extension headers', async () => {
    const code = `
def extended(kind, option):
    s = socket.socket(socket.AF_INET6, kind)
    s.settimeout(5)
    s.setsockopt(socket.IPPROTO_IPV6, option, bytes([0, 0, 1, 4, 0, 0, 0, 0]))
    with s:
        s.connect((host6, 8080))
        if kind == socket.SOCK_DGRAM:
            s.send(b"x")
            return s.recv(99).decode().split()[0]
        return first_line(s).split()[0]
out = [outcome(lambda: extended(kind, o)) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
       for o in (socket.IPV6_HOPOPTS, socket.IPV6_DSTOPTS)]`;
    expect(await foe(code)).toEqual(Array(4).fill('ECONNREFUSED'));
    expect(await friend(code)).toEqual(Array(4).fill('server'));
  });

  test('datagrams in fragments', async () => {
    const code = 'out = [outcome(lambda: tell(h, 8080, "x" * 8000)) for h in (host4, host6)]';
    expect(await foe(code)).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
    expect(await friend(code)).toEqual(['server', 'server']);
  });

  test('UDP-Lite, which the kernel asks nobody about', async () => {
    const open = `
lite = [socket.socket(f, socket.SOCK_DGRAM, IPPROTO_UDPLITE) for f in (socket.AF_INET, socket.AF_INET6)]
for s, host in zip(lite, (host4, host6)): s.bind((host, 7015)); s.settimeout(0.2)`;
    await lab.run('server', open, hosts());
    const code = `
for host in (host4, host6):
    with socket.socket(address(host), socket.SOCK_DGRAM, IPPROTO_UDPLITE) as s: s.sendto(b"x", (host, 7015))`;
    await foe(code);
    await friend(code);
    const heard = 'out = [outcome(lambda: s.recv(9).decode()) for s in lite]; [s.close() for s in lite]';
    expect(await lab.run('server', heard)).toEqual(['timeout', 'timeout']);
  });

  test('a first packet with data: TCP fast open with a cookie from when the client was allowed', async () => {
    await lab.run(
      'server',
      `
open("/proc/sys/net/ipv4/tcp_fastopen", "w").write("3")
fast = socket.socket(); fast.bind(("0.0.0.0", 7020)); fast.setsockopt(socket.IPPROTO_TCP, 23, 16); fast.listen()
fast.settimeout(5)`,
    );
    const code = `
def early():
    with socket.socket() as s:  # blocking: else it says EINPROGRESS
        s.sendto(b"early", 0x20000000, (host4, 7020))  # MSG_FASTOPEN
        return "sent"
open("/proc/sys/net/ipv4/tcp_fastopen", "w").write("1")
before = counters()["TcpExt.TCPFastOpenActive"]
out = [outcome(early) for _ in range(2)]
out.append(counters()["TcpExt.TCPFastOpenActive"] - before)`;
    const friends = authz('friends', { app: 'server', rules: [from('friend')] });
    await lab.policies(authz('friends', { app: 'server', rules: [from('friend', 'foe')] }));
    expect((await lab.run<unknown[]>('foe', code, hosts())).slice(0, 2)).toEqual(['sent', 'sent']);
    await lab.run('server', 'for _ in range(2): fast.accept()[0].close()');
    await lab.policies(friends);
    expect(await foe(code)).toEqual(['ECONNREFUSED', 'ECONNREFUSED', 0]);
    // Nothing but those of the friend waits to be accepted.
    await friend(code);
    await lab.run('server', 'for _ in range(2): fast.accept()[0].close()');
    expect(
      await lab.run('server', 'fast.settimeout(0.1); out = outcome(lambda: fast.accept()[0].close()); fast.close()'),
    ).toBe('timeout');
  });

  test('packets to the loopback address that come from outside', async () => {
    const open = `
for where in "all", "eth0": open(f"/proc/sys/net/ipv4/conf/{where}/route_localnet", "w").write("1")
inner = socket.socket(); inner.bind(("127.0.0.1", 7030)); inner.listen(); inner.settimeout(5)
datagram = socket.socket(type=socket.SOCK_DGRAM); datagram.bind(("127.0.0.1", 7030)); datagram.settimeout(0.2)
out = mac_of("eth0")`;
    const mac = await lab.run<string>('server', open);
    const code = `
source = own
send_frame("eth0", mac, 0x0800, packet(source, "127.0.0.1", 6, tcp_segment(source, "127.0.0.1", 7030, 7030, SYN)))
send_frame("eth0", mac, 0x0800, packet(source, "127.0.0.1", 17, udp_segment(source, "127.0.0.1", 7030, 7030, b"x")))`;
    await foe(code, { own: lab.address('foe'), mac });
    // Not even a friend: the address is none of the workload's.
    await nothingReaches(() => friend(code, { own: lab.address('friend'), mac }));
    const taken = 'out = outcome(lambda: datagram.recv(9).decode()); inner.close(); datagram.close()';
    expect(await lab.run('server', taken)).toBe('timeout');
  });
});

test('a port that a connection was closed on a moment ago does not let its client in again', async () => {
  // The side that closes first keeps the pair of ports: the server here.
  await lab.run(
    'server',
    `
waiting = socket.socket(); waiting.bind(("0.0.0.0", 7040)); waiting.listen(); waiting.settimeout(5)
def close_first():
    s = waiting.accept()[0]; s.close()`,
  );
  const code = `
def from_port(port):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.settimeout(5)
    s.bind(("0.0.0.0", port)); s.connect((host4, 7040))
    return s
first = from_port(45000)`;
  const friends = authz('friends', { app: 'server', rules: [from('friend')] });
  await lab.policies(authz('friends', { app: 'server', rules: [from('friend', 'foe')] }));
  await lab.run('foe', code, hosts());
  await lab.run('server', 'close_first()');
  await lab.run('foe', 'first.recv(1); first.close()');
  await lab.policies(friends);
  expect(await foe('out = outcome(lambda: from_port(45000).close())')).toBe('ECONNREFUSED');
  await lab.policies(authz('friends', { app: 'server', rules: [from('friend', 'foe')] }));
  expect(await lab.run('foe', 'out = outcome(lambda: from_port(45000).close())')).toBe(null);
  await lab.run('server', 'close_first(); waiting.close()');
  await lab.policies(friends);
});

test('SYN cookies: judged when the connection is asked for and again when it comes about', async () => {
  await lab.run('server', 'open("/proc/sys/net/ipv4/tcp_syncookies", "w").write("2")');
  expect(await nothingReaches(() => lab.tries('foe', 'server'))).toEqual(refused);
  expect(await lab.tries('friend', 'server')).toEqual(everyTry('server'));
  // One that was allowed to ask, and no more when its answer comes back.
  const friends = authz('friends', { app: 'server', rules: [from('friend')] });
  await lab.policies(authz('friends', { app: 'server', rules: [from('friend', 'foe')] }));
  const args = { ...hosts(), own: lab.address('foe') };
  expect(await lab.run('foe', 'held = Handshake(own, host4, 8080); out = held.answer', args)).toBe('accepted');
  await lab.policies(friends);
  expect(await foe('held.finish(b"late\\n"); out = held.fate(); held.close()')).toBe('reset');
  await lab.run('server', 'open("/proc/sys/net/ipv4/tcp_syncookies", "w").write("1")');
});

test('several addresses of a pod: each is judged, and those that nobody knows of let nobody in', async () => {
  const add = (pod: string, address: string) =>
    lab.run(pod, 'import subprocess; subprocess.check_call(["ip", "addr", "add", what, "dev", "eth0"])', {
      what: `${address}/24`,
    });
  await add('server', '10.0.0.101');
  await add('server', '10.0.0.102');
  const pods = ['server', 'friend', 'foe'].map((name) => {
    const addresses = [lab.address(name), lab.address(name, 6), ...(name === 'server' ? ['10.0.0.101'] : [])];
    return lab.podObject(name, { addresses });
  });
  await lab.put('pods', ...pods);
  // Nor would its neighbours hear of an address that is none of its own.
  const neighbour =
    'import subprocess; subprocess.check_call(["ip", "neigh", "add", "10.0.0.102", "lladdr", mac, "dev", "eth0"])';
  const mac = await lab.run<string>('server', 'out = mac_of("eth0")');
  for (const name of ['friend', 'foe']) await lab.run(name, neighbour, { mac });
  const one = (host: string) => `out = outcome(lambda: call("${host}", 8080, timeout=1))`;
  expect(await foe(one('10.0.0.101'))).toBe('ECONNREFUSED');
  expect(await friend(one('10.0.0.101'))).toBe('server');
  const missed = () => lab.node.held((plane) => plane.reasons().get('authz_pending') ?? 0n);
  const before = missed();
  for (const who of [foe, friend]) expect(await nothingReaches(() => who(one('10.0.0.102')))).toBe('timeout');
  expect(missed()).toBeGreaterThan(before);
});
