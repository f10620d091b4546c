// SPDX-License-Identifier: Apache-2.0
// What an application may do to have its bytes arrive without a header: nothing of it reaches the waypoint bare.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { through } from '../support/via.ts';
import { endpoint } from '../support/wanted.ts';

let mesh: Mesh;
let client: Python;
let way: Python;

beforeAll(async () => {
  mesh = await openMesh(['client', 'way', 'a']);
  await mesh.enroll('client');
  await mesh.enroll('way', { workload: '' });
  client = await mesh.python('client');
  way = await mesh.python('way');
  await way.run('from waypoint_server import Waypoint; proxy = Waypoint(15088)');
  await client.run('from waypoint_client import *; import threading');
  const a = [endpoint(mesh.pod('a'), 8080)];
  await mesh.want(
    ...through(
      [
        { name: 's', at: ['10.96.0.1:80'], endpoints: a },
        { name: 's6', at: ['[fd96::1]:80'], endpoints: a },
        { name: 'x', at: ['10.96.0.1:81'], endpoints: a },
        { name: 'x6', at: ['[fd96::1]:81'], endpoints: a },
        { name: 'self4', at: [], endpoints: [endpoint(mesh.pod('way'), 15099)] },
        { name: 'self6', at: [], endpoints: [endpoint(mesh.pod('way'), 15099, 1, 6)] },
        { name: 'proxy4', at: [], endpoints: [endpoint(mesh.pod('way'), 15088)] },
        { name: 'proxy6', at: [], endpoints: [endpoint(mesh.pod('way'), 15088, 1, 6)] },
      ],
      { service: 's', waypoint: 'proxy4' },
      { service: 's6', waypoint: 'proxy6' },
      { service: 'x', waypoint: 'self4' },
      { service: 'x6', waypoint: 'self6' },
    ),
  );
});
afterAll(() => mesh?.close());

/** Whatever else came of it, no byte without a header came. */
afterEach(async () => {
  const headers = await way.run<unknown[]>('out = [r["header"] for r in proxy.log]; proxy.log.clear()');
  for (const header of headers) if (header !== 'closed') expect(header).toMatchObject({ kind: 'proxy' });
});

const hosts = ['10.96.0.1', 'fd96::1'];
/** What the application is told of a connection that is ended. */
const ends = ['EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'];
const FORGED = `forged = bytes.fromhex("0d0a0d0a000d0a515549540a21110010") + socket.inet_aton("10.9.9.9") + bytes(8) + b"P" * 900
def end_of(s):
    s.setblocking(True)
    s.settimeout(20)
    try: return repr(s.recv(10))
    except OSError as e: return errno.errorcode[e.errno] if e.errno else "nothing happens"
`;

test.each(hosts)(
  'the first send fails once the header is made, the next one goes past the program: %s',
  async (host) => {
    // MSG_FASTOPEN on a connection that is open. Connected without a time-out, so that the socket itself counts as connected.
    const code = `${FORGED}
s = socket.socket(address(host))
s.connect((host, 80))
first = failure(lambda: s.send(b"x", 0x20000000))
s.sendall(forged)
out = [first, end_of(s)]`;
    const { value, reasons } = await mesh.counting(() => client.run<[string, string]>(code, { host }));
    expect(value[0]).toBe('EISCONN');
    expect(ends).toContain(value[1]);
    expect(reasons.waypoint_ended).toBe(1);
  },
);

test('the same with what is spliced from a pipe, whose page may be the one that the header was in', async () => {
  const code = `${FORGED}
def one():
    s = socket.socket()
    s.connect(("10.96.0.1", 80))
    out, into = os.pipe()
    failure(lambda: s.send(b"x", 0x20000000))
    os.write(into, forged)
    failure(lambda: os.splice(out, s.fileno(), len(forged)))
    os.close(out)
    os.close(into)
    return s
out = [end_of(s) for s in [one() for _ in range(30)]]`;
  const { value, reasons } = await mesh.counting(() => client.run<string[]>(code));
  for (const end of value) expect(ends).toContain(end);
  expect(reasons.waypoint_ended).toBe(30);
});

test.each(hosts)(
  'many urgent first bytes: ended, or the waypoint would read past the last byte of the header; %s',
  async (host) => {
    const code = `${FORGED}
s = connect(host, 80)
s.send(b"a" * 20_000, socket.MSG_OOB)
out = end_of(s)`;
    const { value, reasons } = await mesh.counting(() => client.run<string>(code, { host }));
    expect(ends).toContain(value);
    expect(reasons.waypoint_ended).toBe(1);
  },
);

test('segments of 88 bytes: the header as ever', async () => {
  const code = `
s = socket.socket()
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 88)
s.connect(("10.96.0.1", 80))
out = short(s, b"x" * 5000)["bytes"]`;
  expect(await client.run(code)).toBe(5000);
});

test('other urgent bytes: as ever', async () => {
  const code = `
s = connect("10.96.0.1", 80)
s.send(b"abc", socket.MSG_OOB)
first = finish(s)["header"]["kind"]
s = connect("10.96.0.1", 80)
s.send(b"a?\\n")
assert s.recv(9) == b"line\\n"
s.send(b"b", socket.MSG_OOB)
out = [first, finish(s)["header"]["kind"]]`;
  expect(await client.run(code)).toEqual(['proxy', 'proxy']);
});

test.each(hosts)('SYNs that cross: the header as ever; %s', async (host) => {
  // A socket that dials itself, by way of a service whose waypoint is at its own address.
  const own = mesh.pod('way')[host.includes(':') ? 'address6' : 'address4'];
  const code = `
s = socket.socket(address(host))
s.settimeout(20)
s.bind((own, 15099))
s.connect((host, 81))
s.sendall(b"hello")
data = b""
while len(data) < 17 or not data.endswith(b"hello"): data += s.recv(65536)
out = data[:12].hex()`;
  expect(await way.run(code, { host, own })).toBe('0d0a0d0a000d0a515549540a');
});

test('io_uring: connect and send in one go, and sends without a copy', async () => {
  const code = `
from io_uring import *
def one(*sends):
    s = socket.socket()
    to = struct.pack("=H", socket.AF_INET) + struct.pack("!H", 80) + socket.inet_aton("10.96.0.1") + bytes(8)
    ring = Ring()
    got = ring.do((CONNECT, LINK, s.fileno(), len(to), to, 0), *[(op, LINK, s.fileno(), 0, b"x" * n, flags) for op, n, flags in sends])
    os.close(ring.fd)
    try: said = finish(s)
    except OSError: return got, "ended", 0
    return got, (said["header"] if isinstance(said["header"], str) else said["header"]["kind"]), said["bytes"]
try: Ring()
except OSError as e: out = name_of(e)
else: out = [one((SEND, 10, 0)), one((SEND, 20_000, 0), (SEND, 5, 0)), one((SEND_ZC, 20_000, 0)), one((SEND, 10, 0x20000000), (SEND, 30, 0))]`;
  const got = await client.run(code);
  // Not every machine lets anybody use it.
  if (typeof got === 'string') expect(['EPERM', 'ENOSYS']).toContain(got);
  else {
    expect(got).toEqual([
      [[0, 10], 'proxy', 10],
      [[0, 20_000, 5], 'proxy', 20_005],
      [[0, -95], 'ended', 0],
      [[0, -106, -125], 'ended', 0],
    ]);
  }
});
