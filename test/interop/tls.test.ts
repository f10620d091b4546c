// SPDX-License-Identifier: Apache-2.0
// The TLS port of a real istiod: root certificate, token, a token that is rotated, names that do not fit.
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { withIstiod } from '../support/istiod.ts';
import { service } from '../support/kube.ts';
import { enrollClient, type MeshNode, openMeshNode } from '../support/mesh-node.ts';
import type { AgentProcess } from '../support/node.ts';

withIstiod('TLS', () => {
  let mesh: MeshNode;
  let agent: AgentProcess | undefined;
  const token = () => join(mesh.istiod.folder, 'token');
  const root = () => join(mesh.istiod.folder, 'ca.pem');
  const words = (...more: readonly string[]) => [
    ...['--xds', mesh.istiod.tls, '--xds-root-cert', root(), '--xds-token', token(), '--cluster-id', 'Kubernetes'],
    ...['--pod', 'istio-system/ztunnel-x', '--instance-ip', '10.0.0.9', ...more],
  ];
  const start = (...more: readonly string[]) => {
    agent = mesh.node.startAgent({ folder: false, node: 'node-a', words: words(...more) });
  };
  const status = async () => (await mesh.node.client.status({})).sources[0]?.xds;
  /** Why the last stream ended, once one did. */
  const fault = async (matches: RegExp) => {
    await mesh.node.until(async () => matches.test((await status().catch(() => undefined))?.lastFault ?? ''));
    expect((await status())?.connected).toBe(false);
  };

  beforeAll(async () => {
    mesh = await openMeshNode('tls', ['cart-1'], { token: 'first-token' });
    writeFileSync(token(), 'first-token\n');
    await mesh.istiod.put(service('cart', { addresses: ['10.96.0.1'] }), mesh.podObject('cart-1'));
  });
  afterEach(async () => {
    await agent?.end('SIGTERM');
    agent = undefined;
  });
  afterAll(() => mesh?.close());

  test('with root and token the node is let in, under its own name', async () => {
    start();
    await mesh.node.ready();
    await mesh.settled();
    await enrollClient(mesh);
    expect(await mesh.calls('10.96.0.1')).toEqual({ 'cart-1': 40 });
    const [first] = await mesh.istiod.firsts();
    expect(first?.node).toBe('ztunnel~10.0.0.9~ztunnel-x.istio-system~istio-system.svc.cluster.local');
    expect(first?.metadata).toMatchObject({
      NAME: 'ztunnel-x',
      NAMESPACE: 'istio-system',
      NODE_NAME: 'node-a',
      INSTANCE_IPS: '10.0.0.9',
    });
  });

  test('a token that is replaced is used from the next stream on', async () => {
    start();
    await mesh.node.ready();
    await mesh.istiod.acceptToken('second-token');
    await mesh.istiod.disconnect('tcp');
    await fault(/UNAUTHENTICATED|wrong token|16/i);
    // The last state goes on serving.
    expect(await mesh.calls('10.96.0.1', 80, 5)).toEqual({ 'cart-1': 5 });
    await mesh.istiod.put(service('late', { addresses: ['10.96.0.2'], app: 'cart' }));
    writeFileSync(token(), 'second-token');
    await mesh.settled();
    expect((await status())?.connected).toBe(true);
  });

  test('a root that is replaced is used from the next stream on, also one that cannot be used', async () => {
    const changing = join(mesh.istiod.folder, 'changing.pem');
    const replace = (text: string) => {
      writeFileSync(`${changing}.new`, text);
      renameSync(`${changing}.new`, changing);
    };
    copyFileSync(root(), changing);
    start('--xds-root-cert', changing);
    await mesh.node.ready();
    await mesh.settled();
    replace(OTHER_ROOT);
    expect((await status())?.connected).toBe(true);
    await mesh.istiod.disconnect('tcp');
    await fault(/certificate|self.signed|unable to verify/i);
    replace('no certificate\n');
    await fault(/changing\.pem" holds no certificate/);
    await mesh.istiod.put(service('later', { addresses: ['10.96.0.3'], app: 'cart' }));
    // The root before and the one to come, as while it is rotated.
    replace(`${OTHER_ROOT}${readFileSync(root(), 'utf8')}`);
    await mesh.settled();
    expect(await mesh.calls('10.96.0.3', 80, 5)).toEqual({ 'cart-1': 5 });
  });

  test('a wrong token, none, and a namespace that is not its own are told', async () => {
    await mesh.istiod.acceptToken('third-token');
    start();
    await fault(/UNAUTHENTICATED|authentic/i);
    await agent?.end('SIGTERM');
    writeFileSync(token(), 'third-token');
    start('--pod', 'other/ztunnel-x');
    await fault(/PERMISSION_DENIED|not authorized|namespace/i);
    await agent?.end('SIGTERM');
    start('--xds-token', join(mesh.istiod.folder, 'absent'));
    await fault(/absent|token/);
  });

  test('a certificate of another root, or for another name, is not believed', async () => {
    const other = join(mesh.istiod.folder, 'other.pem');
    writeFileSync(other, OTHER_ROOT);
    start('--xds-root-cert', other);
    await fault(/certificate|self.signed|unable to verify/i);
    await agent?.end('SIGTERM');
    start('--xds-server-name', 'not.istiod.example');
    await fault(/certificate|altnames|not\.istiod\.example/i);
    await agent?.end('SIGTERM');
    start('--xds-server-name', 'istiod.istio-system.svc');
    await mesh.node.ready();
  });
});

/** A root that signed nothing here, valid for a hundred years. */
const OTHER_ROOT = `-----BEGIN CERTIFICATE-----
MIIBeDCCAR2gAwIBAgIUfMairp4GUov9ScOQt9OYH8QG/5kwCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFb3RoZXIwIBcNMjYxMTIzMDkzMTM0WhgPMjEyNjEwMzAwOTMx
MzRaMBAxDjAMBgNVBAMMBW90aGVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
fIY659CaIkhidai8eEnFd43kBbpxOYHO6BSKH4p/66PMYY/xBPJX1c0cWzRLbVhG
bDHLQtHuD+B2V2NpBhuCsKNTMFEwHQYDVR0OBBYEFHH041IBaq0zjVSTQICvuGP4
2GKHMB8GA1UdIwQYMBaAFHH041IBaq0zjVSTQICvuGP42GKHMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhALnd1xwElM8Ondzk1XfmncBWG4H/Ig4O
DsQpBV4qiWUOAiEApYjYUXGUKfIlROU1Bua5RDhNnHPiQfL5ueCtcfJP+S4=
-----END CERTIFICATE-----
`;
