// SPDX-License-Identifier: Apache-2.0
// Every way of choosing endpoints that a real istiod can ask for, with connections made and counted.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withIstiod } from '../support/istiod.ts';
import { clusterNode, namespace, service, serviceEntry, workloadEntry } from '../support/kube.ts';
import { enrollClient, type MeshNode, openMeshNode } from '../support/mesh-node.ts';

withIstiod('balancing', () => {
  let mesh: MeshNode;
  /** All pods back all services; they differ in how near they are. */
  const where = { near: 'node-a', zone: 'node-b', region: 'node-c', far: 'node-d' } as const;
  const names = Object.keys(where) as (keyof typeof where)[];
  const object = (name: keyof typeof where | 'sick') =>
    mesh.podObject(name, { app: 'cart', node: name === 'sick' ? 'node-a' : where[name], ready: name !== 'sick' });
  const put = (name: string, address: string, more: Record<string, unknown>, annotations?: Record<string, string>) =>
    mesh.istiod.put(
      service(name, { app: 'cart', addresses: [address], more, ...(annotations ? { annotations } : {}) }),
    );
  /** Who answers at an address, sorted. */
  const who = async (address: string, n = 80) => Object.keys(await mesh.calls(address, 80, n)).sort();
  const addressOf = (name: string) => mesh.lab(name).address4;

  beforeAll(async () => {
    mesh = await openMeshNode('balance', [...names, 'sick']);
    await mesh.istiod.put(
      clusterNode('node-b', 'eu/eu-1/rack-2'),
      clusterNode('node-c', 'eu/eu-2'),
      clusterNode('node-d', 'us/us-1'),
      ...[...names, 'sick' as const].map(object),
    );
    await put('any', '10.96.1.1', {});
    await put('local', '10.96.1.2', { internalTrafficPolicy: 'Local' });
    await put('close', '10.96.1.3', { trafficDistribution: 'PreferClose' });
    await put('same-zone', '10.96.1.4', { trafficDistribution: 'PreferSameZone' });
    await put('same-node', '10.96.1.5', { trafficDistribution: 'PreferSameNode' });
    await put('annotated', '10.96.1.6', {}, { 'networking.istio.io/traffic-distribution': 'PreferClose' });
    await put('not-ready', '10.96.1.7', { publishNotReadyAddresses: true });
    await put('not-ready-local', '10.96.1.8', { publishNotReadyAddresses: true, internalTrafficPolicy: 'Local' });
    await mesh.started();
    await enrollClient(mesh);
  });
  afterAll(() => mesh?.close());

  test('each service goes where its mode says', async () => {
    await mesh.settled();
    expect(await who('10.96.1.1')).toEqual(['far', 'near', 'region', 'zone']);
    expect(await who('10.96.1.2')).toEqual(['near']);
    for (const close of ['10.96.1.3', '10.96.1.4', '10.96.1.6']) expect(await who(close)).toEqual(['near', 'zone']);
    expect(await who('10.96.1.5')).toEqual(['near']);
    expect(await who('10.96.1.7', 160)).toEqual(['far', 'near', 'region', 'sick', 'zone']);
    expect(await who('10.96.1.8')).toEqual(['near', 'sick']);
  });

  test('connections are spread evenly where nothing says otherwise', async () => {
    const counts = await mesh.calls('10.96.1.1', 80, 800);
    expect(Object.keys(counts)).toHaveLength(4);
    // 200 each; eight standard deviations.
    for (const n of Object.values(counts)) expect(n).toBeGreaterThan(100);
  });

  test('the nearest that are left take over, one step after the other', async () => {
    await mesh.istiod.remove(object('near'));
    await mesh.settled();
    expect(await mesh.calls('10.96.1.2', 80, 3)).toEqual({ ECONNREFUSED: 3 });
    expect(await who('10.96.1.5')).toEqual(['zone']);
    expect(await who('10.96.1.3')).toEqual(['zone']);
    await mesh.istiod.remove(object('zone'));
    await mesh.settled();
    expect(await who('10.96.1.3')).toEqual(['region']);
    await mesh.istiod.remove(object('region'));
    await mesh.settled();
    for (const address of ['10.96.1.3', '10.96.1.5', '10.96.1.6']) expect(await who(address)).toEqual(['far']);
    await mesh.istiod.put(...names.map(object));
    await mesh.settled();
    expect(await who('10.96.1.3')).toEqual(['near', 'zone']);
  });

  test('a node that moves to another zone takes its pods along', async () => {
    await mesh.istiod.put(clusterNode('node-b', 'eu/eu-2'), clusterNode('node-c', 'eu/eu-1'));
    await mesh.settled();
    expect(await who('10.96.1.3')).toEqual(['near', 'region']);
    await mesh.istiod.put(clusterNode('node-b', 'eu/eu-1/rack-2'), clusterNode('node-c', 'eu/eu-2'));
    await mesh.settled();
    expect(await who('10.96.1.3')).toEqual(['near', 'zone']);
  });

  test('this node itself may move', async () => {
    await mesh.istiod.put(clusterNode('node-a', 'us/us-1'));
    await mesh.settled();
    expect(await who('10.96.1.3')).toEqual(['far', 'near']);
    await mesh.istiod.put(clusterNode('node-a', 'eu/eu-1/rack-1'));
    await mesh.settled();
    expect(await who('10.96.1.3')).toEqual(['near', 'zone']);
  });

  test('a mode of the namespace, which a service may overrule', async () => {
    const annotations = { 'networking.istio.io/traffic-distribution': 'PreferSameNode' };
    await mesh.istiod.put(namespace('shop', { annotations }));
    await mesh.settled();
    expect(await who('10.96.1.1')).toEqual(['near']);
    expect(await who('10.96.1.3')).toEqual(['near', 'zone']);
    await mesh.istiod.put(namespace('shop'));
    await mesh.settled();
    expect(await who('10.96.1.1')).toEqual(['far', 'near', 'region', 'zone']);
  });

  test('a pod that becomes unready gets nothing, and everything back', async () => {
    await mesh.istiod.put(mesh.podObject('near', { app: 'cart', ready: false }));
    await mesh.settled();
    expect(await who('10.96.1.1')).toEqual(['far', 'region', 'zone']);
    expect(await mesh.calls('10.96.1.2', 80, 3)).toEqual({ ECONNREFUSED: 3 });
    await mesh.istiod.put(object('near'));
    await mesh.settled();
    expect(await who('10.96.1.2')).toEqual(['near']);
  });

  test('weights come from WorkloadEntries', async () => {
    const entry = (name: string, weight: number) =>
      workloadEntry(`vm-${name}`, addressOf(name), { labels: { app: 'vm' }, more: { weight } });
    await mesh.istiod.put(
      serviceEntry('vms', {
        addresses: ['10.96.2.1'],
        targetPort: 9000,
        more: { workloadSelector: { labels: { app: 'vm' } } },
      }),
      entry('near', 1),
      entry('far', 7),
    );
    await mesh.settled();
    const { near = 0, far = 0 } = await mesh.calls('10.96.2.1', 80, 800);
    expect(near + far).toBe(800);
    // 100 and 700: eight standard deviations.
    expect(near).toBeGreaterThan(25);
    expect(near).toBeLessThan(175);
    await mesh.istiod.put(entry('near', 7), entry('far', 0));
    await mesh.settled();
  });

  test('failover begins with the network; who is on another one gets nothing here', async () => {
    const on = (name: string, network: string, locality: string) =>
      workloadEntry(`net-${name}`, addressOf(name), { labels: { app: 'net' }, more: { network, locality } });
    await mesh.istiod.put(
      serviceEntry('nets', {
        addresses: ['10.96.2.2'],
        targetPort: 9000,
        annotations: { 'networking.istio.io/traffic-distribution': 'PreferClose' },
        more: { workloadSelector: { labels: { app: 'net' } } },
      }),
      on('near', 'elsewhere', 'eu/eu-1'),
      on('far', '', 'us/us-1'),
    );
    await mesh.settled();
    expect(await who('10.96.2.2')).toEqual(['far']);
    await mesh.istiod.remove(on('far', '', ''));
    await mesh.settled();
    expect(await mesh.calls('10.96.2.2', 80, 3)).toEqual({ ECONNREFUSED: 3 });
  });

  test('with resolution NONE connections go where they were dialled', async () => {
    const ports = [{ number: 9000, name: 'tcp', protocol: 'TCP' }];
    await mesh.istiod.put(
      serviceEntry('as-dialled', { addresses: [addressOf('far')], resolution: 'NONE', more: { ports } }),
    );
    await mesh.settled();
    expect(await mesh.calls(addressOf('far'), 9000, 10)).toEqual({ far: 10 });
  });
});
