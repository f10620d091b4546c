// SPDX-License-Identifier: Apache-2.0
// Plans: what is written in which order, and what is left alone.
import { describe, expect, it } from 'vitest';
import { backendVariant, settingFlag } from '../../src/abi/structs.ts';
import type { Plan } from '../../src/compile/plan.ts';
import type { Wanted } from '../../src/compile/wanted.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import { carryOut, releaseAll } from '../support/carry-out.ts';
import { normalise } from '../support/normalise.ts';
import { imageOf, planAll, planDelta } from '../support/plans.ts';
import { deltaBetween, nothingWanted } from '../support/random-wanted.ts';
import { backend, client, type Entry, endpoint, frontend, want } from '../support/small-wanted.ts';

function started(wanted: Wanted = nothingWanted) {
  const plane = openMemory();
  const image = imageOf(plane);
  carryOut(plane, image, planAll(image, wanted));
  return { plane, image, from: wanted };
}

const maps = (plan: Plan) => [...plan.ops].map((op) => (op.kind === 'grace' ? 'grace' : `${op.kind} ${op.map}`));
const distinct = (list: readonly string[]) => list.filter((x, i) => x !== list[i - 1]);

describe('plan', () => {
  it('writes names, then ranges, then what leads to them', () => {
    const wanted = want(
      backend('cart', [1, 2], { policy: 'source-hash' }),
      frontend('tcp/10.0.0.1:80', 'cart'),
      frontend('tcp/10.0.0.2:80', { red: 'cart' }),
      frontend('tcp/10.1.0.0/16:80', 'cart'),
      client(1, 'red'),
    );
    const plan = planAll(imageOf(openMemory()), wanted);
    expect(distinct(maps(plan))).toEqual([
      'put name',
      'put maglev',
      'put endpoint',
      'put setting',
      'put backend',
      'put variant',
      'put frontend',
      'put cidr',
      'put client',
    ]);
    expect(plan.frees).toBe(false);
    expect(plan.ops.length).toBe(maps(plan).length);
  });

  it('takes away in the reverse order, and frees after a grace period', () => {
    const { image, from } = started(
      want(
        backend('cart', [1]),
        frontend('tcp/10.0.0.1:80', 'cart'),
        frontend('tcp/10.0.0.2:80', { red: 'cart' }),
        frontend('tcp/10.1.0.0/16:80', 'cart'),
        client(1, 'red'),
      ),
    );
    const plan = planDelta(image, deltaBetween(from, nothingWanted));
    expect(distinct(maps(plan))).toEqual([
      'delete frontend',
      'delete cidr',
      'delete variant',
      'delete client',
      'delete backend',
      'put setting',
      'grace',
    ]);
    expect(plan.frees).toBe(true);
  });

  it('waits before it takes away what a program between two look-ups may still ask for', () => {
    const of = (before: readonly Entry[], after: readonly Entry[]) => {
      const carts = [backend('cart', [1]), backend('web', [2])];
      const { image, from } = started(want(...carts, ...before));
      return distinct(maps(planDelta(image, deltaBetween(from, want(...carts, ...after))))).filter(
        (op) => !op.endsWith(' name'),
      );
    };
    // Sent to the variants, which are no more.
    expect(of([frontend('tcp/10.0.0.2:80', { red: 'cart' })], [frontend('tcp/10.0.0.2:80', 'web')])).toEqual([
      'put frontend',
      'grace',
      'delete variant',
      'grace',
    ]);
    // Missed the own variant, and then that of the others.
    expect(of([frontend('tcp/10.0.0.2:80', { '': 'cart' })], [frontend('tcp/10.0.0.2:80', { red: 'cart' })])).toEqual([
      'put variant',
      'grace',
      'delete variant',
      'grace',
    ]);
    // Missed the address, and then the range around it.
    expect(of([frontend('tcp/10.1.0.0/16:80', 'cart')], [frontend('tcp/10.1.0.1:80', 'cart')])).toEqual([
      'put frontend',
      'grace',
      'delete cidr',
      'put setting',
    ]);
  });

  it('plans nothing for what is as it should be', () => {
    const wanted = () => want(backend('cart', [1, 2]), frontend('tcp/10.0.0.1:80', 'cart'), client(1, 'red'));
    const { image } = started(wanted());
    expect(planAll(image, wanted()).ops).toHaveLength(0);
    const reordered = want(backend('cart', [2, 1]), frontend('tcp/10.0.0.1:80', 'cart'), client(1, 'red'));
    expect(planAll(image, reordered).ops).toHaveLength(0);
    expect(planDelta(image, deltaBetween(nothingWanted, wanted())).ops).toHaveLength(0);
  });

  it.each([
    ['an endpoint', { endpoints: [endpoint(1), endpoint(3)] }],
    ['a weight', { endpoints: [endpoint(1), endpoint(2, 5)] }],
    ['the policy', { policy: 'least-request' as const }],
    ['affinity', { affinitySeconds: 5 }],
    ['passing through', { passthrough: true }],
    ['what is done when empty', { emptyDirect: true }],
  ])('writes a new range and flips to it when %s changes', (_, change) => {
    const { plane, image, from } = started(want(backend('cart', [1, 2]), frontend('tcp/10.0.0.1:80', 'cart')));
    const before = plane.map('backend').get(1);
    const first = before?.first as number;
    const slots = () => [0, 1, 2].map((i) => [plane.header(first + i), plane.map('endpoint').get(first + i)]);
    const held = slots();
    const to = want(backend('cart', [1, 2], change), frontend('tcp/10.0.0.1:80', 'cart'));
    const plan = planDelta(image, deltaBetween(from, to));
    expect(distinct(maps(plan)).filter((m) => m !== 'put name' && m !== 'put maglev')).toEqual([
      'put endpoint',
      'put backend',
      'grace',
    ]);
    carryOut(plane, image, plan);
    const after = plane.map('backend').get(1);
    expect(after?.first).not.toBe(first);
    expect(after?.generation).toBeGreaterThan(before?.generation as number);
    expect(slots()).toEqual(held);
    releaseAll(plane, image);
    expect(normalise(plane)).toEqual(normalise(started(to).plane));
  });

  it('never gives two ranges one generation', () => {
    const { plane, image } = started(want(backend('a', [1]), backend('b', [1])));
    const seen = new Set([...plane.map('backend').entries()].map(([, b]) => b.generation));
    for (let n = 2; n < 6; n++) carryOut(plane, image, planAll(image, want(backend('a', [n]), backend('b', [n, 1]))));
    for (const [, b] of plane.map('backend').entries()) expect(seen.has(b.generation)).toBe(false);
    // Nor after a restart.
    const restarted = imageOf(plane);
    carryOut(plane, restarted, planAll(restarted, want(backend('a', [9]))));
    expect(plane.map('backend').get(1)?.generation).toBeGreaterThan(image.generation);
  });

  it('says which backend a frontend leads to by its id and the tag of its key', () => {
    const { plane } = started(
      want(
        backend('cart', []),
        frontend('tcp/10.0.0.1:80', 'cart'),
        frontend('tcp/10.1.0.0/16:80', { '': 'cart' }),
        frontend('tcp/0.0.0.0/0:81', {}),
      ),
    );
    expect([...plane.map('cidr').entries()].map(([key, value]) => [key.addr, key.prefixlen, value])).toEqual([
      ['10.1.0.0', 32 + 112, { backend_id: backendVariant, tag: 112 }],
      ['0.0.0.0', 32 + 96, { backend_id: backendVariant, tag: 96 }],
    ]);
    expect(
      [...plane.map('variant').entries()].map(([key, { backend_id }]) => [key.prefix, key.namespace_id, backend_id]),
    ).toEqual([[112, 0, 1]]);
    expect(plane.map('frontend').get({ addr: '10.0.0.1', port: 80, protocol: 6 })?.backend_id).toBe(1);
    expect(plane.map('setting').get(0)?.flags).toBe(settingFlag.cidr);
  });

  it('waits before the backend that a frontend was led away from goes', () => {
    const { image, from } = started(want(backend('old', [1]), frontend('tcp/10.0.0.1:80', 'old')));
    const plan = planDelta(image, deltaBetween(from, want(backend('new', [1]), frontend('tcp/10.0.0.1:80', 'new'))));
    expect(distinct(maps(plan)).slice(-4)).toEqual(['put frontend', 'grace', 'delete backend', 'grace']);
  });

  it('says when endpoints leave a backend that UDP uses, and how many UDP frontends there are', () => {
    const udp = [frontend('udp/10.0.0.1:80', 'dns'), frontend('tcp/10.0.0.2:80', 'web')];
    const { image, from } = started(want(backend('dns', [1, 2]), backend('web', [1, 2]), ...udp));
    const plan = (dns: number[], web: number[]) =>
      planDelta(image, deltaBetween(from, want(backend('dns', dns), backend('web', web), ...udp)));
    expect(plan([1, 2, 3], [1]).udpEndpointsLeft).toBe(false);
    expect(plan([1, 3], [1, 2]).udpEndpointsLeft).toBe(true);
    expect(plan([1, 3], [1, 2]).udpFrontends).toBe(1);
    const gone = planDelta(image, deltaBetween(from, nothingWanted));
    expect([gone.udpEndpointsLeft, gone.udpFrontends]).toEqual([true, 0]);
  });

  it('does not change the image before it is committed', () => {
    const { plane, image } = started(want(backend('cart', [1]), frontend('tcp/10.0.0.1:80', 'cart')));
    const to = want(backend('cart', [2, 3]), backend('new', [4]), frontend('tcp/10.0.0.9:80', 'new'));
    const twice = [maps(planAll(image, to)), maps(planAll(image, to))];
    expect(twice[0]).toEqual(twice[1]);
    carryOut(plane, image, planAll(image, to));
    expect(planAll(image, to).ops).toHaveLength(0);
  });

  it('refuses a delta that contradicts itself, service by service', () => {
    const { plane, image } = started(want(backend('cart', [1]), frontend('tcp/10.0.0.1:80', 'cart')));
    const delta = {
      backends: new Map([
        ['ns/cart:80/4', undefined],
        ['ns/web:80/4', backend('web', [1])],
      ]),
      frontends: new Map([['tcp/10.0.0.3:80', frontend('tcp/10.0.0.3:80', 'nowhere')]]),
      clients: new Map(),
      ports: new Map(),
    };
    const plan = planDelta(image, delta);
    expect(plan.refused.map((r) => [r.services, r.reason])).toEqual([
      [['ns/cart'], 'backend ns/cart:80/4 is not wanted, but a frontend leads to it'],
      [[], 'frontend tcp/10.0.0.3:80 leads to backend ns/nowhere:80/4, which is not wanted'],
    ]);
    carryOut(plane, image, plan);
    expect(Object.keys(normalise(plane).backends)).toEqual(['ns/cart:80/4', 'ns/web:80/4']);
  });

  it('releases a name only when nothing uses its id', () => {
    const { plane, image, from } = started(want(backend('cart', [1, 2]), frontend('tcp/10.0.0.1:80', 'cart')));
    carryOut(
      plane,
      image,
      planDelta(image, deltaBetween(from, want(backend('cart', [2]), frontend('tcp/10.0.0.1:80', 'cart')))),
    );
    expect(normalise(plane).names.workload).toEqual(['pod-1', 'pod-2']);
    expect(releaseAll(plane, image)).toBe(1);
    expect(normalise(plane).names.workload).toEqual(['pod-2']);
    expect(releaseAll(plane, image)).toBe(0);
  });
});
