// SPDX-License-Identifier: Apache-2.0
// Who gets a connection, by policy: shares within three sigma, exact turns, open connections, sources, affinity.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addressHash, cgroupHash } from '../../src/abi/hash.ts';
import { mostSigmas } from '../../src/demo/shares.ts';
import type { BalancerPolicy } from '../../src/mesh/service.ts';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { measureShares } from '../support/shares.ts';
import { endpoint, type ServiceSpec } from '../support/wanted.ts';

const servers = ['a', 'b', 'c', 'd'] as const;
const clients = ['client', 'client2', 'client3', 'client4'] as const;
let mesh: Mesh;
const python: Record<string, Python> = {};

beforeAll(async () => {
  mesh = await openMesh([...clients, ...servers]);
  for (const name of servers) await mesh.serve(name, 'tcp/8080', 'udp/8080');
  for (const name of clients) {
    await mesh.enroll(name);
    python[name] = await mesh.python(name);
  }
});
afterAll(() => mesh?.close());

const client = () => python.client as Python;

/** The same service by TCP and UDP, both families, at 10.96.0.1 and fd96::1. */
function service(weights: Readonly<Record<string, number>>, options: Partial<ServiceSpec> = {}): ServiceSpec[] {
  const endpoints = (family: 4 | 6) =>
    Object.entries(weights).map(([name, weight]) => endpoint(mesh.pod(name), 8080, weight, family));
  return [
    { name: 's4', at: ['10.96.0.1:80'], endpoints: endpoints(4), ...options },
    { name: 's6', at: ['[fd96::1]:80'], endpoints: endpoints(6), ...options },
    { name: 'u4', at: ['10.96.0.1:80'], protocol: 'udp', endpoints: endpoints(4), ...options },
  ];
}

const ways = [
  ['TCP over IPv4', 'out = calls("10.96.0.1", 80, n)'],
  ['TCP over IPv6', 'out = calls("fd96::1", 80, n)'],
  ['UDP', 'out = asks("10.96.0.1", 80, n)'],
] as const;

test.each(
  ways.flatMap(([way, code]) => [
    [way, { a: 1, b: 1, c: 1 }, code] as const,
    [way, { a: 3, b: 1 }, code] as const,
    [way, { a: 100, b: 50, c: 1 }, code] as const,
  ]),
)('random, %s: shares follow the weights %j', async (_way, weights, code) => {
  await mesh.want(...service(weights));
  const judged = await measureShares((n) => client().run(code, { n }), 600, weights);
  expect(judged.strangers).toEqual([]);
  expect(judged.worst).toBeLessThanOrEqual(mostSigmas);
});

test.each([
  [{ a: 1, b: 1, c: 1 }, 30, { a: 10, b: 10, c: 10 }],
  [{ a: 5, b: 3, c: 2 }, 40, { a: 20, b: 12, c: 8 }],
  [{ a: 200, b: 100 }, 9, { a: 6, b: 3 }],
])('round robin takes turns by weights %j: exactly', async (weights, n, counts) => {
  await mesh.want(...service(weights, { policy: 'round-robin' }));
  for (const [, code] of ways) expect(await client().run(code, { n })).toEqual(counts);
});

test('least request gives to whoever has fewer open connections, by weight', async () => {
  await mesh.until(() => servers.every((name) => mesh.active(name) === 0));
  await mesh.want(...service({ a: 1, b: 1 }, { policy: 'least-request' }));
  const open = `
def hold(n):
    for _ in range(n):
        s = dial("10.96.0.1", 80)
        held.setdefault(first_line(s).split()[0], []).append(s)
def drop(name):
    for s in held.pop(name, []): s.close()
def counts(): return {k: len(v) for k, v in held.items()}
held = {}
hold(20)
out = counts()`;
  expect(await client().run(open)).toEqual({ a: 10, b: 10 });
  expect([mesh.active('a'), mesh.active('b')]).toEqual([10, 10]);
  // Another client sees the same counts.
  await client().run('drop("a")');
  await mesh.until(() => mesh.active('a') === 0);
  expect(await python.client2?.run('kept = [dial("10.96.0.1", 80) for _ in range(10)]; out = len(kept)')).toBe(10);
  expect([mesh.active('a'), mesh.active('b')]).toEqual([10, 10]);
  await Promise.all([client().run('drop("b")'), python.client2?.run('[s.close() for s in kept]')]);
  await mesh.until(() => mesh.active('a') + mesh.active('b') === 0);

  await mesh.want(...service({ a: 3, b: 1 }, { policy: 'least-request' }));
  expect(await client().run('hold(40); out = counts()')).toEqual({ a: 30, b: 10 });
  await client().run('drop("a"); drop("b")');
  await mesh.until(() => mesh.active('a') + mesh.active('b') === 0);
});

test('source hash: a client stays with its endpoint, the one the table gives for its address', async () => {
  const specs = service({ a: 1, b: 1, c: 1 }, { policy: 'source-hash' });
  await mesh.want(...specs);
  for (const name of clients) {
    const pod = mesh.pod(name);
    const expected4 = mesh.tableChoice('s4', addressHash(pod.address4));
    const expected6 = mesh.tableChoice('s6', addressHash(pod.address6));
    for (const [way, code] of ways) {
      const who = way.endsWith('6')
        ? expected6
        : way === 'UDP'
          ? mesh.tableChoice('u4', addressHash(pod.address4))
          : expected4;
      expect(await python[name]?.run(code, { n: 10 })).toEqual({ [who]: 10 });
    }
  }
});

test('source hash: a process without a workload goes by its cgroup', async () => {
  await mesh.want(...service({ a: 1, b: 1, c: 1 }, { policy: 'source-hash' }));
  const id = await mesh.enroll('client4', { workload: '' });
  const who = mesh.tableChoice('s4', cgroupHash(id));
  expect(await python.client4?.run('out = calls("10.96.0.1", 80, 10)')).toEqual({ [who]: 10 });
  await mesh.enroll('client4');
});

test('source hash: who leaves moves its clients only', async () => {
  await mesh.want(...service({ a: 1, b: 1, c: 1, d: 1 }, { policy: 'source-hash' }));
  const ask = async () => {
    const out: string[] = [];
    for (const name of clients) out.push((await python[name]?.run<string>('out = call("10.96.0.1", 80)')) ?? '');
    return out;
  };
  const before = await ask();
  const gone = before[0] as string;
  const rest = Object.fromEntries(servers.filter((name) => name !== gone).map((name) => [name, 1]));
  await mesh.want(...service(rest, { policy: 'source-hash' }));
  const after = await ask();
  expect(after).not.toContain(gone);
  for (const [i, who] of before.entries()) if (who !== gone) expect(after[i]).toBe(who);
});

test.each(['random', 'round-robin', 'least-request'] satisfies BalancerPolicy[])(
  'affinity over %s: a client stays, others are spread, until it pauses or its endpoint leaves',
  async (policy) => {
    const options = { policy, affinitySeconds: 60 };
    await mesh.want(...service({ a: 1, b: 1, c: 1 }, options));
    const code = 'out = calls("10.96.0.1", 80, 20)';
    const { value, reasons } = await mesh.counting(() => client().run<Record<string, number>>(code));
    const [kept] = Object.keys(value) as [string];
    expect(value).toEqual({ [kept]: 20 });
    expect(reasons.affinity_kept).toBeGreaterThanOrEqual(19);
    // Only what the backend says counts: another one has a memory of its own.
    const rest = Object.fromEntries(['a', 'b', 'c'].filter((name) => name !== kept).map((name) => [name, 1]));
    await mesh.want(...service(rest, options));
    const next = await client().run<Record<string, number>>(code);
    expect(Object.keys(next)).toHaveLength(1);
    expect(next).not.toHaveProperty(kept);
  },
);

test('affinity: UDP flows and both protocols of a backend agree', async () => {
  const endpoints = ['a', 'b', 'c'].map((name) => endpoint(mesh.pod(name), 8080));
  await mesh.want({ name: 'u', at: ['10.96.0.1:80'], protocol: 'udp', affinitySeconds: 60, endpoints });
  expect(Object.values(await client().run<Record<string, number>>('out = asks("10.96.0.1", 80, 20)'))).toEqual([20]);
});

test('affinity ends after its time without a connection', async () => {
  await mesh.want(...service({ a: 1, b: 1, c: 1 }, { policy: 'round-robin', affinitySeconds: 2 }));
  const code = `
out = []
for gap in [0.8, 0.8, 0.8, 2.3]:
    out.append(call("10.96.0.1", 80))
    time.sleep(gap)
out.append(call("10.96.0.1", 80))`;
  const { value, reasons } = await mesh.counting(() => (python.client2 as Python).run<string[]>(code));
  // Each connection begins the time anew; the last one comes too late, and round robin gives it to the next.
  expect(new Set(value.slice(0, 4)).size).toBe(1);
  expect(value[4]).not.toBe(value[0]);
  expect(reasons).toMatchObject({ affinity_kept: 3, affinity_expired: 1 });
});

test('affinity holds for a connection that another CPU was a moment ahead of', async () => {
  await mesh.want(...service({ a: 1, b: 1, c: 1 }, { policy: 'round-robin', affinitySeconds: 60 }));
  const one = () => (python.client3 as Python).run<string>('out = call("10.96.0.1", 80)');
  const first = await one();
  const map = mesh.plane.map('affinity');
  // Used later than the programs of the next moments look at the clock.
  map.put([...map.entries()].map(([key, value]) => [key, { ...value, used_ns: value.used_ns + 3_000_000_000n }]));
  const { value, reasons } = await mesh.counting(one);
  expect(value).toBe(first);
  expect(reasons.affinity_expired).toBeUndefined();
});
