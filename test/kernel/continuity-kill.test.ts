// SPDX-License-Identifier: Apache-2.0
// The agent is stopped, or killed in the middle of a large update, and started again: calls go on, and nothing is written twice or lost.
import { setImmediate as immediate, setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lockHolder, withLock } from '../../src/agent/lock.ts';
import { fillOf } from '../../src/compile/image.ts';
import { linkInfo } from '../../src/kernel/info.ts';
import { openPinnedMap, pinnedMapNames } from '../../src/kernel/pinned-map.ts';
import { pinFolders, pinNames, withPin } from '../../src/kernel/pins.ts';
import { type BulkState, bulkYaml, entryYaml } from '../support/bulk.ts';
import { type Load, startLoad } from '../support/load.ts';
import { type AgentProcess, type Node, openNode } from '../support/node.ts';
import { normalise } from '../support/normalise.ts';
import { imageOf } from '../support/plans.ts';

const SERVICES = 2000;
const ROUNDS = { least: 5, most: 10 };
/** Written by programs, not by the agent. */
const ofPrograms = new Set([
  'sock',
  'active',
  'robin',
  'affinity',
  'udp_flow',
  'udp_reverse',
  'miss',
  'misses',
  'reason',
  'authz_hit',
  'denial_limit',
  'denials',
  'listening',
  'sent',
  'version',
]);

let node: Node;
let agent: AgentProcess;
let load: Load;
let fresh: Awaited<ReturnType<typeof read>>;

/** What the pins hold without ids and ranges, and how much of each map that takes; nobody writes meanwhile. */
const read = () =>
  withLock(node.place.runDir, { command: 'test', waitMs: 60_000 }, () =>
    node.held((plane) => ({
      contents: normalise(plane),
      used: Object.fromEntries(Object.entries(fillOf(imageOf(plane))).map(([map, fill]) => [map, fill.used])),
    })),
  );
const write = (state: BulkState) => {
  const endpoints = ['one', 'two'].map((name) => ({ address: node.pod(name).address4 }));
  const targetPort = state === 'a' ? 9000 : 9001;
  const cart = entryYaml({ name: 'cart', address: '10.96.0.1', endpoints, targetPort });
  node.write('mesh.yaml', cart + bulkYaml(SERVICES, state));
};
const operations = async () => (await node.client.status({})).lastApply?.operations ?? -1;
const writing = () => lockHolder(node.place.runDir, 'lock')?.pid === agent.child.pid;

beforeAll(async () => {
  node = await openNode('kill', ['client', 'one', 'two']);
  for (const name of ['one', 'two']) await node.serve(name, 'tcp/9000-9001');
  write('a');
  agent = node.startAgent();
  await node.ready();
  fresh = await read();
  expect((await node.kmeshctl('enroll', node.pod('client').cgroup, '--authz', 'off')).code).toBe(0);
  load = await startLoad(node.pod('client'), { host: '10.96.0.1', port: 80, pauseMs: 5 });
}, 180_000);
afterAll(() => node?.close(), 120_000);

/** In the middle of something larger than freeing ids. */
const writingForLong = () =>
  node.until(async () => {
    if (!writing()) return false;
    await pause(40);
    return writing();
  });

/** Until one backend, any of them, leads to a new range: then an update is in the middle of what readers see. */
const someSwitch = () =>
  node.holding(async (plane) => {
    const ids = [...plane.map('backend').entries()].map(([id]) => id);
    const id = ids[Math.floor(Math.random() * ids.length)] as number;
    const first = () => plane.map('backend').get(id)?.first;
    const before = first();
    await node.until(async () => {
      for (const end = performance.now() + 20; first() === before && performance.now() < end; ) await immediate();
      return first() !== before;
    });
  });

/** All that a client could come to, as one text. */
const served = ({ contents }: Awaited<ReturnType<typeof read>>) =>
  JSON.stringify([contents.backends, contents.frontends, contents.stray]);

/** Calls go on now. */
async function expectCalls(): Promise<void> {
  const before = await load.calls();
  await node.until(async () => (await load.calls()) > before + 50);
}

/** Every byte that the agent writes, and the identities of maps and links. */
function everything(): Record<string, unknown> {
  const { bpffs } = node.place;
  const { links } = pinFolders(bpffs);
  const out: Record<string, unknown> = {};
  for (const name of pinNames(links)) out[`link ${name}`] = withPin(`${links}/${name}`, linkInfo);
  for (const name of pinnedMapNames(bpffs)) {
    if (name === 'version') continue;
    const map = openPinnedMap(bpffs, name);
    const rows = ofPrograms.has(name) ? [] : [...map.entries(true)].map(({ key, value }) => `${key} ${value}`).sort();
    out[name] = { id: map.info.id, rows };
    map.close();
  }
  return out;
}

describe('an agent that ends while nothing changes', () => {
  test.each([
    ['SIGTERM', 0],
    ['SIGKILL', null],
  ] as const)(
    'by %s: calls go on without it, and the next one writes nothing',
    async (signal, code) => {
      const before = everything();
      expect(await agent.end(signal)).toBe(code);
      await expectCalls();
      agent = node.startAgent();
      await node.ready();
      expect(await operations()).toBe(0);
      expect(everything()).toEqual(before);
      expect((await node.kmeshctl('dump', 'diff')).code).toBe(0);
      await expectCalls();
    },
    180_000,
  );
});

test('an update that comes while no agent runs is written by the next: what differs only', async () => {
  await agent.end('SIGTERM');
  write('b');
  agent = node.startAgent();
  await node.ready();
  expect(await operations()).toBeGreaterThan(SERVICES);
  const { services } = await node.client.status({});
  // One service of 2,000.
  const endpoints = [{ address: '10.44.0.1' }];
  node.write('one.yaml', entryYaml({ name: 'single', address: '10.98.0.1', endpoints, targetPort: 80 }));
  await node.until(async () => (await operations()) < 50);
  expect(await operations()).toBeGreaterThan(0);
  node.write('one.yaml', '');
  await node.until(async () => (await node.client.status({})).services === services);
  await node.ready();
}, 180_000);

test('killed at random points of an update of 2,000 services: ends as a fresh start does, and calls never fail', async () => {
  // One update that is let be tells how long they take.
  const states = [served(await read())];
  write('a');
  await node.until(async () => (await operations()) > SERVICES);
  states.push(served(await read()));
  const wholeMs = (await node.client.status({})).lastApply?.milliseconds ?? 0;

  let inMiddle = 0;
  let state: BulkState = 'a';
  for (let round = 0; round < ROUNDS.most && (round < ROUNDS.least || inMiddle < 2 || state === 'b'); round++) {
    state = state === 'a' ? 'b' : 'a';
    write(state);
    if (round % 3 === 2) {
      await writingForLong();
      await pause(Math.random() * wholeMs);
    } else {
      await someSwitch();
    }
    expect(await agent.end('SIGKILL')).toBe(null);
    if (!states.includes(served(await read()))) inMiddle++;
    agent = node.startAgent();
    await node.ready();
    expect(served(await read())).toBe(states[state === 'b' ? 0 : 1]);
  }
  // Neither what there was nor what there was to be.
  expect(inMiddle).toBeGreaterThanOrEqual(1);

  if (state === 'b') write('a');
  // Ids whose last user has gone are free some seconds later, or minutes when something still used them at the first looks.
  let last = await read();
  const freed = () => last.used.name === fresh.used.name;
  for (let tries = 0; tries < 200 && !freed(); tries++, last = await read()) await pause(1000);
  expect(last.used).toEqual(fresh.used);
  expect(last).toEqual(fresh);
  expect((await node.kmeshctl('dump', 'diff')).code).toBe(0);

  const { calls, answers, failures } = await load.end();
  expect(failures).toEqual({});
  expect(Object.keys(answers).sort()).toEqual(['one', 'two']);
  expect(calls).toBeGreaterThan(500);
}, 600_000);
