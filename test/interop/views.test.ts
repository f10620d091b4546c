// SPDX-License-Identifier: Apache-2.0
// One address, several services: which of them a client gets depends on its namespace, as a real istiod says.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withIstiod } from '../support/istiod.ts';
import { namespace, service, serviceEntry } from '../support/kube.ts';
import { enrollClient, type MeshNode, openMeshNode } from '../support/mesh-node.ts';

/** ServiceEntries of such namespaces are for their own clients only. */
const meshConfig = `
serviceEntryVisibility:
  defaultVisibility: PUBLIC
  policies:
  - visibility: NAMESPACE
    matchingRules:
    - namespaceSelector: {matchLabels: {private: "yes"}}
`;

withIstiod('views', () => {
  let mesh: MeshNode;
  const entry = (name: string, where: string, addresses: readonly string[], to: string, host = `${name}.example.com`) =>
    serviceEntry(name, {
      namespace: where,
      hosts: [host],
      addresses,
      endpoints: [{ address: mesh.lab(to).address4 }],
      targetPort: 9000,
    });
  const answers = async (pod: string, host: string) => {
    const python = await mesh.python(pod);
    return Object.keys(await python.run<Record<string, number>>('out = calls(host, 80, 5)', { host })).join();
  };
  /** What clients in "shop", "lab" and "other" get at an address. */
  const everyone = (host: string) => Promise.all(['client', 'guest', 'third'].map((pod) => answers(pod, host)));

  beforeAll(async () => {
    mesh = await openMeshNode('views', ['guest', 'third', 'one', 'two', 'three'], { meshConfig });
    await mesh.istiod.put(
      namespace('lab', { labels: { private: 'yes' } }),
      namespace('other'),
      mesh.podObject('guest', { namespace: 'lab' }),
      mesh.podObject('third', { namespace: 'other' }),
      mesh.podObject('one'),
    );
    await mesh.started();
    await enrollClient(mesh);
    await enrollClient(mesh, 'lab/guest');
    await enrollClient(mesh, 'other/third');
  });
  afterAll(() => mesh?.close());

  test('a Service is preferred to ServiceEntries of other namespaces, but not to that of the client', async () => {
    await mesh.istiod.put(
      service('one', { addresses: ['10.96.0.1'] }),
      // Of the same host name: the Service is the canonical one.
      entry('same', 'other', ['10.96.0.1'], 'two', 'one.shop.svc.cluster.local'),
    );
    await mesh.settled();
    expect(await everyone('10.96.0.1')).toEqual(['one', 'one', 'two']);
    await mesh.istiod.remove(service('one'));
    await mesh.settled();
    expect(await everyone('10.96.0.1')).toEqual(['two', 'two', 'two']);
  });

  test('what a namespace keeps to itself is found by its clients alone', async () => {
    await mesh.istiod.put(entry('mine', 'lab', ['10.96.0.2'], 'three'), entry('mine', 'shop', ['10.96.0.2'], 'one'));
    await mesh.settled();
    expect(await everyone('10.96.0.2')).toEqual(['one', 'three', 'one']);
    await mesh.istiod.remove(entry('mine', 'shop', [], 'one'));
    await mesh.settled();
    expect(await answers('guest', '10.96.0.2')).toBe('three');
  });

  test('a namespace that opens up shows what it has', async () => {
    await mesh.istiod.put(namespace('lab'));
    await mesh.settled();
    expect(await everyone('10.96.0.2')).toEqual(['three', 'three', 'three']);
    await mesh.istiod.put(namespace('lab', { labels: { private: 'yes' } }));
    await mesh.settled();
  });

  test('ranges behind an address that is not for everyone', async () => {
    await mesh.istiod.put(
      entry('range', 'shop', ['10.99.0.0/16'], 'one'),
      entry('inner', 'other', ['10.99.1.0/24'], 'two'),
      entry('point', 'lab', ['10.99.1.1'], 'three'),
    );
    await mesh.settled();
    expect(await everyone('10.99.0.1')).toEqual(['one', 'one', 'one']);
    expect(await everyone('10.99.1.1')).toEqual(['one', 'three', 'two']);
    expect(await everyone('10.99.1.2')).toEqual(['one', 'two', 'two']);
  });
});
