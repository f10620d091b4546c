// SPDX-License-Identifier: Apache-2.0
// Dual stack and IPv6 alone against a real istiod: who is reached from which family, by TCP and by datagrams.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withIstiod } from '../support/istiod.ts';
import { service, serviceEntry } from '../support/kube.ts';
import { enrollClient, type MeshNode, openMeshNode } from '../support/mesh-node.ts';

withIstiod('families', () => {
  let mesh: MeshNode;
  const four = (name: string) => mesh.lab(name).address4;
  const six = (name: string) => mesh.lab(name).address6;

  beforeAll(async () => {
    mesh = await openMeshNode('families', ['dual', 'four', 'six']);
    const own = { dual: [four('dual'), six('dual')], four: [four('four')], six: [six('six')] };
    for (const [name, addresses] of Object.entries(own)) {
      await mesh.istiod.put(mesh.podObject(name, { addresses, labels: { all: 'yes' } }));
    }
    const all = { selector: { all: 'yes' } };
    await mesh.istiod.put(
      service('dual', { addresses: ['10.96.1.1', 'fd00:96::1'], more: all }),
      service('only-four', { addresses: ['10.96.1.2'], more: all }),
      service('only-six', { addresses: ['fd00:96::3'], more: all }),
      service('six-of-four', { app: 'four', addresses: ['10.96.1.4', 'fd00:96::4'] }),
      service('four-of-six', { app: 'six', addresses: ['10.96.1.5', 'fd00:96::5'] }),
    );
    await mesh.started();
    await enrollClient(mesh);
  });
  afterAll(() => mesh?.close());

  test('clients are sent to addresses of the family that they dialled, where there are any', async () => {
    await mesh.settled();
    const who = async (host: string) => Object.keys(await mesh.calls(host, 80, 60)).sort();
    expect(await who('10.96.1.1')).toEqual(['dual', 'four']);
    // A connection by IPv6 may also be led to an IPv4 endpoint.
    expect(await who('fd00:96::1')).toEqual(['dual', 'four', 'six']);
    expect(await who('10.96.1.2')).toEqual(['dual', 'four']);
    expect(await who('fd00:96::3')).toEqual(['dual', 'six']);
  });

  test('datagrams, too', async () => {
    expect(Object.keys(await mesh.asks('10.96.1.1', 80, 60)).sort()).toEqual(['dual', 'four']);
    expect(Object.keys(await mesh.asks('fd00:96::1', 80, 60)).sort()).toEqual(['dual', 'six']);
  });

  test('with endpoints of the other family alone', async () => {
    expect(await mesh.calls('fd00:96::4', 80, 10)).toEqual({ four: 10 });
    expect(await mesh.calls('10.96.1.5', 80, 3)).toEqual({ ECONNREFUSED: 3 });
    expect(await mesh.calls('fd00:96::5', 80, 10)).toEqual({ six: 10 });
  });

  test('a service that changes its families', async () => {
    await mesh.istiod.put(
      service('only-six', { addresses: ['fd00:96::3', '10.96.1.3'], more: { selector: { all: 'yes' } } }),
    );
    await mesh.settled();
    expect(Object.keys(await mesh.calls('10.96.1.3', 80, 60)).sort()).toEqual(['dual', 'four']);
    await mesh.istiod.put(service('only-six', { addresses: ['10.96.1.3'], more: { selector: { all: 'yes' } } }));
    await mesh.settled();
  });

  test('IPv6 ServiceEntries, an address and a range', async () => {
    await mesh.istiod.put(
      serviceEntry('one', { addresses: ['fd00:97::1'], endpoints: [{ address: six('six') }], targetPort: 9000 }),
      serviceEntry('range', { addresses: ['fd00:98::/64'], endpoints: [{ address: six('dual') }], targetPort: 9000 }),
    );
    await mesh.settled();
    expect(await mesh.calls('fd00:97::1', 80, 10)).toEqual({ six: 10 });
    expect(await mesh.calls('fd00:98::77', 80, 10)).toEqual({ dual: 10 });
    expect(await mesh.asks('fd00:98::78', 80, 10)).toEqual({ dual: 10 });
  });
});
