// SPDX-License-Identifier: Apache-2.0
// A control plane that is cut off, silent or restarted while things change: nothing stays that is gone, and no call fails meanwhile.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withIstiod } from '../support/istiod.ts';
import { type KubeObject, policy, service } from '../support/kube.ts';
import { type Load, startLoad } from '../support/load.ts';
import { enrollClient, type MeshNode, openMeshNode } from '../support/mesh-node.ts';
import type { AgentProcess } from '../support/node.ts';

withIstiod('control plane away', () => {
  let mesh: MeshNode;
  let agent: AgentProcess;
  let load: Load;
  const cart = service('cart', { addresses: ['10.96.0.1'] });
  const other = (n: number, port = 80) =>
    service(`other-${n}`, { addresses: [`10.96.1.${n}`], ports: { [port]: 9000 } });
  /** What is there while the control plane goes away, and what is gone, changed and new when it is back. */
  const before: KubeObject[] = [other(1), other(2), policy('old', {}), policy('kept', { app: 'cart' })];
  const fresh = () => [other(3), mesh.podObject('web-1', { app: 'other-3' }), policy('new', {})];
  const put = () => [other(2, 8080), ...fresh()];
  const gone = [other(1), policy('old', {})];

  const status = async () => (await mesh.node.client.status({})).sources.find((s) => s.xds)?.xds;
  const streams = async () => (await status())?.streams ?? 0;
  const connected = () => mesh.node.until(async () => (await status())?.connected === true);
  /** "namespace/name" of the policies that the agent knows. */
  const policies = async () => {
    const { out } = await mesh.node.kmeshctl('dump', 'config', '-o', 'json');
    const known: { name: string; namespace: string }[] = JSON.parse(out).policies;
    return known.map((p) => `${p.namespace}/${p.name}`).sort();
  };
  const reset = async () => {
    await mesh.istiod.change(before, fresh());
    await mesh.settled();
  };
  /** After which the kernel and the agent hold what istiod serves, and nothing that it served before. */
  const caughtUp = async () => {
    await mesh.settled();
    await mesh.node.until(async () => (await policies()).join() === 'shop/kept,shop/new');
    expect(Object.keys(await mesh.calls('10.96.1.3'))).toEqual(['web-1']);
  };

  beforeAll(async () => {
    mesh = await openMeshNode('away', ['cart-1', 'cart-2', 'web-1']);
    await mesh.istiod.put(cart, mesh.podObject('cart-1'), mesh.podObject('cart-2'));
    agent = await mesh.started();
    await enrollClient(mesh);
    load = await startLoad(mesh.lab('client'), { host: '10.96.0.1', port: 80, udp: true });
  });
  afterAll(() => mesh?.close());

  test('a stream that ends in order is opened again at once, with what is held', async () => {
    await reset();
    const had = await streams();
    await mesh.istiod.disconnect('clean');
    await mesh.node.until(async () => (await streams()) > had);
    await connected();
    const firsts = (await mesh.istiod.firsts()).slice(-2);
    const served = await mesh.istiod.served();
    const address = firsts.find(({ typeUrl }) => typeUrl.endsWith('istio.workload.Address'));
    const versions = Object.fromEntries(served.addresses.map(({ name, version }) => [name, version]));
    expect(address?.held).toEqual(versions);
    const authorization = firsts.find(({ typeUrl }) => typeUrl.endsWith('istio.security.Authorization'));
    expect(Object.keys(authorization?.held ?? {}).sort()).toEqual(['shop/kept', 'shop/old']);
    await mesh.settled();
  });

  for (const how of ['tcp', 'clean'] as const) {
    test(`changes while the connection is cut (${how}) come with the next one`, async () => {
      await reset();
      await mesh.istiod.pause('silent');
      await mesh.istiod.change(put(), gone);
      await mesh.istiod.disconnect(how);
      await mesh.istiod.resume();
      await caughtUp();
    });
  }

  test('what vanishes while the control plane takes no connections is not kept', async () => {
    await reset();
    await mesh.istiod.pause('away');
    await mesh.node.until(async () => (await status())?.connected === false);
    await mesh.istiod.change(put(), gone);
    expect(await policies()).toEqual(['shop/kept', 'shop/old']);
    expect((await mesh.node.client.ready({})).ready).toBe(true);
    await mesh.istiod.resume();
    await caughtUp();
  });

  test('a control plane that starts anew, with other objects', async () => {
    await reset();
    await mesh.istiod.stop();
    await mesh.node.until(async () => (await status())?.connected === false);
    await mesh.istiod.change(put(), gone);
    await mesh.istiod.start();
    await caughtUp();
  });

  test('an agent that is killed finds what vanished meanwhile', async () => {
    await reset();
    await agent.end('SIGKILL');
    await mesh.istiod.change(put(), gone);
    agent = await mesh.started();
    await caughtUp();
  });

  test('an agent that starts while the control plane is away leaves everything as it is until it is back', async () => {
    await reset();
    await agent.end('SIGKILL');
    await mesh.istiod.pause('away');
    await mesh.istiod.change(put(), gone);
    agent = mesh.agent();
    await mesh.node.until(async () => ((await status().catch(() => undefined))?.lastFault ?? '') !== '');
    expect((await mesh.node.client.ready({})).ready).toBe(false);
    expect(mesh.node.held((plane) => plane.map('frontend').count())).toBe(6);
    expect(Object.keys(await mesh.calls('10.96.0.1')).sort()).toEqual(['cart-1', 'cart-2']);
    await mesh.istiod.resume();
    await mesh.node.ready();
    await caughtUp();
  });

  test('of all the calls made meanwhile none failed, and none was reset', async () => {
    const { failures, answers, calls } = await load.end();
    expect(failures).toEqual({});
    expect(Object.keys(answers).sort()).toEqual(['cart-1', 'cart-2']);
    expect(calls).toBeGreaterThan(1000);
    expect((await mesh.istiod.nacks()).length).toBe(0);
  });
});
