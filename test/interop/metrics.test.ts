// SPDX-License-Identifier: Apache-2.0
// Metrics and health of a running agent: read by Prometheus' own parser, and followed through what happens to the agent.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentMetrics } from '../../src/outputs/registry.ts';
import { facts } from '../outputs/facts.ts';
import { withIstiod } from '../support/istiod.ts';
import { service } from '../support/kube.ts';
import { openMeshNode } from '../support/mesh-node.ts';
import { type AgentProcess, type Node, openNode } from '../support/node.ts';

const cached = join(import.meta.dirname, '../../.cache/promtool');
const promtool = existsSync(cached) ? cached : 'promtool';

let node: Node;
let agent: AgentProcess;
/** "127.0.0.1:41234" */
let address = '';

/** Where an agent that was told port 0 says that it listens. */
async function listening(): Promise<string> {
  const said = () => /"address":"([^"]+)","msg":"metrics and health are served"/.exec(agent.log())?.[1];
  await node.until(() => said() !== undefined);
  return said() ?? '';
}
async function page(path: string): Promise<{ readonly status: number; readonly text: string }> {
  const answer = await fetch(`http://${address}${path}`);
  return { status: answer.status, text: await answer.text() };
}
async function value(series: string): Promise<number> {
  const { text } = await page('/metrics');
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? Number.NaN : Number(line.slice(series.length + 1));
}

/** Expects that Prometheus has none. */
function expectNoRemarks(text: string): void {
  const { status, stdout, stderr } = spawnSync(promtool, ['check', 'metrics'], { input: text, encoding: 'utf8' });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
}

const shop = (pods: number): string =>
  [
    `{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], selector: {app: cart}, ports: [{port: 80}]}}`,
    ...Array.from(
      { length: pods },
      (_, i) =>
        `{apiVersion: v1, kind: Pod, metadata: {name: cart-${i}, namespace: shop, labels: {app: cart}}, spec: {nodeName: n1, containers: [{name: main}]}, status: {podIPs: [{ip: 10.1.0.${i + 1}}], phase: Running, conditions: [{type: Ready, status: 'True'}]}}`,
    ),
  ].join('\n---\n');

describe('an agent with --metrics', () => {
  beforeAll(async () => {
    node = await openNode('metrics', ['client']);
    node.write('shop.yaml', shop(2));
  });
  afterAll(() => node?.close());

  it('is ready once its first state is in the kernel', async () => {
    agent = node.startAgent({ words: ['--metrics', '127.0.0.1:0', '--heal-interval', '1s'] });
    address = await listening();
    expect(await page('/healthz/live')).toEqual({ status: 200, text: 'ok\n' });
    // It listens before it has read anything.
    const early = await page('/healthz/ready');
    expect([200, 503]).toContain(early.status);
    if (early.status === 503) expect(early.text).toMatch(/^not ready: /);
    await node.until(async () => (await page('/healthz/ready')).status === 200);
    expect(await value('kmesh_ready')).toBe(1);
    expect(await value('kmesh_model_objects{kind="workload"}')).toBe(2);
    expect(await value('kmesh_map_used_entries{map="frontend"}')).toBe(1);
    expect(await value('kmesh_apply_duration_seconds_count')).toBe(1);
    expect(await value('kmesh_apply_operations_sum')).toBeGreaterThan(0);
  });

  it('serves what Prometheus reads without a remark', async () => {
    const { text } = await page('/metrics');
    expectNoRemarks(text);
    // The same with a value for every metric.
    expectNoRemarks(await agentMetrics({ version: '1.2.3', abiVersion: 4 }).text(facts));
    expect(text.split('\n').length).toBeLessThan(600);
  });

  it('counts what is changed, put right and decided', async () => {
    node.write('shop.yaml', shop(3));
    await node.until(async () => (await value('kmesh_model_objects{kind="workload"}')) === 3);
    await node.until(async () => (await value('kmesh_apply_duration_seconds_count')) >= 2);
    node.held((plane) => {
      const frontends = plane.map('frontend');
      frontends.delete([...frontends.entries()].map(([key]) => key));
    });
    await node.until(async () => (await value('kmesh_heal_repaired_entries_total')) === 1);
    const enrolled = await node.kmeshctl(
      'enroll',
      node.pod('client').cgroup,
      '--workload',
      'shop/cart-0',
      '--authz',
      'off',
    );
    expect(enrolled.code).toBe(0);
    const before = await value('kmesh_program_events_total{reason="balanced"}');
    const dial = 'timeout 0.2 bash -c ": < /dev/tcp/10.96.0.1/80" || true';
    await node.pod('client').start('bash', ['-c', dial]).ended;
    await node.until(async () => (await value('kmesh_program_events_total{reason="balanced"}')) > before);
  });

  it('says why it is not ready', async () => {
    node.write('shop.yaml', '{apiVersion: v1, kind: Service, metadata: {name: UP, namespace: shop}}');
    await node.until(async () => (await page('/healthz/ready')).status === 503);
    expect((await page('/healthz/ready')).text).toContain('the configuration has 2 faults; the first: ');
    expect(await value('kmesh_faults')).toBe(2);
    expect((await page('/healthz/live')).status).toBe(200);
    node.write('shop.yaml', shop(3));
    await node.until(async () => (await page('/healthz/ready')).status === 200);
  });

  it('lets go of its address when it ends, and takes no other for an address', async () => {
    expect(await agent.end('SIGTERM')).toBe(0);
    agent = node.startAgent({ words: ['--metrics', address] });
    await node.ready();
    expect(await listening()).toBe(address);
    const other = await node.kmeshctl('agent', '--config', '/nowhere', '--metrics', 'localhost');
    expect(other).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^error KM_USAGE: --metrics must be an address/),
    });
    await agent.end('SIGTERM');
  });

  it('ends at once when its address is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    agent = node.startAgent({ words: ['--metrics', `127.0.0.1:${port}`] });
    await node.until(() => agent.child.exitCode !== null);
    taken.close();
    expect(agent.child.exitCode).toBe(1);
    expect(agent.log()).toContain(
      `error KM_LISTEN: metrics cannot be served at "127.0.0.1:${port}": something else listens`,
    );
  });
});

withIstiod('an agent of a control plane', () => {
  it('tells of its subscription, also once that is cut off', async () => {
    const mesh = await openMeshNode('metrics-xds', ['cart-1']);
    ({ node } = mesh);
    try {
      await mesh.istiod.put(service('cart', { addresses: ['10.96.0.1'] }), mesh.podObject('cart-1'));
      agent = await mesh.started({ words: ['--metrics', '127.0.0.1:0'] });
      address = await listening();
      const url = 'type.googleapis.com/istio.workload.Address';
      await node.until(async () => (await value('kmesh_model_objects{kind="service"}')) === 1);
      const { text } = await page('/metrics');
      expectNoRemarks(text);
      expect(await value('kmesh_xds_connected')).toBe(1);
      expect(await value('kmesh_xds_streams_total')).toBeGreaterThanOrEqual(1);
      expect(await value('kmesh_xds_complete{type="authorization"}')).toBe(1);
      expect(await value('kmesh_xds_held_resources{type="address"}')).toBeGreaterThanOrEqual(3);
      expect(await value(`istio_xds_message_total{url="${url}"}`)).toBeGreaterThanOrEqual(1);
      expect(await value(`istio_xds_message_bytes_total{url="${url}"}`)).toBeGreaterThan(100);
      expect(await value('kmesh_xds_nacks_total{type="address"}')).toBe(0);
      expect(await value('kmesh_apply_duration_seconds_count')).toBeGreaterThanOrEqual(1);

      await mesh.istiod.disconnect('clean');
      await node.until(async () => (await value('istio_xds_connection_terminations_total{reason="Complete"}')) >= 1);
      await node.until(async () => (await value('kmesh_xds_connected')) === 1);
      expect(await value('kmesh_xds_streams_total')).toBeGreaterThanOrEqual(2);
      expect((await page('/healthz/ready')).status).toBe(200);
    } finally {
      await mesh.close();
    }
  });
});
