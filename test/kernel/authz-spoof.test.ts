// SPDX-License-Identifier: Apache-2.0
// A pod that is enrolled cannot speak as another, whatever it sends; and nothing that it sends changes how it is enrolled.
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AuthzLab, authz, everyTry, from, openAuthzLab, refused } from '../support/authz-lab.ts';

let lab: AuthzLab;
/** What frames are sent to. */
let mac: string;

beforeAll(async () => {
  // "plain" is in no mesh: what comes to it, comes past the host's side of the pod's link.
  lab = await openAuthzLab('spoof', ['evil', 'server', 'friend', 'plain']);
  await lab.node.serve('server', 'tcp/8080', 'udp/8080');
  await lab.node.serve('evil', 'tcp/8080', 'udp/8080');
  await lab.policies(authz('friends', { app: 'server', rules: [from('friend')] }));
  await lab.enforce('server');
  await lab.enforce('evil');
  mac = await lab.run('plain', `${listening}\nout = mac_of("eth0")`, hosts('plain'));
}, 120_000);
afterAll(() => lab?.close());

const hosts = (pod: string) => ({ host4: lab.address(pod), host6: lab.address(pod, 6) });

const listening = `
heard = [socket.socket(address(host), socket.SOCK_DGRAM) for host in (host4, host6)]
for s, host in zip(heard, (host4, host6)):
    s.bind((host, 7000)); s.setblocking(False)
def all_heard():
    said = []
    for s in heard:
        while True:
            try: said.append(s.recv(2048).decode())
            except BlockingIOError: break
    return said`;

/** Sends from the pod, then a word under its own address: once that is there, all before it would be. What "plain" heard. */
async function heard(code: string, args: Record<string, unknown> = {}): Promise<string[]> {
  const own = { own4: lab.address('evil'), own6: lab.address('evil', 6), mac };
  await lab.run('evil', code, {
    ...hosts('plain'),
    friend4: lab.address('friend'),
    friend6: lab.address('friend', 6),
    ...own,
    ...args,
  });
  const end = `
for own, host in (own4, host4), (own6, host6):
    with socket.socket(address(host), socket.SOCK_DGRAM) as s:
        s.bind((own, 0)); s.sendto(b"end", (host, 7000))`;
  await lab.run('evil', end, { ...hosts('plain'), ...own });
  const said: string[] = [];
  await lab.node.until(async () => {
    said.push(...(await lab.run<string[]>('plain', 'out = all_heard()')));
    return said.filter((word) => word === 'end').length === 2;
  });
  return said.filter((word) => word !== 'end');
}

/** A datagram as a whole packet, by the family of its addresses. */
const datagram = `
def datagram(source, to, text):
    return packet(source, to, 17, udp_segment(source, to, 7000, 7000, text.encode()))
def frame(kind, payload): send_frame("eth0", mac, kind, payload)
def tagged(payload, *kinds):
    """Behind VLAN tags of number 0, which receivers take off."""
    inner = 0x86DD if payload[0] >> 4 == 6 else 0x0800
    for kind in reversed(kinds):
        payload = struct.pack("!HH", 0, inner) + payload
        inner = kind
    frame(inner, payload)`;

describe('packets with a source that is not its own', () => {
  test('its own address arrives, also when the packet is made by hand', async () => {
    const code = `${datagram}
send_packet(own4, host4, 17, udp_segment(own4, host4, 7000, 7000, b"raw4"))
send_packet(own6, host6, 17, udp_segment(own6, host6, 7000, 7000, b"raw6"))
frame(0x0800, datagram(own4, host4, "frame4")); frame(0x86DD, datagram(own6, host6, "frame6"))`;
    expect((await heard(code)).sort()).toEqual(['frame4', 'frame6', 'raw4', 'raw6']);
  });

  test('another pod, the node, the receiver, itself by loopback, nobody', async () => {
    const node = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const others = [
      ...[lab.address('friend'), lab.address('friend', 6), lab.address('plain'), lab.address('plain', 6)],
      ...node.map(({ address }) => address).filter((address) => !address.startsWith('fe80')),
      ...['127.0.0.1', '::1', '10.0.0.200', 'fd00::200', '10.96.0.1', '0.0.0.0', '255.255.255.255', '239.1.1.1'],
      ...['::', '::ffff:10.0.0.3', 'ff02::1', '64:ff9b::a00:3', '::10.0.0.3'],
    ].filter((address) => address !== lab.address('evil') && address !== lab.address('evil', 6));
    const code = `${datagram}
for source in others:
    six = ":" in source
    frame(0x86DD if six else 0x0800, datagram(source, host6 if six else host4, source))`;
    const before = lab.node.held((plane) => plane.reasons().get('spoofed') ?? 0n);
    expect(await heard(code, { others })).toEqual([]);
    expect(lab.node.held((plane) => plane.reasons().get('spoofed') ?? 0n) - before).toBe(BigInt(others.length));
  });

  test('behind VLAN tags, IPv4 options, IPv6 extension headers, in fragments', async () => {
    const code = `${datagram}
for whole in datagram(friend4, host4, "tagged4"), datagram(friend6, host6, "tagged6"):
    for kinds in [(0x8100,), (0x88A8,), (0x8100, 0x8100), (0x88A8, 0x8100), (0x8100, 0x8100, 0x8100)]: tagged(whole, *kinds)
def with_options(source, text):
    whole = datagram(source, host4, text)
    head = b"\\x46" + whole[1:2] + struct.pack("!H", len(whole) + 4) + whole[4:10] + b"\\0\\0" + whole[12:20] + b"\\1\\1\\1\\0"
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + whole[20:]
def extended(source, text):
    whole = datagram(source, host6, text)
    return whole[:4] + struct.pack("!H", len(whole) - 32) + b"\\x3c" + whole[7:40] + bytes([17, 0, 1, 4, 0, 0, 0, 0]) + whole[40:]
def fragments(source, text):
    whole = datagram(source, host4, text)
    for offset, more in (0, 0x2000), (1, 0):
        part = whole[20:28] if offset == 0 else whole[28:]
        head = whole[:2] + struct.pack("!HHH", 20 + len(part), 77, more | offset) + whole[8:10] + b"\\0\\0" + whole[12:20]
        frame(0x0800, head[:10] + struct.pack("!H", checksum(head)) + head[12:] + part)
for source4, source6, name in (friend4, friend6, "spoofed"), (own4, own6, "own"):
    frame(0x0800, with_options(source4, name + " options"))
    frame(0x86DD, extended(source6, name + " extended"))
    fragments(source4, name + " fragments")`;
    expect((await heard(code)).sort()).toEqual(['own extended', 'own fragments', 'own options']);
  });

  test('frames that are cut off, and other protocols, do no harm', async () => {
    const code = `${datagram}
whole4, whole6 = datagram(friend4, host4, "cut"), datagram(friend6, host6, "cut")
for length in 0, 1, 12, 19: frame(0x0800, whole4[:length])
for length in 0, 1, 24, 39: frame(0x86DD, whole6[:length])
for length in 0, 8, 27: frame(0x0806, b"\\0\\1\\x08\\0\\6\\4\\0\\1" + bytes(19))
frame(0x0800, whole6); frame(0x86DD, whole4)
for kind in 0x8847, 0x8864, 0x88CC, 0x0004: frame(kind, whole4)`;
    expect(await heard(code)).toEqual([]);
  });

  test("another's address added to the pod", async () => {
    const code = `
import subprocess
for what, length in (friend4, 32), (friend6, 128), ("10.0.0.200", 32):
    subprocess.check_call(["ip", "addr", "add", f"{what}/{length}", "dev", "eth0", *(["nodad"] if ":" in what else [])])
def as_other(source, host, text):
    with socket.socket(address(host), socket.SOCK_DGRAM) as s:
        s.bind((source, 0)); s.sendto(text, (host, 7000))
    with socket.socket(address(host)) as s:
        s.settimeout(0.3); s.bind((source, 0)); s.connect((host, 8080))
out = [outcome(lambda: as_other(friend4, host4, b"4")), outcome(lambda: as_other(friend6, host6, b"6")),
       outcome(lambda: as_other("10.0.0.200", host4, b"?"))]`;
    expect(await heard(code)).toEqual([]);
    const before = await lab.reached('server');
    const args = { ...hosts('server'), friend4: lab.address('friend'), friend6: lab.address('friend', 6) };
    const tried = await lab.run<string[]>('evil', code.replace(/.*subprocess.*\n.*\n.*\n/, ''), args);
    expect(tried.every((outcome) => ['timeout', 'EHOSTUNREACH'].includes(outcome))).toBe(true);
    expect(await lab.reached('server')).toEqual(before);
    const away = `
for what in (friend4, friend6, "10.0.0.200"): subprocess.check_call(["ip", "addr", "del", what, "dev", "eth0"])
# Neighbours that it has asked for in vain, as another, it would not find a while longer.
subprocess.check_call(["ip", "neigh", "flush", "all"])`;
    await lab.run('evil', away, args);
    // And the one whose address it is goes on.
    expect(await lab.tries('friend', 'server')).toEqual(everyTry('server'));
  });
});

describe('who has which address on the link', () => {
  const neighbours = async (): Promise<string> =>
    lab.run('plain', 'import subprocess; out = subprocess.check_output(["ip", "neigh"]).decode()');

  test("claims of another's address reach nobody", async () => {
    const friend = await lab.run<string>('friend', 'out = mac_of("eth0")');
    await lab.run('friend', 'for h in (host4, host6): outcome(lambda: tell(h, 9))', hosts('plain'));
    const code = `
me = mac_of("eth0")
bare = bytes.fromhex(me.replace(":", ""))
def arp(operation, sender, target):
    return struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + bare + binary(sender) + bytes(6) + binary(target)
def icmp6(source, to, body):
    return packet(source, to, 58, summed(source, to, 58, body, 2))
def advert(target, source): return icmp6(source, host6, struct.pack("!BBHI", 136, 0, 0, 0x60000000) + binary(target) + b"\\2\\1" + bare)
def solicit(source): return icmp6(source, host6, bytes([135]) + bytes(7) + binary(host6) + b"\\1\\1" + bare)
def hop255(whole): return whole[:7] + b"\\xff" + whole[8:]
everyone = "ff:ff:ff:ff:ff:ff"
for to in mac, everyone:
    for operation in 1, 2:
        send_frame("eth0", to, 0x0806, arp(operation, friend4, friend4))
        send_frame("eth0", to, 0x0806, arp(operation, friend4, host4))
for source in friend6, own6: send_frame("eth0", mac, 0x86DD, hop255(advert(friend6, source)))
send_frame("eth0", mac, 0x86DD, hop255(solicit(friend6)))
out = me`;
    expect(await heard(code)).toEqual([]);
    const evil = await lab.run<string>('evil', 'out = me');
    const table = (await neighbours()).split('\n');
    for (const address of [lab.address('friend'), lab.address('friend', 6)]) {
      const entry = table.find((line) => line.startsWith(`${address} `)) ?? '';
      expect(entry).toContain(friend);
      expect(entry).not.toContain(evil);
    }
  });

  test('it cannot call itself a router, nor send others elsewhere', async () => {
    const before = await lab.run<Record<string, number>>('plain', 'out = counters()');
    const code = `
def icmp6(source, to, body): return packet(source, to, 58, summed(source, to, 58, body, 2))
def hop255(whole): return whole[:7] + b"\\xff" + whole[8:]
link = "fe80::bad"
advert = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
redirect = bytes([137]) + bytes(7) + binary(own6) + binary(friend6)
for source in link, own6:
    for body in advert, redirect: send_frame("eth0", mac, 0x86DD, hop255(icmp6(source, host6, body)))`;
    expect(await heard(code)).toEqual([]);
    const after = await lab.run<Record<string, number>>('plain', 'out = counters()');
    for (const name of ['Icmp6InRouterAdvertisements', 'Icmp6InRedirects']) expect(after[name]).toBe(before[name]);
  });

  test('what a pod needs goes through: DHCP, detection of duplicates, link-local addresses', async () => {
    const open = `
server = socket.socket(type=socket.SOCK_DGRAM); server.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
server.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"eth0"); server.bind(("", 67)); server.settimeout(5)`;
    await lab.run('plain', open);
    const code = `${datagram}
def udp(source, to, sport, port, text): return packet(source, to, 17, udp_segment(source, to, sport, port, text))
send_frame("eth0", "ff:ff:ff:ff:ff:ff", 0x0800, udp("0.0.0.0", "255.255.255.255", 68, 67, b"discover"))
import subprocess
subprocess.check_call(["ip", "addr", "add", "fe80::e/64", "dev", "eth0"])`;
    await lab.run('evil', code, { mac });
    expect(await lab.run('plain', 'out = server.recv(99).decode(); server.close()')).toBe('discover');
    await lab.run(
      'plain',
      'import subprocess; subprocess.check_call(["ip", "addr", "add", "fe80::f/64", "dev", "eth0", "nodad"])',
    );
    const local = `
def ready(): return "tentative" not in subprocess.check_output(["ip", "-6", "addr", "show", "dev", "eth0"]).decode()
out = ready() and "dadfailed" not in subprocess.check_output(["ip", "-6", "addr"]).decode()`;
    await lab.node.until(() => lab.run<boolean>('evil', local));
    await lab.run(
      'plain',
      'link = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); link.bind(("::", 7001)); link.settimeout(5)',
    );
    await lab.run(
      'evil',
      'with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s: s.sendto(b"link", ("fe80::f%eth0", 7001))',
    );
    expect(await lab.run('plain', 'out = link.recv(9).decode(); link.close()')).toBe('link');
  });

  test('a link-local address is nobody: it opens nothing that is closed', async () => {
    await lab.run(
      'server',
      'import subprocess; subprocess.check_call(["ip", "addr", "add", "fe80::5/64", "dev", "eth0", "nodad"])',
    );
    const code = `
def by_link():
    with socket.socket(socket.AF_INET6) as s:
        s.settimeout(5); s.connect(("fe80::5", 8080, 0, socket.if_nametoindex("eth0")))
out = [outcome(by_link), outcome(lambda: call(host6, 8080))]`;
    await lab.run(
      'evil',
      'import subprocess; subprocess.call(["ip", "addr", "add", "fe80::e/64", "dev", "eth0", "nodad"])',
    );
    expect(await lab.run('evil', code, hosts('server'))).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
  });
});

test("a datagram with the pod's own address as its source, from outside, is not its own", async () => {
  const open = `
for where in "all", "eth0": open(f"/proc/sys/net/ipv4/conf/{where}/accept_local", "w").write("1")
open("/proc/sys/net/ipv4/conf/all/rp_filter", "w").write("0"); open("/proc/sys/net/ipv4/conf/eth0/rp_filter", "w").write("0")
out = mac_of("eth0")`;
  const to = await lab.run<string>('server', open);
  const before = await lab.reached('server');
  // "plain" is not checked, as a sender on another node would not be.
  const code = `${datagram}
frame(0x0800, datagram(host4, host4, "x")); frame(0x86DD, datagram(host6, host6, "x"))`;
  await lab.run('plain', code.replaceAll('7000, 7000', '8080, 8080'), { ...hosts('server'), mac: to });
  // A friend's comes after them.
  expect(await lab.tries('friend', 'server')).toEqual(everyTry('server'));
  const after = await lab.reached('server');
  expect(after.datagrams - before.datagrams).toBe(2);
});

test('a connection of its own, with packets as large as the link takes', async () => {
  await lab.run(
    'plain',
    `
bulk = socket.socket(); bulk.bind(("0.0.0.0", 7002)); bulk.listen(); bulk.settimeout(20)
def take():
    s = bulk.accept()[0]; n = 0
    while part := s.recv(1 << 20): n += len(part)
    return n
got = []
taker = threading.Thread(target=lambda: got.append(take())); taker.start()`,
  );
  await lab.run('evil', 'with dial(host4, 7002, timeout=20) as s: s.sendall(bytes(20_000_000))', hosts('plain'));
  expect(await lab.run('plain', 'taker.join(); bulk.close(); out = got')).toEqual([20_000_000]);
});

describe('how it is enrolled', () => {
  test('nothing that a pod dials or sends changes it', async () => {
    const state = () =>
      lab.node.held((plane) => ({
        enrolment: [...plane.map('enrolment').entries()],
        enrolled: [...plane.map('enrolled').entries()],
        pods: [...plane.map('pod_address').entries()],
      }));
    const before = state();
    const code = `
targets = [("0.0.0.1", 929), ("0.0.0.1", 930), ("0.0.0.2", 929), ("0.0.0.2", 930), ("0.0.0.2", 931), ("127.0.0.1", 929),
           ("::1", 929), ("::2", 930), (host4, 15008), ("0.0.0.0", 929)]
for target in targets:
    for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
        with socket.socket(address(target[0]), kind) as s:
            s.settimeout(0.05)
            outcome(lambda: s.connect(target)); outcome(lambda: s.send(b"enroll"))`;
    await lab.run('evil', code, hosts('plain'));
    expect(state()).toEqual(before);
  });

  test('taking the link down, another name, another MAC: it is judged and checked as before', async () => {
    const code = `
import subprocess
def ip(*words): subprocess.check_call(["ip", *words])
ip("link", "set", "eth0", "down"); ip("link", "set", "eth0", "name", "lan", "address", "02:00:00:00:00:77"); ip("link", "set", "lan", "up")
ip("addr", "replace", f"{own6}/64", "dev", "lan", "nodad"); ip("route", "replace", "default", "dev", "lan"); ip("-6", "route", "replace", "::/0", "dev", "lan")`;
    await lab.run('evil', code, { own6: lab.address('evil', 6) });
    const flush = 'import subprocess; subprocess.check_call(["ip", "neigh", "flush", "all"])';
    await lab.run('plain', flush);
    await lab.policies(authz('friends', { app: 'server', rules: [from('friend')] }), authz('closed', { app: 'evil' }));
    expect(await lab.tries('plain', 'evil')).toEqual(refused);
    const spoof = `${datagram}
send_frame("lan", mac, 0x0800, datagram(friend4, host4, "friend")); send_frame("lan", mac, 0x0800, datagram(own4, host4, "own"))`;
    expect(await heard(spoof)).toEqual(['own']);
  });
});
