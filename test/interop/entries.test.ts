// SPDX-License-Identifier: Apache-2.0
// What else a real istiod makes addresses of: ServiceEntries, WorkloadEntries, ranges, automatic addresses, headless services, named ports.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withIstiod } from '../support/istiod.ts';
import { service, serviceEntry, workloadEntry } from '../support/kube.ts';
import { enrollClient, type MeshNode, openMeshNode } from '../support/mesh-node.ts';

withIstiod('entries', () => {
  let mesh: MeshNode;
  const addressOf = (name: string) => mesh.lab(name).address4;
  const endpoints = (...names: readonly string[]) => names.map((name) => ({ address: addressOf(name) }));
  const who = async (address: string, port = 80) => Object.keys(await mesh.calls(address, port)).sort();

  beforeAll(async () => {
    mesh = await openMeshNode('entries', ['one', 'two', 'three'], { specs: ['tcp/9000', 'udp/9000', 'tcp/9001'] });
    await mesh.node.serve('client', 'tcp/9000');
    await mesh.started();
    await enrollClient(mesh);
  });
  afterAll(() => mesh?.close());

  test('a ServiceEntry with endpoints of its own: several addresses, a weight, a port of an endpoint', async () => {
    await mesh.istiod.put(
      serviceEntry('static', {
        addresses: ['10.97.0.1', '10.97.0.2'],
        more: {
          ports: [{ number: 80, name: 'tcp', protocol: 'TCP' }],
          endpoints: [
            { address: addressOf('one'), ports: { tcp: 9000 }, weight: 3 },
            { address: addressOf('two'), ports: { tcp: 9001 } },
          ],
        },
      }),
    );
    await mesh.settled();
    for (const address of ['10.97.0.1', '10.97.0.2']) expect(await who(address)).toEqual(['one', 'two']);
  });

  test('a Service and a ServiceEntry that share pods and WorkloadEntries by their labels', async () => {
    const app = { labels: { app: 'mixed' } };
    await mesh.istiod.put(
      service('mixed', { addresses: ['10.97.1.1'] }),
      serviceEntry('mixed', {
        hosts: ['mixed.example.com'],
        addresses: ['10.97.1.2'],
        targetPort: 9000,
        more: { workloadSelector: app },
      }),
      mesh.podObject('one', { app: 'mixed' }),
      workloadEntry('two', addressOf('two'), app),
    );
    await mesh.settled();
    expect(await who('10.97.1.1')).toEqual(['one', 'two']);
    expect(await who('10.97.1.2')).toEqual(['one', 'two']);
    await mesh.istiod.put(workloadEntry('two', addressOf('three'), app));
    await mesh.settled();
    expect(await who('10.97.1.1')).toEqual(['one', 'three']);
    await mesh.istiod.remove(mesh.podObject('one'), workloadEntry('two', ''), serviceEntry('mixed'));
    await mesh.settled();
    expect(await mesh.calls('10.97.1.1', 80, 3)).toEqual({ ECONNREFUSED: 3 });
  });

  test('ranges of addresses, and an address inside that another service has', async () => {
    await mesh.istiod.put(
      serviceEntry('wide', { addresses: ['10.98.0.0/16'], endpoints: endpoints('one'), targetPort: 9000 }),
      serviceEntry('narrow', { addresses: ['10.98.7.0/24'], endpoints: endpoints('two'), targetPort: 9000 }),
      serviceEntry('single', { addresses: ['10.98.7.7'], endpoints: endpoints('three'), targetPort: 9000 }),
    );
    await mesh.settled();
    const all = async () => [await who('10.98.1.1'), await who('10.98.7.1'), await who('10.98.7.7')];
    expect(await all()).toEqual([['one'], ['two'], ['three']]);
    expect(await mesh.asks('10.98.7.8')).toEqual({ two: 20 });
    await mesh.istiod.remove(serviceEntry('narrow'));
    await mesh.settled();
    expect(await all()).toEqual([['one'], ['one'], ['three']]);
    await mesh.istiod.remove(serviceEntry('wide'), serviceEntry('single'));
    await mesh.settled();
  });

  test('addresses that the control plane gave out by itself', async () => {
    const entry = serviceEntry('auto', { endpoints: endpoints('one'), targetPort: 9000 });
    const addresses = [
      { host: 'auto.example.com', value: '240.240.0.7' },
      { host: 'auto.example.com', value: '2001:2::7' },
    ];
    await mesh.istiod.put({ ...entry, status: { addresses } });
    await mesh.settled();
    expect(await who('240.240.0.7')).toEqual(['one']);
    expect(await who('2001:2::7')).toEqual(['one']);
  });

  test('endpoints that are host names', async () => {
    await mesh.istiod.put(
      serviceEntry('named', {
        addresses: ['10.97.2.1'],
        resolution: 'DNS',
        endpoints: [{ address: 'localhost' }],
        targetPort: 9000,
      }),
    );
    await mesh.settled({ resolved: { localhost: ['127.0.0.1', '::1'] } });
    expect(await who('10.97.2.1')).toEqual(['client']);
    await mesh.istiod.put(
      serviceEntry('named', { addresses: ['10.97.2.1'], endpoints: endpoints('two'), targetPort: 9000 }),
    );
    await mesh.settled();
    expect(await who('10.97.2.1')).toEqual(['two']);
  });

  test('target ports by name: each pod has its own', async () => {
    await mesh.istiod.put(
      service('named-port', { addresses: ['10.97.3.1'], ports: { 80: 'web', 81: 'absent' } }),
      mesh.podObject('one', { app: 'named-port', ports: { web: 9000 } }),
      mesh.podObject('two', { app: 'named-port', ports: { web: 9001 } }),
      mesh.podObject('three', { app: 'named-port', ports: { other: 9000 } }),
    );
    await mesh.settled();
    expect(await who('10.97.3.1')).toEqual(['one', 'two']);
    expect(await mesh.calls('10.97.3.1', 81, 3)).toEqual({ ECONNREFUSED: 3 });
  });

  test('a headless service has no address; its pods are dialled as they are', async () => {
    await mesh.istiod.put(service('headless', { app: 'named-port' }));
    await mesh.settled();
    expect(await mesh.calls(addressOf('one'), 9000, 10)).toEqual({ one: 10 });
    await mesh.istiod.put(service('headless', { app: 'named-port', addresses: ['10.97.4.1'] }));
    await mesh.settled();
    expect(await who('10.97.4.1')).toEqual(['one', 'three', 'two']);
  });

  test('pods in the network of their node', async () => {
    const onHost = (name: string) => mesh.podObject(name, { app: 'on-host', hostNetwork: true });
    await mesh.istiod.put(
      service('on-host', { addresses: ['10.97.5.1'] }),
      onHost('one'),
      // Two of them on one address.
      { ...onHost('one'), metadata: { ...onHost('one').metadata, name: 'one-too' } },
    );
    await mesh.settled();
    expect(await who('10.97.5.1')).toEqual(['one']);
  });
});
