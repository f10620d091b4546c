// SPDX-License-Identifier: Apache-2.0
// Whether a pod is judged is a state that is seen, chosen and kept: pending, on, off. No way from one to another lets anybody slip in.
import { rmSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type AuthzLab, authz, everyTry, from, openAuthzLab, refused } from '../support/authz-lab.ts';
import { startRace } from '../support/authz-race.ts';

let lab: AuthzLab;
const friends = authz('friends', { app: 'server', rules: [from('friend')] });
/** An address of this node that pods may have as well. */
const node = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

beforeAll(async () => {
  lab = await openAuthzLab('enrolment', ['server', 'friend', 'foe', 'other']);
  for (const pod of ['server', 'other']) await lab.node.serve(pod, 'tcp/8080', 'udp/8080');
}, 120_000);
afterAll(() => lab?.close());
beforeEach(async () => {
  await unenrolled('server');
  await lab.policies(friends);
});

const enroll = (pod: string, ...words: readonly string[]) => {
  const { cgroup, netns } = lab.node.pod(pod);
  return lab.node.kmeshctl('enroll', cgroup, '--netns', netns, '--workload', `shop/${pod}`, ...words);
};
const unenrolled = (pod: string) => lab.node.kmeshctl('unenroll', lab.node.pod(pod).cgroup);

interface Row {
  readonly workload: string;
  readonly authz: string;
}
const stateOf = async (pod: string) =>
  (JSON.parse(await lab.kmeshctl('enrolled', '-o', 'json')).rows as Row[]).find((r) => r.workload === `shop/${pod}`)
    ?.authz;
const becomes = (pod: string, state: string) => lab.node.until(async () => (await stateOf(pod)) === state);

const now = () => Number(process.hrtime.bigint());

test('a client that tries all the time does not get in once enroll has said that it is done, nor after it was first refused', async () => {
  const race = await startRace(lab, 'foe', 'server');
  await race.more(20);
  await lab.enforce('server');
  const enrolled = now();
  await becomes('server', 'on');
  await race.more(20);
  const seen = await race.end();
  expect(seen.other).toEqual({});
  expect(seen.in.length).toBeGreaterThan(0);
  expect(seen.in.filter((began) => began > enrolled)).toEqual([]);
  expect(seen.in.filter((began) => began > (seen.refused[0] ?? 0))).toEqual([]);
  expect(await lab.tries('friend', 'server')).toEqual(everyTry('server'));
});

test('a pod that is enrolled before anything runs in it: whoever is denied never gets in', async () => {
  const enrolled = await lab.node.lab.addPod('fresh', { address4: '10.0.0.50', address6: 'fd00::50' });
  const workload = ['--workload', 'shop/fresh'];
  // In the order of a container runtime: network, enrolment, processes; the mesh hears of it at some point.
  await lab.kmeshctl('enroll', enrolled.cgroup, '--netns', enrolled.netns, ...workload, '--authz', 'on');
  await lab.run('fresh', 'open("/proc/sys/net/ipv4/icmp_ratemask", "w").write("0")');
  expect(await stateOf('fresh')).toBe('pending');
  await lab.node.serve('fresh', 'tcp/8080', 'udp/8080');
  const races = [await startRace(lab, 'foe', 'fresh'), await startRace(lab, 'friend', 'fresh')] as const;
  for (const race of races) await race.more(20);
  await lab.policies(authz('friends', { app: 'fresh', rules: [from('friend')] }));
  await lab.put('fresh', lab.podObject('fresh'));
  await becomes('fresh', 'on');
  for (const race of races) await race.more(20);
  const [foe, friend] = [await races[0].end(), await races[1].end()];
  expect([foe.in, foe.other, friend.other]).toEqual([[], {}, {}]);
  expect(friend.in.length).toBeGreaterThan(0);
  expect(friend.refused.every((ended) => ended < (friend.in.at(-1) ?? 0))).toBe(true);
});

test('without an agent it must be said whether a pod is judged; until one tells its policies it is pending', async () => {
  await lab.agent.end('SIGTERM');
  try {
    const unsaid = await enroll('server');
    expect(unsaid.code).not.toBe(0);
    expect(unsaid.err).toContain('--authz');
    expect(await stateOf('server')).toBe(undefined);
    await lab.enforce('server');
    expect(await stateOf('server')).toBe('pending');
    for (const who of ['foe', 'friend', 'other']) expect(await lab.tries(who, 'server')).toEqual(refused);
    // What it asks for itself it gets.
    expect(await lab.tries('server', 'other')).toEqual(everyTry('other'));
  } finally {
    await lab.startAgent();
  }
  await becomes('server', 'on');
  expect(await lab.tries('friend', 'server')).toEqual(everyTry('server'));
  expect(await lab.tries('foe', 'server')).toEqual(refused);
});

test('with an agent a pod is judged unless it is said otherwise', async () => {
  expect(await enroll('server')).toMatchObject({ code: 0 });
  await becomes('server', 'on');
  expect(await lab.tries('foe', 'server')).toEqual(refused);
  expect(await enroll('server', '--authz', 'off')).toMatchObject({ code: 0 });
  expect(await stateOf('server')).toBe('off');
  expect(await lab.tries('foe', 'server')).toEqual(everyTry('server'));
  await lab.enforce('server');
  await becomes('server', 'on');
  expect(await lab.tries('foe', 'server')).toEqual(refused);
  expect(await lab.tries('friend', 'server')).toEqual(everyTry('server'));
  await lab.kmeshctl('unenroll', lab.node.pod('server').cgroup);
  expect(await lab.tries('foe', 'server')).toEqual(everyTry('server'));
});

test("a process in the host's network cannot be judged, and is told so by name", async () => {
  const { cgroup } = lab.node.pod('other');
  for (const words of [['--authz', 'on'], []]) {
    const said = await lab.node.kmeshctl(
      'enroll',
      cgroup,
      '--netns',
      '/proc/self/ns/net',
      '--workload',
      'shop/other',
      ...words,
    );
    expect(said.code).not.toBe(0);
    expect(said.err).toMatch(/network/);
    expect(said.err).toContain('--authz off');
    expect(said.err).toContain('other');
  }
  expect(await stateOf('other')).toBe(undefined);
});

test('a pod that nobody knows stays pending; one that is forgotten is closed', async () => {
  const { cgroup, netns } = lab.node.pod('server');
  await lab.kmeshctl('enroll', cgroup, '--netns', netns, '--workload', 'shop/unheard-of', '--authz', 'on');
  await lab.put('pods', ...['friend', 'foe'].map((name) => lab.podObject(name)));
  for (const who of ['foe', 'friend']) expect(await lab.tries(who, 'server')).toEqual(refused);
  expect(await stateOf('unheard-of')).toBe('pending');
  await lab.put('pods', ...['friend', 'foe', 'server', 'other'].map((name) => lab.podObject(name)));
  await lab.enforce('server');
  await becomes('server', 'on');
  expect(await lab.tries('friend', 'server')).toEqual(everyTry('server'));
  await lab.put('pods', ...['friend', 'foe', 'other'].map((name) => lab.podObject(name)));
  await becomes('server', 'pending');
  for (const who of ['foe', 'friend']) expect(await lab.tries(who, 'server')).toEqual(refused);
  await lab.put('pods', ...['friend', 'foe', 'server', 'other'].map((name) => lab.podObject(name)));
  await becomes('server', 'on');
});

test('two cgroups of one pod: it is judged until the last of them is taken out', async () => {
  const { cgroup, netns } = lab.node.pod('server');
  const inner = join(cgroup, 'sidecar');
  await lab.run('server', 'os.makedirs(inner, exist_ok=True)', { inner });
  for (const path of [cgroup, inner])
    await lab.kmeshctl('enroll', path, '--netns', netns, '--workload', 'shop/server', '--authz', 'on');
  await becomes('server', 'on');
  await lab.kmeshctl('unenroll', inner);
  expect(await lab.tries('foe', 'server')).toEqual(refused);
  expect(await lab.tries('friend', 'server')).toEqual(everyTry('server'));
  await lab.kmeshctl('unenroll', cgroup);
  expect(await lab.tries('foe', 'server')).toEqual(everyTry('server'));
  rmSync(inner, { recursive: true, force: true });
});

test('a policy that cannot be read: the last good one stands, and one that never was good closes', async () => {
  await lab.enforce('server');
  await becomes('server', 'on');
  const rules = [{ from: [{ source: { principal: ['misspelt'] } }] }];
  const status = () => lab.kmeshctl('authz', 'status', '-o', 'json');
  lab.node.write('policies.json', JSON.stringify(authz('friends', { app: 'server', rules })));
  await lab.node.until(async () => (await status()).includes('"stale"'));
  expect(await lab.tries('friend', 'server')).toEqual(everyTry('server'));
  expect(await lab.tries('foe', 'server')).toEqual(refused);
  lab.node.write('policies.json', JSON.stringify(authz('never-good', { app: 'server', rules })));
  await lab.node.until(async () => (await status()).includes('"refused"'));
  for (const who of ['foe', 'friend']) expect(await lab.tries(who, 'server')).toEqual(refused);
});

test("probes of the node get in, a pod with the node's address does not", async () => {
  expect(node).toBeDefined();
  // The lab's pods cannot be reached from the node: one that is not enrolled plays it.
  const add = 'import subprocess; subprocess.check_call(["ip", "addr", "add", f"{what}/32", "dev", "eth0"])';
  await lab.run('other', add, { what: node });
  await lab.enforce('server');
  await becomes('server', 'on');
  const probe = `
def probe():
    with socket.socket() as s:
        s.settimeout(5); s.bind((what, 0)); s.connect((host, 8080))
        return first_line(s).split()[0]
out = outcome(probe)`;
  const args = { what: node, host: lab.address('server') };
  expect(await lab.run('other', probe, args)).toBe('server');
  expect(await lab.tries('other', 'server')).toEqual(refused);
  await lab.agent.end('SIGTERM');
  await lab.startAgent({ words: ['--authz-host-probes', 'deny'] });
  await lab.node.until(async () => (await lab.run('other', probe, args)) === 'ECONNREFUSED');
  await lab.agent.end('SIGTERM');
  await lab.startAgent();
  await lab.node.until(async () => (await lab.run('other', probe, args)) === 'server');
});
