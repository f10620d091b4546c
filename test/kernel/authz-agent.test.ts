// SPDX-License-Identifier: Apache-2.0
// The agent and judged pods on the real kernel: what it notices, how soon, and what stands while it is away.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AuthzRow } from '../../src/admin/authz.ts';
import { type AuthzLab, authz, everyTry, from, openAuthzLab, refused } from '../support/authz-lab.ts';

let lab: AuthzLab;

beforeAll(async () => {
  lab = await openAuthzLab('authzagent', ['web', 'cart', 'late']);
  for (const pod of ['cart', 'late']) await lab.node.serve(pod, 'tcp/8080', 'udp/8080');
}, 120_000);
afterAll(() => lab?.close(), 120_000);

async function rows(): Promise<AuthzRow[]> {
  const out: AuthzRow[] = [];
  for await (const row of lab.node.client.authz({})) out.push(row);
  return out;
}
const stateOf = async (workload: string) => (await rows()).find((row) => row.workload === workload)?.enforcement;

test('a pod that a command enrolls is judged soon, without anything else that happens', async () => {
  await lab.policies(authz('only-web', { app: 'cart', rules: [from('web')] }));
  await lab.enforce('cart');
  await lab.node.until(async () => (await stateOf('shop/cart')) === 'on');
  expect(await lab.tries('web', 'cart')).toEqual(everyTry('cart'));
  expect(await lab.tries('late', 'cart')).toEqual(refused);
  await lab.node.until(() => lab.agent.log().includes('"event":"denied"'));
  expect(lab.agent.log()).toMatch(/"identity":"cluster.local\/ns\/shop\/sa\/late"/);
});

test('a pod enrolled without a name is known by its addresses', async () => {
  const { cgroup, netns } = lab.node.pod('late');
  await lab.kmeshctl('enroll', cgroup, '--netns', netns, '--authz', 'on');
  await lab.node.until(async () => (await stateOf('shop/late')) === 'on');
  expect(await lab.tries('web', 'late')).toEqual(everyTry('late'));
});

test('while no agent runs verdicts stand; the next one finds them and writes nothing', async () => {
  await lab.agent.end('SIGKILL');
  expect(await lab.tries('web', 'cart')).toEqual(everyTry('cart'));
  expect(await lab.tries('late', 'cart')).toEqual(refused);
  await lab.startAgent();
  expect((await lab.node.client.status({})).lastApply?.operations).toBe(0);
  expect(await lab.tries('web', 'cart')).toEqual(everyTry('cart'));
  const differences: unknown[] = [];
  for await (const one of lab.node.client.diff({})) differences.push(one);
  expect(differences).toEqual([]);
});

test('a file that was cut short while no agent ran opens nothing for the next one', async () => {
  const items = [authz('only-web', { app: 'cart', rules: [from('web')] })];
  const whole = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  await lab.agent.end('SIGKILL');
  lab.node.write('policies.json', whole.slice(0, -20));
  for (let i = 0; i < 2; i++) {
    const agent = lab.node.startAgent();
    await lab.node.until(async () => {
      const status = await lab.node.client.status({}).catch(() => undefined);
      return status?.pid === agent.child.pid && status?.queue === 0 && status.lastApply !== undefined;
    });
    expect((await lab.node.client.status({})).ready).toBe(false);
    expect(await lab.tries('web', 'cart')).toEqual(everyTry('cart'));
    expect(await lab.tries('late', 'cart')).toEqual(refused);
    await agent.end('SIGKILL');
  }
  lab.node.write('policies.json', whole);
  await lab.startAgent();
});

test('an open connection ends soon after a policy denies it, another one goes on', async () => {
  const open = (to: string) =>
    lab.run(
      'web',
      'import socket; held[to] = socket.create_connection((host, 8080)); out = held[to].recv(64).decode()',
      {
        to,
        host: lab.address(to),
      },
    );
  const ended = `
held[to].settimeout(0.2)
try: out = held[to].recv(64).decode() or "closed"
except TimeoutError: out = "open"
except OSError as error: out = type(error).__name__`;
  await lab.run('web', 'held = {}; out = 1');
  expect([await open('cart'), await open('late')]).toEqual(['cart 8080\n', 'late 8080\n']);
  await lab.policies(authz('only-late', { app: 'cart', rules: [from('late')] }));
  await lab.node.until(() => lab.agent.log().includes('"event":"ended"'));
  expect(await lab.run('web', ended, { to: 'cart' })).toBe('ConnectionResetError');
  expect(await lab.run('web', ended, { to: 'late' })).toBe('open');
  expect((await lab.node.client.status({})).authz?.rechecks.destroyed).toBe(1);
});

test('a pod that is taken out is open again, and nothing of it is left', async () => {
  await lab.kmeshctl('unenroll', lab.node.pod('cart').cgroup);
  await lab.kmeshctl('unenroll', lab.node.pod('late').cgroup);
  expect(await lab.tries('late', 'cart')).toEqual(everyTry('cart'));
  const maps = ['authz_dest', 'authz_source', 'authz_value', 'pod_address'] as const;
  await lab.node.until(() => lab.node.held((plane) => maps.every((map) => plane.map(map).count() === 0)));
});
