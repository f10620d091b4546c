// SPDX-License-Identifier: Apache-2.0
// The agent is stopped, or killed in the middle of a large update, and started again: calls go on, and nothing is written twice or lost.
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lockHolder } from '../../src/agent/lock.ts';
import { fillOf } from '../../src/compile/image.ts';
import { type NormalContents, normalise } from '../../src/compile/normalise.ts';
import { imageOf } from '../../src/compile/read-image.ts';
import { linkInfo } from '../../src/kernel/info.ts';
import { openPinnedMap, pinnedMapNames } from '../../src/kernel/pinned-map.ts';
import { pinFolders, pinNames, withPin } from '../../src/kernel/pins.ts';
import { type BulkState, bulkYaml, entryYaml } from '../support/bulk.ts';
import { type Load, startLoad } from '../support/load.ts';
import { type AgentProcess, type Node, openNode } from '../support/node.ts';

const SERVICES = 2000;
const ROUNDS = { least: 5, most: 15 };
/** Written by programs, not by the agent. */
const ofPrograms = new Set(['sock', 'active', 'robin', 'affinity', 'udp_flow', 'udp_reverse', 'reason', 'version']);

let node: Node;
let agent: AgentProcess;
let load: Load;
let fresh: { readonly contents: NormalContents; readonly used: Readonly<Record<string, number>> };

/** What the pins hold without ids and ranges, and how much of each map that takes. */
const contents = () => node.held((plane) => normalise(plane));
const used = () =>
  node.held((plane) => Object.fromEntries(Object.entries(fillOf(imageOf(plane))).map(([map, f]) => [map, f.used])));
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
  fresh = { contents: contents(), used: used() };
  expect((await node.kmeshctl('enroll', node.pod('client').cgroup)).code).toBe(0);
  load = await startLoad(node.pod('client'), { host: '10.96.0.1', port: 80 });
}, 180_000);
afterAll(() => node?.close(), 120_000);

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
    const map = openPinnedMap(bpffs, name, 1);
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
  const whole = await operations();
  expect(whole).toBeGreaterThan(SERVICES);
  // One service of 2,000.
  await agent.end('SIGTERM');
  const endpoints = [{ address: '10.44.0.1' }];
  node.write('one.yaml', entryYaml({ name: 'single', address: '10.98.0.1', endpoints, targetPort: 80 }));
  agent = node.startAgent();
  await node.ready();
  expect(await operations()).toBeGreaterThan(0);
  expect(await operations()).toBeLessThan(50);
  node.write('one.yaml', '');
  await node.until(() => contents().frontends['tcp/10.98.0.1:80'] === undefined);
}, 180_000);

test('killed at random points of an update of 2,000 services: ends as a fresh start does, and calls never fail', async () => {
  // One update that is let be tells how long they take and how much they write.
  write('a');
  await node.until(writing);
  const begun = performance.now();
  await node.until(() => !writing());
  await node.ready();
  const wholeMs = performance.now() - begun;
  const whole = await operations();

  const rests: number[] = [];
  const inMiddle = () => rests.filter((rest) => rest > 0 && rest < 0.95 * whole).length;
  let state: BulkState = 'a';
  for (let round = 0; round < ROUNDS.most && (round < ROUNDS.least || inMiddle() < 2 || state === 'b'); round++) {
    state = state === 'a' ? 'b' : 'a';
    write(state);
    await node.until(writing);
    await pause(Math.random() * wholeMs);
    expect(await agent.end('SIGKILL')).toBe(null);
    agent = node.startAgent();
    await node.ready();
    rests.push(await operations());
    expect(contents().stray).toEqual([]);
  }
  // What was left to write differs: some were killed in the middle.
  expect(inMiddle(), `left of ${whole}: ${rests.join(', ')}`).toBeGreaterThanOrEqual(1);

  if (state === 'b') write('a');
  // Ids whose last user has gone are free some seconds later.
  await node.until(() => JSON.stringify(contents().names) === JSON.stringify(fresh.contents.names));
  await node.ready();
  expect(contents()).toEqual(fresh.contents);
  expect(used()).toEqual(fresh.used);
  expect((await node.kmeshctl('dump', 'diff')).code).toBe(0);

  const { calls, answers, failures } = await load.end();
  expect(failures).toEqual({});
  expect(Object.keys(answers).sort()).toEqual(['one', 'two']);
  expect(calls).toBeGreaterThan(1000);
}, 300_000);
