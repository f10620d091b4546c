// SPDX-License-Identifier: Apache-2.0
// Policies change all the time, are large, outgrow their maps, are cut off half-way: who is allowed before and after is never refused,
// who is denied before and after never gets in.
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type AuthzLab, authz, everyTry, from, openAuthzLab, refused } from '../support/authz-lab.ts';
import { type Race, startRace } from '../support/authz-race.ts';
import type { KubeObject } from '../support/kube.ts';

let lab: AuthzLab;

beforeAll(async () => {
  const sizes = [
    'authz_range=64',
    'authz_value=64',
    'authz_word=1024',
    'authz_member=1024',
    'authz_stack=8',
    'authz_set=8',
  ];
  const words = sizes.flatMap((size) => ['--map-size', size]);
  lab = await openAuthzLab('update', ['server', 'friend', 'foe', 'now-and-then'], { agent: { words } });
  await lab.node.serve('server', 'tcp/8080', 'udp/8080');
  await lab.policies(...state('a', 10));
  await lab.enforce('server');
  await lab.node.until(async () => (await lab.tries('friend', 'server')).tcp4 === 'server');
}, 120_000);
afterAll(() => lab?.close(), 120_000);
beforeEach(async () => {
  await lab.policies(...state('a', 10));
});

/** The friend gets in and the foe does not, in each state by other rules; who gets in now and then does in one of them. */
function state(which: 'a' | 'b', ranges: number): KubeObject[] {
  const own = which === 'a' ? 1 : 2;
  const cidrs = Array.from({ length: ranges }, (_, i) => `172.${16 + own}.${i >> 8}.${i & 255}`);
  const accounts = Array.from({ length: Math.ceil(ranges / 10) }, (_, i) => `${which}-${i}`);
  const friend = {
    from: [{ source: { ipBlocks: [`${lab.address('friend')}/32`, `${lab.address('friend', 6)}/128`] } }],
  };
  return [
    authz('elsewhere', { action: 'DENY', rules: [{ from: [{ source: { ipBlocks: cidrs } }] }] }),
    which === 'a'
      ? authz('friends', { app: 'server', rules: [from('friend', 'now-and-then', ...accounts)] })
      : authz('friends', { app: 'server', rules: [friend, from(...accounts)] }),
    ...(which === 'a' ? [] : [authz('no-foe', { action: 'DENY', rules: [from('foe'), from(...accounts)] })]),
  ];
}
const list = (items: readonly KubeObject[]) => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
const write = (which: 'a' | 'b', ranges: number) => lab.node.write('policies.json', list(state(which, ranges)));

const races = async (): Promise<readonly Race[]> => [
  await startRace(lab, 'friend', 'server'),
  await startRace(lab, 'foe', 'server'),
];
async function expectSteady([friend, foe]: readonly Race[]): Promise<void> {
  for (const race of [friend, foe]) await race?.more(5);
  const [always, never] = [await friend?.end(), await foe?.end()];
  expect([always?.refused, always?.other, never?.in, never?.other]).toEqual([[], {}, [], {}]);
  expect(await lab.tries('friend', 'server')).toEqual(everyTry('server'));
  expect(await lab.tries('foe', 'server')).toEqual(refused);
}

test('one state after the other, large and small', { timeout: 240_000 }, async () => {
  const running = await races();
  for (const ranges of [1, 500, 20, 2000]) {
    for (const which of ['b', 'a'] as const) {
      await lab.policies(...state(which, ranges));
      const inState = which === 'a' ? everyTry('server') : refused;
      expect(await lab.tries('now-and-then', 'server')).toEqual(inState);
    }
  }
  await expectSteady(running);
  // The maps had to grow for it.
  expect(lab.node.held((plane) => plane.map('authz_range').maxEntries)).toBeGreaterThan(64);
});

test('the agent is killed while it writes, and started again', { timeout: 240_000 }, async () => {
  const running = await races();
  for (let round = 0; round < 5; round++) {
    write(round % 2 === 0 ? 'b' : 'a', 1000 + round);
    // Anywhere in reading, compiling or writing.
    await pause(20 + 50 * round + Math.random() * 40);
    await lab.agent.end('SIGKILL');
    for (const race of running) await race.more(5);
    await lab.startAgent();
  }
  await expectSteady(running);
  await lab.policies(...state('b', 5));
  expect(await lab.tries('now-and-then', 'server')).toEqual(refused);
});

test('policies change while no agent runs: the old ones stand until the next one has all of the new', async () => {
  const running = await races();
  await lab.agent.end('SIGKILL');
  write('b', 300);
  for (const race of running) await race.more(10);
  expect(await lab.tries('now-and-then', 'server')).toEqual(everyTry('server'));
  await lab.startAgent();
  expect(await lab.tries('now-and-then', 'server')).toEqual(refused);
  await expectSteady(running);
});

test('programs and maps are replaced', async () => {
  const running = await races();
  await lab.kmeshctl('upgrade', '--map-size', 'authz_source=4096');
  for (const race of running) await race.more(10);
  await lab.policies(...state('b', 50));
  expect(await lab.tries('now-and-then', 'server')).toEqual(refused);
  await expectSteady(running);
});

const patience = { timeout: 20_000, interval: 50 };

test('what is beyond the limits is refused by name, and closes what it holds for', async () => {
  // Conjunctions multiply: 8 clauses of 6 values that cannot be joined are 1.7 million.
  const when = Array.from({ length: 8 }, (_, clause) => ({
    key: 'source.namespace',
    notValues: [`n${clause}`],
  }));
  const from = Array.from({ length: 200 }, (_, i) => ({
    source: { namespaces: [`n${i}`], ipBlocks: [`10.${i}.0.0/16`] },
  }));
  const to = Array.from({ length: 200 }, (_, i) => ({ operation: { ports: [`${i + 1}`], notPorts: [`${i + 2}`] } }));
  lab.node.write('more.json', list([authz('too-much', { app: 'server', rules: [{ from, to, when }] })]));
  // Each address of the pod is closed by an entry of its own.
  await expect.poll(() => lab.tries('friend', 'server'), patience).toEqual(refused);
  const said = () => lab.kmeshctl('authz', 'status', '-o', 'json');
  await expect.poll(said, patience).toContain('shop/too-much');
  await expect.poll(said, patience).toContain('more than');
  lab.node.write('more.json', list([]));
  await lab.node.until(async () => (await lab.tries('friend', 'server')).tcp4 === 'server');
});
