// SPDX-License-Identifier: Apache-2.0
// Several sources: whatever they tell in whatever order, the model is that of all they say, put together from scratch.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { apply, emptyModel } from '../../src/mesh/apply.ts';
import type { Change, Model } from '../../src/mesh/model.ts';
import type { Policy } from '../../src/mesh/policy.ts';
import { type Service, serviceKey } from '../../src/mesh/service.ts';
import { openCombination } from '../../src/source/combine.ts';
import { anyChange } from '../mesh/arbitrary.ts';
import { port, service, workload } from '../mesh/make.ts';

function all<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

const policy = (name: string, action: Policy['action'] = 'allow'): Policy => ({
  ...{ name, namespace: 'shop', scope: 'namespace', action, rules: [], dryRun: false },
});
const anyPolicyChange: fc.Arbitrary<Change> = fc.oneof(
  fc
    .tuple(fc.constantFrom('p1', 'p2'), fc.constantFrom('allow', 'deny'))
    .map(([name, action]): Change => ({ kind: 'put-policy', policy: policy(name, action) })),
  fc.constantFrom('p1', 'p2').map((name): Change => ({ kind: 'remove-policy', key: `shop/${name}` })),
);
const anyNews = fc.record({
  place: fc.nat(2),
  changes: fc.array(fc.oneof({ weight: 5, arbitrary: anyChange }, { weight: 1, arbitrary: anyPolicyChange }), {
    maxLength: 6,
  }),
});

const content = (model: Model) => ({
  workloads: new Map(model.workloads),
  services: new Map(model.services),
  policies: new Map(model.policies),
});

/** The rule as one would say it: the first that has it, whole; an open transport from the first other that says. */
function together(models: readonly Model[]): ReturnType<typeof content> {
  const first = <T>(tables: readonly ReadonlyMap<string, T>[]): Map<string, T> => {
    const out = new Map<string, T>();
    for (const table of [...tables].reverse()) for (const [key, value] of table) out.set(key, value);
    return out;
  };
  const services = first(models.map((m) => m.services));
  for (const [key, taken] of services) {
    const others = models.flatMap((m) => m.services.get(key) ?? []).slice(1);
    const ports = taken.ports.map((p) => {
      if (p.protocol !== 'any') return p;
      for (const other of others) {
        const said = other.ports.filter((o) => o.port === p.port && o.protocol !== 'any').map((o) => o.protocol);
        const open = other.ports.some((o) => o.port === p.port && o.protocol === 'any');
        if (said.length === 0) continue;
        return open || new Set(said).size > 1 ? p : { ...p, protocol: said[0] as 'tcp' | 'udp' };
      }
      return p;
    });
    services.set(key, { ...taken, ports });
  }
  return { workloads: first(models.map((m) => m.workloads)), services, policies: first(models.map((m) => m.policies)) };
}

describe('combination', () => {
  test('is what the sources say together, after any news in any order', () => {
    fc.assert(
      fc.property(fc.array(anyNews, { maxLength: 14 }), (news) => {
        const combination = openCombination(['a', 'b', 'c']);
        const said: [Model, Model, Model] = [emptyModel, emptyModel, emptyModel];
        let held = emptyModel;
        for (const { place, changes } of news) {
          said[place] = apply(said[place] as Model, changes).model;
          held = apply(held, all(combination.take(place, changes))).model;
          const truth = together(said);
          expect(content(held)).toEqual(truth);
          expect(content(apply(emptyModel, all(combination.everything())).model)).toEqual(truth);
        }
        const tables = [
          ['workload', 'workloads'],
          ['service', 'services'],
          ['policy', 'policies'],
        ] as const;
        for (const [kind, table] of tables) {
          for (const name of held[table].keys()) {
            const [source, ...shadows] = ['a', 'b', 'c'].filter((_, i) => said[i]?.[table].has(name));
            expect(combination.origin(kind, name)).toEqual({ source, shadows });
          }
          expect(combination.origin(kind, 'nobody/knows')).toBeUndefined();
        }
      }),
      { numRuns: 300 },
    );
  });

  test('says nothing of what is shadowed, and puts before removals', () => {
    const combination = openCombination(['xds', 'files']);
    const mine = workload('w1', { node: 'n1' });
    const theirs = workload('w1', { node: 'n2' });
    const other = workload('w2', {});
    const take = (place: number, ...changes: Change[]) => all(combination.take(place, changes));
    const put = (w: typeof mine): Change => ({ kind: 'put-workload', workload: w });
    expect(take(0, put(mine), put(other))).toEqual([put(mine), put(other)]);
    expect(take(1, put(theirs))).toEqual([]);
    expect(combination.origin('workload', 'w1')).toEqual({ source: 'xds', shadows: ['files'] });
    expect(take(0, { kind: 'remove-workload', uid: 'w2' }, { kind: 'remove-workload', uid: 'w1' })).toEqual([
      put(theirs),
      { kind: 'remove-workload', uid: 'w2' },
    ]);
    // It may be told again because it was not taken up the first time.
    const again: Change = { kind: 'remove-workload', uid: 'w2' };
    expect(take(0, again)).toEqual([again]);
  });

  test('narrows open ports by number, and widens them again', () => {
    const combination = openCombination(['xds', 'files']);
    const named = { namespace: 'shop', hostname: 'cart.test' };
    const put = (...ports: Service['ports']): Change => ({
      kind: 'put-service',
      service: service({ ...named, ports }),
    });
    const open = [53, 80, 443, 9000].map((n) => port(n, { protocol: 'any' }));
    const protocols = (changes: readonly Change[]) =>
      changes.map((change) => (change.kind === 'put-service' ? change.service.ports.map((p) => p.protocol) : change));
    expect(protocols(all(combination.take(0, [put(...open)])))).toEqual([['any', 'any', 'any', 'any']]);
    const files = [
      port(53, { protocol: 'tcp' }),
      port(53, { protocol: 'udp' }),
      port(80, { protocol: 'tcp' }),
      port(443, { protocol: 'udp' }),
    ];
    expect(protocols(all(combination.take(1, [put(...files)])))).toEqual([['any', 'tcp', 'udp', 'any']]);
    const gone: Change = { kind: 'remove-service', key: serviceKey(service(named)) };
    expect(protocols(all(combination.take(1, [gone])))).toEqual([['any', 'any', 'any', 'any']]);
    expect(all(combination.take(0, [gone]))).toEqual([gone]);
  });

  test('pauses on its way through much', () => {
    const combination = openCombination(['xds', 'files']);
    const changes = Array.from(
      { length: 2000 },
      (_, i): Change => ({
        kind: 'put-policy',
        policy: policy(`p${i}`),
      }),
    );
    const steps = combination.take(0, changes);
    let pauses = 0;
    while (!steps.next().done) pauses++;
    expect(pauses).toBeGreaterThan(3);
    expect(all(combination.everything())).toHaveLength(2000);
  });
});
