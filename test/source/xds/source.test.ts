// SPDX-License-Identifier: Apache-2.0
// The source against a control plane that behaves as istiod does.
import { expect, test } from 'vitest';
import { openAdsStore } from '../../support/ads-store.ts';
import { podResource, policyResource, serviceResource } from '../../support/xds-messages.ts';
import { openListening, until } from './listening.ts';

test('first everything of both types, then what differs', async () => {
  const store = await openAdsStore();
  store.change({ put: [podResource('a', '10.0.0.1'), serviceResource('cart', '10.1.0.1'), policyResource('deny')] });
  const listening = openListening({ port: store.port });
  await until(() => listening.news.length === 1);
  expect(listening.state()).toEqual([
    'policy shop/deny',
    'service shop/cart.shop.svc.cluster.local',
    'workload Kubernetes//Pod/shop/a',
  ]);
  store.change({ put: [podResource('b', '10.0.0.2')], remove: ['shop/deny'] });
  await until(() => listening.state().length === 3 && listening.news.length === 3);
  expect(listening.state()).toEqual([
    'service shop/cart.shop.svc.cluster.local',
    'workload Kubernetes//Pod/shop/a',
    'workload Kubernetes//Pod/shop/b',
  ]);
  await until(() => store.answers.length === 4);
  expect(store.answers.every(({ nack }) => nack === undefined)).toBe(true);
  expect(store.offences).toEqual([]);
  await listening.close();
  await store.close();
});
