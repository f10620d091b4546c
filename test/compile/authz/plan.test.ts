// SPDX-License-Identifier: Apache-2.0
// What a plan of authorization writes, in which order, and what it leaves alone.
import { describe, expect, test } from 'vitest';
import { nameKind } from '../../../src/abi/structs.ts';
import { type AuthzDelta, everythingAuthz, noAuthz } from '../../../src/compile/authz/compile.ts';
import { heldStack } from '../../../src/compile/authz/from-maps.ts';
import { kernelAsks, notePods } from '../../../src/compile/authz/image.ts';
import { planningAuthz } from '../../../src/compile/authz/plan.ts';
import type { Image } from '../../../src/compile/image.ts';
import { openMemory } from '../../../src/kernel/memory.ts';
import type { MapSizes } from '../../../src/kernel/sizes.ts';
import type { Change } from '../../../src/mesh/model.ts';
import { emptyMatch, type Match, type Policy } from '../../../src/mesh/policy.ts';
import { finish } from '../../../src/mesh/steps.ts';
import { workload } from '../../mesh/make.ts';
import { carryOutAuthz, releaseLeft, stepAuthz } from '../../support/authz-carry-out.ts';
import { releaseAll } from '../../support/carry-out.ts';
import { imageOf } from '../../support/plans.ts';
import { heldVerdict } from './kernel-verdicts.ts';
import { local, make, port as onePort, open, put, rule } from './opened.ts';

const from = (...texts: string[]): Policy['rules'] => [
  [[{ ...emptyMatch, sourceIps: texts.map((address) => ({ address, length: 32 })) }]],
];
const namespaces = (...values: string[]): Match['namespaces'] => values.map((value) => ({ kind: 'exact', value }));
const who = (namespace: string): Policy['rules'] => [[[{ ...emptyMatch, namespaces: namespaces(namespace) }]]];
const port = (...ports: number[]): Policy['rules'] => [onePort(...ports)];
const own = (name: string, rules: Policy['rules']) => rule(make(`shop/${name}`, { scope: 'selector', rules }));
const pod = (name: string, address: string) => put(local(name, address, { authorizationPolicies: [`shop/${name}`] }));

/** A node whose plans are carried out in memory. */
function node(sizes: MapSizes = {}, ...changes: Change[]) {
  const plane = openMemory(sizes);
  let image: Image = imageOf(plane);
  const { step, index } = open();
  const plan = (delta: AuthzDelta) => finish(planningAuthz(image, index(), delta));
  const bring = (...more: Change[]) => {
    const made = plan(step(...more));
    const left = carryOutAuthz(plane, made);
    releaseLeft(plane, image, left);
    return made;
  };
  const restart = () => {
    image = imageOf(plane);
    return plan(everythingAuthz);
  };
  bring(...changes);
  const writes = (made: ReturnType<typeof plan>) => {
    return [...made.ops].map((op) => (op.kind === 'stamp' ? 'stamp' : `${op.kind} ${op.map}`));
  };
  const seen = (to: string, source: string, to80 = 80) => heldVerdict(plane, to, { source, port: to80 });
  return { plane, bring, step, index, plan, restart, writes, seen, image: () => image };
}

const inOrder = (all: readonly string[]) => all.filter((one, i) => one !== all[i - 1]);
const two = [own('a', port(81)), own('b', who('far')), pod('a', '10.0.0.1'), pod('b', '10.0.0.2')];

describe('order', () => {
  test('nothing is named before it is there, and the time is written around what is judged by', () => {
    const { step, plan, writes } = node();
    const made = plan(
      step(
        ...two,
        put(workload('x', { namespace: 'far', addresses: ['10.0.0.9'] })),
        own('b', [...who('far'), ...from('10.0.0.8')]),
      ),
    );
    expect(inOrder(writes(made))).toEqual([
      'put name',
      'put authz_word',
      'put authz_member',
      'put authz_set',
      'put authz_value',
      'put authz_range',
      'put pod_address',
      'put authz_stack',
      'stamp',
      'put authz_source',
      'put authz_dest',
      'stamp',
    ]);
    expect(made.destinations).toEqual(['10.0.0.1', '10.0.0.2']);
    expect([made.sources, made.frees]).toEqual([true, false]);
  });

  test('an identity has its entries before an address has it', () => {
    const { bring, writes, seen } = node({}, ...two);
    const made = bring(put(workload('x', { namespace: 'far', addresses: ['10.0.0.9'] })));
    expect(inOrder(writes(made))).toEqual([
      'put name',
      'put authz_word',
      'put authz_value',
      'stamp',
      'put authz_source',
      'stamp',
    ]);
    expect([seen('10.0.0.2', '10.0.0.9'), seen('10.0.0.2', '10.0.0.8')]).toEqual([
      'false deny shop/b#0',
      'true no-allow-policy',
    ]);
  });
});

describe('a pod that went', () => {
  test('is who it was to policies that come before its address is released, and nobody after', () => {
    const { plane, bring, step, plan, seen, image } = node();
    const gone = workload('gone', { namespace: 'far', addresses: ['10.0.0.9'] });
    bring(own('a', who('far')), pod('a', '10.0.0.1'), put(gone));
    const left = carryOutAuthz(plane, plan(step({ kind: 'remove-workload', uid: gone.uid })));
    const later = carryOutAuthz(plane, plan(step(own('b', who('far')), pod('b', '10.0.0.2'))));
    expect(seen('10.0.0.1', '10.0.0.9')).toBe('false deny shop/a#0');
    expect(seen('10.0.0.2', '10.0.0.9')).toBe('false deny shop/b#0');
    releaseLeft(plane, image(), left);
    releaseLeft(plane, image(), later);
    expect(seen('10.0.0.2', '10.0.0.9')).toMatch(/^true /);
    expect(plane.map('authz_value').count()).toBe(0);
  });
});

describe('only what differs', () => {
  test('a policy of one workload', () => {
    const { plane, bring, writes, seen, image } = node({}, ...two);
    const before = plane.map('authz_dest').get('10.0.0.2');
    const made = bring(own('a', [...port(82), ...from('192.0.2.1')]));
    expect(made.destinations).toEqual(['10.0.0.1']);
    expect(made.changes()).toEqual([{ what: 'destination', name: '10.0.0.1', change: 'change' }]);
    expect(writes(made)).not.toContain('put authz_source');
    expect(plane.map('authz_dest').get('10.0.0.2')).toEqual(before);
    expect([81, 82].map((number) => seen('10.0.0.1', '10.0.0.9', number))).toEqual([
      'true no-allow-policy',
      'false deny shop/a#0',
    ]);
    // What the old policies took is free again.
    expect([image().authz.sets.size, plane.map('authz_value').count(), plane.map('authz_range').count()]).toEqual([
      2, 1, 1,
    ]);
  });

  test('nothing after a restart, and what changed meanwhile', () => {
    const { restart, step, writes, plan, index } = node({}, ...two, own('a', from('10.0.0.8', '10.0.0.9')));
    const same = restart();
    expect([[...same.ops], same.changes(), same.frees]).toEqual([[], [], false]);
    step(own('a', from('10.0.0.8', '10.0.0.7')));
    const made = restart();
    expect(made.destinations).toEqual(['10.0.0.1']);
    expect(index().sources.principals.size).toBe(2);
    expect(writes(made)).not.toContain('put authz_source');
    expect(plan(everythingAuthz).ops.length).toBe(made.ops.length);
  });

  test('what was cut short before it was in force is found and removed', () => {
    const { plane, step, restart, plan, image, seen } = node({}, ...two);
    const made = plan(step(own('a', [...port(80), ...from('10.0.0.7')])));
    for (const op of made.ops) {
      if (op.kind === 'stamp') break;
      stepAuthz(plane, op);
    }
    expect(seen('10.0.0.1', '10.0.0.9')).toBe('true no-allow-policy');
    const again = restart();
    expect(again.changes().filter(({ what }) => what === 'stray').length).toBe(2);
    releaseLeft(plane, image(), carryOutAuthz(plane, again));
    expect(seen('10.0.0.1', '10.0.0.9')).toBe('false deny shop/a#0');
    expect(restart().ops.length).toBe(0);
    expect([plane.map('authz_range').count(), image().authz.stray]).toEqual([1, []]);
  });

  test('all goes with the last pod', () => {
    const { plane, image } = node({}, ...two);
    const made = finish(planningAuthz(image(), noAuthz, everythingAuthz));
    releaseLeft(plane, image(), carryOutAuthz(plane, made));
    releaseAll(plane, image());
    for (const map of ['authz_dest', 'authz_source', 'authz_value', 'authz_range', 'pod_address', 'name'] as const) {
      expect([map, plane.map(map).count()]).toEqual([map, 0]);
    }
    expect(kernelAsks(image().authz)).toBe(false);
  });
});

describe('names', () => {
  test('of policies and identities come and go with them, and no count is another policy’s', () => {
    const { plane, bring, image } = node({}, ...two, put(workload('x', { namespace: 'far', addresses: ['10.0.0.9'] })));
    const named = (kind: 'policy' | 'identity') => [...image().ids[kind].names()].map(([name]) => name).sort();
    expect(named('policy')).toEqual(['shop/a', 'shop/b']);
    expect(named('identity')).toEqual(['cluster.local/ns/far/sa/default', 'cluster.local/ns/shop/sa/default']);
    const id = image().ids.policy.idOf('shop/a') as number;
    plane.map('authz_hit').put([[id, { denied: 5n, allowed: 0n, dry: 0n }]]);
    bring(
      { kind: 'remove-policy', key: 'shop/a' },
      { kind: 'remove-workload', uid: 'a' },
      { kind: 'remove-workload', uid: 'x' },
    );
    expect(plane.map('authz_hit').get(id)?.denied).toBe(5n);
    releaseAll(plane, image());
    expect([named('policy'), named('identity')]).toEqual([['shop/b'], ['cluster.local/ns/shop/sa/default']]);
    expect(plane.map('authz_hit').get(id)?.denied).toBe(0n);
    expect([...plane.map('name').entries()].filter(([key]) => key.kind === nameKind.policy)).toHaveLength(1);
  });
});

describe('no room', () => {
  const big = (third: number) => own('a', from(...Array.from({ length: 6 }, (_, i) => `192.0.${third}.${i}`)));

  test('the old verdict stands, the policy is named, and it comes into force when there is room', () => {
    const { bring, restart, seen } = node({ authz_range: 12 }, ...two, big(1), own('b', from('10.0.0.9')));
    expect(seen('10.0.0.1', '192.0.1.1')).toBe('false deny shop/a#0');
    const made = bring(big(2));
    expect(made.refused).toEqual([
      {
        what: 'destination',
        name: '10.0.0.1',
        workload: 'a',
        policies: ['shop/a'],
        shortage: { map: 'authz_range', needed: 6, free: 5 },
        reason: 'map "authz_range" has no room: 6 entries needed, 5 free',
      },
    ]);
    expect([seen('10.0.0.1', '192.0.1.1'), seen('10.0.0.1', '192.0.2.1')]).toEqual([
      'false deny shop/a#0',
      'true no-allow-policy',
    ]);
    expect(restart().refused).toHaveLength(1);
    // Room is made by another policy, and nobody has to ask again.
    expect(bring(big(3), own('b', port(1))).refused).toHaveLength(1);
    expect(bring(own('b', port(2))).refused).toHaveLength(0);
    expect([seen('10.0.0.1', '192.0.1.1'), seen('10.0.0.1', '192.0.3.1')]).toEqual([
      'true no-allow-policy',
      'false deny shop/a#0',
    ]);
  });

  test('an address keeps who it is while another identity has no room', () => {
    const x = (namespace: string) => put(workload('x', { namespace, addresses: ['10.0.0.9'] }));
    const { bring, seen } = node(
      { authz_value: 1 },
      ...two,
      own('a', who('shop')),
      own('b', [...who('far'), ...who('near')]),
      x('far'),
    );
    expect(seen('10.0.0.2', '10.0.0.9')).toBe('pending');
    const fits = node({ authz_value: 2 }, own('b', [...who('far'), ...who('near')]), pod('b', '10.0.0.2'), x('far'));
    expect(fits.seen('10.0.0.2', '10.0.0.9')).toBe('false deny shop/b#0');
    expect(fits.bring(x('near')).refused).toEqual([]);
    expect(fits.seen('10.0.0.2', '10.0.0.9')).toBe('false deny shop/b#1');
    const full = fits.bring(
      put(workload('y', { namespace: 'far', addresses: ['10.0.0.8'] })),
      put(workload('z', { namespace: 'far', serviceAccount: 'z', addresses: ['10.0.0.7'] })),
    );
    expect(full.refused.map(({ what, name }) => `${what} ${name}`)).toEqual([
      'identity cluster.local/ns/far/sa/z',
      'source 10.0.0.7',
    ]);
    expect([fits.seen('10.0.0.2', '10.0.0.8'), fits.seen('10.0.0.2', '10.0.0.7')]).toEqual([
      'false deny shop/b#0',
      'true no-allow-policy',
    ]);
    expect(bring().refused.length).toBeGreaterThan(0);
  });
});

test('what closes a destination is a policy by name, and it says so', () => {
  const { plane, bring, seen } = node({}, pod('a', '10.0.0.1'));
  expect([heldStack(plane, '10.0.0.1')?.closed, seen('10.0.0.1', '10.0.0.9')]).toEqual([true, 'false deny shop/a#0']);
  bring(own('a', port(81)));
  expect([heldStack(plane, '10.0.0.1')?.closed, seen('10.0.0.1', '10.0.0.9')]).toEqual([false, 'true no-allow-policy']);
});

test('addresses of pods are as they should be, whoever wrote them', () => {
  const { plane, plan, image, restart } = node({}, ...two);
  const place = { netns: 77, host_netns: 1, ifindex: 9, flags: 0 };
  plane.map('pod_address').put([['10.0.0.66', place]]);
  plane.map('pod_address').put([['10.0.0.1', place]]);
  notePods(
    image().authz,
    plane.map('pod_address').entries(),
    (address) => plane.map('authz_dest').get(address) !== undefined,
  );
  const made = plan({ ...everythingAuthz, destinations: new Set(), sources: new Set(), identities: new Set() });
  expect(made.changes()).toEqual([
    { what: 'pod', name: '10.0.0.1', change: 'change' },
    { what: 'pod', name: '10.0.0.66', change: 'remove' },
  ]);
  carryOutAuthz(plane, made);
  expect([...plane.map('pod_address').entries()].map(([address, { netns }]) => [address, netns]).sort()).toEqual([
    ['10.0.0.1', 'a'.charCodeAt(0)],
    ['10.0.0.2', 'b'.charCodeAt(0)],
  ]);
  expect(restart().ops.length).toBe(0);
});

test('a destination that was taken away is written again, and nothing leads to it twice', () => {
  const { plane, plan, image, seen, restart } = node({}, ...two);
  const verdict = seen('10.0.0.1', '10.0.0.9');
  plane.map('authz_dest').delete(['10.0.0.1']);
  const note = () =>
    notePods(
      image().authz,
      plane.map('pod_address').entries(),
      (address) => plane.map('authz_dest').get(address) !== undefined,
    );
  note();
  const nothing = new Set<string>();
  const made = plan({ destinations: nothing, sources: nothing, identities: nothing, pods: false });
  expect(made.destinations).toEqual(['10.0.0.1']);
  carryOutAuthz(plane, made);
  expect(seen('10.0.0.1', '10.0.0.9')).toBe(verdict);
  note();
  expect(plan({ destinations: nothing, sources: nothing, identities: nothing, pods: false }).ops.length).toBe(0);
  expect(restart().ops.length).toBe(0);
});
