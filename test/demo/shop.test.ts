// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { after, before, shopCalls, shopPods, shopYaml } from '../../src/demo/shop.ts';

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
