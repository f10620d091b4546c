// SPDX-License-Identifier: Apache-2.0
// On demand against a real istiod: what pods dial is learned and nothing else, through restarts, changes and absences.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { missAgainNs, missState } from '../../src/abi/structs.ts';
import type { AgentStatus } from '../../src/admin/types.ts';
import { withIstiod } from '../support/istiod.ts';
import { service } from '../support/kube.ts';
import { startLoad } from '../support/load.ts';
import { enrollClient, type MeshNode, openMeshNode } from '../support/mesh-node.ts';
import type { AgentProcess } from '../support/node.ts';

withIstiod('on demand', () => {
  let mesh: MeshNode;
  let agent: AgentProcess;
  const words = (onMiss: string) => ['--xds-on-demand', '--on-miss', onMiss];
  const status = (): Promise<AgentStatus> => mesh.node.client.status({});
  const demand = async () => (await status()).demand as NonNullable<AgentStatus['demand']>;
  /** Of another node: istiod sends those of this one unasked. */
  const away = (name: string) => mesh.podObject(name, { node: 'node-b' });
  const call = async (host: string, port = 80) => Object.keys(await mesh.calls(host, port, 1))[0];
  /** Dials until only `who` answers, or all of them when they are several. */
  const reached = (host: string, who: readonly string[], port = 80) =>
    mesh.node.until(
      async () =>
        Object.keys(await mesh.calls(host, port, 20))
          .sort()
          .join() === [...who].sort().join(),
    );
  const answered = () => mesh.node.until(async () => (await demand()).waiting === 0);

  beforeAll(async () => {
    mesh = await openMeshNode('demand', ['cart-1', 'cart-2', 'web-1', 'lone-1', 'lone-2'], { generate: '50,200' });
    await mesh.istiod.put(
      service('cart', { addresses: ['10.96.0.1', 'fd96::1'], more: { ipFamilyPolicy: 'RequireDualStack' } }),
      service('web', { addresses: ['10.96.0.2'] }),
      away('cart-1'),
      away('web-1'),
    );
    agent = await mesh.started({ words: words('refuse') });
    await enrollClient(mesh);
  });
  afterAll(() => mesh?.close());

  test('nothing is known before something is dialled, but the pods of this node', async () => {
    const { services, workloads, sources } = await status();
    expect([services, workloads]).toEqual([0, 1]);
    expect(sources[0]?.xds).toMatchObject({ onDemand: true, connected: true });
  });

  test('the first connection is refused, soon after the service is balanced; the rest of the mesh stays unknown', async () => {
    expect(await call('10.96.0.1')).toBe('ECONNREFUSED');
    await reached('10.96.0.1', ['cart-1']);
    expect(await mesh.asks('10.96.0.1')).toEqual({ 'cart-1': 20 });
    await answered();
    const { services, workloads, demand: facts } = await status();
    expect([services, workloads]).toEqual([1, 2]);
    expect(facts).toMatchObject({ onMiss: 'refuse', addresses: 1, forgotten: 0, known: { count: 1 } });
    expect(facts?.known.max).toBeGreaterThan(0);
    // Its other address came along.
    expect(await mesh.calls('fd96::1', 80, 5)).toEqual({ 'cart-1': 5 });
    expect((await demand()).addresses).toBe(1);
  });

  test('what the mesh does not know is refused once and left alone then', async () => {
    const { address4 } = mesh.lab('lone-1');
    expect(await call(address4, 9000)).toBe('ECONNREFUSED');
    await reached(address4, ['lone-1'], 9000);
    expect((await status()).sources[0]?.xds).toMatchObject({ absent: 1 });
  });

  test('an address that nobody had becomes known when a service gets it', async () => {
    const { address4 } = mesh.lab('lone-1');
    await mesh.istiod.put(service('late', { addresses: [address4], app: 'cart', ports: { 9000: 9000 } }));
    expect(await call(address4, 9000)).toBe('lone-1');
    const old = { since_ns: process.hrtime.bigint() - missAgainNs, state: missState.answered };
    mesh.node.held((plane) => plane.map('miss').put([[address4, old]]));
    await reached(address4, ['cart-1'], 9000);
  });

  test('when a workload goes, the one that came in its place is learned', async () => {
    await mesh.istiod.change([away('cart-2')], [away('cart-1')]);
    await reached('10.96.0.1', ['cart-2']);
    await mesh.istiod.put(away('cart-1'));
  });

  test('restarts and kills of the agent under load: no call fails, and all that was known is known', async () => {
    const before = await status();
    const load = await startLoad(mesh.lab('client'), { host: '10.96.0.1', port: 80, udp: true });
    for (const signal of ['SIGTERM', 'SIGKILL', 'SIGKILL', 'SIGTERM'] as const) {
      const calls = await load.calls();
      await agent.end(signal);
      agent = await mesh.started({ words: words('refuse') });
      expect((await status()).services).toBe(before.services);
      await mesh.node.until(async () => (await load.calls()) > calls + 50);
    }
    const { failures, answers } = await load.end();
    expect(failures).toEqual({});
    // The new one too: what is in use was asked for anew.
    expect(Object.keys(answers).sort()).toEqual(['cart-1', 'cart-2']);
    const { address4 } = mesh.lab('lone-1');
    expect(await call(address4, 9000)).toMatch(/^cart-/);
    await answered();
    expect((await demand()).known.count).toBe(0);
  });

  test('a restart while the control plane is away keeps what is known; what is not stays refused until it is back', async () => {
    await mesh.istiod.stop();
    await agent.end('SIGKILL');
    agent = mesh.agent({ words: words('refuse') });
    await mesh.node.until(async () => (await status().catch(() => undefined))?.ready === false);
    expect(Object.keys(await mesh.calls('10.96.0.1')).sort()).toEqual(['cart-1', 'cart-2']);
    for (let i = 0; i < 3; i++) expect(await call('10.96.0.2')).toBe('ECONNREFUSED');
    await mesh.istiod.start();
    await mesh.node.ready();
    await reached('10.96.0.2', ['web-1']);
    expect(Object.keys(await mesh.calls('10.96.0.1')).sort()).toEqual(['cart-1', 'cart-2']);
  });

  test('other maps in place of those that run: misses are still heard', async () => {
    const upgraded = await mesh.node.kmeshctl('upgrade', '--map-size', 'miss=4096');
    expect(upgraded, upgraded.err).toMatchObject({ code: 0 });
    await mesh.istiod.put(service('other', { addresses: ['10.96.0.3'], app: 'web' }));
    await reached('10.96.0.3', ['web-1']);
  });

  test('direct: the first connections go where they were dialled, then they are balanced', async () => {
    await agent.end('SIGTERM');
    agent = await mesh.started({ words: words('direct') });
    const { address4 } = mesh.lab('web-1');
    const { address4: own } = mesh.lab('lone-2');
    await mesh.istiod.put(service('moved', { addresses: [own], app: 'web', ports: { 9000: 9000 } }));
    expect(await call(own, 9000)).toBe('lone-2');
    await reached(own, ['web-1'], 9000);
    // A workload by its own address: known, and no service's.
    expect(await call(address4, 9000)).toBe('web-1');
    expect(await mesh.node.kmeshctl('dump', 'diff', '-o', 'json')).toMatchObject({ code: 0 });
  });

  test('an agent that is not on demand knows all again', async () => {
    await agent.end('SIGTERM');
    agent = await mesh.started();
    await mesh.settled();
    expect((await status()).demand).toBeUndefined();
    expect(await call(mesh.lab('lone-1').address4, 9000)).toMatch(/^cart-/);
  });
});
