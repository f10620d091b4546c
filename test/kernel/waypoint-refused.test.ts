// SPDX-License-Identifier: Apache-2.0
// Connections that cannot carry a header: refused or ended, and nothing of them reaches the waypoint bare.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { libbpf } from '../../src/kernel/libbpf.ts';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { through } from '../support/via.ts';
import { endpoint } from '../support/wanted.ts';

/** Connections that may wait for their first byte at once. */
const room = 8;

let mesh: Mesh;
let client: Python;
let way: Python;

beforeAll(async () => {
  mesh = await openMesh(['client', 'way', 'a'], { sizes: { waypoint_sock: room } });
  await mesh.serve('a', 'tcp/8080');
  await mesh.enroll('client');
  client = await mesh.python('client');
  way = await mesh.python('way');
  await way.run('from waypoint_server import Waypoint; proxy = Waypoint(15088); bare = Waypoint(9000, bare=True)');
  await client.run('from waypoint_client import *; import threading');
  const a = [endpoint(mesh.pod('a'), 8080)];
  await mesh.want(
    ...through(
      [
        { name: 's', at: ['10.96.0.1:80'], endpoints: a },
        { name: 's6', at: ['[fd96::1]:80'], endpoints: a },
        { name: 'n', at: ['10.96.0.2:80'], endpoints: a },
        { name: 'proxy4', at: [], endpoints: [endpoint(mesh.pod('way'), 15088)] },
        { name: 'proxy6', at: [], endpoints: [endpoint(mesh.pod('way'), 15088, 1, 6)] },
        { name: 'bare', at: [], endpoints: [endpoint(mesh.pod('way'), 9000)] },
      ],
      { service: 's', waypoint: 'proxy4' },
      { service: 's6', waypoint: 'proxy6' },
      { service: 'n', waypoint: 'bare', header: 'none' },
    ),
  );
});
afterAll(() => mesh?.close());

/** Whatever else came of it, no byte without a header came. */
afterEach(async () => {
  const headers = await way.run<unknown[]>('out = [r["header"] for r in proxy.log]; proxy.log.clear()');
  for (const header of headers) if (header !== 'closed') expect(header).toMatchObject({ kind: 'proxy' });
});

const works = 'short(connect("10.96.0.1", 80))["header"]["kind"]';

/** What the application is told. */
const ends = ['EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'];

/** Waits, in Python, until the kernel gave up on a socket `s`: the errno's name. */
const END = `
def end_of(s, seconds=20):
    s.setblocking(True)
    s.settimeout(seconds)
    try: return repr(s.recv(10))
    except OSError as e: return errno.errorcode[e.errno] if e.errno else "nothing happens"
`;

test.each(['10.96.0.1', 'fd96::1'])('TCP fast open, by sendto or by option: refused by name; %s', async (host) => {
  const code = `
open("/proc/sys/net/ipv4/tcp_fastopen", "w").write("1")
family = socket.AF_INET6 if ":" in host else socket.AF_INET
def by_sendto():
    with socket.socket(family) as s: s.sendto(b"early", 0x20000000, (host, 80))
def by_option():
    with socket.socket(family) as s:
        s.setsockopt(socket.IPPROTO_TCP, 30, 1)
        s.connect((host, 80))
        s.sendall(b"early")
out = [failure(by_sendto), failure(by_option)]`;
  const { value, reasons } = await mesh.counting(() => client.run(code, { host }));
  expect(value).toEqual(['ENOTSUP', 'ENOTSUP']);
  expect(reasons).toEqual({ waypoint_fast_open: 2 });
});

test.each(['10.96.0.1', 'fd96::1'])('MPTCP: refused by name; %s', async (host) => {
  const { value, reasons } = await mesh.counting(() =>
    client.run('out = failure(lambda: dial(host, 80, MPTCP))', { host }),
  );
  expect(value).toBe('ENOTSUP');
  expect(reasons.waypoint_mptcp).toBe(1);
});

test('both are fine where no header is wanted', async () => {
  const code = `
def fast():
    s = socket.socket()
    s.sendto(b"early", 0x20000000, ("10.96.0.2", 80))
    return finish(s)["bytes"]
def multi():
    s = dial("10.96.0.2", 80, MPTCP)
    s.sendall(b"x")
    return finish(s)["bytes"]
out = [fast(), multi()]`;
  expect(await client.run(code)).toEqual([5, 1]);
});

test('a thread that waits in send() since before the handshake: ended', async () => {
  await way.run('proxy.deaf(True)');
  const code = `${END}
s = socket.socket()
s.setblocking(False)
s.connect_ex(("10.96.0.1", 80))
s.setblocking(True)
faults = []
def run():
    try: s.sendall(b"bare bytes")
    except OSError as e: faults.append(name_of(e))
t = threading.Thread(target=run)
t.start()
def waits():
    where = open(f"/proc/self/task/{t.native_id}/wchan").read()
    return where not in ("0", "") and "futex" not in where
# Not every kernel tells where a thread waits.
for _ in range(300):
    if waits(): break
    time.sleep(0.01)
out = True`;
  await client.run(code);
  const { value, reasons } = await mesh.counting(async () => {
    await way.run('proxy.deaf(False)');
    return client.run<string>('t.join(); out = end_of(s); s.close()');
  });
  expect(ends).toContain(value);
  expect(reasons.waypoint_ended).toBe(1);
  expect(reasons.waypoint_header).toBeUndefined();
});

test.each(['10.96.0.1', 'fd96::1'])(
  'a send() that passes the program all the same: no byte leaves; %s',
  async (host) => {
    const cookie = await client.run<string>(
      's = connect(host, 80); out = str(struct.unpack("Q", s.getsockopt(socket.SOL_SOCKET, 57, 8))[0])',
      { host },
    );
    // As if the handshake had ended between two instructions of send().
    const key = new Uint8Array(new BigUint64Array([BigInt(cookie)]).buffer);
    expect(libbpf().bpf_map_delete_elem(mesh.plane.fd('waypoint_sock'), key)).toBe(0);
    const { value, reasons } = await mesh.counting(() =>
      client.run<string>(`${END}\ns.sendall(b"bare bytes"); out = end_of(s)`),
    );
    expect(ends).toContain(value);
    expect(reasons).toMatchObject({ waypoint_ended: 1 });
    expect(reasons.waypoint_header).toBeUndefined();
  },
);

test('ended, and bound elsewhere by the application: no byte leaves all the same', async () => {
  const code = `${END}
loose = True
def unbind(s):
    while loose:
        try:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"")
            s.setsockopt(socket.IPPROTO_TCP, 18, 60_000)  # TCP_USER_TIMEOUT
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 100)
        except OSError: return
s = socket.socket()
s.setblocking(False)
s.connect_ex(("10.96.0.1", 80))
s.setblocking(True)
def blocked():
    try: s.sendall(b"bare bytes")
    except OSError: pass
threads = [threading.Thread(target=blocked), threading.Thread(target=unbind, args=[s])]
for t in threads: t.start()
time.sleep(0.2)`;
  await way.run('proxy.deaf(True)');
  await client.run(code);
  const { reasons } = await mesh.counting(async () => {
    await way.run('proxy.deaf(False)');
    // Several retransmissions.
    await client.run('threads[0].join(); time.sleep(3); loose = False; threads[1].join(); s.close()');
  });
  expect(reasons.waypoint_ended).toBe(1);
  expect(reasons.waypoint_header).toBeUndefined();
});

test('half-closed before the first byte: ended, not told as an empty request', async () => {
  const code = `${END}
s = connect("10.96.0.1", 80)
s.shutdown(socket.SHUT_WR)
out = end_of(s)`;
  const { value, reasons } = await mesh.counting(() => client.run<string>(code));
  expect(ends).toContain(value);
  expect(reasons.waypoint_ended).toBe(1);
});

test('MSG_ZEROCOPY for the first send: ended, since its completions could not be told right', async () => {
  const code = `${END}
s = connect("10.96.0.1", 80)
s.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
s.send(b"x" * 20_000, 0x4000000)  # MSG_ZEROCOPY
out = end_of(s)`;
  const { value, reasons } = await mesh.counting(() => client.run<string>(code));
  expect(ends).toContain(value);
  expect(reasons.waypoint_ended).toBe(1);
});

test('closed without a byte: the waypoint sees it end', async () => {
  const opened = await way.run<number>('out = proxy.opened');
  const { reasons } = await mesh.counting(() => client.run('connect("10.96.0.1", 80).close()'));
  expect(reasons.waypoint_ended).toBeUndefined();
  const code = `
while proxy.opened == before or not proxy.log: time.sleep(0.01)
out = [r["header"] for r in proxy.log]`;
  expect(await way.run(code, { before: opened })).toEqual(['closed']);
});

test('the map is full: refused, until one of those in it has sent something', async () => {
  const code = `
held = [connect("10.96.0.1", 80) for _ in range(room)]
out = [failure(lambda: connect("10.96.0.1", 80)) for _ in range(3)]`;
  const { value, reasons } = await mesh.counting(() => client.run(code, { room }));
  expect(value).toEqual(Array(3).fill('ECONNREFUSED'));
  expect(reasons.waypoint_full).toBe(3);
  const next = `
held[0].sendall(b"a?\\n")
assert held[0].recv(9) == b"line\\n"
out = [${works}, finish(held[0])["header"]["kind"], [short(s)["header"]["kind"] for s in held[1:]]]`;
  expect(await client.run(next)).toEqual(['proxy', 'proxy', Array(room - 1).fill('proxy')]);
  expect(await client.run(`out = ${works}`)).toBe('proxy');
});

test('more connections at once than there is room for: those that find none are ended', async () => {
  await way.run('proxy.deaf(True)');
  const code = `
many = []
for _ in range(3 * room):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("10.96.0.1", 80))
    many.append(s)`;
  await client.run(code, { room });
  const { value, reasons } = await mesh.counting(async () => {
    await way.run('proxy.deaf(False)');
    const use = `
def use(s):
    select.select([], [s], [], 20)
    try:
        s.setblocking(True)
        s.sendall(b"hello")
        return finish(s)["header"]["kind"]
    except OSError as e: return "ended"
for s in many: select.select([], [s], [], 20)
out = {}
for s in many:
    what = use(s)
    out[what] = out.get(what, 0) + 1`;
    return client.run<Record<string, number>>(use);
  });
  expect(value).toEqual({ proxy: room, ended: 2 * room });
  expect(reasons.waypoint_ended).toBe(2 * room);
  expect(await client.run(`out = ${works}`)).toBe('proxy');
});

test('an ended connection that says nothing goes by itself', async () => {
  await way.run('proxy.deaf(True)');
  await client.run(
    `many = []
for _ in range(room + 1):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("10.96.0.1", 80))
    many.append(s)`,
    { room },
  );
  await way.run('proxy.deaf(False)');
  const code = `${END}
for s in many: select.select([], [s], [], 20)
ready, _, _ = select.select(many, [], [], 20)
out = [len(ready), end_of(ready[0])]
for s in many: s.close()`;
  const [n, why] = await client.run<[number, string]>(code);
  expect(n).toBe(1);
  expect(ends).toContain(why);
});
