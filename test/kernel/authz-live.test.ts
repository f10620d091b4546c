// SPDX-License-Identifier: Apache-2.0
// Policies and identities change while connections are open, or are just coming about: those no longer allowed end, and no others.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type AuthzLab, authz, from, openAuthzLab } from '../support/authz-lab.ts';
import { pod } from '../support/kube.ts';
import type { Python } from '../support/python.ts';

let lab: AuthzLab;
/** Speaks for the server's own connections. */
let server: Python;

const both = authz('friends', { app: 'server', rules: [from('friend', 'foe')] });
const friendOnly = authz('friends', { app: 'server', rules: [from('friend')] });
const hosts = () => ({ host4: lab.address('server'), host6: lab.address('server', 6) });

beforeAll(async () => {
  lab = await openAuthzLab('live', ['server', 'friend', 'foe', 'open']);
  await lab.node.serve('server', 'tcp/8080', 'tcp/8081', 'udp/8080', 'mptcp/8082');
  await lab.node.serve('open', 'tcp/8080');
  await lab.node.serve('foe', 'tcp/8080');
  server = await lab.python('server');
  for (const name of ['friend', 'foe']) await lab.run(name, connections, hosts());
  // One that is older than the enrolment.
  for (const name of ['friend', 'foe']) await lab.run(name, 'old = opened(host4, 8080)');
  await lab.policies(both);
  await lab.enforce('server');
  await lab.enforce('open');
}, 120_000);
afterAll(() => lab?.close());
beforeEach(() => lab.policies(both));

const connections = `
def opened(host, port, protocol=0):
    s = dial(host, port, protocol, timeout=20)
    first_line(s)
    return s
def all_kinds():
    return {
        "tcp4": opened(host4, 8080), "tcp6": opened(host6, 8080), "mapped": opened("::ffff:" + host4, 8080),
        "port": opened(host4, 8081), "mptcp": opened(host4, 8082, MPTCP), "mptcp plain": opened(host6, 8082),
    }
def fate(s):
    """"ended" by a reset, or "open": it still answers."""
    try:
        echo(s, "x")
        return "open"
    except (ConnectionError, BrokenPipeError):
        return "ended"
def fates(kinds):
    return {name: fate(s) for name, s in kinds.items()}
def end(s):
    """Waits until the other side has ended it: "reset", or what else came."""
    try: return s.recv(99).decode() or "closed"
    except ConnectionResetError: return "reset"
def silent(s):
    """Waits until nothing comes back any more."""
    s.settimeout(1)
    while (said := outcome(lambda: echo(s, "x"))).startswith("server"): time.sleep(0.05)
    return "silent" if said == "timeout" else said
def ends(kinds):
    """Waits for each. A socket of MPTCP is not told: it waits a minute for another path."""
    return {name: silent(s) if name == "mptcp" else end(s) for name, s in kinds.items()}
def close(kinds):
    for s in kinds.values(): s.close()`;

const kinds = ['tcp4', 'tcp6', 'mapped', 'port', 'mptcp', 'mptcp plain'];
const every = (what: string, of = kinds) => Object.fromEntries(of.map((kind) => [kind, what]));

test('a policy that no longer allows a client ends its connections and leaves all others', async () => {
  for (const name of ['friend', 'foe']) await lab.run(name, 'held = all_kinds()');
  const beside = { to: lab.address('open'), foe: lab.address('foe') };
  await lab.run('foe', 'beside = opened(to, 8080)', beside);
  await server.run(`${connections}\nmine = opened(foe, 8080)`, { ...hosts(), ...beside });
  await lab.policies(friendOnly);
  // Waits for it: each of them is ended from the other side.
  expect(await lab.run('foe', 'out = ends(held)')).toEqual({ ...every('reset'), mptcp: 'silent' });
  expect(await lab.run('foe', 'out = [end(old), fate(beside)]')).toEqual(['reset', 'open']);
  expect(await lab.run('friend', 'out = [fates(held), fate(old)]')).toEqual([every('open'), 'open']);
  // What the server itself has asked for is not judged, whoever is at the other end.
  expect(await server.run('out = fate(mine); mine.close()')).toBe('open');
  for (const name of ['friend', 'foe']) await lab.run(name, 'close(held)');
});

test('a DENY for one port ends the connections to it only', async () => {
  await lab.run('foe', 'held = all_kinds()');
  const rules = [{ ...from('foe'), to: [{ operation: { ports: ['8081'] } }] }];
  await lab.policies(both, authz('no-admin', { action: 'DENY', rules }));
  expect(await lab.run('foe', 'out = end(held["port"])')).toBe('reset');
  expect(await lab.run('foe', 'out = fates(held); close(held)')).toEqual({ ...every('open'), port: 'ended' });
});

test('a change that allows as much or more ends nothing, nor does a dry run', async () => {
  const names = ['friend', 'foe'];
  for (const name of names) await lab.run(name, 'held = all_kinds()');
  await lab.policies();
  await lab.policies(both, authz('wide', { rules: [{}] }));
  const dry = authz('dry', { action: 'DENY', rules: [{}] });
  const annotations = { 'istio.io/dry-run': 'true' };
  await lab.policies(both, { ...dry, metadata: { ...dry.metadata, annotations } });
  for (const name of names) expect(await lab.run(name, 'out = fates(held); close(held)')).toEqual(every('open'));
});

test('connections that nobody has accepted yet, and those that are closed on one side', async () => {
  await server.run('l = socket.socket(); l.bind(("0.0.0.0", 7050)); l.listen(); l.settimeout(5)');
  await lab.run(
    'foe',
    `
half = dial(host4, 7050, timeout=20); half.shutdown(socket.SHUT_WR)
waiting = dial(host4, 7050, timeout=20); waiting.sendall(b"unread")`,
  );
  await server.run('other_half = l.accept()[0]');
  await lab.policies(friendOnly);
  expect(await lab.run('foe', 'out = [end(half), end(waiting)]; half.close(); waiting.close()')).toEqual([
    'reset',
    'reset',
  ]);
  // Whoever accepts it now finds it dead.
  const code = `
def dead(s):
    return outcome(lambda: s.sendall(b"x")) in ("EPIPE", "ECONNRESET", "ECONNABORTED")
out = [dead(other_half), dead(l.accept()[0])]
other_half.close(); l.close()`;
  expect(await server.run(code)).toEqual([true, true]);
});

describe('a handshake that is under way when the policy changes', () => {
  test('the last packet comes later: nothing comes of it', async () => {
    await server.run('l = socket.socket(); l.bind(("0.0.0.0", 7060)); l.listen(); l.settimeout(5)');
    const args = { ...hosts(), own: lab.address('foe') };
    expect(await lab.run('foe', 'held = Handshake(own, host4, 7060); out = held.answer', args)).toBe('accepted');
    await lab.policies(friendOnly);
    await lab.run('foe', 'held.finish()');
    expect(await lab.run('foe', 'held.send(ACK, b"late"); out = held.fate(); held.close()')).toBe('reset');
    const code = `
def accepted():
    try: s = l.accept()[0]
    except OSError as e: return name_of(e)
    return outcome(lambda: s.recv(99).decode())
out = accepted(); l.close()`;
    expect(await server.run(code)).not.toBe('late');
  });

  /** The re-check has been: of all handshakes with these ports none is left but so many. */
  const left = (count: number, ...ports: readonly number[]) =>
    lab.node.until(async () => (await server.run('out = sum(map(under_way, ports))', { ports })) === count);
  const knowing = () =>
    server.run(`
def under_way(port):
    """Handshakes with a port of this namespace."""
    found = 0
    for name in "tcp", "tcp6":
        with open(f"/proc/net/{name}") as f:
            for line in f.readlines()[1:]:
                fields = line.split()
                found += fields[3] == "03" and int(fields[1].split(":")[1], 16) == port
    return found
def nobody(l):
    """EAGAIN: there is nobody to accept."""
    l.setblocking(False)
    return outcome(lambda: l.accept()[0].recv(99).decode())`);

  test('the last packet brings data along: once it was judged again not a byte arrives', async () => {
    await knowing();
    await server.run('l = socket.socket(); l.bind(("0.0.0.0", 7062)); l.listen()');
    const args = { ...hosts(), own: lab.address('foe') };
    expect(await lab.run('foe', 'held = Handshake(own, host4, 7062); out = held.answer', args)).toBe('accepted');
    await left(1, 7062);
    await lab.policies(friendOnly);
    await left(0, 7062);
    expect(await lab.run('foe', 'held.finish(b"late"); out = held.fate(); held.close()')).toBe('reset');
    expect(await server.run('out = nobody(l); l.close()')).toBe('EAGAIN');
  });

  test('the server waits for data before it accepts: only that of whom is allowed comes', async () => {
    await knowing();
    await server.run(`
def deferring(family, host, port):
    l = socket.socket(family); l.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 3000)
    l.bind((host, port)); l.listen(); l.settimeout(20)
    return l
l4 = deferring(socket.AF_INET, "0.0.0.0", 7061); l6 = deferring(socket.AF_INET6, "::", 7063)`);
    const dials = 'under = [dial(*to, timeout=20) for to in ((host4, 7061), (host4, 7063), (host6, 7063))]';
    for (const name of ['friend', 'foe']) await lab.run(name, dials);
    await left(6, 7061, 7063);
    await lab.policies(friendOnly);
    await left(3, 7061, 7063);
    const late = `
for s in under: s.sendall(b"late")
out = list(map(end, under))
for s in under: s.close()`;
    expect(await lab.run('foe', late)).toEqual(['reset', 'reset', 'reset']);
    expect(await server.run('out = [nobody(l4), nobody(l6)]; l4.settimeout(20); l6.settimeout(20)')).toEqual([
      'EAGAIN',
      'EAGAIN',
    ]);
    await lab.run('friend', 'for s in under: s.sendall(b"friend")');
    const read = `
accepted = [l.accept()[0] for l in (l4, l6, l6)]
out = [s.recv(99).decode() for s in accepted]
for s in [*accepted, l4, l6]: s.close()`;
    expect(await server.run(read)).toEqual(['friend', 'friend', 'friend']);
    await lab.run('friend', 'for s in under: s.close()');
  });
});

describe('the source becomes somebody else', () => {
  /** The pods, with "foe" as another one. */
  const put = (foe: Parameters<typeof pod>[1] | undefined) =>
    lab.put(
      'pods',
      ...['server', 'friend', 'open'].map((name) => lab.podObject(name)),
      ...(foe ? [pod('newcomer', { ...foe, node: 'n1' })] : []),
    );
  const addresses = () => [lab.address('foe'), lab.address('foe', 6)];

  test.each([
    ['a pod of another account', () => put({ addresses: addresses(), app: 'stranger' })],
    ['nobody', () => put(undefined)],
  ])('%s has the address now', async (_what, change) => {
    await lab.put('pods', ...['server', 'friend', 'foe', 'open'].map((name) => lab.podObject(name)));
    for (const name of ['friend', 'foe']) await lab.run(name, 'held = all_kinds()');
    await change();
    expect(await lab.run('foe', 'out = ends(held)')).toEqual({ ...every('reset'), mptcp: 'silent' });
    expect(await lab.run('foe', 'out = outcome(lambda: call(host4, 8080))')).toBe('ECONNREFUSED');
    expect(await lab.run('friend', 'out = fates(held)')).toEqual(every('open'));
    for (const name of ['friend', 'foe']) await lab.run(name, 'close(held)');
  });

  test('another pod of the same account has it now: nothing ends', async () => {
    await lab.put('pods', ...['server', 'friend', 'foe', 'open'].map((name) => lab.podObject(name)));
    await lab.run('foe', 'held = all_kinds()');
    await put({ addresses: addresses(), app: 'foe' });
    expect(await lab.run('foe', 'out = fates(held); close(held)')).toEqual(every('open'));
  });
});

test('a socket of MPTCP: a path from an address that is denied comes about no more than a connection from it', async () => {
  // A second address of the client, known as a workload of its own.
  const second = '10.0.0.103';
  await lab.run(
    'foe',
    `
import subprocess
subprocess.check_call(["ip", "addr", "add", "${second}/24", "dev", "eth0"])
subprocess.check_call(["ip", "mptcp", "limits", "set", "subflows", "4"])
subprocess.check_call(["ip", "mptcp", "endpoint", "add", "${second}", "dev", "eth0", "subflow"])`,
  );
  await server.run(
    'import subprocess; subprocess.check_call(["ip", "mptcp", "limits", "set", "subflows", "4", "add_addr_accepted", "4"])',
  );
  const pods = ['server', 'friend', 'foe', 'open'].map((name) => lab.podObject(name));
  await lab.put('pods', ...pods, pod('stranger', { addresses: [second], node: 'n1' }));
  const joins = 'out = counters()["MPTcpExt.MPJoinSynRx"], counters()["MPTcpExt.MPJoinAckRx"]';
  const before = await server.run<number[]>(joins);
  const code = `
held = opened(host4, 8082, MPTCP)
for _ in range(20):
    echo(held, "x"); time.sleep(0.01)
out = fate(held)`;
  expect(await lab.run('foe', code)).toBe('open');
  // Not even the first packet of it got to MPTCP.
  expect(await server.run(joins)).toEqual(before);
  // The same account at that address: the path comes about.
  await lab.put('pods', ...pods, pod('foe-2', { addresses: [second], node: 'n1' }));
  await lab.run('foe', 'other = opened(host4, 8082, MPTCP)');
  await lab.node.until(async () => {
    await lab.run('foe', 'echo(other, "x")');
    return ((await server.run<number[]>(joins))[1] ?? 0) > (before[1] ?? 0);
  });
  await lab.run('foe', 'held.close(); other.close()');
});

test('datagrams of a flow that was allowed: its answers let nobody go on with it', async () => {
  const code = `
import socket
def flow(host):
    s = socket.socket(address(host), socket.SOCK_DGRAM); s.settimeout(5); s.connect((host, 8080))
    return s
def told(s):
    s.send(b"x")
    return s.recv(4096) != b""
flows = [flow(host4), flow(host6)]
out = [told(s) for s in flows for _ in range(3)]`;
  const hold = (name: string) => lab.run(name, code, hosts());
  const again = (name: string) =>
    lab.run<(string | boolean)[]>(name, 'out = [outcome(lambda s=s: told(s)) for s in flows]');
  expect(await hold('friend')).toEqual(Array(6).fill(true));
  expect(await hold('foe')).toEqual(Array(6).fill(true));
  await lab.policies(friendOnly);
  expect(await again('foe')).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
  expect(await again('friend')).toEqual([true, true]);
  await lab.policies(both);
  expect(await again('foe')).toEqual([true, true]);
});
