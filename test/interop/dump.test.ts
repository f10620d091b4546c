// SPDX-License-Identifier: Apache-2.0
// "dump config -o json" read by istioctl's own packages, and compared with what istiod serves.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { addressOf } from '../../src/net/address.ts';
import { withIstiod, ztunnelConfig } from '../support/istiod.ts';
import type { KubeObject } from '../support/kube.ts';
import { type MeshNode, openMeshNode } from '../support/mesh-node.ts';
import { type Served, servicesOf, workloadsOf } from '../support/served.ts';

/** A waypoint, a policy, an unready pod, a host outside, a named port. */
const sample: KubeObject[] = parseAllDocuments(
  readFileSync(join(import.meta.dirname, '../istiod/sample.yaml'), 'utf8'),
).map((document) => document.toJS());

withIstiod('config_dump', () => {
  let mesh: MeshNode;
  let file = '';
  let served: Served;
  /** Lines of a table, without its head, each as words. */
  const table = (kind: string) =>
    ztunnelConfig(kind, file)
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/).join(' '))
      .sort();
  const text = (bytes: string) => addressOf(Buffer.from(bytes, 'base64'));

  beforeAll(async () => {
    mesh = await openMeshNode('dump', [], { objects: sample });
    await mesh.started();
    await mesh.settled();
    served = await mesh.istiod.served();
    file = join(mesh.istiod.folder, 'config_dump.json');
    const dumped = await mesh.node.kmeshctl('dump', 'config', '-o', 'json');
    expect(dumped).toMatchObject({ code: 0 });
    writeFileSync(file, dumped.out);
  });
  afterAll(() => mesh?.close());

  test('workloads', () => {
    const wanted = workloadsOf(served).map((w) => {
      const address = (w.addresses ?? []).map(text).join(',');
      const protocol = w.tunnelProtocol === 'HBONE' ? 'HBONE' : 'TCP';
      return [w.namespace, w.name, address, w.node ?? '', w.waypoint ? 'waypoint' : 'None', protocol]
        .filter((word) => word !== '')
        .join(' ');
    });
    expect(wanted.length).toBeGreaterThan(5);
    expect(table('workload')).toEqual(wanted.sort());
  });

  test('services, their waypoints, and how many of their endpoints are healthy', () => {
    const wanted = servicesOf(served).map((s) => {
      const members = workloadsOf(served).filter((w) => w.services?.[`${s.namespace}/${s.hostname}`]);
      // As ztunnel does, the unhealthy are left out where they get nothing.
      const healthy = members.filter((w) => w.status !== 'UNHEALTHY').length;
      const vip = s.addresses?.[0] === undefined ? '' : text(s.addresses[0].address);
      return [s.namespace, s.name, vip, s.waypoint ? 'waypoint' : 'None', `${healthy}/${healthy}`].join(' ');
    });
    expect(wanted.length).toBe(4);
    expect(table('service')).toEqual(wanted.sort());
    expect(wanted).toContain('shop cart 10.96.0.20 waypoint 1/1');
  });

  test('policies', () => {
    expect(table('policy')).toEqual(['shop cart-callers Allow WorkloadSelector']);
  });

  test('everything else that it prints', () => {
    for (const kind of ['certificate', 'connections', 'all']) expect(() => ztunnelConfig(kind, file)).not.toThrow();
    for (const format of ['json', 'yaml']) {
      for (const kind of ['workload', 'service', 'policy', 'all'])
        expect(ztunnelConfig(kind, file, format)).not.toBe('');
    }
    const [cart] = (JSON.parse(ztunnelConfig('workload', file, 'json')) as { uid: string; status: string }[]).filter(
      ({ uid }) => uid.endsWith('/cart-2'),
    );
    expect(cart?.status).toBe('Unhealthy');
  });
});
