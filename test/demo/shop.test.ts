// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { afterRelease, beforeRelease, frontCalls, frontYaml } from '../../src/demo/front.ts';
import { after, before, shopCalls, shopPods, shopYaml } from '../../src/demo/shop.ts';
import { addressText } from '../../src/demo/traffic.ts';

const documents = (state: typeof before) =>
  [...shopYaml(state).values()].flatMap((text) => parseAllDocuments(text).map((d) => d.toJS() as { kind: string }));

test.each([before, after])('the folder is sound YAML of every kind the demo shows', (state) => {
  const kinds = new Set(documents(state).map((d) => d.kind));
  expect([...kinds].sort()).toEqual([
    'DestinationRule',
    'Namespace',
    'Pod',
    'Service',
    'ServiceEntry',
    'WorkloadEntry',
  ]);
});

test('an edit changes the weights of the cart and the readiness of one catalog pod', () => {
  const differing = [...shopYaml(before)].filter(([file, text]) => shopYaml(after).get(file) !== text);
  expect(differing.map(([file]) => file).sort()).toEqual(['cart.yaml', 'catalog-pods.yaml']);
});

test('every service is called by both families, and only pods of the shop answer', () => {
  const names = shopPods.map((p) => p.name);
  const calls = shopCalls(after);
  expect(calls.map((c) => `${c.service} ${c.target.host.includes(':') ? 6 : 4}`)).toEqual([
    'cart 4',
    'cart 6',
    'catalog 4',
    'catalog 6',
    'prices 4',
    'prices 6',
  ]);
  for (const call of calls) expect(names).toEqual(expect.arrayContaining(Object.keys(call.weights)));
});

test('the part with a waypoint adds a service whose requests go by path, header and weight', () => {
  const kinds = [...frontYaml(beforeRelease).values()].flatMap((text) =>
    parseAllDocuments(text).map((d) => (d.toJS() as { kind: string }).kind),
  );
  expect(kinds).toEqual(['Gateway', 'Service', 'Service', 'AuthorizationPolicy', 'Service', 'HTTPRoute']);
  const differing = [...frontYaml(beforeRelease)].filter(([file, text]) => frontYaml(afterRelease).get(file) !== text);
  expect(differing.map(([file]) => file)).toEqual(['front-route.yaml']);
  const allowed = [...shopPods.map((p) => p.name), 'status 403'];
  const calls = frontCalls(afterRelease);
  for (const call of calls) expect(allowed).toEqual(expect.arrayContaining(Object.keys(call.weights)));
  expect(calls.map(({ target }) => addressText(target))).toContain('10.96.0.40:80/ (x-tester: yes)');
});
