// SPDX-License-Identifier: Apache-2.0
// A control plane that gives up old connections, as istiod does every half an hour: here every few seconds, while things change.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withIstiod } from '../support/istiod.ts';
import { service } from '../support/kube.ts';
import { type Load, startLoad } from '../support/load.ts';
import { enrollClient, type MeshNode, openMeshNode } from '../support/mesh-node.ts';

withIstiod('old connections', () => {
  let mesh: MeshNode;
  let load: Load;
  const cart = service('cart', { addresses: ['10.96.0.1'] });
  const other = (n: number) => service(`other-${n}`, { addresses: [`10.96.1.${n}`], app: 'cart' });
  const status = async () => (await mesh.node.client.status({})).sources.find((s) => s.xds)?.xds;
  const ended = async () => (await status())?.ended;

  beforeAll(async () => {
    mesh = await openMeshNode('age', ['cart-1'], { maxConnectionAge: '3s' });
    await mesh.istiod.put(cart, mesh.podObject('cart-1'));
    await mesh.started();
    await enrollClient(mesh);
    load = await startLoad(mesh.lab('client'), { host: '10.96.0.1', port: 80, udp: true });
  });
  afterAll(() => mesh?.close());

  test('each is used to its end and followed by another; what changes meanwhile is missed by none', async () => {
    for (let i = 1; ((await ended())?.complete ?? 0) < 4; i++) {
      await mesh.istiod.change([other(i)], i > 1 ? [other(i - 1)] : []);
      await mesh.settled();
      expect(await mesh.calls(`10.96.1.${i}`, 80, 3)).toEqual({ 'cart-1': 3 });
    }
    expect(await ended()).toMatchObject({ connection_error: 0, error: 0, reconnect: 0 });
    expect((await status())?.lastFault).toBe('closed by the server');
    // Each stream began with what was held, so that little came: what was there was not told again.
    const firsts = (await mesh.istiod.firsts()).filter(({ typeUrl }) => typeUrl.endsWith('istio.workload.Address'));
    expect(firsts.slice(1).every(({ held }) => Object.keys(held ?? {}).length >= 3)).toBe(true);
    const { failures, calls } = await load.end();
    expect(failures).toEqual({});
    expect(calls).toBeGreaterThan(100);
    expect((await mesh.istiod.nacks()).length).toBe(0);
  });
});
