// SPDX-License-Identifier: Apache-2.0
// An agent of several sources: nothing goes on before each has said what there is, then whatever comes, from whichever.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adminClient } from '../../src/admin/client.ts';
import { openLog } from '../../src/agent/log.ts';
import type { SourceOpening } from '../../src/agent/sources.ts';
import { type Agent, startAgent } from '../../src/agent.ts';
import { defaultAuthzOptions } from '../../src/compile/authz/holding.ts';
import { type MemoryDataPlane, openMemory } from '../../src/kernel/memory.ts';
import type { Change } from '../../src/mesh/model.ts';
import type { Service } from '../../src/mesh/service.ts';
import type { Report } from '../../src/source/findings.ts';
import type { Tell } from '../../src/source/news.ts';
import type { TypeStatus, XdsStatus } from '../../src/source/xds/types.ts';
import { serviceRows } from '../../src/tasks/held/rows.ts';
import { port, service, workload } from '../mesh/make.ts';
import { sink } from '../support/sink.ts';

const none = { connection_error: 0, error: 0, reconnect: 0, complete: 0 };

let root = '';
let plane: MemoryDataPlane & { isCurrent(): boolean };
let agent: Agent | undefined;
let told: string[] = [];
let xds: XdsStatus;
const client = () => adminClient(root);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'km-sources-'));
  plane = Object.assign(openMemory(), { isCurrent: () => true });
  told = [];
  xds = {
    ...{ server: 'istiod:15012', connected: false, since: 1, streams: 0, lastFault: '', ended: none, onDemand: false },
    ...{ demanded: 0, absent: 0, types: [] },
  };
});
afterEach(async () => {
  await agent?.close();
  agent = undefined;
  rmSync(root, { recursive: true, force: true });
});

const report: Report = { files: 0, objects: 1, faults: [], warnings: [], ignored: [] };
const fault = { file: '/etc/kmesh', line: 0, column: 0, resource: '', field: '', reason: 'does not exist' };

/** A source that says what the test makes it say. */
function puppet(name: string, status?: () => XdsStatus) {
  let say: Tell = async () => {};
  let reloads = 0;
  const opening: SourceOpening = {
    name,
    open(tell) {
      say = tell;
      return { name, reload: async () => void reloads++, close: async () => {}, ...(status && { status }) };
    },
  };
  return {
    opening,
    tell: (...changes: Change[]) => say({ changes, report }),
    complain: () => say({ changes: [], report: { ...report, objects: 0, faults: [fault] } }),
    reloads: () => reloads,
  };
}

async function start(...sources: { readonly opening: SourceOpening }[]): Promise<Agent> {
  agent = await startAgent({
    ...{ runDir: root, node: 'n1', version: '9.9.9', log: openLog(sink(), 'debug', {}), now: () => Date.now() },
    manager: {
      opened() {},
      started: () => told.push('started'),
      status: (text) => told.push(text),
      reloading() {},
      reloaded() {},
      stopping() {},
    },
    healInterval: 0,
    openPlane: async () => plane,
    reopenPlane: async () => plane,
    growPlane: async () => plane,
    cgroupExists: () => true,
    interfaces: () => ({}),
    authz: { ...defaultAuthzOptions, exemptHost: true },
    stop() {},
    view: { network: 'given' },
    sources: sources.map(({ opening }) => opening),
  });
  return agent;
}

const put = (s: Service): Change => ({ kind: 'put-service', service: s });
const cart = (address: string, protocol: 'tcp' | 'any' = 'tcp') =>
  service({
    ...{ name: 'cart', namespace: 'shop', hostname: 'cart.test' },
    // Of the network that the node was told it is in.
    addresses: [{ network: 'given', address }],
    ports: [port(80, { targetPort: 8080, protocol })],
  });
const frontends = () =>
  [...serviceRows(plane, {})].flatMap((row) =>
    row.backends.flatMap((b) => b.frontends.map((f) => `${f.address} ${f.protocol}`)),
  );
/** Whether a promise has been settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol('open');
  return (await Promise.race([promise.then(() => true), pause(20, open)])) !== open;
}

describe('sources of an agent', () => {
  it('waits for the first news of all, then takes what comes from any', async () => {
    const [first, second] = [puppet('xds istiod:15012', () => xds), puppet('/etc/kmesh')];
    await start(first, second);
    const early = second.tell(put(cart('10.96.0.1')));
    expect(await isSettled(early)).toBe(false);
    expect(frontends()).toEqual([]);
    expect((await client().ready({})).notReady).toEqual(['xds istiod:15012 has not answered yet']);
    xds = { ...xds, lastFault: 'connection refused' };
    expect((await client().ready({})).notReady).toEqual(['xds istiod:15012 has not answered yet: connection refused']);
    xds = { ...xds, connected: true };
    expect((await client().ready({})).notReady).toEqual(['xds istiod:15012 has not sent its whole state yet']);
    expect(told).not.toContain('started');
    // Reading again does not wait for what cannot come.
    expect(await client().reload({})).toMatchObject({ ready: false });
    expect([first.reloads(), second.reloads()]).toEqual([1, 1]);

    await first.tell(put(cart('10.96.0.2', 'any')));
    await early;
    expect(frontends()).toEqual(['10.96.0.2 tcp']);
    expect(await client().ready({})).toEqual({ ready: true, notReady: [] });
    expect(told).toContain('started');

    await second.tell({ kind: 'remove-service', key: 'shop/cart.test' });
    expect(frontends().sort()).toEqual(['10.96.0.2 tcp', '10.96.0.2 udp']);
    await second.tell(put(cart('10.96.0.3')));
    await first.tell({ kind: 'remove-service', key: 'shop/cart.test' });
    expect(frontends()).toEqual(['10.96.0.3 tcp']);
    expect((await client().status({})).queue).toBe(0);
  });

  it('keeps what the kernel holds while a source cannot say anything', async () => {
    const before = puppet('/etc/kmesh');
    await start(before);
    await before.tell(put(cart('10.96.0.1')));
    await agent?.close();
    const [first, second] = [puppet('xds istiod:15012', () => xds), puppet('/etc/kmesh')];
    await start(first, second);
    await second.complain();
    void first.tell(put(cart('10.96.0.2')));
    expect(frontends()).toEqual(['10.96.0.1 tcp']);
    expect((await client().ready({})).notReady).toEqual([
      'the configuration has 1 fault; the first: /etc/kmesh: does not exist',
      'what the kernel holds was left as it was',
    ]);
    await second.tell();
    expect(frontends()).toEqual(['10.96.0.2 tcp']);
  });

  it('stays ready when the control plane goes away later, and tells of both subscriptions', async () => {
    const source = puppet('xds istiod:15012', () => xds);
    await start(source);
    const refused = [{ name: 'shop/p', faults: ['x'], kept: true }];
    const type: TypeStatus = {
      ...{ type: 'authorization', complete: true, held: 7, lastResponseAt: undefined, systemVersion: 'v9' },
      ...{ responses: 3, bytes: 99, acks: 2, nacks: 1, rejected: 120, refusedNow: 120, refused },
    };
    await source.tell(put(cart('10.96.0.1')), { kind: 'put-policy', policy: policy('a') });
    xds = { ...xds, connected: false, since: 5, lastFault: 'reset', types: [type] };
    const status = await client().status({});
    expect(status).toMatchObject({ ready: true, policies: 1, faults: [] });
    expect(status.warnings.map(({ reason }) => reason)).toEqual([
      '1 authorization policy is known, and no pod is enrolled to be judged',
    ]);
    expect(status.sources).toMatchObject([
      { name: 'xds istiod:15012', complete: true, xds: { connected: false, lastFault: 'reset' } },
    ]);
    const [told] = status.sources[0]?.xds?.types ?? [];
    expect(told).toMatchObject({ refusedNow: 120, held: 7, refused });
  });

  it('knows the network of the node from what was given', async () => {
    const source = puppet('a');
    await start(source);
    const local = workload('w1', { node: 'n1', network: 'other', locality: { region: 'r', zone: 'z', subzone: '' } });
    await source.tell({ kind: 'put-workload', workload: local });
    expect((await client().status({})).locality).toEqual({ region: 'r', zone: 'z', subzone: '' });
  });
});

function policy(name: string) {
  return { name, namespace: 'shop', scope: 'namespace', action: 'deny', rules: [], dryRun: false } as const;
}
