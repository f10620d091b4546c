// SPDX-License-Identifier: Apache-2.0
// Addresses that come to another pod, or that a pod takes: nobody is judged, or known, as who had them before.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AuthzLab, authz, everyTry, from, openAuthzLab, refused } from '../support/authz-lab.ts';
import { pod } from '../support/kube.ts';

let lab: AuthzLab;

beforeAll(async () => {
  lab = await openAuthzLab('authzaddr', ['server', 'friend', 'evil'], { agent: { words: ['--heal-interval', '1h'] } });
  await lab.node.serve('server', 'tcp/8080', 'udp/8080');
}, 120_000);
afterAll(() => lab?.close());

interface Row {
  readonly workload: string;
  readonly authz: string;
}
const stateOf = async (workload: string) =>
  (JSON.parse(await lab.kmeshctl('enrolled', '-o', 'json')).rows as Row[]).find((r) => r.workload === workload)?.authz;
const becomes = (workload: string, state: string) => lab.node.until(async () => (await stateOf(workload)) === state);
const enrollAs = (workload: string) => {
  const { cgroup, netns } = lab.node.pod('server');
  return lab.kmeshctl('enroll', cgroup, '--netns', netns, '--workload', workload, '--authz', 'on');
};

test('a pod with the address of one that is gone is not judged by its policies', async () => {
  await lab.policies();
  await lab.enforce('server');
  await becomes('shop/server', 'on');
  expect(await lab.tries('evil', 'server')).toEqual(everyTry('server'));
  await lab.agent.end('SIGKILL');
  await lab.kmeshctl('unenroll', lab.node.pod('server').cgroup);
  await enrollAs('shop/another');
  expect(await stateOf('shop/another')).toBe('pending');
  expect(await lab.tries('evil', 'server')).toEqual(refused);
  await lab.startAgent();
});

test('an agent notices that a pod was taken out and in again, or was enrolled as another', async () => {
  await enrollAs('shop/server');
  await becomes('shop/server', 'on');
  await lab.kmeshctl('unenroll', lab.node.pod('server').cgroup);
  await enrollAs('shop/server');
  await becomes('shop/server', 'on');
  expect(await lab.tries('evil', 'server')).toEqual(everyTry('server'));
  await enrollAs('shop/nobody-1');
  await becomes('shop/nobody-1', 'pending');
  await enrollAs('shop/nobody-2');
  await lab.put('nobody', pod('nobody-2', { node: 'n1', addresses: [lab.address('server')] }));
  await becomes('shop/nobody-2', 'on');
  await lab.put('nobody');
});

test('a pod that gives itself the address of another gets neither that nor its name by being enrolled again', async () => {
  await enrollAs('shop/server');
  await lab.policies(authz('friends', { app: 'server', rules: [from('friend')] }));
  for (const name of ['friend', 'evil']) await lab.enforce(name);
  for (const name of ['server', 'friend', 'evil']) await becomes(`shop/${name}`, 'on');
  const places = () => lab.node.held((plane) => new Map(plane.map('pod_address').entries()));
  const before = places();
  const take = 'import subprocess; subprocess.check_call(["ip", "addr", "add", f"{what}/32", "dev", "eth0"])';
  await lab.run('evil', take, { what: lab.address('friend') });
  await lab.enforce('evil');
  expect(places()).toEqual(before);
  await lab.agent.end('SIGTERM');
  await lab.enforce('evil');
  expect(places()).toEqual(before);
  expect(await lab.tries('friend', 'server')).toEqual(everyTry('server'));
});
