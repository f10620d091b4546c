// SPDX-License-Identifier: Apache-2.0
// Explanations: what matched, and of what did not the nearest.
import { expect, test } from 'vitest';
import { explain } from '../../../src/compile/authz/explain.ts';
import { tell } from '../../../src/compile/authz/tell.ts';
import { emptyMatch, type Match, type Policy, policyKey } from '../../../src/mesh/policy.ts';
import { stackOf } from './judged.ts';

const make = (name: string, action: Policy['action'], ...rules: Partial<Match>[]): Policy => ({
  ...{ name, namespace: 'shop', scope: 'namespace', action, dryRun: false },
  rules: rules.map((fields) => [[{ ...emptyMatch, ...fields }]]),
});
const cart = { kind: 'exact', value: 'cluster.local/ns/shop/sa/cart' } as const;
const question = {
  identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'cart' },
  source: '10.0.0.1',
  port: 80,
};

function explained(list: readonly Policy[], asked = question) {
  const { judgement, nearest, policies } = explain(stackOf(list, '10.0.0.9'), asked);
  const { why, by } = judgement;
  return {
    why,
    by: by && `${policyKey(by.policy)}#${by.rule}`,
    nearest: nearest.map(({ policy, rule, because }) => `${policy.name}#${rule}: ${because.join()}`),
    policies: policies.map(({ name }) => name),
  };
}

test('what matched', () => {
  const list = [
    make('a', 'allow', { destinationPorts: [81] }, { principals: [cart] }),
    make('d', 'deny', { destinationPorts: [82] }),
  ];
  expect(explained(list)).toEqual({ why: 'allow', by: 'shop/a#1', nearest: [], policies: ['a', 'd'] });
  expect(explained(list, { ...question, port: 82 })).toMatchObject({ why: 'deny', by: 'shop/d#0', nearest: [] });
  expect(explained(list.slice(1))).toMatchObject({ why: 'no-allow-policy', by: undefined, nearest: [] });
});

test('the rules that came nearest, and by what they failed', () => {
  const list = [
    make('far', 'allow', { destinationPorts: [81], namespaces: [{ kind: 'exact', value: 'x' }] }),
    make(
      'near',
      'allow',
      { destinationPorts: [81], principals: [cart] },
      { sourceIps: [{ address: '10.1.0.0', length: 16 }] },
    ),
    make('other', 'allow', { destinationPorts: [80], destinationIps: [{ address: '10.1.0.0', length: 16 }] }),
    make('deny', 'deny', { destinationPorts: [81] }),
  ];
  expect(explained(list)).toEqual({
    why: 'no-match',
    by: undefined,
    nearest: ['near#0: port', 'near#1: source', 'other#0: destination'],
    policies: ['far', 'near', 'other', 'deny'],
  });
  expect(explained([make('a', 'allow')])).toMatchObject({ why: 'no-match', nearest: [] });
});

test('rules are told by the numbers that they were written with', () => {
  const policy = { ...make('a', 'allow', { destinationPorts: [80] }, { destinationPorts: [81] }), written: [2, 5] };
  expect(tell(explain(stackOf([policy], '10.0.0.9'), question))).toMatchObject({ by: { rule: 2 } });
  const { nearest } = tell(explain(stackOf([policy], '10.0.0.9'), { ...question, port: 82 }));
  expect(nearest).toMatchObject([
    { rule: 2, asks: 'port 80' },
    { rule: 5, asks: 'port 81' },
  ]);
});
