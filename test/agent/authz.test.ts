// SPDX-License-Identifier: Apache-2.0
// The agent judges pods: policies of a folder, enrolments made by commands, the kernel in memory.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MapName } from '../../src/abi/maps.ts';
import { reasons } from '../../src/abi/reasons.ts';
import { denialFlag, identityHost, memberPolicyBits } from '../../src/abi/structs.ts';
import type { AuthzRow } from '../../src/admin/authz.ts';
import { adminClient } from '../../src/admin/client.ts';
import { readEnrolments, writeEnrolments } from '../../src/agent/enrolments.ts';
import type { Interfaces } from '../../src/agent/host-addresses.ts';
import { openLog } from '../../src/agent/log.ts';
import { type Agent, type AgentParts, startAgent } from '../../src/agent.ts';
import { defaultAuthzOptions } from '../../src/compile/authz/holding.ts';
import type { Denial } from '../../src/kernel/dataplane.ts';
import { type MemoryDataPlane, openMemory } from '../../src/kernel/memory.ts';
import type { MapSizes } from '../../src/kernel/sizes.ts';
import { openFolderSource } from '../../src/source/file/folder-source.ts';
import { sink } from '../support/sink.ts';

let root = '';
let folder = '';
let plane: MemoryDataPlane & { isCurrent(): boolean };
let agent: Agent | undefined;
let output: ReturnType<typeof sink>;
let interfaces: Interfaces;
let rechecked: bigint[];
const client = () => adminClient(root);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'km-authz-'));
  folder = join(root, 'config');
  mkdirSync(folder);
  plane = Object.assign(openMemory(), { isCurrent: () => true });
  output = sink();
  interfaces = { eth0: [{ address: '192.0.2.1', internal: false }] };
  rechecked = [];
  plane.setRecheck((netns) => {
    rechecked.push(netns);
    return [];
  });
});
afterEach(async () => {
  await agent?.close();
  agent = undefined;
  rmSync(root, { recursive: true, force: true });
});

const pod = (name: string, ip: string, account = 'default') => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop, labels: { app: ${name} } }
spec: { nodeName: n1, serviceAccountName: ${account}, containers: [] }
status: { phase: Running, podIP: ${ip}, podIPs: [{ ip: ${ip} }], conditions: [{ type: Ready, status: "True" }] }
`;
const policy = (name: string, spec: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec: ${spec}
`;
const fromWeb = '{ action: ALLOW, rules: [{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/web"] } }] }] }';
const notPort = (port: number) => `{ action: DENY, rules: [{ to: [{ operation: { ports: ["${port}"] } }] }] }`;
const write = (...documents: string[]) => writeFileSync(join(folder, 'all.yaml'), documents.join('\n---\n'));
const pods = [pod('cart', '10.0.0.1'), pod('web', '10.0.0.2', 'web')];

interface Enrolled {
  readonly workload: string;
  readonly authz?: boolean;
  readonly address: string;
}
/** As commands do: addresses and programs first, enrolments then. */
function enrol(all: Readonly<Record<number, Enrolled>>): void {
  const entries = Object.entries(all).map(([netns, pod]) => ({ netns: Number(netns), authz: true, ...pod }));
  for (const { netns, authz, address } of entries) {
    const entry = { netns, host_netns: 1, ifindex: netns, flags: 0 };
    if (authz && plane.map('pod_address').get(address) === undefined) plane.map('pod_address').put([[address, entry]]);
  }
  const judged = entries.filter(({ authz }) => authz);
  plane.keepEnforced(new Map(judged.map(({ netns }) => [BigInt(netns), BigInt(netns)])));
  const enrolments = entries.map(({ netns, workload, authz }) => ({
    ...{ cgroupId: BigInt(netns), netns: BigInt(netns), level: 2, sinceNs: 1n, workload, authz },
  }));
  writeEnrolments(plane, new Map(enrolments.map((one) => [one.cgroupId, one])), () => 0);
}
const cart = { workload: 'shop/cart', address: '10.0.0.1' };

async function start(more: Partial<AgentParts> = {}): Promise<Agent> {
  agent = await startAgent({
    ...{ runDir: root, node: 'n1', version: '9.9.9', log: openLog(output, 'debug', {}), now: () => Date.now() },
    manager: { opened() {}, started() {}, status() {}, reloading() {}, reloaded() {}, stopping() {} },
    healInterval: 0,
    openPlane: async () => plane,
    reopenPlane: async () => plane,
    growPlane: async () => plane,
    sources: [
      {
        name: folder,
        open: (tell) =>
          openFolderSource({ paths: [folder], log: openLog(sink(), 'silent', {}), tell, addresses: join(root, 'a') }),
      },
    ],
    cgroupExists: () => true,
    interfaces: () => interfaces,
    authz: { ...defaultAuthzOptions, exemptHost: true },
    stop: () => {},
    ...more,
  });
  return agent;
}
async function until(check: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
  const begun = performance.now();
  while (!(await check())) {
    if (performance.now() - begun > ms)
      throw new Error(`not in time: ${JSON.stringify(agent?.status())}\n${output.text()}`);
    await pause(5);
  }
}
/** Until the round for handshakes in flight has been, and none follows. */
async function quiet(): Promise<void> {
  let [rounds, since] = [0, performance.now()];
  await until(() => {
    const now = agent?.status().authz?.rechecks.rounds ?? 0;
    if (now !== rounds) [rounds, since] = [now, performance.now()];
    return rounds >= 2 && performance.now() - since > 2_500;
  });
}
const ready = () => until(async () => (await client().ready({})).ready);
const isJudged = (address: string): boolean => plane.map('authz_dest').get(address) !== undefined;
async function rows(): Promise<AuthzRow[]> {
  const out: AuthzRow[] = [];
  for await (const row of client().authz({})) out.push(row);
  return out;
}
const verdict = async (source: string, port: number) =>
  (await client().authzExplain({ source, destination: '10.0.0.1', port })).told.verdict;
/** Of the arrays nothing counts that nothing leads to. */
const authzMaps = ['authz_dest', 'authz_source', 'authz_value', 'authz_range', 'pod_address'] as const;
const count = (map: MapName) => plane.map(map).count();

/** Maps that outlive a swap. */
const copied = [
  ...authzMaps,
  'authz_stack',
  'authz_set',
  'authz_word',
  'authz_member',
  'name',
  'enrolment',
  'enrolled',
  'level',
] as const;

test('nothing is written and nothing is followed while no pod is judged', async () => {
  write(...pods, policy('only-web', fromWeb));
  enrol({ 71: { ...cart, authz: false } });
  let asked = 0;
  await start({
    interfaces: () => {
      asked++;
      return interfaces;
    },
  });
  await ready();
  expect([...authzMaps, 'authz_stack', 'authz_set', 'authz_word'].map((map) => count(map as MapName))).toEqual(
    new Array(8).fill(0),
  );
  expect([plane.udpHooks, asked]).toEqual([false, 0]);
  expect(await rows()).toMatchObject([{ workload: 'shop/cart', enforcement: 'off', policies: [] }]);
  const { warnings, authz } = await client().status({});
  expect(warnings.map(({ reason }) => reason)).toEqual([
    '1 authorization policy is known, and no pod is enrolled to be judged',
  ]);
  expect(authz?.pods).toEqual({ on: 0, pending: 0, off: 1 });
});

test('a pod that was enrolled before is judged by the first state, one enrolled later soon, and none after it was taken out', async () => {
  write(...pods, policy('only-web', fromWeb));
  enrol({ 71: cart });
  await start();
  await ready();
  expect([isJudged('10.0.0.1'), isJudged('10.0.0.2'), plane.udpHooks]).toEqual([true, false, true]);
  expect(await rows()).toMatchObject([
    {
      ...{ workload: 'shop/cart', enforcement: 'on', addresses: ['10.0.0.1'], mode: 'allow-list', conjunctions: 1 },
      policies: [{ policy: 'shop/only-web', action: 'allow', state: 'good', conjunctions: 1, denied: 0 }],
    },
  ]);
  expect([await verdict('10.0.0.2', 80), await verdict('10.0.0.9', 80)]).toEqual(['allow', 'deny']);
  expect(await client().authzExplain({ source: '192.0.2.1', destination: '10.0.0.1', port: 80 })).toMatchObject({
    ...{ exempt: true, owner: '' },
  });
  enrol({ 71: cart, 72: { workload: '', address: '10.0.0.2' } });
  await until(() => isJudged('10.0.0.2'));
  expect((await rows()).map(({ workload, enforcement }) => [workload, enforcement])).toEqual([
    ['shop/cart', 'on'],
    ['shop/web', 'on'],
  ]);
  enrol({ 72: { workload: '', address: '10.0.0.2' } });
  await until(() => !isJudged('10.0.0.1'));
  enrol({});
  await until(() => authzMaps.every((map) => count(map) === 0) && !plane.udpHooks);
});

test('a pod that the mesh knows nothing of stays closed, and says so', async () => {
  write(...pods);
  enrol({ 71: { workload: 'shop/other', address: '10.0.0.7' } });
  await start();
  await ready();
  expect(isJudged('10.0.0.7')).toBe(false);
  expect(await rows()).toMatchObject([{ workload: 'shop/other', enforcement: 'pending', mode: 'closed' }]);
  await expect(verdict('10.0.0.2', 80)).rejects.toMatchObject({ code: 'KM_NOT_FOUND' });
  expect((await client().status({})).authz?.pods.pending).toBe(1);
  write(...pods, pod('other', '10.0.0.7'));
  await until(() => isJudged('10.0.0.7'));
});

test('addresses of the node are exempt as long as they are its own, and never with the option against it', async () => {
  write(...pods, policy('only-web', fromWeb));
  enrol({ 71: cart });
  const identityOf = (address: string) => plane.map('authz_source').get(address)?.identity;
  await start();
  await ready();
  expect(identityOf('192.0.2.1')).toBe(identityHost);
  expect(identityOf('10.0.0.2')).toBeGreaterThan(0);
  await agent?.close();
  interfaces = { eth0: [{ address: '192.0.2.2', internal: false }] };
  await start();
  await ready();
  expect(identityOf('192.0.2.2')).toBe(identityHost);
  await until(() => identityOf('192.0.2.1') === undefined);
  await agent?.close();
  await start({ authz: { ...defaultAuthzOptions, exemptHost: false } });
  await ready();
  await until(() => identityOf('192.0.2.2') === undefined);
});

test('open connections are judged again after a change where one is denied, and all of a pod that begins to be judged', async () => {
  write(...pods, policy('only-web', fromWeb));
  enrol({ 71: cart, 72: { workload: 'shop/web', address: '10.0.0.2' } });
  await start();
  await ready();
  // At first what was open before, and again.
  await quiet();
  expect(new Set(rechecked)).toEqual(new Set([71n, 72n]));
  rechecked = [];
  plane.setDenied([71n]);
  write(...pods, policy('only-web', fromWeb), policy('no-9000', notPort(9000)));
  await until(() => rechecked.length >= 2);
  plane.setDenied([]);
  await quiet();
  expect([...new Set(rechecked)]).toEqual([71n]);
  rechecked = [];
  plane.setDenied([72n]);
  // Another identity, and the same policies.
  write(...pods, pod('late', '10.0.0.3', 'web'), policy('only-web', fromWeb), policy('no-9000', notPort(9000)));
  await until(() => rechecked.length > 0);
  expect(rechecked[0]).toBe(72n);
}, 60_000);

const denial = (more: Partial<Denial>): Denial => ({
  ...{ time_ns: 1n, source: '10.0.0.9', destination: '10.0.0.1', source_port: 4000, destination_port: 80, lost: 0 },
  ...{ protocol: 6, why: reasons.indexOf('authz_denied'), flags: 0, policy: 0, dry_policy: 0, identity: 0, ...more },
});

test('denied connections are logged with the name of their policy; those in a handshake are ended', async () => {
  write(...pods, policy('no-9000', notPort(9000)));
  enrol({ 71: cart });
  await start();
  await ready();
  await quiet();
  rechecked = [];
  plane.setDenied([71n]);
  const id = [...plane.map('authz_member').entries()].map(([, member]) => member % 2 ** memberPolicyBits)[0] ?? 0;
  plane.map('authz_hit').put([[id, { denied: 3n, allowed: 0n, dry: 0n }]]);
  plane.deny(denial({ policy: id }));
  plane.deny(denial({ policy: id, flags: denialFlag.handshake }));
  await until(() => rechecked.length > 0);
  expect(output.text()).toMatch(/"event":"denied","policy":"shop\/no-9000","rule":0,"source":"10.0.0.9:4000"/);
  expect((await client().status({})).authz?.denials).toEqual({ seen: 2, suppressed: 0, lost: 0 });
  expect(await rows()).toMatchObject([{ mode: 'deny-list', policies: [{ policy: 'shop/no-9000', denied: 3 }] }]);
});

test('a restart changes nothing, and what is the same is not written', async () => {
  write(...pods, policy('only-web', fromWeb));
  enrol({ 71: cart });
  await start();
  await ready();
  await agent?.close();
  const held = () => authzMaps.map((map) => [...plane.map(map).entries()]);
  const before = held();
  await start();
  await ready();
  expect(held()).toEqual(before);
  expect((await client().status({})).lastApply?.operations).toBe(0);
  expect([...readEnrolments(plane).values()]).toMatchObject([{ authz: true }]);
});

test('drift of verdicts is shown and repaired', async () => {
  write(...pods, policy('only-web', fromWeb));
  enrol({ 71: cart });
  await start();
  await ready();
  const diff = async () => {
    const out: string[] = [];
    for await (const { kind, map, about } of client().diff({})) out.push(`${kind} ${map} ${about}`);
    return out;
  };
  expect(await diff()).toEqual([]);
  plane.map('authz_dest').delete(['10.0.0.1']);
  plane.map('authz_source').put([['10.0.0.99', { identity: 1, tag: 2 }]]);
  expect(await diff()).toEqual(
    expect.arrayContaining(['missing destination 10.0.0.1', expect.stringMatching(/^extra \w+ .*10\.0\.0\.99/)]),
  );
  await agent?.heal();
  expect(await diff()).toEqual([]);
  expect(isJudged('10.0.0.1')).toBe(true);
});

test('what fails to be written leaves the verdict of before, is told, and is tried again', async () => {
  write(...pods, policy('only-web', fromWeb));
  enrol({ 71: cart });
  await start();
  await ready();
  const before = plane.map('authz_dest').get('10.0.0.1');
  let broken = true;
  const grace = plane.grace.bind(plane);
  plane.grace = async () => {
    if (broken) throw new Error('no grace today');
    return grace();
  };
  plane.failNext('authz_set', 'ENOMEM');
  write(...pods, policy('only-web', fromWeb), policy('no-9000', notPort(9000)));
  await until(async () => (await client().status({})).writeFault !== undefined);
  expect(plane.map('authz_dest').get('10.0.0.1')).toEqual(before);
  broken = false;
  await ready();
  expect(await verdict('10.0.0.2', 9000)).toBe('deny');
  expect(plane.map('authz_dest').get('10.0.0.1')).not.toEqual(before);
});

test('a map without room for a policy leaves the verdict of before, and grows', async () => {
  plane = Object.assign(openMemory({ authz_range: 16 }), { isCurrent: () => true });
  enrol({ 71: cart });
  write(...pods);
  const grown: MapSizes[] = [];
  let released = (): void => {};
  const held = new Promise<void>((resolve) => {
    released = resolve;
  });
  await start({
    async growPlane(sizes) {
      grown.push(sizes);
      await held;
      const larger = Object.assign(openMemory({ authz_range: 16, ...sizes }), { isCurrent: () => true });
      for (const name of copied) for (const entry of plane.map(name).entries()) larger.map(name).put([entry as never]);
      plane = larger;
      return larger;
    },
  });
  await ready();
  expect(await verdict('10.9.0.3', 80)).toBe('allow');
  const before = plane.map('authz_dest').get('10.0.0.1');
  const blocks = Array.from({ length: 20 }, (_, i) => `"10.9.0.${i}"`).join();
  write(...pods, policy('blocks', `{ action: DENY, rules: [{ from: [{ source: { ipBlocks: [${blocks}] } }] }] }`));
  await until(() => grown.length > 0);
  expect(plane.map('authz_dest').get('10.0.0.1')).toEqual(before);
  expect(await client().status({})).toMatchObject({ ready: false });
  expect(agent?.status().faults[0]).toMatchObject({ resource: 'authorization of destination 10.0.0.1' });
  expect(agent?.status().faults[0]?.reason).toContain('authz_range');
  released();
  await until(() => agent?.status().growth.length === 1);
  await ready();
  expect(agent?.status().growth).toMatchObject([{ map: 'authz_range', from: 16 }]);
  expect(plane.map('authz_range').count()).toBe(20);
});

test('programs of judged pods that are missing are attached again, and what is left of others is taken off', async () => {
  write(...pods);
  enrol({ 71: cart });
  await start();
  await ready();
  plane.keepEnforced(new Map([[5n, 5n]]));
  await agent?.heal();
  expect([...plane.enforced().keys()]).toEqual([71n]);
  expect(output.text()).toContain('"attached":1,"removed":1');
});
