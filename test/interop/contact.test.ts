// SPDX-License-Identifier: Apache-2.0
// First contact with a real istiod, changes and removals: the kernel follows, and clients are answered accordingly.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withIstiod } from '../support/istiod.ts';
import { policy, service } from '../support/kube.ts';
import { enrollClient, type MeshNode, openMeshNode } from '../support/mesh-node.ts';

withIstiod('contact', () => {
  let mesh: MeshNode;
  const cart = service('cart', { addresses: ['10.96.0.1'] });

  beforeAll(async () => {
    mesh = await openMeshNode('contact', ['cart-1', 'cart-2', 'web-1']);
    await mesh.istiod.put(cart, mesh.podObject('cart-1'));
    await mesh.started();
    await enrollClient(mesh);
  });
  afterAll(() => mesh?.close());

  test('what is served at first contact is in the kernel once the agent is ready', async () => {
    await mesh.settled();
    expect(await mesh.calls('10.96.0.1')).toEqual({ 'cart-1': 40 });
    expect(await mesh.asks('10.96.0.1')).toEqual({ 'cart-1': 20 });
  });

  test('pods and services that come are added', async () => {
    const web = service('web', { addresses: ['10.96.0.2'], ports: { 8080: 9000, 8081: 9001 } });
    await mesh.istiod.put(mesh.podObject('cart-2'), web, mesh.podObject('web-1'));
    await mesh.settled();
    expect(Object.keys(await mesh.calls('10.96.0.1')).sort()).toEqual(['cart-1', 'cart-2']);
    expect(await mesh.calls('10.96.0.2', 8080)).toEqual({ 'web-1': 40 });
    // Nobody listens there: the pod itself refuses.
    expect(await mesh.calls('10.96.0.2', 8081, 1)).toEqual({ ECONNREFUSED: 1 });
  });

  test('a changed service is changed: ports, address, target', async () => {
    await mesh.istiod.put(service('web', { addresses: ['10.96.0.3'], ports: { 80: 9000 } }));
    await mesh.settled();
    expect(await mesh.calls('10.96.0.3')).toEqual({ 'web-1': 40 });
  });

  test('what is removed goes: a pod, a service, the last endpoint of another', async () => {
    await mesh.istiod.remove(mesh.podObject('cart-1'));
    await mesh.settled();
    expect(await mesh.calls('10.96.0.1')).toEqual({ 'cart-2': 40 });
    await mesh.istiod.remove(mesh.podObject('cart-2'), service('web'));
    await mesh.settled();
    expect(await mesh.calls('10.96.0.1', 80, 3)).toEqual({ ECONNREFUSED: 3 });
  });

  test('one push may add, change and remove', async () => {
    const added = service('late', { addresses: ['10.96.0.9'], app: 'cart' });
    await mesh.istiod.change([added, mesh.podObject('cart-1')], [cart]);
    await mesh.settled();
    expect(await mesh.calls('10.96.0.9')).toEqual({ 'cart-1': 40 });
    await mesh.istiod.put(policy('only-client', { app: 'cart' }));
    await mesh.settled();
  });
});
