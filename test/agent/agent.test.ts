// SPDX-License-Identifier: Apache-2.0
// The agent in this process: a folder of YAML, the kernel in memory, a real admin socket.
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adminClient } from '../../src/admin/client.ts';
import { openLog } from '../../src/agent/log.ts';
import type { SourceOpening } from '../../src/agent/sources.ts';
import { type Agent, type AgentParts, startAgent } from '../../src/agent.ts';
import { defaultAuthzOptions } from '../../src/compile/authz/holding.ts';
import { enrolmentNameBytes } from '../../src/compile/enrolment.ts';
import { type MemoryDataPlane, openMemory } from '../../src/kernel/memory.ts';
import type { MapSizes } from '../../src/kernel/sizes.ts';
import { openFolderSource } from '../../src/source/file/folder-source.ts';
import { readNames } from '../../src/tasks/held/names.ts';
import { serviceRows } from '../../src/tasks/held/rows.ts';
import { sink } from '../support/sink.ts';

let root = '';
let folder = '';
let plane: MemoryDataPlane & { isCurrent(): boolean };
let agent: Agent | undefined;
let told: string[] = [];
const client = () => adminClient(root);
const output = sink();

const memory = (sizes: MapSizes = {}) => Object.assign(openMemory(sizes), { isCurrent: () => true });

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'km-agent-'));
  folder = join(root, 'config');
  mkdirSync(folder);
  plane = memory();
  told = [];
});
afterEach(async () => {
  await agent?.close();
  agent = undefined;
  rmSync(root, { recursive: true, force: true });
});

const pod = (name: string, ip: string, labels = 'app: cart', node = 'n1') => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop, labels: { ${labels} } }
spec: { nodeName: ${node}, serviceAccountName: default, containers: [] }
status: { phase: Running, podIP: ${ip}, podIPs: [{ ip: ${ip} }], conditions: [{ type: Ready, status: "True" }] }
`;
const service = (name: string, ip: string, port: number | string = 80) => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec: { clusterIP: ${ip}, clusterIPs: [${ip}], selector: { app: cart }, ports: [{ port: ${port}, targetPort: 8080 }] }
`;
const slice = (name: string, ips: readonly string[]) => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-1, namespace: shop, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
ports: [{ port: 8080, protocol: TCP, name: "" }]
endpoints: [${ips.map((ip, i) => `{ addresses: [${ip}], conditions: { ready: true }, targetRef: { kind: Pod, name: cart-${i + 1}, namespace: shop } }`).join(', ')}]
`;
const write = (name: string, ...documents: string[]) => writeFileSync(join(folder, name), documents.join('\n---\n'));
const shop = (ips: readonly string[]) =>
  write('shop.yaml', service('cart', '10.96.0.1'), slice('cart', ips), ...ips.map((ip, i) => pod(`cart-${i + 1}`, ip)));

const files = (): SourceOpening => ({
  name: folder,
  open: (tell) =>
    openFolderSource({ paths: [folder], log: openLog(output, 'silent', {}), tell, addresses: join(root, 'a') }),
});

async function start(more: Partial<AgentParts> = {}): Promise<Agent> {
  agent = await startAgent({
    runDir: root,
    node: 'n1',
    version: '9.9.9',
    log: openLog(output, 'debug', {}),
    now: () => Date.now(),
    manager: {
      opened() {},
      started: () => told.includes('started') || told.push('started'),
      status: (text) => told.push(text),
      reloading: () => told.push('reloading'),
      reloaded: () => told.push('reloaded'),
      stopping: () => told.push('stopping'),
    },
    healInterval: 0,
    openPlane: async () => plane,
    reopenPlane: async () => plane,
    growPlane: async () => plane,
    sources: [files()],
    cgroupExists: () => true,
    interfaces: () => ({}),
    authz: { ...defaultAuthzOptions, exemptHost: true },
    stop: () => told.push('stop'),
    ...more,
  });
  return agent;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of items) out.push(item);
  return out;
}

async function until(check: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
  const begun = performance.now();
  while (!(await check())) {
    if (performance.now() - begun > ms) throw new Error(`not within ${ms} ms: ${JSON.stringify(agent?.status())}`);
    await pause(5);
  }
}
const ready = () => until(async () => (await client().ready({})).ready);
const endpoints = () =>
  [...serviceRows(plane, { filter: 'cart' })].flatMap((r) =>
    r.backends.flatMap((b) => b.endpoints.map((e) => e.address)),
  );

describe('agent', () => {
  it('brings a folder into the kernel, and then an edit', async () => {
    shop(['10.0.0.1', '10.0.0.2']);
    await start();
    await ready();
    expect(endpoints().sort()).toEqual(['10.0.0.1', '10.0.0.2']);
    const status = await client().status({});
    expect(status).toMatchObject({ ready: true, services: 1, workloads: 2, node: 'n1', version: '9.9.9', queue: 0 });
    expect(status.sources).toMatchObject([{ name: folder, complete: true, files: 1 }]);
    expect(status.lastApply?.operations).toBeGreaterThan(0);
    shop(['10.0.0.2']);
    await until(() => endpoints().length === 1);
    expect(told).toContain('started');
    await until(() => told.at(-1) === 'ready: 1 service, 1 workload');
  });

  it('is not ready while a document is refused, keeps its last good version, and says where', async () => {
    shop(['10.0.0.1']);
    await start();
    await ready();
    write('shop.yaml', service('cart', '10.96.0.1', '"x"'), slice('cart', ['10.0.0.1']), pod('cart-1', '10.0.0.1'));
    await until(async () => !(await client().ready({})).ready);
    const { faults, notReady } = await client().status({});
    expect(faults).toMatchObject([{ resource: 'Service shop/cart', field: 'spec.ports[0].port' }]);
    expect(faults[0]?.place).toMatch(/shop\.yaml:\d+:\d+$/);
    expect(notReady[0]).toContain('the configuration has 1 fault');
    expect(endpoints()).toEqual(['10.0.0.1']);
    shop(['10.0.0.1']);
    await ready();
    expect((await client().status({})).faults).toEqual([]);
  });

  it('starts with faults: runs, is told to the service manager as started, is not ready', async () => {
    write('bad.yaml', service('cart', 'nonsense'));
    write('good.yaml', service('other', '10.96.0.2'));
    await start();
    await until(() => told.includes('started'));
    expect(await client().ready({})).toMatchObject({ ready: false });
    expect([...serviceRows(plane, {})].map((r) => r.service)).toEqual(['shop/other.shop.svc.cluster.local']);
    expect(told.filter((line) => line !== 'started').at(-1)).toContain('not ready: the configuration has');
  });

  it('reads everything again when asked', async () => {
    shop(['10.0.0.1']);
    await start();
    await ready();
    told.length = 0;
    shop(['10.0.0.1', '10.0.0.3']);
    expect(await client().reload({})).toMatchObject({ ready: true, faults: [] });
    expect(endpoints()).toContain('10.0.0.3');
    expect(told[0]).toBe('reloading');
    expect(told).toContain('reloaded');
  });

  it('takes over what is there: a restart writes nothing, and removes what went meanwhile', async () => {
    shop(['10.0.0.1', '10.0.0.2']);
    await start();
    await ready();
    await agent?.close();
    expect(told.at(-1)).toBe('stopping');
    expect(endpoints()).toHaveLength(2);
    await start();
    await ready();
    expect((await client().status({})).lastApply?.operations).toBe(0);
    await agent?.close();
    shop(['10.0.0.1']);
    await start();
    await ready();
    expect(endpoints()).toEqual(['10.0.0.1']);
  });

  it('repairs drift at each comparison, counts it, and shows it as a difference before', async () => {
    shop(['10.0.0.1']);
    await start();
    await ready();
    const diff = async () => (await all(client().diff({}))).map((d) => `${d.kind} ${d.map}`);
    expect(await diff()).toEqual([]);
    plane.map('frontend').delete([...plane.map('frontend').entries()].map(([key]) => key));
    expect(await diff()).toEqual(['missing frontend']);
    await agent?.heal();
    expect(await diff()).toEqual([]);
    expect((await client().status({})).heal).toMatchObject({ comparisons: 1, repairedEntries: 1 });
  });

  it('gives enrolled cgroups the id of their workload as soon as it is known, and drops those that are gone', async () => {
    const record = (name: string) => ({
      netns: 0n,
      since_ns: 1n,
      level: 2,
      authz: 0,
      workload: enrolmentNameBytes(name, 320) as Uint8Array,
    });
    plane.map('enrolment').put([
      [77n, record('shop/cart-1')],
      [78n, record('shop/gone')],
    ]);
    shop(['10.0.0.1']);
    const gone = new Set<bigint>();
    await start({ cgroupExists: (id) => !gone.has(id) });
    await ready();
    const id = plane.map('enrolled').get(77n)?.workload_id ?? 0;
    expect(readNames(plane).nameOf('workload', id)).toContain('shop/cart-1');
    expect(plane.map('enrolled').get(78n)?.workload_id).toBe(0);
    gone.add(78n);
    await agent?.heal();
    expect([...plane.map('enrolled').entries()].map(([cgroup]) => cgroup)).toEqual([77n]);
    expect((await client().status({})).heal.removedEnrolments).toBe(1);
  });

  it('leaves what the kernel holds as it was while nothing of the configuration can be read', async () => {
    shop(['10.0.0.1']);
    await start();
    await ready();
    await agent?.close();
    const held = endpoints();
    renameSync(folder, `${folder}.away`);
    told = [];
    await start();
    await until(() => told.includes('started'));
    const { ready: is, notReady } = await client().ready({});
    expect([is, notReady]).toEqual([
      false,
      [
        `the configuration has 1 fault; the first: ${folder}: does not exist`,
        'what the kernel holds was left as it was',
      ],
    ]);
    await agent?.heal();
    expect(endpoints()).toEqual(held);
    await expect(client().diff({}).next()).rejects.toThrow('the agent has read no configuration yet');
    // An empty folder is a wish.
    mkdirSync(folder);
    await ready();
    expect(endpoints()).toEqual([]);
  });

  it('goes on when news of a folder cannot be taken up: a fault, until they are told again', async () => {
    shop(['10.0.0.1']);
    let lose = false;
    const odd = { kind: 'nobody knows it' } as never;
    const losing: SourceOpening = {
      name: folder,
      open: (tell) =>
        openFolderSource({
          paths: [folder],
          log: openLog(output, 'silent', {}),
          tell: (news) => tell(lose ? { ...news, changes: [...news.changes, odd] } : news),
        }),
    };
    mkdirSync(join(root, 'other'));
    const other: SourceOpening = {
      name: 'other',
      open: (tell) => openFolderSource({ paths: [join(root, 'other')], log: openLog(output, 'silent', {}), tell }),
    };
    await start({ sources: [losing, other] });
    await ready();
    lose = true;
    shop(['10.0.0.1', '10.0.0.2']);
    const isFault = (reason: string) => reason.includes('could not be taken up, and is told again');
    await until(async () => (await client().status({})).faults.some(({ reason }) => isFault(reason)), 30_000);
    expect(endpoints()).toHaveLength(1);
    lose = false;
    await until(async () => (await client().ready({})).ready && endpoints().length === 2, 30_000);
  });

  it('says when the kernel cannot be written, and recovers by itself', async () => {
    shop(['10.0.0.1']);
    await start();
    await ready();
    plane.failNext('endpoint', 'ENOMEM');
    let broken = true;
    const grace = plane.grace.bind(plane);
    plane.grace = async () => {
      if (broken) throw new Error('no grace today');
      return grace();
    };
    shop(['10.0.0.1', '10.0.0.2']);
    await until(async () => !(await client().ready({})).ready);
    expect((await client().status({})).writeFault).toBeDefined();
    broken = false;
    await ready();
    expect(endpoints()).toHaveLength(2);
  });

  it('grows a map that fills up, and goes on with the larger one', async () => {
    plane = memory({ endpoint: 16 });
    const sizes: MapSizes[] = [];
    const growPlane = async (next: MapSizes) => {
      sizes.push(next);
      const larger = memory({ endpoint: 16, ...next });
      for (const name of ['name', 'backend', 'endpoint', 'frontend', 'client', 'setting'] as const) {
        for (const entry of plane.map(name).entries()) larger.map(name).put([entry as never]);
      }
      for (const [, backend] of plane.map('backend').entries()) {
        larger.map('endpoint').put([[backend.first, plane.header(backend.first)]]);
      }
      plane = larger;
      return larger;
    };
    const many = (n: number) => Array.from({ length: n }, (_, i) => `10.0.1.${i + 1}`);
    shop(many(4));
    await start({ growPlane });
    await ready();
    shop(many(12));
    await until(() => sizes.length > 0 && endpoints().length === 12);
    await ready();
    expect((await client().status({})).growth).toMatchObject([{ map: 'endpoint', from: 16, to: 64 }]);
  });

  it('refuses a second agent in the same run directory', async () => {
    await start();
    const first = agent;
    await expect(start()).rejects.toMatchObject({ code: 'KM_AGENT_RUNNING' });
    agent = first;
    expect(await client().version({})).toMatchObject({ version: '9.9.9', node: 'n1' });
  });

  it('asks whoever runs it to end it, once it has answered', async () => {
    await start();
    expect(await client().stop({})).toEqual({ pid: process.pid });
    await until(() => told.includes('stop'));
    await agent?.close();
    await start();
    expect(await client().version({})).toMatchObject({ version: '9.9.9' });
  });

  it('changes its log level while it runs', async () => {
    await start({ log: openLog(output, 'info', {}) });
    expect(await client().log({ level: 'error' })).toEqual({ was: 'info', level: 'error' });
    expect((await client().status({})).logLevel).toBe('error');
  });
});
