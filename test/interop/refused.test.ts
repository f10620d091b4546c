// SPDX-License-Identifier: Apache-2.0
// What a real istiod serves and cannot be used is refused by name; what came with it is taken, and what was there before stays.
// (A policy that must be refused istiod cannot be made to serve: it checks them itself. Those come from the tests' own control plane.)
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withIstiod } from '../support/istiod.ts';
import { service } from '../support/kube.ts';
import { enrollClient, type MeshNode, openMeshNode } from '../support/mesh-node.ts';
import type { Served } from '../support/served.ts';

withIstiod('refused', () => {
  let mesh: MeshNode;
  const cart = (target = 9000) => service('cart', { addresses: ['10.96.0.1'], ports: { 80: target } });
  const late = service('late', { addresses: ['10.96.0.2'] });
  /** No port has that number; istiod passes it on. */
  const bad = service('bad', { addresses: ['10.96.0.3'], ports: { 80: 70_000 } });
  const key = (name: string) => `shop/${name}.shop.svc.cluster.local`;
  let before: Served;
  /** Its ports name the cart's, so it is refused, too. */
  const pod = 'Kubernetes//Pod/shop/cart-1';
  /** The agent goes on with the cart that it had, and without the bad one. */
  const taken = (served: Served): Served => ({
    ...served,
    addresses: served.addresses.flatMap((a) => {
      if (a.name === key('bad')) return [];
      return [key('cart'), pod].includes(a.name) ? before.addresses.filter((b) => b.name === a.name) : a;
    }),
  });
  const types = async () => (await mesh.node.client.status({})).sources[0]?.xds?.types ?? [];
  const refusedNow = async () => (await types()).flatMap(({ refused }) => refused);

  beforeAll(async () => {
    mesh = await openMeshNode('refused', ['cart-1', 'late-1']);
    await mesh.istiod.put(cart(), mesh.podObject('cart-1'), mesh.podObject('late-1'));
    await mesh.started();
    await enrollClient(mesh);
    await mesh.settled();
    before = await mesh.istiod.served();
  });
  afterAll(() => mesh?.close());

  test('every fault is named, the rest of the push is applied', async () => {
    await mesh.istiod.put(cart(70_001), bad, late);
    await mesh.node.until(async () => (await mesh.istiod.nacks()).length > 0);
    const [nack] = await mesh.istiod.nacks();
    expect(nack?.typeUrl).toBe('type.googleapis.com/istio.workload.Address');
    for (const part of [key('cart'), '70001', key('bad'), '70000']) expect(nack?.message).toContain(part);
    expect(nack?.message).not.toContain('late');
    await mesh.settled({ taken });
    expect(await mesh.calls('10.96.0.1')).toEqual({ 'cart-1': 40 });
    expect(await mesh.calls('10.96.0.2')).toEqual({ 'late-1': 40 });
    const refused = await refusedNow();
    expect(refused.map(({ name, kept }) => ({ name, kept })).sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { name: pod, kept: true },
      { name: key('bad'), kept: false },
      { name: key('cart'), kept: true },
    ]);
  });

  test('what was refused is not reported as held, and comes again', async () => {
    const had = (await mesh.istiod.nacks()).length;
    await mesh.istiod.disconnect('tcp');
    await mesh.node.until(async () => (await mesh.istiod.nacks()).length > had);
    const held = (await mesh.istiod.firsts()).findLast(({ typeUrl }) =>
      typeUrl.endsWith('istio.workload.Address'),
    )?.held;
    expect(held).not.toHaveProperty([key('bad')]);
    expect(held?.[key('cart')]).toBe(before.addresses.find(({ name }) => name === key('cart'))?.version);
    await mesh.settled({ taken });
    expect(await mesh.calls('10.96.0.1')).toEqual({ 'cart-1': 40 });
  });

  test('once it is put right it is taken, and nothing is refused any more', async () => {
    await mesh.istiod.put(cart(9000), service('bad', { addresses: ['10.96.0.3'], app: 'late' }));
    await mesh.settled();
    expect(await mesh.calls('10.96.0.3')).toEqual({ 'late-1': 40 });
    await mesh.node.until(async () => (await refusedNow()).length === 0);
  });
});
