// SPDX-License-Identifier: Apache-2.0
// What does not fit is refused by name and whole; everything else goes on.
import { describe, expect, it } from 'vitest';
import type { MapName } from '../../src/abi/maps.ts';
import { maglevSize } from '../../src/compile/maglev.ts';
import type { Plan } from '../../src/compile/plan.ts';
import type { Wanted } from '../../src/compile/wanted.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import type { MapSizes } from '../../src/kernel/sizes.ts';
import { carryOut, releaseAll } from '../support/carry-out.ts';
import { normalise } from '../support/normalise.ts';
import { imageOf, planAll, planDelta } from '../support/plans.ts';
import { deltaBetween } from '../support/random-wanted.ts';
import { backend, client, type Entry, frontend, want } from '../support/small-wanted.ts';

const up = (n: number, from = 1) => Array.from({ length: n }, (_, i) => from + i);

function planned(sizes: MapSizes, wanted: Wanted) {
  const plane = openMemory(sizes);
  const image = imageOf(plane);
  const plan = planAll(image, wanted);
  carryOut(plane, image, plan);
  return { plane, image, plan };
}

const refused = (plan: Plan) => plan.refused.map((r) => [r.services.join(), r.workload, r.reason]);

interface Case {
  readonly map: MapName;
  readonly size: number;
  readonly entries: readonly Entry[];
  readonly room: string;
}

describe('plan when a map is full', () => {
  const small = [backend('small', [1]), frontend('tcp/10.0.0.1:80', 'small')];

  const cases: readonly Case[] = [
    {
      map: 'endpoint',
      size: 20,
      entries: [backend('big', up(20)), frontend('tcp/10.0.0.2:80', 'big')],
      room: '21 slots in a row needed, 17 free',
    },
    {
      map: 'maglev',
      size: 100,
      entries: [backend('big', up(5), { policy: 'source-hash' })],
      room: `${(maglevSize(5) + 1) >> 1} slots in a row needed, 100 free`,
    },
    {
      map: 'frontend',
      size: 3,
      entries: [backend('big', [1]), ...up(3).map((n) => frontend(`tcp/10.0.1.${n}:80`, 'big'))],
      room: '3 entries needed, 2 free',
    },
    {
      map: 'variant',
      size: 1,
      entries: [backend('big', [1]), frontend('tcp/10.0.1.1:80', { red: 'big', '': 'big' })],
      room: '2 entries needed, 1 free',
    },
    {
      map: 'cidr',
      size: 1,
      entries: [backend('big', [1]), ...up(2).map((n) => frontend(`tcp/10.${n}.0.0/16:80`, 'big'))],
      room: '2 entries needed, 1 free',
    },
    { map: 'backend', size: 2, entries: [backend('big', [1])], room: '1 entry needed, 0 free' },
    { map: 'robin', size: 2, entries: [backend('big', [1])], room: '1 entry needed, 0 free' },
    { map: 'active', size: 4, entries: [backend('big', up(9))], room: '8 entries needed, 2 free' },
    { map: 'name', size: 5, entries: [backend('big', up(3))], room: '4 entries needed, 2 free' },
  ];
  it.each(cases)('refuses a service that does not fit into "$map", by name', ({ map, size, entries, room }) => {
    const sizes = { [map]: size };
    const { plane, image, plan } = planned(sizes, want(...small, ...entries));
    expect(refused(plan)).toEqual([['ns/big', '', `map "${map}" has no room: ${room}`]]);
    expect(plan.refused[0]?.shortage?.map).toBe(map);
    releaseAll(plane, image);
    expect(normalise(plane)).toEqual(normalise(planned({}, want(...small)).plane));
  });

  it('refuses a client that does not fit, by name', () => {
    const { plane, plan } = planned({ client: 1 }, want(...small, client(1, 'red'), client(2, 'red')));
    expect(refused(plan)).toEqual([['', 'pod-2', 'map "client" has no room: 1 entry needed, 0 free']]);
    expect(Object.keys(normalise(plane).clients)).toEqual(['pod-1']);
  });

  it('leaves a service that no longer fits as it was, its frontends too', () => {
    const first = want(...small, backend('big', up(3)), frontend('tcp/10.0.0.2:80', 'big'));
    const { plane, image } = planned({ endpoint: 20 }, first);
    const before = normalise(plane);
    const next = want(
      backend('small', [2]),
      frontend('tcp/10.0.0.1:80', 'small'),
      backend('big', up(15)),
      frontend('tcp/10.0.0.3:80', 'big'),
    );
    const plan = planDelta(image, deltaBetween(first, next));
    expect(plan.refused.map((r) => [r.services, r.backends, r.frontends])).toEqual([
      [['ns/big'], ['ns/big:80/4'], ['tcp/10.0.0.3:80', 'tcp/10.0.0.2:80']],
    ]);
    carryOut(plane, image, plan);
    const after = normalise(plane);
    expect(after.backends['ns/big:80/4']).toEqual(before.backends['ns/big:80/4']);
    expect(Object.keys(after.frontends)).toEqual(['tcp/10.0.0.1:80', 'tcp/10.0.0.2:80']);
    expect(after.backends['ns/small:80/4']).not.toEqual(before.backends['ns/small:80/4']);
  });

  it('keeps services that share a frontend together', () => {
    const first = want(backend('a', [1]), frontend('tcp/10.0.0.1:80', 'a'));
    const { plane, image } = planned({ endpoint: 20 }, first);
    // The address moves to a service that does not fit: the one that had it must not go.
    const plan = planDelta(image, deltaBetween(first, want(backend('b', up(30)), frontend('tcp/10.0.0.1:80', 'b'))));
    expect(plan.refused.map((r) => r.services)).toEqual([['ns/a', 'ns/b']]);
    expect(plan.ops).toHaveLength(0);
    carryOut(plane, image, plan);
    expect(Object.keys(normalise(plane).backends)).toEqual(['ns/a:80/4']);
  });

  it('gives back what a refused service had claimed to those after it', () => {
    const wanted = want(backend('big', up(8), { policy: 'source-hash' }), ...small);
    const { plan, plane } = planned({ endpoint: 8, active: 9, maglev: 512 }, wanted);
    expect(plan.refused.map((r) => r.services)).toEqual([['ns/big']]);
    expect(normalise(plane)).toEqual(normalise(planned({}, want(...small)).plane));
  });

  it('takes it once there is room', () => {
    const big = [backend('big', up(10)), frontend('tcp/10.0.0.2:80', 'big')];
    const first = want(backend('fat', up(10)), frontend('tcp/10.0.0.9:80', 'fat'));
    const { plane, image } = planned({ endpoint: 20 }, first);
    const second = want(...big);
    // Deletions come last: their room counts from the next plan on.
    const plan = planDelta(image, deltaBetween(first, second));
    expect(plan.refused.map((r) => r.services)).toEqual([['ns/big']]);
    carryOut(plane, image, plan);
    const again = planAll(image, second);
    expect(again.refused).toEqual([]);
    carryOut(plane, image, again);
    releaseAll(plane, image);
    expect(normalise(plane)).toEqual(normalise(planned({}, second).plane));
  });
});
