// SPDX-License-Identifier: Apache-2.0
// Sockets on their way to a waypoint that are shared, given away, undone or repaired, and first sends of the rarer kinds.
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { through } from '../support/via.ts';
import { endpoint } from '../support/wanted.ts';

let mesh: Mesh;
let client: Python;
let other: Python;
let way: Python;

beforeAll(async () => {
  mesh = await openMesh(['client', 'way', 'a', 'other']);
  await mesh.serve('a', 'tcp/8080');
  await mesh.enroll('client');
  client = await mesh.python('client');
  other = await mesh.python('other');
  way = await mesh.python('way');
  await way.run('from waypoint_server import Waypoint; proxy = Waypoint(15088)');
  for (const python of [client, other]) {
    await python.run('from waypoint_client import *; from attacks import *; import signal, struct, threading');
  }
  await mesh.want(
    ...through(
      [
        { name: 's', at: ['10.96.0.1:80'], endpoints: [endpoint(mesh.pod('a'), 8080)] },
        { name: 'plain', at: ['10.96.0.9:80'], endpoints: [endpoint(mesh.pod('a'), 8080)] },
        { name: 'proxy4', at: [], endpoints: [endpoint(mesh.pod('way'), 15088)] },
      ],
      { service: 's', waypoint: 'proxy4' },
    ),
  );
});
afterAll(() => mesh?.close());

/** Whatever else came of it, no byte without a header came, and the header tells of the client. */
afterEach(async () => {
  const code = 'out = proxy.heard + [r["header"] for r in proxy.log]; proxy.log.clear(); proxy.heard.clear()';
  for (const header of await way.run<unknown[]>(code)) {
    if (header === 'closed') continue;
    expect(header).toMatchObject({ kind: 'proxy', parts: { d0: 'spiffe://cluster.local/ns/shop/sa/client' } });
  }
});

const OPEN = 's = socket.socket(); s.connect(("10.96.0.1", 80))\n';
const SAID = 'said = finish(s); out = [said["header"]["kind"], said["bytes"]]';
const END = `
def end_of(s):
    s.setblocking(True)
    s.settimeout(20)
    try: return repr(s.recv(10))
    except OSError as e: return errno.errorcode[e.errno] if e.errno else "nothing happens"
`;

test.each([0, 50])('a first send of memory of which %i bytes may be read; the next one', async (readable) => {
  const code = `${OPEN}
first = send_unreadable(s, readable)
s.sendall(b"hello")
${SAID}; out.append(first)`;
  const [kind, bytes, first] = await client.run<[string, number, unknown]>(code, { readable });
  // The kernel counts such a send as one of nothing, of what it could read, or as a fault.
  expect([0, readable, 'EFAULT']).toContain(first);
  expect([kind, bytes]).toEqual(['proxy', 5 + (typeof first === 'number' ? first : 0)]);
});

test('a first send into a buffer that is nearly nothing, without waiting: what it took and what follows has one header', async () => {
  const code = `${OPEN}
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
s.setblocking(False)
sent, data = 0, blob(300_000)
while sent < len(data):
    try: sent += s.send(data[sent:])
    except BlockingIOError:
        select.select([], [s], [], 20)
said = finish(s)
out = [said["header"]["kind"], said["hash"] == hashlib.sha256(data).hexdigest()]`;
  expect(await client.run(code)).toEqual(['proxy', true]);
});

test('signals all the time, while the first send waits for room: one header', async () => {
  const code = `${OPEN}
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
data = blob(1_000_000)
try: s.sendall(data)
finally: signal.setitimer(signal.ITIMER_REAL, 0)
said = finish(s)
out = [said["header"]["kind"], said["hash"] == hashlib.sha256(data).hexdigest()]`;
  expect(await client.run(code)).toEqual(['proxy', true]);
});

test('sendmmsg, and memory spliced without a copy that is written anew at once', async () => {
  const code = `${OPEN}
n = send_many(s, [b"a", b"bc", b"def"])
${SAID}; first = [n, *out]
${OPEN}
splice_own(s, b"x" * 30_000)
said = finish(s)
out = [first, [said["header"]["kind"], said["hash"] == hashlib.sha256(b"x" * 30_000).hexdigest()]]`;
  expect(await client.run(code)).toEqual([
    [3, 'proxy', 6],
    ['proxy', true],
  ]);
});

test('a time to leave (SO_TXTIME), a mark, a time stamp asked for: the header as ever', async () => {
  const code = `${OPEN}
s.setsockopt(socket.SOL_SOCKET, 61, struct.pack("iI", 1, 0))  # SO_TXTIME
s.setsockopt(socket.SOL_SOCKET, 65, 1 << 4 | 1 << 7)  # SO_TIMESTAMPING_NEW
s.sendmsg([b"hello"], [(socket.SOL_SOCKET, 61, struct.pack("Q", 1))])
${SAID}`;
  expect(await client.run(code)).toEqual(['proxy', 5]);
});

test('threads that write to copies of the descriptor, and processes that write at once: one header', async () => {
  const code = `
def by_threads():
    ${OPEN}
    copies = [s.dup() for _ in range(8)]
    threads = [threading.Thread(target=c.sendall, args=[bytes([65 + i]) * 999]) for i, c in enumerate(copies)]
    for t in threads: t.start()
    for t in threads: t.join()
    for c in copies: c.close()
    return finish(s)
def by_processes():
    ${OPEN}
    assert forked(*[lambda i=i: s.sendall(bytes([65 + i]) * 999) for i in range(8)]) == [0] * 8
    return finish(s)
out = [[said["header"]["kind"], said["bytes"]] for said in [by_threads() for _ in range(20)] + [by_processes() for _ in range(20)]]`;
  expect(new Set((await client.run<unknown[]>(code)).map(String))).toEqual(new Set(['proxy,7992']));
});

test('given to a process of another cgroup before its first byte: the header tells of who dialled', async () => {
  const path = join(tmpdir(), `km-give-${process.pid}`);
  await other.run('taker = Taker(path)', { path });
  const port = await client.run(`${OPEN}\ngive(path, s)\nout = s.getsockname()[1]\ns.close()`, { path });
  const code = `
s = taker.take()
os.unlink(path)
s.sendall(b"hello")
said = finish(s)
out = [said["header"]["from"][1], said["header"]["parts"]["d0"]]`;
  expect(await other.run(code, { path })).toEqual([port, 'spiffe://cluster.local/ns/shop/sa/client']);
});

test('moved to another cgroup between connect() and the first byte: likewise', async () => {
  await client.run(OPEN);
  const move = (name: string) => writeFileSync(join(mesh.pod(name).cgroup, 'cgroup.procs'), `${client.pid}`);
  move('other');
  try {
    expect(await client.run(`s.sendall(b"hello"); ${SAID}`)).toEqual(['proxy', 5]);
  } finally {
    move('client');
  }
});

test('undone by AF_UNSPEC, before or after a byte, and connected again: a header where one is due, and none elsewhere', async () => {
  const code = `
out = []
for before in b"", b"hello":
    ${OPEN}
    s.sendall(before)
    undo(s)
    s.connect(("10.96.0.1", 80))
    s.sendall(b"again")
    out.append(finish(s)["header"]["kind"])
    ${OPEN}
    s.sendall(before)
    undo(s)
    s.connect(("10.96.0.9", 80))
    out.append(s.recv(100).decode().split()[0])
    undo(s)
    s.connect(("10.96.0.1", 80))
    s.sendall(b"third")
    out.append(finish(s)["bytes"])`;
  expect(await client.run(code)).toEqual(['proxy', 'a', 5, 'proxy', 'a', 5]);
});

test('undone after a first send that failed, and connected again: the header', async () => {
  const code = `${OPEN}
first = failure(lambda: s.send(b"x", 0x20000000))  # MSG_FASTOPEN
undo(s)
s.connect(("10.96.0.1", 80))
s.sendall(b"hello")
${SAID}; out.append(first)`;
  expect(await client.run(code)).toEqual(['proxy', 5, 'EISCONN']);
});

test.each([
  [0, 0],
  [1, 1],
  [2, 2],
  [0, 2],
  [1, 2],
])('TCP_REPAIR, queues %i and %i, while the first bytes are sent: none leaves bare', async (first, second) => {
  const code = `${END}${OPEN}
forged = bytes.fromhex("0d0a0d0a000d0a515549540a21110010") + socket.inet_aton("10.9.9.9") + bytes(8) + b"P" * 900
def quiet(action):
    try: action()
    except OSError: pass
s.setsockopt(socket.IPPROTO_TCP, 19, 1)  # TCP_REPAIR
s.setsockopt(socket.IPPROTO_TCP, 20, first)  # TCP_REPAIR_QUEUE
quiet(lambda: s.send(b"x"))
s.setsockopt(socket.IPPROTO_TCP, 20, second)
quiet(lambda: s.send(forged))
s.setsockopt(socket.IPPROTO_TCP, 19, 0)
quiet(lambda: s.send(forged))
s.settimeout(5)
quiet(lambda: s.shutdown(socket.SHUT_WR))
quiet(lambda: s.recv(100))
s.close()`;
  await client.run(code, { first, second });
  // Until what is in the queue was sent again, or the kernel gave it up.
  await way.run('end = time.time() + 3\nwhile time.time() < end and not proxy.log: time.sleep(0.05)');
});

test('connected by TCP_REPAIR, without a handshake: nothing leaves bare', async () => {
  const code = `${END}
s = socket.socket()
s.setsockopt(socket.IPPROTO_TCP, 19, 1)
failed = failure(lambda: s.connect(("10.96.0.1", 80)))
s.setsockopt(socket.IPPROTO_TCP, 19, 0)
try: s.send(b"P" * 900)
except OSError: pass
out = [failed, end_of(s)]`;
  const [failed] = await client.run<[string, string]>(code);
  expect(failed).toBe('');
});
