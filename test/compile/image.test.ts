// SPDX-License-Identifier: Apache-2.0
// The image read back from the pins, also from pins that make no sense.
import { describe, expect, it } from 'vitest';
import { nameKind } from '../../src/abi/structs.ts';
import { fillOf } from '../../src/compile/image.ts';
import type { Wanted } from '../../src/compile/wanted.ts';
import { type MemoryDataPlane, openMemory } from '../../src/kernel/memory.ts';
import { carryOut, releaseAll } from '../support/carry-out.ts';
import { normalise } from '../support/normalise.ts';
import { imageOf, planAll } from '../support/plans.ts';
import { backend, client, frontend, want } from '../support/small-wanted.ts';

const wanted = want(
  backend('cart', [1, 2], { policy: 'source-hash' }),
  backend('web', [2, 3], { policy: 'least-request' }),
  frontend('tcp/10.0.0.1:80', 'cart'),
  frontend('udp/10.0.0.1:80', 'web'),
  frontend('tcp/10.0.0.2:80', { red: 'cart', '': 'web' }),
  frontend('tcp/10.1.0.0/16:80', 'web'),
  frontend('tcp/[2001:db8::/32]:80', { red: 'web' }),
  frontend('tcp/[::/0]:80', { red: 'cart' }),
  client(1, 'red'),
);

function filled(state: Wanted = wanted): MemoryDataPlane {
  const plane = openMemory();
  const image = imageOf(plane);
  carryOut(plane, image, planAll(image, state));
  return plane;
}

/** Takes over the pins and brings them to `wanted`; how many operations that took. */
function takeOver(plane: MemoryDataPlane): number {
  const image = imageOf(plane);
  const plan = planAll(image, wanted);
  carryOut(plane, image, plan);
  releaseAll(plane, image);
  return plan.ops.length;
}

const idOf = (plane: MemoryDataPlane, name: string) => imageOf(plane).ids.backend.idOf(name) as number;

describe('image', () => {
  it('of empty pins holds nothing', () => {
    const image = imageOf(openMemory({ endpoint: 100, maglev: 50, active: 10, backend: 8, robin: 9 }));
    expect(image.backends.size + image.frontends.size + image.clients.size).toBe(0);
    const fill = fillOf(image);
    expect(fill.endpoint).toEqual({ used: 0, size: 99, fragmentation: 0, largestFree: 99 });
    expect(fill.maglev).toEqual({ used: 0, size: 50, fragmentation: 0, largestFree: 50 });
    expect([image.ids.workload.free, image.ids.backend.free]).toEqual([9, 7]);
  });

  it('says what was written', () => {
    const plane = filled();
    const image = imageOf(plane);
    expect([...image.backends.keys()].sort()).toEqual(['ns/cart:80/4', 'ns/web:80/4']);
    expect(image.frontends.get('tcp/10.0.0.2:80')).toEqual({
      protocol: 'tcp',
      address: '10.0.0.2',
      length: undefined,
      port: 80,
      backend: '*',
      variants: new Map([
        ['red', 'ns/cart:80/4'],
        ['', 'ns/web:80/4'],
      ]),
    });
    expect(image.clients.get('pod-1')).toEqual(client(1, 'red'));
    expect(image.udpFrontends).toBe(1);
    expect(image.leads.get('ns/web:80/4')).toEqual({ all: 4, udp: 1 });
    expect(planAll(image, wanted).ops).toHaveLength(0);
  });

  it('keeps names that nothing uses until they are released', () => {
    const plane = filled();
    plane.map('name').put([
      [
        { id: 77, kind: nameKind.workload, part: 0 },
        { length: 4, text: new TextEncoder().encode('pod9') },
      ],
    ]);
    const image = imageOf(plane);
    expect(image.ids.workload.idle()).toEqual([77]);
    expect(releaseAll(plane, image)).toBe(1);
    expect(normalise(plane)).toEqual(normalise(filled()));
  });

  const damages: readonly (readonly [what: string, damage: (plane: MemoryDataPlane) => void])[] = [
    ['a backend that was zeroed', (p) => p.map('backend').delete([idOf(p, 'ns/cart:80/4')])],
    [
      'a backend that names a slot without its header',
      (p) => p.map('backend').put([[idOf(p, 'ns/cart:80/4'), { first: 900, generation: 5 }]]),
    ],
    [
      'a backend that names a slot beyond the map',
      (p) => p.map('backend').put([[idOf(p, 'ns/cart:80/4'), { first: 9_000_000, generation: 5 }]]),
    ],
    ['a backend without a name', (p) => p.map('backend').put([[55, { first: 1, generation: 1 }]])],
    [
      'two backends on one range',
      (p) => {
        const id = idOf(p, 'ns/cart:80/4');
        const at = p.map('backend').get(id);
        if (at) p.map('backend').put([[idOf(p, 'ns/web:80/4'), at]]);
      },
    ],
    [
      'a header that counts too many',
      (p) => {
        const first = p.map('backend').get(idOf(p, 'ns/web:80/4'))?.first as number;
        p.map('endpoint').put([[first, { ...p.header(first), count: 4_000_000_000 }]]);
      },
    ],
    [
      'an endpoint with another address',
      (p) => {
        const slot = (p.map('backend').get(idOf(p, 'ns/web:80/4'))?.first as number) + 1;
        const held = p.map('endpoint').get(slot);
        if (held) p.map('endpoint').put([[slot, { ...held, addr: '9.9.9.9' }]]);
      },
    ],
    [
      'an endpoint of an unknown workload',
      (p) => {
        const slot = (p.map('backend').get(idOf(p, 'ns/web:80/4'))?.first as number) + 1;
        const held = p.map('endpoint').get(slot);
        if (held) p.map('endpoint').put([[slot, { ...held, workload_id: 999 }]]);
      },
    ],
    [
      'a table with an index beyond the endpoints',
      (p) => {
        const { maglev_first } = p.header(p.map('backend').get(idOf(p, 'ns/cart:80/4'))?.first as number);
        p.map('maglev').put([[maglev_first + 3, { index: [9, 0] }]]);
      },
    ],
    [
      'a table with another index',
      (p) =>
        p.map('maglev').put([
          [0, { index: [1, 1] }],
          [1, { index: [1, 1] }],
          [2, { index: [1, 1] }],
        ]),
    ],
    [
      'a frontend with a wrong tag',
      (p) =>
        p.map('frontend').put([
          [
            { addr: '10.0.0.1', port: 80, protocol: 6 },
            { backend_id: 1, tag: 1 },
          ],
        ]),
    ],
    [
      'a frontend that leads to an id without a name',
      (p) =>
        p.map('cidr').put([
          [
            { addr: '10.1.0.0', port: 80, protocol: 6, prefixlen: 144 },
            { backend_id: 500, tag: 112 },
          ],
        ]),
    ],
    [
      'a frontend of another protocol',
      (p) =>
        p.map('frontend').put([
          [
            { addr: '10.0.0.1', port: 80, protocol: 132 },
            { backend_id: 1, tag: 1 },
          ],
        ]),
    ],
    [
      'a frontend that nobody wants',
      (p) =>
        p.map('frontend').put([
          [
            { addr: '10.9.0.1', port: 80, protocol: 6 },
            { backend_id: 1, tag: 1 },
          ],
        ]),
    ],
    [
      'frontends that are missing',
      (p) => p.map('frontend').delete([...p.map('frontend').entries()].map(([key]) => key)),
    ],
    ['variants that are missing', (p) => p.map('variant').delete([...p.map('variant').entries()].map(([key]) => key))],
    [
      'a variant of an unknown namespace',
      (p) =>
        p.map('variant').put([
          [
            { addr: '10.0.0.2', port: 80, protocol: 6, prefix: 0, namespace_id: 90 },
            { backend_id: 1, tag: 1 },
          ],
        ]),
    ],
    [
      'a variant of a frontend that has none',
      (p) =>
        p.map('variant').put([
          [
            { addr: '10.0.0.1', port: 80, protocol: 6, prefix: 0, namespace_id: 0 },
            { backend_id: 1, tag: 1 },
          ],
        ]),
    ],
    ['clients that are missing', (p) => p.map('client').delete([...p.map('client').entries()].map(([key]) => key))],
    [
      'a client without a name',
      (p) => p.map('client').put([[700, { addr4: '9.9.9.9', addr6: '', namespace_id: 1, flags: 0 }]]),
    ],
    [
      'a client of an unknown namespace',
      (p) =>
        p
          .map('client')
          .put([
            [
              imageOf(p).ids.workload.idOf('pod-1') as number,
              { addr4: '172.16.0.1', addr6: '', namespace_id: 44, flags: 0 },
            ],
          ]),
    ],
    ['a setting that was lost', (p) => p.map('setting').delete([0])],
    [
      'the first part of a name alone',
      (p) =>
        p.map('name').put([
          [
            { id: 80, kind: nameKind.workload, part: 0 },
            { length: 90, text: new Uint8Array(60) },
          ],
        ]),
    ],
    [
      'a later part of a name alone',
      (p) =>
        p.map('name').put([
          [
            { id: 80, kind: nameKind.service, part: 1 },
            { length: 0, text: new Uint8Array(60) },
          ],
        ]),
    ],
    [
      'a name of another kind',
      (p) =>
        p.map('name').put([
          [
            { id: 80, kind: 99, part: 0 },
            { length: 2, text: new TextEncoder().encode('ab') },
          ],
        ]),
    ],
    [
      'a name that two ids have',
      (p) =>
        p.map('name').put([
          [
            { id: 80, kind: nameKind.workload, part: 0 },
            { length: 5, text: new TextEncoder().encode('pod-1') },
          ],
        ]),
    ],
    [
      'a name with a part too many',
      (p) =>
        p.map('name').put([
          [
            { id: 1, kind: nameKind.workload, part: 1 },
            { length: 0, text: new Uint8Array(60) },
          ],
        ]),
    ],
    ['names that are missing', (p) => p.map('name').delete([...p.map('name').entries()].map(([key]) => key))],
    [
      'everything but the names gone',
      (p) => {
        for (const m of ['frontend', 'variant', 'cidr', 'backend', 'client'] as const)
          p.map(m).delete([...p.map(m).entries()].map(([key]) => key) as never[]);
      },
    ],
  ];
  it.each(damages)('puts right %s', (_, damage) => {
    const plane = filled();
    damage(plane);
    expect(takeOver(plane)).toBeGreaterThan(0);
    expect(normalise(plane)).toEqual(normalise(filled()));
    expect(takeOver(plane)).toBe(0);
    // Nothing was leaked on the way.
    const used = (p: MemoryDataPlane) => Object.values(fillOf(imageOf(p))).map((fill) => fill.used);
    expect(used(plane)).toEqual(used(filled()));
  });
});
