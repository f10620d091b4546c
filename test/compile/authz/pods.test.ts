// SPDX-License-Identifier: Apache-2.0
// What is compiled follows what is judged: nothing without pods, identities only while somebody asks, pods by name or address.
import { describe, expect, test } from 'vitest';
import { noAuthz, nothingAuthz } from '../../../src/compile/authz/compile.ts';
import { noEnforcement } from '../../../src/compile/authz/enforcement.ts';
import { workload } from '../../mesh/make.ts';

import { asksWho, everyPod, local, make, open, pod, put, rule } from './opened.ts';

describe('only what is needed', () => {
  test('nothing while no pod is judged, and it is let go after the last', () => {
    const enforcement = noEnforcement;
    const { step, set, index, model } = open();
    expect(set({ enforcement })).not.toBe(nothingAuthz);
    expect(step(asksWho, put(local('a', '10.0.0.1')))).toBe(nothingAuthz);
    expect(index()).toBe(noAuthz);
    expect(set({ enforcement: everyPod(model()) }).destinations).toBe('all');
    expect([...index().destinations.keys()]).toEqual(['10.0.0.1']);
    expect(set({ enforcement }).sources).toBe('all');
    expect(index()).toBe(noAuthz);
  });

  test('identities while a policy in use asks for them', () => {
    const { step, index } = open(put(local('a', '10.0.0.1')), put(workload('x', { addresses: ['10.0.0.2'] })));
    const kept = () => index().sources.principals.size;
    expect(kept()).toBe(0);
    expect(
      step(rule(make('other/who', { rules: asksWho.kind === 'put-policy' ? asksWho.policy.rules : [] }))).sources,
    ).toEqual(new Set());
    expect([step(asksWho).sources, kept()]).toEqual(['all', 2]);
    expect([step({ kind: 'remove-policy', key: 'shop/who' }).sources, kept()]).toEqual(['all', 0]);
  });
});

describe('pods', () => {
  test('by name, or by an address; captured addresses stand until the workload is known', () => {
    const { step, set, index } = open();
    const enforcement = {
      pods: [pod('shop/a', 5, ['10.0.0.1', '10.0.0.8']), pod('', 6, ['10.0.0.2'])],
      hosts: new Set<string>(),
    };
    set({ enforcement });
    const places = () =>
      [...index().pods].map(([address, { netns, ifindex }]) => `${address} ${netns} ${ifindex}`).sort();
    expect(places()).toEqual(['10.0.0.1 5 5', '10.0.0.2 6 6', '10.0.0.8 5 5']);
    expect([index().destinations.size, index().resolved.map(({ workload: w }) => w?.uid)]).toEqual([
      0,
      [undefined, undefined],
    ]);
    expect(step(put(local('a', '10.0.0.1'))).pods).toBe(true);
    expect(step(put(local('b', '10.0.0.2'))).pods).toBe(false);
    expect(places()).toEqual(['10.0.0.1 5 5', '10.0.0.2 6 6']);
    expect([...index().destinations].map(([address, { workload: uid, netns }]) => [address, uid, netns])).toEqual([
      ['10.0.0.1', 'a', 5],
      ['10.0.0.2', 'b', 6],
    ]);
    step(put(local('a', '10.0.0.1', { node: 'n2' })));
    expect([...index().destinations.keys()]).toEqual(['10.0.0.2']);
  });

  test('only those that are judged are destinations', () => {
    const { index } = (() => {
      const opened = open(put(local('a', '10.0.0.1')), put(local('b', '10.0.0.2')));
      opened.set({ enforcement: { pods: [pod('shop/b', 7)], hosts: new Set() } });
      return opened;
    })();
    expect([...index().destinations.keys()]).toEqual(['10.0.0.2']);
  });
});
