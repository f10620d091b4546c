// SPDX-License-Identifier: Apache-2.0
// compile: whole and incremental agree after any sequence of changes, and clients get what plain rules over the model say.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { candidates } from '../../src/compile/backend.ts';
import { compileAll, compileTouched, emptyIndex, wantedOf } from '../../src/compile/compile.ts';
import { lookup } from '../../src/compile/lookup.ts';
import type { Wanted, WantedDelta, WantedFrontend } from '../../src/compile/wanted.ts';
import { apply, emptyModel } from '../../src/mesh/apply.ts';
import type { Model, NodeView } from '../../src/mesh/model.ts';
import { type Service, serviceKey } from '../../src/mesh/service.ts';
import { addressBytes, isV4 } from '../../src/net/address.ts';
import { addressBits, cidrContains } from '../../src/net/cidr.ts';
import { anyBatches, anyView, namespaces, ports } from '../mesh/arbitrary.ts';
import { model, port, service, shop, view, workload } from '../mesh/make.ts';

type Held = { readonly [K in keyof Wanted]: Map<string, unknown> };

const plain = (wanted: Wanted): Held => ({
  backends: new Map(wanted.backends),
  frontends: new Map(wanted.frontends),
  clients: new Map(wanted.clients),
  ports: new Map(wanted.ports),
});

/** Takes a delta into `held`; says whether every entry of it made a difference. */
function take(held: Held, delta: WantedDelta): boolean {
  let news = true;
  for (const kind of ['backends', 'frontends', 'clients', 'ports'] as const) {
    for (const [name, entry] of delta[kind]) {
      if (entry === undefined) news &&= held[kind].delete(name);
      else {
        const before = held[kind].get(name);
        news &&= JSON.stringify(before, asPlain) !== JSON.stringify(entry, asPlain);
        held[kind].set(name, entry);
      }
    }
  }
  return news;
}

const asPlain = (_: string, value: unknown): unknown => (value instanceof Map ? [...value].sort() : value);

describe('incremental', () => {
  test('deltas add up to what compiling from scratch gives, and name nothing that stays', () => {
    fc.assert(
      fc.property(anyBatches, fc.array(anyView, { minLength: 1, maxLength: 3 }), (batches, views) => {
        let held: Model = emptyModel;
        let index = emptyIndex;
        const total: Held = { backends: new Map(), frontends: new Map(), clients: new Map(), ports: new Map() };
        batches.forEach((batch, i) => {
          const at = views[Math.floor((i * views.length) / batches.length)] as NodeView;
          const moved = i > 0 && at !== views[Math.floor(((i - 1) * views.length) / batches.length)];
          const next = apply(held, batch);
          const step = compileTouched(index, next.model, at, moved ? 'everything' : next.touched);
          expect(take(total, step.delta)).toBe(true);
          const whole = plain(compileAll(next.model, at));
          expect(total).toEqual(whole);
          expect(plain(wantedOf(step.index))).toEqual(whole);
          held = next.model;
          index = step.index;
        });
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  test('an older index stays as it was', () => {
    const first = model([service()], [workload('w1')]);
    const { index } = compileTouched(emptyIndex, first, view, 'everything');
    const before = plain(wantedOf(index));
    const next = apply(first, [{ kind: 'remove-service', key: shop }]);
    compileTouched(index, next.model, view, next.touched);
    expect(plain(wantedOf(index))).toEqual(before);
  });

  test('a change that the node does not see gives an empty delta', () => {
    const first = model([service()], [workload('w1')]);
    const { index } = compileTouched(emptyIndex, first, view, 'everything');
    const next = apply(first, [
      { kind: 'put-workload', workload: workload('w1', { authorizationPolicies: ['shop/p'] }) },
    ]);
    const { delta } = compileTouched(index, next.model, view, next.touched);
    expect([delta.backends.size, delta.frontends.size, delta.clients.size]).toEqual([0, 0, 0]);
  });
});

/** The best service for a client by reading the rules off: exact addresses before ranges, then own namespace, longest, canonical, first. */
function owner(
  m: Model,
  v: NodeView,
  namespace: string,
  protocol: 'tcp' | 'udp',
  address: string,
  number: number,
): Service | undefined {
  const claims = [...m.services.values()].flatMap((s) =>
    s.addresses
      .filter((a) => a.network === v.network)
      .map((a) => ({ s, length: a.length ?? addressBits(a.address), at: a.address }))
      .filter((c) => cidrContains({ address: c.at, length: c.length }, address)),
  );
  const found = claims
    .filter(({ s }) => s.ports.some((p) => p.port === number && (p.protocol === protocol || p.protocol === 'any')))
    .filter(({ s }) => s.visibility === 'public' || s.namespace === namespace)
    .map((c) => ({ ...c, exact: c.length === addressBits(address), own: c.s.namespace === namespace }))
    .sort(
      (a, b) =>
        Number(b.exact) - Number(a.exact) ||
        Number(b.own) - Number(a.own) ||
        b.length - a.length ||
        Number(b.s.canonical) - Number(a.s.canonical) ||
        (serviceKey(a.s) < serviceKey(b.s) ? -1 : 1),
    );
  return found[0]?.s;
}

/** As the kernel looks: the exact key, else the longest prefix of the 16 bytes; then the client's namespace, else ''. */
function kernelLookup(
  wanted: Wanted,
  namespace: string,
  protocol: string,
  address: string,
  number: number,
): string | undefined {
  const bits = (a: string) => [...addressBytes(a)].map((b) => b.toString(2).padStart(8, '0')).join('');
  const prefix = (f: WantedFrontend) => (f.length ?? addressBits(f.address)) + (isV4(f.address) ? 96 : 0);
  const fits = [...wanted.frontends.values()].filter(
    (f) =>
      f.protocol === protocol &&
      f.port === number &&
      (f.length === undefined
        ? f.address === address
        : bits(f.address).slice(0, prefix(f)) === bits(address).slice(0, prefix(f))),
  );
  const best = fits.sort(
    (a, b) => Number(a.length !== undefined) - Number(b.length !== undefined) || prefix(b) - prefix(a),
  )[0];
  if (!best) return undefined;
  if (typeof best.backend === 'string') return best.backend;
  return best.backend.get(namespace) ?? best.backend.get('');
}

const dialled = [
  '10.96.0.1',
  '10.96.0.2',
  '10.96.0.77',
  '10.96.9.9',
  '10.97.0.1',
  '10.200.0.1',
  '11.0.0.1',
  '2001:db8:1::1',
  '2001:db8:1::2',
  '2001:db8:2::1',
];

describe('from the client’s side', () => {
  test('reaches the service that the rules name, and its candidates', () => {
    const anyNamespace = fc.constantFrom(...namespaces, 'other', '');
    const anyProtocol = fc.constantFrom('tcp', 'udp');
    fc.assert(
      fc.property(anyBatches, anyView, anyNamespace, anyProtocol, (batches, v, namespace, protocol) => {
        const { model: m } = apply(emptyModel, batches.flat());
        const wanted = compileAll(m, v);
        for (const number of ports) {
          for (const address of dialled) {
            const name = kernelLookup(wanted, namespace, protocol, address, number);
            expect(lookup(wanted, namespace, protocol, address, number)?.backend).toBe(name);
            const due = owner(m, v, namespace, protocol, address, number);
            expect(name && wanted.backends.get(name)?.service).toBe(due && serviceKey(due));
            if (!due || name === undefined) continue;
            const found = candidates(m, v, serviceKey(due), number, protocol, isV4(address) ? 4 : 6);
            expect(found.flatMap((c) => (c.in ? [[c.workload, c.address, c.port, c.weight]] : []))).toEqual(
              wanted.backends.get(name)?.endpoints.map((e) => [e.workload, e.address, e.port, e.weight]),
            );
          }
        }
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  test('candidates name every workload once, and probabilities add up to 1', () => {
    fc.assert(
      fc.property(anyBatches, anyView, (batches, v) => {
        const { model: m } = apply(emptyModel, batches.flat());
        for (const [key, s] of m.services) {
          for (const { port: number } of s.ports) {
            for (const protocol of ['tcp', 'udp'] as const) {
              const list = candidates(m, v, key, number, protocol, 6);
              if (list.length === 0) continue;
              expect(list.map((c) => c.workload)).toEqual([...(m.members.get(key) ?? [])].sort());
              const inside = list.flatMap((c) => (c.in ? [c.probability] : []));
              if (inside.length > 0) expect(inside.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
            }
          }
        }
      }),
    );
  });
});

const summary = (wanted: Wanted): Record<string, unknown> =>
  Object.fromEntries(
    [...wanted.frontends.values()].map((f) => [
      f.key,
      typeof f.backend === 'string' ? f.backend : Object.fromEntries(f.backend),
    ]),
  );

describe('frontends and backends', () => {
  const four = workload('four');
  const six = workload('six', { addresses: ['2001:db8::6'] });
  const dual = [
    { network: '', address: '10.96.0.1' },
    { network: '', address: '2001:db8:1::1' },
  ];

  test('TCP and UDP share a backend while they agree, and part where UDP over IPv6 must', () => {
    const s = service({ addresses: dual, ports: [port(53, { protocol: 'any' })] });
    expect(summary(compileAll(model([s], [four]), view))).toEqual({
      'tcp/10.96.0.1:53': `${shop}:53/4`,
      'udp/10.96.0.1:53': `${shop}:53/4`,
      'tcp/[2001:db8:1::1]:53': `${shop}:53/6`,
      'udp/[2001:db8:1::1]:53': `${shop}:53/6`,
    });
    const mixed = compileAll(model([s], [four, six]), view);
    expect(summary(mixed)['udp/[2001:db8:1::1]:53']).toBe(`${shop}:53/6/udp`);
    expect(mixed.backends.get(`${shop}:53/6/udp`)?.endpoints.map((e) => e.workload)).toEqual(['six']);
  });

  test('one port number with different target ports by protocol', () => {
    const s = service({ ports: [port(53, { targetPort: 5300 }), port(53, { protocol: 'udp', targetPort: 5301 })] });
    const { backends } = compileAll(model([s], [four]), view);
    expect([...backends.values()].map((b) => [b.name, b.endpoints[0]?.port]).sort()).toEqual([
      [`${shop}:53/4`, 5300],
      [`${shop}:53/4/udp`, 5301],
    ]);
  });

  test('what a backend carries', () => {
    const s = service({ balancer: { policy: 'source-hash', affinitySeconds: 9 }, onEmpty: 'direct' });
    expect([...compileAll(model([s]), view).backends.values()]).toEqual([
      {
        name: `${shop}:80/4`,
        service: shop,
        policy: 'source-hash',
        affinitySeconds: 9,
        passthrough: false,
        emptyDirect: true,
        endpoints: [],
      },
    ]);
  });

  test('headless services and addresses of other networks give nothing', () => {
    const elsewhere = service({ hostname: 'far', addresses: [{ network: 'far', address: '10.96.0.9' }] });
    const wanted = compileAll(model([service({ addresses: [] }), elsewhere], [four]), view);
    expect([wanted.frontends.size, wanted.backends.size]).toEqual([0, 0]);
  });

  const claim = (namespace: string, hostname: string, fields: Partial<Service> = {}) =>
    service({ namespace, hostname, ...fields });
  const range = (address: string, length: number) => ({ addresses: [{ network: '', address, length }] });

  test.each<[string, Service[], object]>([
    ['one public owner', [claim('a', 'x')], { 'tcp/10.96.0.1:80': 'a/x:80/4' }],
    ['one hidden owner', [claim('a', 'x', { visibility: 'namespace' })], { 'tcp/10.96.0.1:80': { a: 'a/x:80/4' } }],
    [
      'own namespace, else the first',
      [claim('a', 'x'), claim('b', 'x')],
      { 'tcp/10.96.0.1:80': { '': 'a/x:80/4', b: 'b/x:80/4' } },
    ],
    [
      'own namespace, else the canonical one',
      [claim('a', 'x'), claim('b', 'x', { canonical: true })],
      { 'tcp/10.96.0.1:80': { '': 'b/x:80/4', a: 'a/x:80/4' } },
    ],
    ['two of one namespace', [claim('a', 'x'), claim('a', 'w')], { 'tcp/10.96.0.1:80': 'a/w:80/4' }],
    [
      'an address shared by ports',
      [claim('a', 'x'), claim('b', 'x', { ports: [port(443)] })],
      { 'tcp/10.96.0.1:80': 'a/x:80/4', 'tcp/10.96.0.1:443': 'b/x:443/4' },
    ],
    ['a range', [claim('a', 'x', range('10.1.2.3', 16))], { 'tcp/10.1.0.0/16:80': 'a/x:80/4' }],
    ...['127.0.0.1', '127.9.9.9', '0.0.0.0', '::1', '::'].map((address): [string, Service[], object] => [
      `what a client calls itself: ${address}`,
      [claim('a', 'x', { addresses: [{ network: '', address }] })],
      {},
    ]),
    ['a range of them', [claim('a', 'x', range('127.0.0.0', 8))], {}],
    ['a range of IPv6', [claim('a', 'x', range('2001:db8::1', 32))], { 'tcp/[2001:db8::/32]:80': 'a/x:80/6' }],
    ['a range of one address', [claim('a', 'x', range('10.1.2.3', 32))], { 'tcp/10.1.2.3:80': 'a/x:80/4' }],
    [
      'own namespace before the longer range',
      [claim('a', 'x', range('10.0.0.0', 8)), claim('b', 'y', range('10.1.0.0', 16))],
      { 'tcp/10.0.0.0/8:80': 'a/x:80/4', 'tcp/10.1.0.0/16:80': { '': 'b/y:80/4', a: 'a/x:80/4' } },
    ],
    [
      'a hidden range leaves the range around it to the others',
      [claim('a', 'x', range('10.0.0.0', 8)), claim('b', 'y', { ...range('10.1.0.0', 16), visibility: 'namespace' })],
      { 'tcp/10.0.0.0/8:80': 'a/x:80/4', 'tcp/10.1.0.0/16:80': { '': 'a/x:80/4', b: 'b/y:80/4' } },
    ],
    [
      'all of IPv6 does not take in IPv4',
      [claim('a', 'x', range('::', 0))],
      { 'tcp/[::/0]:80': 'a/x:80/6', 'tcp/0.0.0.0/0:80': {} },
    ],
  ])('%s', (_, services, expected) => {
    expect(summary(compileAll(model(services), view))).toEqual(expected);
  });
});

describe('clients', () => {
  test('are the workloads of this node, with an address of each family', () => {
    const identity = 'spiffe://cluster.local/ns/shop/sa/default';
    const here = workload('w1', { node: 'n1', addresses: ['2001:db8::1', '10.0.0.1', '10.0.0.2'] });
    const bare = workload('w2', { node: 'n1', addresses: [] });
    const there = [workload('w3', { node: 'n2' }), workload('w4')];
    expect(
      [...compileAll(model([], [here, bare, ...there]), view).clients.values()].sort((a, b) =>
        a.workload < b.workload ? -1 : 1,
      ),
    ).toEqual([
      { workload: 'w1', namespace: 'shop', address4: '10.0.0.1', address6: '2001:db8::1', identity },
      { workload: 'w2', namespace: 'shop', address4: '', address6: '', identity },
    ]);
    expect(compileAll(model([], there), { ...view, node: '' }).clients.size).toBe(0);
  });
});
