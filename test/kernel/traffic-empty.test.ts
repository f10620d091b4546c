// SPDX-License-Identifier: Apache-2.0
// Nobody to answer: refused at once, unless the service says otherwise. And whose address it is: ranges, namespaces.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { endpoint } from '../support/wanted.ts';

let mesh: Mesh;
let client: Python;

beforeAll(async () => {
  mesh = await openMesh(['client', 'guest', 'a', 'b', 'c', 'decoy']);
  for (const name of ['a', 'b', 'c']) await mesh.serve(name, 'tcp/8080', 'udp/8080');
  await mesh.serve('decoy', 'tcp/80', 'udp/80');
  await mesh.enroll('client', { namespace: 'shop' });
  await mesh.enroll('guest', { namespace: 'guests' });
  client = await mesh.python('client');
});
afterAll(() => mesh?.close());

const at = (name: string, family: 4 | 6 = 4) => endpoint(mesh.pod(name), 8080, 1, family);
const decoy = () => ({ decoy: mesh.pod('decoy').address4, decoy6: mesh.pod('decoy').address6 });

/** Milliseconds and errno of what is refused. */
const REFUSED = `
def refused(action):
    start = time.monotonic()
    code = failure(action)
    return [code, (time.monotonic() - start) * 1000 < 100]
def connected(host):
    with socket.socket(address(host), socket.SOCK_DGRAM) as s: s.connect((host, 80))
`;

test('no endpoint: TCP, connected and unconnected UDP are refused at once, in both families', async () => {
  const d = decoy();
  const where = [`${d.decoy}:80`, `[${d.decoy6}]:80`];
  await mesh.want(
    { name: 'empty', at: where, endpoints: [] },
    { name: 'empty-udp', at: where, protocol: 'udp', endpoints: [] },
  );
  const code = `${REFUSED}
out = []
for host in decoy, decoy6, "::ffff:" + decoy:
    out.append([refused(lambda: call(host, 80)), refused(lambda: connected(host)), refused(lambda: ask(host, 80))])`;
  const { value, reasons } = await mesh.counting(() => client.run(code, d));
  const each = Array(3).fill(['ECONNREFUSED', true]);
  expect(value).toEqual([each, each, each]);
  expect(reasons).toMatchObject({ empty_refused: 9 });
});

test('a non-blocking and an MPTCP connect to nobody are refused, too', async () => {
  const d = decoy();
  await mesh.want({ name: 'empty', at: [`${d.decoy}:80`], endpoints: [] });
  const code = `
with socket.socket() as s:
    s.setblocking(False)
    out = [errno.errorcode[s.connect_ex((decoy, 80))], failure(lambda: call(decoy, 80, MPTCP))]`;
  expect(await client.run(code, d)).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
});

test('no endpoint, but the service lets its clients go on directly', async () => {
  const d = decoy();
  await mesh.want(
    { name: 'direct', at: [`${d.decoy}:80`], emptyDirect: true, endpoints: [] },
    { name: 'direct-udp', at: [`${d.decoy}:80`], protocol: 'udp', emptyDirect: true, endpoints: [] },
  );
  const { value, reasons } = await mesh.counting(() => client.run('out = [call(decoy, 80), ask(decoy, 80)["who"]]', d));
  expect(value).toEqual(['decoy', 'decoy']);
  expect(reasons).toMatchObject({ empty_direct: 2 });
});

test('UDP that is passed through keeps its own address', async () => {
  const d = decoy();
  await mesh.want({ name: 'through', at: [`${d.decoy}:80`], protocol: 'udp', passthrough: true, endpoints: [] });
  expect(await client.run('out = ask(decoy, 80)', d)).toEqual({ who: 'decoy', host: d.decoy, port: 80 });
});

test('endpoints that come end the refusals, and those that go begin them', async () => {
  const service = (...names: string[]) =>
    mesh.want({ name: 's', at: ['10.96.0.1:80'], endpoints: names.map((name) => at(name)) });
  const who = () => client.run<string>('out = next(iter(calls("10.96.0.1", 80, 1)))');
  await service();
  expect(await who()).toBe('ECONNREFUSED');
  await service('a');
  expect(await who()).toBe('a');
  await service();
  expect(await who()).toBe('ECONNREFUSED');
});

test('a range of addresses leads to its service; the longest range wins, an exact address before all', async () => {
  await mesh.want(
    { name: 'wide', at: ['10.97.0.0/16:80'], endpoints: [at('a')] },
    { name: 'narrow', at: ['10.97.5.0/24:80'], endpoints: [at('b')] },
    { name: 'one', at: ['10.97.5.5:80'], endpoints: [at('c')] },
    { name: 'udp', at: ['10.97.0.0/16:80'], protocol: 'udp', endpoints: [at('b')] },
  );
  const code = `
hosts = ["10.97.1.1", "10.97.255.255", "10.97.5.4", "10.97.5.5", "::ffff:10.97.5.4"]
out = [call(h, 80) for h in hosts] + [ask("10.97.9.9", 80), ask("10.97.8.8", 80)]`;
  expect(await client.run(code)).toEqual([
    'a',
    'a',
    'b',
    'c',
    'b',
    { who: 'b', host: '10.97.9.9', port: 80 },
    { who: 'b', host: '10.97.8.8', port: 80 },
  ]);
  expect(await client.run('with dial("10.97.1.2", 80) as s: out = s.getpeername()')).toEqual(['10.97.1.2', 80]);
});

test('IPv6 ranges', async () => {
  await mesh.want(
    { name: 'wide', at: ['fd97::/32:80'], endpoints: [at('a', 6)] },
    { name: 'narrow', at: ['fd97:0:1::/48:80'], endpoints: [at('b', 6)] },
  );
  const code = 'out = [call("fd97::1", 80), call("fd97:0:ffff::1", 80), call("fd97:0:1::1", 80)]';
  expect(await client.run(code)).toEqual(['a', 'a', 'b']);
});

test('a range takes in nothing by which a client calls itself', async () => {
  const server = await mesh.serve('client', 'tcp/8081', 'udp/8081');
  await mesh.want(
    { name: 'all', at: ['0.0.0.0/0:8081'], endpoints: [at('a')] },
    { name: 'all-udp', at: ['0.0.0.0/0:8081'], protocol: 'udp', endpoints: [at('a')] },
    { name: 'all6', at: ['::/0:8081'], endpoints: [at('a', 6)] },
  );
  const own = ['127.0.0.1', '127.9.9.9', '0.0.0.0', '::1', '::', '::ffff:127.0.0.1'];
  const code = 'out = [call(h, 8081) for h in own + ["10.97.1.1", "fd97::1"]] + [ask("127.0.0.1", 8081)["who"]]';
  expect(await client.run(code, { own })).toEqual([...own.map(() => 'client'), 'a', 'a', 'client']);
  await server.stop();
});

test('an address that is not in any range is left alone while ranges exist', async () => {
  await mesh.want({ name: 'wide', at: ['10.97.0.0/16:80'], endpoints: [at('a')] });
  expect(await client.run('out = call(decoy, 80)', decoy())).toBe('decoy');
});

test('clients of different namespaces see different services at one address', async () => {
  const where = ['10.96.0.1:80'];
  await mesh.want(
    { name: 'for-guests', at: where, visibleTo: ['guests'], endpoints: [at('a')] },
    { name: 'for-others', at: where, visibleTo: [''], endpoints: [at('b')] },
    { name: 'udp-guests', at: where, protocol: 'udp', visibleTo: ['guests'], endpoints: [at('a')] },
    { name: 'udp-others', at: where, protocol: 'udp', visibleTo: [''], endpoints: [at('b')] },
  );
  const guest = await mesh.python('guest');
  const code = 'out = [call("10.96.0.1", 80), ask("10.96.0.1", 80)["who"]]';
  expect(await guest.run(code)).toEqual(['a', 'a']);
  expect(await client.run(code)).toEqual(['b', 'b']);
});

test('a service that a namespace does not see is left alone there, and the reason says so', async () => {
  const d = decoy();
  await mesh.want({ name: 'private', at: [`${d.decoy}:80`], visibleTo: ['guests'], endpoints: [at('a')] });
  const guest = await mesh.python('guest');
  expect(await guest.run('out = call(decoy, 80)', d)).toBe('a');
  const { value, reasons } = await mesh.counting(() => client.run('out = call(decoy, 80)', d));
  expect(value).toBe('decoy');
  expect(reasons).toMatchObject({ not_visible: 1 });
});

test('a socket goes by what its cgroup is enrolled as when it is used, not when it was made', async () => {
  const where = ['10.96.0.1:80'];
  await mesh.want(
    { name: 'for-guests', at: where, visibleTo: ['guests'], endpoints: [at('a')] },
    { name: 'for-others', at: where, visibleTo: [''], endpoints: [at('b')] },
    { name: 'udp-guests', at: where, protocol: 'udp', visibleTo: ['guests'], endpoints: [at('a')] },
    { name: 'udp-others', at: where, protocol: 'udp', visibleTo: [''], endpoints: [at('b')] },
  );
  await client.run('t = socket.socket(); u = socket.socket(type=socket.SOCK_DGRAM); t.settimeout(3); u.settimeout(3)');
  expect(await client.run('out = exchange(u, "10.96.0.1", 80)["who"]')).toBe('b');
  await mesh.enroll('client', { namespace: 'guests' });
  const code = `
t.connect(("10.96.0.1", 80))
out = [first_line(t), exchange(u, "10.96.0.1", 80)["who"]]
t.close(); u.close()`;
  expect(await client.run(code)).toEqual(['a 8080', 'a']);
  await mesh.enroll('client', { namespace: 'shop' });
});

test('ranges may differ by namespace, too', async () => {
  const where = ['10.97.0.0/16:80'];
  await mesh.want(
    { name: 'for-guests', at: where, visibleTo: ['guests'], endpoints: [at('a')] },
    { name: 'for-others', at: where, visibleTo: [''], endpoints: [at('b')] },
  );
  const guest = await mesh.python('guest');
  expect(await guest.run('out = call("10.97.3.4", 80)')).toBe('a');
  expect(await client.run('out = call("10.97.3.4", 80)')).toBe('b');
});
