// SPDX-License-Identifier: Apache-2.0
// Open connections are counted while they are open, however they end; every way out has its counter.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openInstance } from '../support/instance.ts';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { endpoint } from '../support/wanted.ts';

let mesh: Mesh;
let client: Python;

beforeAll(async () => {
  mesh = await openMesh(['client', 'other', 'a', 'b']);
  await mesh.serve('a', 'tcp/8080', 'mptcp/8081');
  await mesh.serve('b', 'tcp/8080');
  await mesh.enroll('client');
  client = await mesh.python('client');
  const nowhere = { ...endpoint(mesh.pod('a'), 8080), address: '10.0.0.250' };
  await mesh.want(
    { name: 'a', at: ['10.96.0.1:80', '[fd96::1]:80'], endpoints: [endpoint(mesh.pod('a'), 8080)] },
    { name: 'b', at: ['10.96.0.2:80'], endpoints: [endpoint(mesh.pod('b'), 8080)] },
    { name: 'closed', at: ['10.96.0.3:80'], endpoints: [endpoint(mesh.pod('a'), 1)] },
    { name: 'nowhere', at: ['10.96.0.4:80'], endpoints: [nowhere] },
    { name: 'mptcp', at: ['10.96.0.5:80'], endpoints: [endpoint(mesh.pod('a'), 8081)] },
    { name: 'empty', at: ['10.96.0.6:80'], endpoints: [] },
  );
});
afterAll(() => mesh?.close());

const back = () => mesh.until(() => mesh.active('a') === 0 && mesh.active('b') === 0);

const endings: readonly (readonly [string, string])[] = [
  ['close', 's.close()'],
  ['half-close, then the rest', 's.shutdown(socket.SHUT_WR); s.recv(9); s.close()'],
  ['a reset by the client', 's.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close()'],
  ['a reset by the server', 's.sendall(b"reset\\n"); failure(lambda: s.recv(9)); s.close()'],
];
const services: readonly (readonly [string, string, number])[] = [
  ['TCP', '10.96.0.1', 0],
  ['TCP over IPv6', 'fd96::1', 0],
  ['MPTCP', '10.96.0.5', 262],
];

test.each(
  services.flatMap(([what, host, proto]) => endings.map(([how, code]) => [what, how, host, proto, code] as const)),
)('%s, ended by %s: counted once, and not any more', async (_what, _how, host, proto, code) => {
  const args = { host, proto };
  await client.run('s = dial(host, 80, proto); first_line(s)', args);
  expect(mesh.active('a')).toBe(1);
  await client.run(code, args);
  await back();
});

test('many at once, closed in any order', async () => {
  await client.run('held = [dial("10.96.0.1" if i % 3 else "10.96.0.2", 80) for i in range(90)]');
  expect([mesh.active('a'), mesh.active('b')]).toEqual([60, 30]);
  await client.run('import random; random.shuffle(held); [s.close() for s in held[:45]]');
  await mesh.until(() => mesh.active('a') + mesh.active('b') === 45);
  await client.run('[s.close() for s in held]');
  await back();
});

test('a process that is killed takes its connections along', async () => {
  const victim = await mesh.python('client');
  await victim.run(
    'held = [dial("10.96.0.1", 80) for _ in range(5)] + [dial("10.96.0.5", 80, MPTCP) for _ in range(5)]',
  );
  expect(mesh.active('a')).toBe(10);
  await victim.kill();
  await back();
});

test('failed connects: refused by the host, given up before an answer, refused by the mesh', async () => {
  const code = `
out = [failure(lambda: call("10.96.0.3", 80)), failure(lambda: call("10.96.0.6", 80))]
s = socket.socket()
s.setblocking(False)
s.connect_ex(("10.96.0.4", 80))`;
  const { value, reasons } = await mesh.counting(async () => {
    const seen = await client.run(code);
    expect(mesh.active('a')).toBe(1);
    await client.run('s.close()');
    await back();
    return seen;
  });
  expect(value).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
  expect(reasons).toMatchObject({ balanced: 2, empty_refused: 1, tcp_failed: 2 });
  expect(reasons).not.toHaveProperty('tcp_opened');
});

test('a connection that was open when its endpoint left drains: usable, and counted until it closes', async () => {
  const only = (pod: string) =>
    mesh.want({ name: 'moving', at: ['10.96.0.1:80'], endpoints: [endpoint(mesh.pod(pod), 8080)] });
  await only('a');
  await client.run('s = dial("10.96.0.1", 80); first_line(s)');
  await only('b');
  const code = 'out = [echo(s, "one"), echo(s, "two"), s.getpeername()[0], call("10.96.0.1", 80)]';
  expect(await client.run(code)).toEqual(['a 8080 one', 'a 8080 two', '10.96.0.1', 'b']);
  expect(mesh.active('a')).toBe(1);
  // Also when the whole service has gone.
  await mesh.want();
  expect(await client.run('out = [echo(s, "three"), s.getpeername()[0]]')).toEqual(['a 8080 three', '10.96.0.1']);
  await client.run('s.close()');
  await back();
});

test('opened and closed are counted for connections of the mesh only', async () => {
  await mesh.want({ name: 'a', at: ['10.96.0.1:80'], endpoints: [endpoint(mesh.pod('a'), 8080)] });
  const other = await mesh.python('other');
  const { address4: host } = mesh.pod('a');
  const { reasons } = await mesh.counting(async () => {
    await client.run('for _ in range(7): call("10.96.0.1", 80)');
    await client.run('call(host, 8080)', { host });
    await other.run('call(host, 8080)', { host });
    await back();
  });
  expect(reasons).toMatchObject({ balanced: 7, unknown_destination: 1, tcp_opened: 7, tcp_closed: 7 });
});

test('connections that other programs count are untouched: the callback flags are added to', async () => {
  // A second instance on the same cgroups sees the same connection end.
  const second = await openInstance(mesh.lab.cgroupRoot);
  try {
    await client.run('call("10.96.0.1", 80)');
    await back();
    expect(mesh.active('a')).toBe(0);
  } finally {
    await second.close();
  }
});
