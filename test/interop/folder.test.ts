// SPDX-License-Identifier: Apache-2.0
// A real istiod and a folder together: what both say is taken from istiod, but for transports, which it does not say.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withIstiod } from '../support/istiod.ts';
import { service, serviceEntry } from '../support/kube.ts';
import { enrollClient, type MeshNode, openMeshNode } from '../support/mesh-node.ts';

withIstiod('istiod and a folder', () => {
  let mesh: MeshNode;
  const key = 'shop/dns.shop.svc.cluster.local';
  const dns = service('dns', { addresses: ['10.96.0.1'], ports: { 53: 9000, 80: 9000 } });
  /** The same service in the folder, at another address, which does not count. */
  const inFolder = () => {
    const ports = [
      { name: 'dns', port: 53, targetPort: 9000, protocol: 'UDP' },
      { name: 'http', port: 80, targetPort: 9000, protocol: 'TCP' },
    ];
    const spec = { clusterIP: '10.96.0.9', clusterIPs: ['10.96.0.9'], selector: { app: 'dns' }, ports };
    const alone = serviceYaml('alone', '10.96.0.8');
    mesh.node.write('dns.json', JSON.stringify({ ...dns, spec }));
    mesh.node.write('alone.yaml', alone);
  };
  const serviceYaml = (name: string, address: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: shop}
spec:
  hosts: [${name}.example.com]
  addresses: [${address}]
  resolution: STATIC
  ports: [{number: 80, name: tcp, protocol: TCP, targetPort: 9000}]
  endpoints: [{address: ${mesh.lab('other-1').address4}}]
`;
  const known = (address: string) =>
    mesh.node.held((plane) => [...plane.map('frontend').entries()].some(([{ addr }]) => addr === address));
  const narrowed = { [`${key}:53`]: ['udp'], [`${key}:80`]: ['tcp'] } as const;

  beforeAll(async () => {
    mesh = await openMeshNode('folder', ['dns-1', 'other-1']);
    await mesh.istiod.put(dns, mesh.podObject('dns-1'));
    await mesh.started({ folder: true });
    await enrollClient(mesh);
  });
  afterAll(() => mesh?.close());

  test('from istiod alone each port serves both transports', async () => {
    await mesh.settled();
    for (const port of [53, 80]) {
      expect(await mesh.calls('10.96.0.1', port)).toEqual({ 'dns-1': 40 });
      expect(await mesh.asks('10.96.0.1', port)).toEqual({ 'dns-1': 20 });
    }
  });

  test('a Service of the same name in the folder says which; all else of it is shadowed', async () => {
    inFolder();
    const alone = { name: 'shop/alone.example.com', version: '', resource: { service: aloneService } };
    const folder = { name: 'alone', version: '', resource: { workload: aloneWorkload() } };
    await mesh.settled({
      transports: { ...narrowed, 'shop/alone.example.com:80': ['tcp'] },
      taken: (served) => ({ ...served, addresses: [...served.addresses, alone, folder] }),
    });
    expect(await mesh.asks('10.96.0.1', 53)).toEqual({ 'dns-1': 20 });
    expect(await mesh.calls('10.96.0.1', 80)).toEqual({ 'dns-1': 40 });
    expect(await mesh.calls('10.96.0.8')).toEqual({ 'other-1': 40 });
    const { out } = await mesh.node.kmeshctl('dump', 'config', '--origin', '-o', 'json');
    const origins = JSON.stringify(JSON.parse(out));
    expect(origins).toContain(`xds ${mesh.istiod.ads}`);
  });

  test('once istiod lets go of something, the one in the folder comes into effect', async () => {
    const both = serviceEntry('both', {
      addresses: ['10.96.0.7'],
      endpoints: [{ address: mesh.lab('other-1').address4 }],
      targetPort: 9000,
    });
    await mesh.istiod.put(both);
    mesh.node.write('both.yaml', serviceYaml('both', '10.96.0.6'));
    await mesh.node.until(() => known('10.96.0.7'));
    expect(await mesh.calls('10.96.0.7')).toEqual({ 'other-1': 40 });
    await mesh.istiod.remove(both);
    await mesh.node.until(() => known('10.96.0.6') && !known('10.96.0.7'));
    expect(await mesh.calls('10.96.0.6')).toEqual({ 'other-1': 40 });
    await mesh.istiod.put(both);
    await mesh.node.until(() => known('10.96.0.7') && !known('10.96.0.6'));
    expect(await mesh.calls('10.96.0.7')).toEqual({ 'other-1': 40 });
    await mesh.istiod.remove(both);
  });

  test('when the folder is silent again both transports are served', async () => {
    mesh.node.write('dns.json', '');
    mesh.node.write('alone.yaml', '');
    mesh.node.write('both.yaml', '');
    await mesh.settled();
    expect(await mesh.calls('10.96.0.1', 53)).toEqual({ 'dns-1': 40 });
  });

  const base64 = (address: string) => Buffer.from(address.split('.').map(Number)).toString('base64');
  const aloneService = {
    name: 'alone',
    namespace: 'shop',
    hostname: 'alone.example.com',
    addresses: [{ address: base64('10.96.0.8') }],
    ports: [{ servicePort: 80, targetPort: 9000 }],
  };
  const aloneWorkload = () => ({
    uid: `Kubernetes/networking.istio.io/ServiceEntry/shop/alone/${mesh.lab('other-1').address4}`,
    name: 'alone',
    namespace: 'shop',
    addresses: [base64(mesh.lab('other-1').address4)],
    services: { 'shop/alone.example.com': {} },
  });
});
