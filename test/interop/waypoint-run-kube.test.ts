// SPDX-License-Identifier: Apache-2.0
// `waypoint run` says of its Gateway in a real API server that it is programmed, so that `waypoint apply --wait` ends well.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { gateways, namespaces } from '../../src/kube/object.ts';
import { envoyProgram, withEnvoy } from '../support/envoy.ts';
import { type KubeApi, startKube, withKube } from '../support/kube-api.ts';
import { gateway, home } from '../support/waypoint-objects.ts';
import { openRunNode, type RunNode, wayAddress } from '../support/waypoint-run.ts';

let kube: KubeApi;
let mesh: RunNode;

withEnvoy('with Envoy', () => {
  withKube('and a cluster', () => {
    beforeAll(async () => {
      kube = await startKube();
      await kube.define('gateways.gateway.networking.k8s.io');
      await kube.define('gatewayclasses.gateway.networking.k8s.io');
      await kube.put(namespaces, home());
      mesh = await openRunNode();
    });
    afterAll(async () => {
      await mesh?.close();
      await kube?.close();
    });

    const status = async () => (await kube.get(gateways, 'way', 'shop'))?.status as Readonly<Record<string, unknown>>;

    test('a Gateway of our class is programmed while its waypoint runs', async () => {
      const kubeconfig = kube.kubeconfig({ namespace: 'shop' });
      const cluster = ['-n', 'shop', '--kubeconfig', kubeconfig];
      const apply = (...words: readonly string[]) =>
        mesh.node.kmeshctl('waypoint', 'apply', '--name', 'way', '--class', 'kmesh-waypoint', ...cluster, ...words);
      expect(await apply()).toMatchObject({ code: 0 });
      const waiting = apply('--wait', '--timeout', '20s', '--enroll-namespace');

      const run = mesh.run('--kubeconfig', kubeconfig);
      await run.ready();
      expect(await waiting, run.log()).toMatchObject({ code: 0 });
      expect(await status()).toMatchObject({ addresses: [{ type: 'IPAddress', value: wayAddress }] });
      expect((await mesh.node.kmeshctl('waypoint', 'status', 'way', ...cluster)).out).toContain('its Envoy listens');
      // A new version of the Gateway is waited for as well.
      expect(await apply('--for', 'all', '--wait')).toMatchObject({ code: 0 });

      expect(await run.end('SIGTERM')).toBe(0);
      const after = await status();
      expect(after).not.toHaveProperty('addresses');
      expect(JSON.stringify(after)).toContain('its Envoy was stopped');
    });

    test('a Gateway of another class is left to its controller', async () => {
      await kube.put(gateways, gateway('theirs'));
      const kubeconfig = kube.kubeconfig({ namespace: 'shop' });
      const other = mesh.runBare('theirs', '--proxy', envoyProgram, '--kubeconfig', kubeconfig);
      expect(await other.ended).toBe(1);
      expect(other.log()).toMatch(/KM_CONFIG.*istio-waypoint/);
      expect(mesh.traces()).toEqual([]);
    });
  });
});
