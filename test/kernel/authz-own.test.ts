// SPDX-License-Identifier: Apache-2.0
// What a pod asked for itself is never judged, however closed it is: answers, replies, its own loopback. What nobody asked for is.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AuthzLab, allowNothing, everyTry, openAuthzLab, refused } from '../support/authz-lab.ts';
import { service } from '../support/kube.ts';
import type { Python } from '../support/python.ts';

let lab: AuthzLab;
/** Sockets of it are older than the enrolment. */
let early: Python;

beforeAll(async () => {
  lab = await openAuthzLab('own', ['closed', 'other', 'peer', 'third']);
  for (const name of ['closed', 'peer', 'third']) await lab.node.serve(name, 'tcp/8080', 'udp/8080', 'mptcp/8082');
  early = await lab.python('closed');
  await early.run('old = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]; old[1].bind(("0.0.0.0", 0))');
  await lab.policies(
    allowNothing,
    service('names', { app: 'peer', addresses: ['10.96.0.1'], more: { ports: [udp] } }),
    service('self', { app: 'closed', addresses: ['10.96.0.2'], ports: { 80: 8080 } }),
  );
  await lab.enforce('closed');
  await lab.enforce('other');
}, 120_000);
afterAll(() => lab?.close());

const udp = { name: 'dns', port: 53, targetPort: 8080, protocol: 'UDP' };
const hosts = (pod: string) => ({ host4: lab.address(pod), host6: lab.address(pod, 6) });
const closed = <T>(code: string, args: Record<string, unknown> = {}) =>
  lab.run<T>('closed', code, { ...hosts('peer'), ...args });

test('it is closed to others', async () => {
  expect(await lab.tries('peer', 'closed')).toEqual(refused);
});

test('connections that it makes, and datagrams of connected sockets', async () => {
  expect(await lab.tries('closed', 'peer')).toEqual(everyTry('peer'));
  expect(await closed('out = [call(h, 8082, MPTCP) for h in (host4, host6)]')).toEqual(['peer', 'peer']);
  expect(await closed('out = [outcome(lambda: call(h, 9)) for h in (host4, host6)]')).toEqual([
    'ECONNREFUSED',
    'ECONNREFUSED',
  ]);
});

describe('unconnected sockets', () => {
  test('replies to their datagrams: both families, v4-mapped, bound, older than the enrolment, by a service', async () => {
    const code = `
def bound(host):
    with socket.socket(address(host), socket.SOCK_DGRAM) as s:
        s.settimeout(5); s.bind((own[address(host) == socket.AF_INET6], 0))
        return exchange(s, host, 8080)
own = [own4, own6]
for s in old: s.settimeout(5)
out = [ask(host4, 8080), ask(host6, 8080), ask("::ffff:" + host4, 8080), bound(host4), bound(host6),
       *(exchange(s, host4, 8080) for s in old), ask("10.96.0.1", 53)]
out = [answer["who"] for answer in out]`;
    const own = { own4: lab.address('closed'), own6: lab.address('closed', 6) };
    expect(await closed(code, own)).toEqual(Array(8).fill('peer'));
  });

  test('several questions at once, each answered', async () => {
    const code = `
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.settimeout(5)
    for host in (host4, third):
        for _ in range(2): s.sendto(b"x", (host, 8080))
    out = sorted(s.recv(99).decode().split()[0] for _ in range(4))`;
    expect(await closed(code, { third: lab.address('third') })).toEqual(['peer', 'peer', 'third', 'third']);
  });

  test('a service of large datagrams answers in fragments', async () => {
    const code = `
def large(host):
    with socket.socket(address(host), socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.sendto(b"x" * 8000, (host, 8080))
        return len(s.recv(65536)) > 8000
out = [large(host4), large(host6)]`;
    expect(await closed(code)).toEqual([true, true]);
  });
});

describe('datagrams that nobody asked for', () => {
  /** A socket of the closed pod has said something to one port of a peer; others send to it then. Who of them was heard. */
  const heard = async (family: 4 | 6, talk: () => Promise<unknown>): Promise<string[]> => {
    const open = `
asking = socket.socket(address(to), socket.SOCK_DGRAM); asking.bind((own, 7100)); asking.sendto(b"x", (to, 7200))`;
    await lab.run('peer', answering, { host: lab.address('peer', family) });
    await closed(open, { to: lab.address('peer', family), own: lab.address('closed', family) });
    await talk();
    // One that is let through comes after all that were sent before it.
    await lab.run('peer', 'answer.sendto(b"end", (to, 7100)); answer.close()', { to: lab.address('closed', family) });
    const code = `
asking.settimeout(5)
out = []
while (said := asking.recv(99).decode()) != "end": out.append(said)
asking.close()`;
    return closed<string[]>(code);
  };
  const answering = 'answer = socket.socket(address(host), socket.SOCK_DGRAM); answer.bind((host, 7200))';
  const send = `
def send_from(host, sport, to, port, text):
    with socket.socket(address(host), socket.SOCK_DGRAM) as s:
        s.bind((host, sport)); s.sendto(text.encode(), (to, port))`;

  test.each([4, 6] as const)(
    'IPv%i: another port of the peer, another peer, another port of the pod',
    async (family) => {
      const to = lab.address('closed', family);
      await early.run('beside = socket.socket(address(to), socket.SOCK_DGRAM); beside.bind((to, 7101))', { to });
      const got = await heard(family, async () => {
        const host = lab.address('peer', family);
        await lab.run('peer', `${send}\nsend_from(host, 7201, to, 7100, "port")`, { host, to });
        await lab.run('peer', 'answer.sendto(b"other port", (to, 7101))', { to });
        const third = lab.address('third', family);
        await lab.run('third', `${send}\nsend_from(third, 7200, to, 7100, "third")`, { third, to });
        await lab.run('peer', 'answer.sendto(b"reply", (to, 7100))', { to });
      });
      expect(got).toEqual(['reply']);
      expect(
        await early.run('beside.settimeout(0.1); out = outcome(lambda: beside.recv(99).decode()); beside.close()'),
      ).toBe('timeout');
    },
  );

  test('what one pod asked for is no leave to talk to another', async () => {
    const other = { own: lab.address('other'), to: lab.address('peer') };
    await lab.run('peer', answering, { host: lab.address('peer') });
    await lab.run(
      'other',
      'quiet = socket.socket(type=socket.SOCK_DGRAM); quiet.bind((own, 7100)); quiet.settimeout(0.1)',
      other,
    );
    await closed('s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("0.0.0.0", 7100)); s.sendto(b"x", (host4, 7200))');
    const before = await lab.reached('other');
    await lab.run('peer', 'for to in tos: answer.sendto(b"reply", (to, 7100))', {
      tos: [lab.address('other'), lab.address('closed')],
    });
    expect(await closed('s.settimeout(5); out = s.recv(99).decode(); s.close()')).toBe('reply');
    expect(await lab.run('other', 'out = outcome(lambda: quiet.recv(9).decode()); quiet.close()')).toBe('timeout');
    expect(await lab.reached('other')).toEqual(before);
    await lab.run('peer', 'answer.close()');
  });

  test('a reply that comes more than two minutes later', async () => {
    await lab.run('peer', answering, { host: lab.address('peer') });
    await closed('s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("0.0.0.0", 7100)); s.sendto(b"x", (host4, 7200))');
    await lab.node.holding(async (plane) => {
      const sent = plane.map('sent');
      const aged = [...sent.entries()].map(([key, ns]) => [key, ns - 121_000_000_000n] as const);
      expect(aged.length).toBeGreaterThan(0);
      sent.put(aged);
    });
    const before = await lab.reached('closed');
    await lab.run('peer', 'answer.sendto(b"late", (to, 7100))', { to: lab.address('closed') });
    expect(await closed('s.settimeout(0.2); out = outcome(lambda: s.recv(9).decode())')).toBe('timeout');
    expect(await lab.reached('closed')).toEqual(before);
    // Asked again, it is a reply again.
    await closed('s.sendto(b"x", (host4, 7200))');
    await lab.run('peer', 'answer.sendto(b"again", (to, 7100)); answer.close()', { to: lab.address('closed') });
    expect(await closed('s.settimeout(5); out = s.recv(9).decode(); s.close()')).toBe('again');
  });

  test.each([
    ['the subnet broadcast', '10.0.0.255', '0.0.0.0'],
    ['every host', '255.255.255.255', '0.0.0.0'],
    ['a group', '239.1.2.3', '0.0.0.0'],
    ['an IPv6 group', 'ff05::123', '::'],
    ['all nodes', 'ff02::1', '::'],
  ])('to %s', async (_what, group, any) => {
    const join = `
group = socket.socket(address(to), socket.SOCK_DGRAM); group.bind((any, 7110)); group.settimeout(0.2)
device = socket.if_nametoindex("eth0")
if to.startswith("239"): group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(to) + socket.inet_aton(own))
if ":" in to: group.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, to) + struct.pack("I", device))`;
    const open = (pod: string) => lab.run(pod, join, { to: group, any, own: lab.address(pod) });
    await open('closed');
    await open('third');
    const code = `
with socket.socket(address(to), socket.SOCK_DGRAM) as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"eth0")
    s.sendto(b"x", (to, 7110))`;
    await lab.run('peer', code, { to: group });
    // It was sent: one that is not closed hears it.
    expect(await lab.run('third', 'group.settimeout(5); out = group.recv(9).decode(); group.close()')).toBe('x');
    expect(await closed('out = outcome(lambda: group.recv(9).decode()); group.close()')).toBe('timeout');
  });
});

test('its own loopback, by every address that it has', async () => {
  const code = `
def everything(host):
    return [outcome(lambda: call(host, 8080)), outcome(lambda: tell(host, 8080)), outcome(lambda: ask(host, 8080, timeout=2)["who"])]
out = [everything(h) for h in ("127.0.0.1", "::1", "::ffff:127.0.0.1", own4, own6)]
out += [outcome(lambda: call("127.9.9.9", 8080)), outcome(lambda: call("10.96.0.2", 80))]`;
  const own = { own4: lab.address('closed'), own6: lab.address('closed', 6) };
  expect(await closed(code, own)).toEqual([...Array(5).fill(['closed', 'closed', 'closed']), 'closed', 'closed']);
});

test('it is found by its neighbours, and finds them', async () => {
  const flush = `
import subprocess
for family in "-4", "-6": subprocess.check_call(["ip", family, "neigh", "flush", "dev", "eth0"])`;
  await lab.run('peer', flush);
  await closed(flush);
  expect(await lab.tries('peer', 'closed')).toEqual(refused);
  await lab.run('peer', flush);
  await closed(flush);
  expect(await lab.tries('closed', 'peer')).toEqual(everyTry('peer'));
});
