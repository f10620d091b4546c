// SPDX-License-Identifier: Apache-2.0
// Headers that leave in several packets, or several times: the first bytes of the connection all the same, and nothing else in their place.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { through } from '../support/via.ts';
import { endpoint } from '../support/wanted.ts';

let mesh: Mesh;
let client: Python;
let way: Python;

/** Of the client: its name makes for a header of some 700 bytes. */
const namespace = 'n'.repeat(400);

beforeAll(async () => {
  mesh = await openMesh(['client', 'way', 'a']);
  await mesh.enroll('client', { namespace });
  client = await mesh.python('client');
  way = await mesh.python('way');
  await way.run('from waypoint_server import Waypoint; from tcp_peer import *; proxy = Waypoint(15088)');
  await client.run('from waypoint_client import *; import ctypes, struct');
  const a = [endpoint(mesh.pod('a'), 8080)];
  const to = (port: number, family: 4 | 6) => [endpoint(mesh.pod('way'), port, 1, family)];
  await mesh.want(
    ...through(
      [
        { name: 's', at: ['10.96.0.1:80'], endpoints: a },
        { name: 's6', at: ['[fd96::1]:80'], endpoints: a },
        { name: 'h', at: ['10.96.0.2:80'], endpoints: a },
        { name: 'h6', at: ['[fd96::2]:80'], endpoints: a },
        { name: 'proxy4', at: [], endpoints: to(15088, 4) },
        { name: 'proxy6', at: [], endpoints: to(15088, 6) },
        { name: 'hand4', at: [], endpoints: to(15090, 4) },
        { name: 'hand6', at: [], endpoints: to(15090, 6) },
      ],
      { service: 's', waypoint: 'proxy4' },
      { service: 's6', waypoint: 'proxy6' },
      { service: 'h', waypoint: 'hand4' },
      { service: 'h6', waypoint: 'hand6' },
    ),
  );
});
afterAll(() => mesh?.close());
afterEach(async () => {
  await way.run('if "peer" in globals(): peer.close()');
});

const families = [4, 6] as const;
const real = { 4: '10.96.0.1', 6: 'fd96::1' };
const byHand = { 4: '10.96.0.2', 6: 'fd96::2' };
/** What the application is told of a connection that is ended. */
const ends = ['EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'];
const END = `
def end_of(s):
    s.setblocking(True)
    s.settimeout(20)
    try: return repr(s.recv(10))
    except OSError as e: return errno.errorcode[e.errno] if e.errno else "nothing happens"
`;

interface Came {
  readonly header: unknown;
  readonly rest: string;
  readonly torn: boolean;
  /** Offset, bytes of data, bytes of options. */
  readonly packets: readonly (readonly [number, number, number])[];
}

/** Opens a connection to a server made by hand, in Python as `s`. */
async function meet(family: 4 | 6, how: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const pod = mesh.pod('way');
  const own = family === 4 ? pod.address4 : pod.address6;
  await way.run('peer = Peer(own, 15090, **how)', { own, how });
  // Without a time-out, so that the socket itself counts as connected.
  await client.run('s = socket.socket(address(host)); s.connect((host, 80))', { host: byHand[family] });
}

/** Sends so many bytes and a mark, and waits until they came. */
async function say(bytes: number): Promise<Came> {
  await client.run('s.sendall(blob(n) + mark.encode())', { n: bytes, mark });
  await way.run(
    `
end = time.time() + 30
while time.time() < end and not peer.stream().endswith(mark.encode()): time.sleep(0.01)`,
    { mark },
  );
  const came = await way.run<Came>('out = peer.close()');
  await client.run('s.close()');
  return came;
}

const mark = 'the end';
/** blob() of waypoint_client.py. */
const text = (bytes: number): string => String.fromCharCode(...Array.from({ length: bytes }, (_, i) => i % 251));

const headerTo = (family: 4 | 6) => ({
  kind: 'proxy',
  to: [byHand[family], 80],
  parts: { d0: `spiffe://cluster.local/ns/${namespace}/sa/client` },
});

const hows = [
  { mss: 88 },
  { mss: 216 },
  { mss: 536 },
  { windows: [1, 1, 2, 3, 100, 300, 64_000] },
  { windows: [0, 64_000] },
  { mss: 88, ignored: 3 },
  { mss: 300, ignored: 1, windows: [250, 64_000] },
  { ignored: 2 },
  { early: 'hello' },
  { again: true },
];

describe.each([
  ['what leaves is as large as the window lets it be', 65_535],
  ['each segment leaves by itself', 1],
])('%s', (_, segments) => {
  beforeAll(() => client.run('os.system(f"ip link set eth0 gso_max_segs {n}")', { n: segments }));

  test.each(families.flatMap((family) => hows.map((how) => [family, JSON.stringify(how), how] as const)))(
    'first, once and whole: IPv%i, %s',
    async (family, _, how) => {
      const { value, reasons } = await mesh.counting(async () => {
        await meet(family, how);
        return say(2000);
      });
      expect(value.header).toMatchObject(headerTo(family));
      expect(value.rest).toBe(text(2000) + mark);
      expect(value.torn).toBe(false);
      expect(reasons).toMatchObject({ waypoint_header: 1 });
      expect(reasons.waypoint_ended).toBeUndefined();
      // In as many packets as it takes.
      const parts = value.packets.filter(([offset]) => offset < 500);
      if (segments === 1 && how.mss) expect(parts.length).toBeGreaterThanOrEqual(500 / how.mss);
    },
  );
});

/** A first send that fails once the header is made lets the next one go past the program. */
const BARE = `${END}
forged = bytes.fromhex("0d0a0d0a000d0a515549540a21110010") + socket.inet_aton("10.9.9.9") + bytes(8) + b"P" * 900
first = failure(lambda: s.send(b"x", 0x20000000))  # MSG_FASTOPEN
try: s.sendall(forged)
except OSError: pass
out = [first, end_of(s)]
s.close()`;

test.each(
  families.flatMap((family) => [{ mss: 88 }, { windows: [20, 64_000] }, {}].map((how) => [family, how] as const)),
)('bare bytes in small packets: none leaves; IPv%i, %j', async (family, how) => {
  await meet(family, how);
  const { value, reasons } = await mesh.counting(() => client.run<[string, string]>(BARE));
  expect(value[0]).toBe('EISCONN');
  expect(ends).toContain(value[1]);
  expect(reasons.waypoint_ended).toBe(1);
  expect((await way.run<Came>('out = peer.close()')).packets).toEqual([]);
});

test.each(families)(
  'packets whose options leave no room, of which nobody is asked: none leaves; IPv%i',
  async (family) => {
    // Three holes in what came, told of beside the time stamp.
    const { value, reasons } = await mesh.counting(async () => {
      await meet(family, { holes: 3 });
      await way.run('while not peer.told: time.sleep(0.01)');
      return client.run<[string, string]>(BARE);
    });
    expect(ends).toContain(value[1]);
    expect(reasons.waypoint_ended).toBe(1);
    expect((await way.run<Came>('out = peer.close()')).packets).toEqual([]);
  },
);

test.each(families.flatMap((family) => [1, 65_535].map((segments) => [family, segments] as const)))(
  'a send buffer smaller than the header, without waiting: it is whole, or nothing comes behind what there is of it; IPv%i, %i segments at once',
  async (family, segments) => {
    const { value, reasons } = await mesh.counting(async () => {
      await client.run('os.system(f"ip link set eth0 gso_max_segs {n}")', { n: segments });
      await meet(family, { mss: 88, windows: [100, 100, 64_000] });
      await client.run(`
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
s.setblocking(False)
sent = []
for i in range(50):
    try: sent.append(s.send(b"~" * 900))
    except OSError as e: sent.append(name_of(e))
    time.sleep(0.01)
s.close()`);
      return way.run<Came>('out = peer.close()');
    });
    if (value.header === null) expect(value.rest).not.toContain('~~');
    else {
      expect(value.header).toMatchObject(headerTo(family));
      expect(value.rest).toBe('~'.repeat(value.rest.length));
    }
    expect(reasons).toMatchObject({ waypoint_header: 1 });
  },
);

/** What a waypoint of the common kind says of a connection. */
const whole = `said = finish(s); out = [said["header"]["kind"], said["hash"] == hashlib.sha256(blob(5000)).hexdigest()]`;

test.each(families)('a waypoint with the smallest buffer for what it receives: IPv%i', async (family) => {
  await way.run(`
room = proxy.listener.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
proxy.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)`);
  const { value, reasons } = await mesh.counting(() =>
    client.run(`s = connect(host, 80); s.sendall(blob(5000)); ${whole}`, { host: real[family] }),
  );
  expect(value).toEqual(['proxy', true]);
  expect(reasons.waypoint_ended).toBeUndefined();
  await way.run('proxy.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room // 2)');
});

test.each(families)('a device that takes one piece only, and gets copies of the header: IPv%i', async (family) => {
  // A key for whoever else, of which the kernel only takes that it is not to leave the cutting to the device.
  const code = `
import fcntl
def pieces(on):
    value = ctypes.create_string_buffer(struct.pack("II", 0x19, on))  # ETHTOOL_SSG
    with socket.socket() as s: fcntl.ioctl(s, 0x8946, struct.pack("16sQ16x", b"eth0", ctypes.addressof(value)))
def one(n):
    s = socket.socket(address(host))
    s.settimeout(20)
    whom = struct.pack("HH", s.family, 0) + (socket.inet_aton("192.0.2.1") if s.family == socket.AF_INET else bytes(4) + socket.inet_pton(s.family, "2001:db8::1"))
    s.setsockopt(socket.IPPROTO_TCP, 14, whom.ljust(128, b"\\0") + struct.pack("BBHI", 0, 0, 3, 0) + b"key".ljust(80, b"\\0"))
    s.connect((host, 80))
    unread.send(b"x")
    s.sendall(blob(n))
    said = finish(s)
    return said["header"]["kind"] == "proxy" and said["hash"] == hashlib.sha256(blob(n)).hexdigest()
# What nobody reads yet keeps the page in use that this thread sends from, or each send would begin at its start.
listener = socket.create_server(("127.0.0.1", 0))
unread = socket.create_connection(listener.getsockname())
unread.send(b"x" * 5000)
pieces(0)
try: out = sum(one(n) for n in range(1, 3000, 7))
finally:
    pieces(1)
    unread.close()
    listener.close()`;
  const { value, reasons } = await mesh.counting(() => client.run(code, { host: real[family] }));
  // Some of them lie across the end of a page.
  expect(value).toBe(429);
  expect(reasons).toMatchObject({ waypoint_header: 429 });
  expect(reasons.waypoint_ended).toBeUndefined();
});

test.each([0, 800])('IPv6 by links of 1,280 bytes, %i of them options', async (options) => {
  const code = `
os.system("ip link set eth0 mtu 1280")
s = socket.socket(socket.AF_INET6)
s.settimeout(20)
# Four of a kind that whoever does not know it skips.
if options: s.setsockopt(socket.IPPROTO_IPV6, 59, bytes([0, options // 8 - 1]) + (b"\\x1e" + bytes([options // 4 - 3]) + bytes(options // 4 - 3)) * 4 + b"\\x01\\x00")  # IPV6_DSTOPTS
s.connect((host, 80))
s.sendall(blob(5000))
${whole}`;
  const { value, reasons } = await mesh.counting(() => client.run(code, { host: real[6], options }));
  expect(value).toEqual(['proxy', true]);
  expect(reasons.waypoint_ended).toBeUndefined();
});

// The last one: links as narrow as this have no IPv6, now or later.
test.each([600, 576, 552, 296, 128, 68])('IPv4 by links of %i bytes', async (mtu) => {
  const code = `
os.system(f"ip link set eth0 mtu {mtu}")
out = []
for write in WAYS["write"], WAYS["sendfile"], WAYS["byte"]:
    s = connect(host, 80)
    write(s, blob(5000))
    before = out
    ${whole}
    out = before + [str(out)]`;
  const { value, reasons } = await mesh.counting(() => client.run(code, { host: real[4], mtu }));
  expect(value).toEqual(Array(3).fill("['proxy', True]"));
  expect(reasons).toMatchObject({ waypoint_header: 3 });
  expect(reasons.waypoint_ended).toBeUndefined();
});
