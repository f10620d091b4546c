// SPDX-License-Identifier: Apache-2.0
// Proxies are told what a control plane and a folder say together: services of istiod, routes of files.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withEnvoy } from '../support/envoy.ts';
import { type Istiod, startIstiod, withIstiod } from '../support/istiod.ts';
import { clusterNode, namespace, pod, service } from '../support/kube.ts';
import { type Backend, openBackend, openProxy, type WaypointProxy } from '../support/l7.ts';
import { type Node, openNode } from '../support/node.ts';
import { waypointGateway } from '../support/waypoint-gateway.ts';

const waypoint = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'waypoint', namespace: 'shop' },
  spec: { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
  status: { addresses: [{ type: 'IPAddress', value: '10.96.9.9' }] },
};

const folder = (path: string): string => `
${waypointGateway}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: cart}]
  rules: [{matches: [{path: {type: Exact, value: ${path}}}], backendRefs: [{name: cart, port: 80}]}]
`;

withIstiod('istiod and a folder', () => {
  withEnvoy('told to an Envoy', () => {
    let istiod: Istiod;
    let backend: Backend;
    let node: Node;
    let proxy: WaypointProxy;
    beforeAll(async () => {
      backend = await openBackend('cart');
      istiod = await startIstiod({
        objects: [
          ...[namespace('istio-system', { labels: {} }), namespace('shop'), clusterNode('node-a'), waypoint],
          service('cart', {
            ...{
              addresses: ['10.96.0.1'],
              ports: { 80: backend.port },
              labels: { 'istio.io/use-waypoint': 'waypoint' },
            },
          }),
          pod('cart', { addresses: ['127.0.0.1'] }),
        ],
      });
      node = await openNode('adsxds', []);
      node.write('routes.yaml', folder('/first'));
      node.startAgent({
        node: 'node-a',
        words: ['--xds', istiod.ads, '--xds-plaintext', '--waypoint-ads', '127.0.0.1:0'],
      });
      await node.ready();
      const { waypointAds } = await node.client.status({});
      proxy = await openProxy({ ads: { path: waypointAds?.socket as string } });
    });
    afterAll(async () => {
      await proxy?.close();
      await node?.close();
      await istiod?.close();
      await backend?.close();
    });

    test('a service of the one with a route of the other', async () => {
      const status = async (path: string) => (await proxy.request({ path })).status;
      await proxy.until(async () => (await status('/first')) === 200, 'told');
      expect(await status('/second')).toBe(404);
      node.write('routes.yaml', folder('/second'));
      await proxy.until(async () => (await status('/second')) === 200, 'told of the edit');
      expect(await status('/first')).toBe(404);
    });
  });
});
