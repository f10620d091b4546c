// SPDX-License-Identifier: Apache-2.0
// Entries of identities: few where most have the same vector, and right for those that come, go and stay behind.
import { expect, test } from 'vitest';
import { everythingAuthz } from '../../../src/compile/authz/compile.ts';
import { planningAuthz } from '../../../src/compile/authz/plan.ts';
import { openMemory } from '../../../src/kernel/memory.ts';
import { identityFrom, principalOf } from '../../../src/mesh/identity.ts';
import type { Change } from '../../../src/mesh/model.ts';
import { emptyMatch, type Match, type Policy } from '../../../src/mesh/policy.ts';
import { finish } from '../../../src/mesh/steps.ts';
import { workload } from '../../mesh/make.ts';
import { carryOutAuthz, releaseLeft } from '../../support/authz-carry-out.ts';
import { imageOf } from '../../support/plans.ts';
import { heldVerdict } from './kernel-verdicts.ts';
import { local, make, open, put, rule } from './opened.ts';

const rules = (match: Partial<Match>): Policy['rules'] => [[[{ ...emptyMatch, ...match }]]];
const one = (i: number, trustDomain = ''): Change =>
  put(workload(`w${i}`, { serviceAccount: `sa${i}`, trustDomain, addresses: [`10.1.${i >> 8}.${i & 255}`] }));
const from = (i: number) => `10.1.${i >> 8}.${i & 255}`;

function node() {
  const plane = openMemory();
  let image = imageOf(plane);
  const { step, index } = open();
  const bring = (...changes: Change[]) => {
    const delta = step(...changes);
    const plan = finish(planningAuthz(image, index(), delta));
    return { plan, left: carryOutAuthz(plane, plan), image };
  };
  const restart = () => {
    image = imageOf(plane);
    return finish(planningAuthz(image, index(), everythingAuthz));
  };
  const seen = (source: string) => heldVerdict(plane, '10.0.0.1', { source, port: 80 });
  return { plane, bring, restart, seen, values: () => plane.map('authz_value').count() };
}

test('a policy that is true for nearly all needs entries for the others only', () => {
  const { bring, restart, seen, values } = node();
  const all = make('shop/p', {
    action: 'allow',
    rules: rules({ principals: [{ kind: 'prefix', value: 'cluster.local/' }] }),
  });
  bring(
    ...Array.from({ length: 200 }, (_, i) => one(i, i % 20 === 0 ? 'other' : '')),
    put(local('a', '10.0.0.1')),
    rule(all),
  );
  expect(values()).toBe(10);
  expect([seen(from(1)), seen(from(20)), seen('192.0.2.1')]).toEqual([
    'true allow shop/p#0',
    'false no-match',
    'false no-match',
  ]);
  expect([...restart().ops]).toEqual([]);
  bring(one(300), one(301, 'other'), one(20), one(1, 'other'));
  expect([300, 301, 20, 1].map((i) => seen(from(i)).slice(0, 5))).toEqual(['true ', 'false', 'true ', 'false']);
  expect([...restart().ops]).toEqual([]);
});

test('an address that leads to an identity of before is judged by it until it goes', () => {
  const { plane, bring, seen } = node();
  const deny = (name: string) =>
    make('shop/d', { rules: rules({ serviceAccounts: [{ namespace: 'shop', serviceAccount: name }] }) });
  const known = make('shop/k', { action: 'allow', rules: rules({ principals: [{ kind: 'presence' }] }) });
  bring(put(local('a', '10.0.0.1')), one(1), rule(known), rule(deny('sa1')));
  expect(seen(from(1))).toBe('false deny shop/d#0');
  // Other policies at the same time, which deny it all the same.
  const { left, image } = bring({ kind: 'remove-workload', uid: 'w1' }, rule({ ...deny('sa1'), name: 'd2' }));
  expect(seen(from(1))).toBe('false deny shop/d#0');
  releaseLeft(plane, image, left);
  expect(seen(from(1))).toBe('false no-match');
});

test('a principal is read as it is written', () => {
  const identity = { trustDomain: 'td/ns/x', namespace: 'shop', serviceAccount: 'cart' };
  expect(identityFrom(principalOf(identity))).toEqual(identity);
  expect([identityFrom(''), identityFrom('*'), identityFrom('a/ns/b')]).toEqual([undefined, undefined, undefined]);
});
