// SPDX-License-Identifier: Apache-2.0
// authz status and explain beside an agent: what they say of policies is what becomes of connections, and in the policies' own words.
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Told } from '../../src/mesh/told.ts';
import { type AuthzLab, allowNothing, authz, from, openAuthzLab } from '../support/authz-lab.ts';

let lab: AuthzLab;

beforeAll(async () => {
  lab = await openAuthzLab('authz-explain', ['server', 'good', 'bad']);
  await lab.node.serve('server', 'tcp/8080', 'udp/8080');
  await lab.enforce('server');
}, 120_000);
afterAll(() => lab?.close(), 60_000);

const ports = (...list: readonly number[]) => ({ to: [{ operation: { ports: list.map(String) } }] });
const explain = async (source: string, port = 8080) => {
  const words = ['--from', source, '--to', `shop/server:${port}`, '-o', 'json'];
  return JSON.parse(await lab.kmeshctl('authz', 'explain', ...words)) as Explained[];
};
interface Explained {
  readonly verdict: string;
  readonly because: string;
  readonly agent: boolean;
  readonly stale?: readonly string[];
  readonly [key: string]: unknown;
}
const status = async (...words: readonly string[]) =>
  JSON.parse(await lab.kmeshctl('authz', 'status', ...words, '-o', 'json'));

test('the verdict of each pair of addresses, the rule, and what the nearest rules ask for', async () => {
  await lab.policies(
    allowNothing,
    authz('good', { app: 'server', rules: [{ ...from('good'), ...ports(8080) }] }),
    authz('other', { app: 'server', rules: [{ ...from('good'), ...ports(8081) }] }),
  );
  const good = await explain('shop/good');
  expect(good.map(({ verdict, because, agent }) => [verdict, because, agent])).toEqual([
    ['allow', 'policies', true],
    ['allow', 'policies', true],
  ]);
  expect(good[0]).toMatchObject({
    from: { workload: 'shop/good', address: lab.address('good') },
    to: { workload: 'shop/server', address: lab.address('server'), port: 8080, protocol: 'tcp', enforcement: 'on' },
    principal: 'cluster.local/ns/shop/sa/good',
    told: { why: 'allow', by: { policy: 'shop/good', rule: 0 } },
    notes: [],
  });
  expect((await lab.tries('good', 'server')).tcp4).toBe('server');
  const [bad] = await explain('shop/bad');
  expect(bad).toMatchObject({
    verdict: 'deny',
    principal: 'cluster.local/ns/shop/sa/bad',
    told: {
      why: 'no-match',
      nearest: [{ policy: 'shop/good', rule: 0, asks: 'principal cluster.local/ns/shop/sa/good' }],
    },
  });
  expect((await lab.tries('bad', 'server')).tcp4).toBe('ECONNREFUSED');
  const [nobody] = await explain('203.0.113.7', 8081);
  expect(nobody).toMatchObject({ verdict: 'deny', principal: '', told: { nearest: [{ policy: 'shop/other' }] } });
  const text = await lab.kmeshctl('authz', 'explain', '--from', 'shop/bad', '--to', 'shop/server:8080');
  expect(text).toContain('ALLOW shop/good rules[0] asks for principal cluster.local/ns/shop/sa/good');
});

test('a dry run, a policy that matches nothing, and one that is refused', async () => {
  const trial = authz('trial', { action: 'DENY', app: 'server', rules: [from('good')] });
  const dry = { ...trial, metadata: { ...trial.metadata, annotations: { 'istio.io/dry-run': 'true' } } };
  await lab.policies(allowNothing, authz('good', { app: 'server', rules: [from('good')] }), dry);
  const [good] = await explain('shop/good');
  expect(good).toMatchObject({
    verdict: 'allow',
    told: { by: { policy: 'shop/good' }, dryRun: { verdict: 'deny', by: { policy: 'shop/trial', rule: 0 } } },
  });
  const { pods, policies } = await status();
  expect(pods).toMatchObject([{ workload: 'shop/server', enforcement: 'on', mode: 'allow-list', conjunctions: 2 }]);
  expect(policies).toMatchObject([
    { policy: 'shop/allow-nothing', action: 'allow', conjunctions: 0, fault: '' },
    { policy: 'shop/good', action: 'allow', dryRun: false, conjunctions: 1 },
    { policy: 'shop/trial', action: 'deny', dryRun: true, conjunctions: 1 },
  ]);

  // The agent is not ready while a document is refused.
  const broken = authz('broken', { app: 'server', rules: [{ from: [{ source: { principal: ['x'] } }] }] });
  lab.node.write('broken.json', JSON.stringify(broken));
  await lab.node.until(async () => (await explain('shop/good'))[0]?.verdict === 'deny');
  const [closed] = await explain('shop/good');
  expect(closed).toMatchObject({
    because: 'closed',
    closed: [{ policy: 'shop/broken' }],
    told: { why: 'closed', by: { policy: 'shop/broken' } },
  });
  expect((await status('--workload', 'shop/server')).pods).toMatchObject([
    { mode: 'closed', closed: [{ policy: 'shop/broken' }] },
  ]);
  const table = await lab.kmeshctl('authz', 'status');
  expect(table).toContain('shop/server is closed by shop/broken: its document is refused');
  lab.node.write('broken.json', JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [] }));
});

test('a later version that is refused: the one before stays in force, and is told to be stale', async () => {
  await lab.policies(allowNothing, authz('good', { app: 'server', rules: [from('good')] }));
  const broken = authz('good', { app: 'server', rules: [{ from: [{ source: { principal: ['x'] } }] }] });
  lab.node.write('policies.json', JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [allowNothing, broken] }));
  await lab.node.until(async () => (await explain('shop/good'))[0]?.stale?.includes('shop/good') === true);
  expect((await explain('shop/good'))[0]).toMatchObject({ verdict: 'allow', stale: ['shop/good'] });
  expect((await lab.tries('good', 'server')).tcp4).toBe('server');
  expect(await lab.kmeshctl('authz', 'status')).toMatch(
    /shop\/good +ALLOW .* stale: a later version of its document is refused/,
  );
});

test('rules have the numbers that they are written with, also when others are left out for their HTTP attributes', async () => {
  const http = { to: [{ operation: { methods: ['GET'] } }] };
  const [one, other] = [from('good'), { ...from('bad'), ...ports(1) }];
  const put = (...rules: unknown[]) => lab.policies(allowNothing, authz('good', { app: 'server', rules }));
  const rules = async () => {
    const [good, bad] = [(await explain('shop/good'))[0]?.told, (await explain('shop/bad'))[0]?.told] as Told[];
    return [good?.by?.rule, bad?.nearest.map(({ rule }) => rule)];
  };
  await put(one, other);
  expect(await rules()).toEqual([0, [0, 1]]);
  // The same rules are in force.
  await put(http, one, http, other);
  expect(await rules()).toEqual([1, [1, 3]]);
  const words = ['--from', 'shop/bad', '--to', 'shop/server:8080'];
  expect(await lab.kmeshctl('authz', 'explain', ...words)).toContain('ALLOW shop/good rules[3] asks for port 1');
  // Nor are they others in the kernel, which is asked while there is no agent.
  await lab.agent.end('SIGKILL');
  expect((await explain('shop/good'))[0]?.agent).toBe(false);
  expect(await rules()).toEqual([1, [1, 3]]);
  await lab.startAgent();
  expect((await lab.node.client.status({})).lastApply?.operations).toBe(0);
});

test('the addresses of the node are exempt, and what nobody judges is said to be so', async () => {
  await lab.policies(allowNothing, authz('good', { app: 'server', rules: [from('good')] }));
  const pods = ['server', 'good', 'bad'].flatMap((pod) => [lab.address(pod), lab.address(pod, 6)]);
  const own = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ address, internal }) => !internal && !address.startsWith('fe80') && !pods.includes(address));
  // A machine without a network has none.
  for (const { address } of own)
    expect((await explain(address))[0]).toMatchObject({ verdict: 'allow', because: 'host' });
  const words = ['--from', 'shop/good', '--to', `${lab.address('bad')}:8080`];
  expect(await lab.kmeshctl('authz', 'explain', ...words)).toContain(
    'no pod whose connections are judged has this address',
  );
  await lab.kmeshctl('authz', 'disable', '--workload', 'shop/server', '--yes');
  const open = await lab.kmeshctl('authz', 'explain', '--from', 'shop/good', '--to', 'shop/server:8080');
  expect(open).toMatch(/enforcement +off\nverdict +allow\nwhy +its inbound connections are not judged/);
});
