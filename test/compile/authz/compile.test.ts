// SPDX-License-Identifier: Apache-2.0
// From the model to destinations, sources and policy sets: whole or step by step the same, and what cannot be enforced closes.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AuthzIndex, isNothing } from '../../../src/compile/authz/compile.ts';
import { type AuthzOptions, deadRules, defaultAuthzOptions } from '../../../src/compile/authz/holding.ts';
import { exempt } from '../../../src/compile/authz/sources.ts';
import { apply, emptyModel } from '../../../src/mesh/apply.ts';
import { maxConjunctions } from '../../../src/mesh/conjunction.ts';
import { principalOf } from '../../../src/mesh/identity.ts';
import type { Change } from '../../../src/mesh/model.ts';
import { emptyMatch, type Match, type Policy, policyKey, type Rule } from '../../../src/mesh/policy.ts';
import type { Workload } from '../../../src/mesh/workload.ts';
import { workload } from '../../mesh/make.ts';
import { connection } from '../../support/authz-arbitrary.ts';
import { policiesFor, referenceVerdict } from '../../support/authz-reference.ts';
import { anyChange, ask, asksWho, everyPod, identityAt, local, make, open, port, put, rule, whole } from './opened.ts';

describe('destinations', () => {
  test('addresses of workloads of this node that own them', () => {
    const index = whole(
      apply(emptyModel, [
        put(local('a', '10.0.0.1', { addresses: ['10.0.0.1', '2001:db8::1'] })),
        put(local('host', '10.9.9.9', { hostNetwork: true })),
        put(local('elsewhere', '10.0.0.2', { node: 'n2' })),
      ]).model,
    );
    expect([...index.destinations.keys()]).toEqual(['10.0.0.1', '2001:db8::1']);
  });

  test('global, namespace and own policies hold together; sets are shared', () => {
    const { index } = open(
      rule(make('root/g', { scope: 'global', rules: [port(1)] })),
      rule(make('shop/n', { rules: [port(2)] })),
      rule(make('shop/s', { scope: 'selector', rules: [port(3)] })),
      rule(make('other/n', { rules: [port(4)] })),
      put(local('a', '10.0.0.1', { authorizationPolicies: ['shop/s'] })),
      put(local('b', '10.0.0.2')),
      put(local('c', '10.0.0.3', { namespace: 'other' })),
    );
    const denied = (to: string) => [1, 2, 3, 4, 5].filter((p) => !ask(index(), to, '10.7.7.7', p)?.allowed);
    expect([denied('10.0.0.1'), denied('10.0.0.2'), denied('10.0.0.3')]).toEqual([
      [1, 2, 3],
      [1, 2],
      [1, 4],
    ]);
    expect([...index().lists.keys()].sort()).toEqual(['other/n', 'root/g', 'shop/n', 'shop/s']);
    const setsOf = (to: string) =>
      index()
        .destinations.get(to)
        ?.stack.sets.map(({ set }) => set);
    expect(setsOf('10.0.0.1')?.slice(0, 2)).toEqual(setsOf('10.0.0.2'));
  });

  test('a change writes what it touches only', () => {
    const { step, index } = open(
      rule(make('root/g', { scope: 'global' })),
      rule(make('shop/s', { scope: 'selector' })),
      put(local('a', '10.0.0.1', { authorizationPolicies: ['shop/s'] })),
      put(local('b', '10.0.0.2')),
    );
    const before = index();
    const delta = step(rule(make('shop/s', { scope: 'selector', rules: [port(82)] })));
    expect([...delta.destinations]).toEqual(['10.0.0.1']);
    expect(index().lists.get('root/g')).toBe(before.lists.get('root/g'));
    expect(index().destinations.get('10.0.0.2')).toBe(before.destinations.get('10.0.0.2'));
    const other = step(rule(make('far/x')));
    expect(isNothing(other)).toBe(true);
    expect([...step({ kind: 'remove-policy', key: 'root/g' }).destinations]).toEqual(['10.0.0.1', '10.0.0.2']);
    expect([...index().lists.keys()]).toEqual(['shop/s']);
    expect([...step({ kind: 'remove-workload', uid: 'a' }).destinations]).toEqual(['10.0.0.1']);
    expect([index().destinations.has('10.0.0.1'), index().lists.size]).toEqual([false, 0]);
  });

  test('an address passes from one workload to another', () => {
    const a = local('a', '10.0.0.1', { namespace: 'one' });
    const { step, index } = open(put(a), put(local('b', '10.0.0.1', { namespace: 'two' })));
    expect(index().destinations.get('10.0.0.1')?.workload).toBe('a');
    step({ kind: 'remove-workload', uid: 'a' });
    expect(index().destinations.get('10.0.0.1')?.workload).toBe('b');
    step(put(a));
    expect(index().destinations.get('10.0.0.1')?.workload).toBe('a');
    step(put({ ...a, node: 'n2' }));
    expect(index().destinations.get('10.0.0.1')?.workload).toBe('b');
  });
});

describe('sources', () => {
  test('an address has the identity of the workload that owns it', () => {
    const { step, index } = open(
      asksWho,
      put(local('me', '10.0.0.9')),
      put(workload('x', { addresses: ['10.0.0.1'], serviceAccount: 'x', trustDomain: 'td' })),
      put(workload('c//Pod/shop/p', { addresses: ['10.0.0.2'], serviceAccount: 'pod' })),
      put(workload('entry', { addresses: ['10.0.0.2'], serviceAccount: 'entry', tunnelProtocol: 'hbone' })),
      put(workload('far', { addresses: ['10.0.0.3'], network: 'other' })),
      put(workload('host', { addresses: ['10.0.0.4'], hostNetwork: true })),
      put(workload('plain', { addresses: ['10.0.0.5'] })),
    );
    const at = (address: string) => {
      const identity = identityAt(index(), address);
      return identity && principalOf(identity);
    };
    expect(['1', '2', '3', '4', '5', '6'].map((n) => at(`10.0.0.${n}`))).toEqual([
      'td/ns/shop/sa/x',
      'cluster.local/ns/shop/sa/pod',
      undefined,
      undefined,
      'cluster.local/ns/shop/sa/default',
      undefined,
    ]);
    const delta = step({ kind: 'remove-workload', uid: 'c//Pod/shop/p' });
    expect([...delta.sources]).toEqual(['10.0.0.2']);
    expect(at('10.0.0.2')).toBe('cluster.local/ns/shop/sa/entry');
    expect([...delta.identities].sort()).toEqual(['cluster.local/ns/shop/sa/entry', 'cluster.local/ns/shop/sa/pod']);
    expect([...index().sources.identities.keys()].sort()).toEqual([
      'cluster.local/ns/shop/sa/default',
      'cluster.local/ns/shop/sa/entry',
      'td/ns/shop/sa/x',
    ]);
  });

  test('addresses of the node are exempt, but not those of workloads', () => {
    const { step, set, index, model } = open(put(local('me', '10.0.0.9')));
    set({ enforcement: everyPod(model(), ['10.0.0.5', '10.0.0.6']) });
    const exempted = () => [...index().sources.principals].filter(([, p]) => p === exempt).map(([address]) => address);
    expect(exempted()).toEqual(['10.0.0.5', '10.0.0.6']);
    expect([...step(put(workload('vm', { addresses: ['10.0.0.5'] }))).sources]).toEqual(['10.0.0.5']);
    expect([...index().sources.principals]).toEqual([['10.0.0.6', exempt]]);
    step(asksWho);
    expect(index().sources.principals.get('10.0.0.5')).toBe('cluster.local/ns/shop/sa/default');
    expect(exempted()).toEqual(['10.0.0.6']);
    step({ kind: 'remove-workload', uid: 'vm' });
    expect(exempted().sort()).toEqual(['10.0.0.5', '10.0.0.6']);
  });
});

describe('what closes', () => {
  const closed = (index: AuthzIndex, to = '10.0.0.1') => index.destinations.get(to)?.closed.map(({ policy }) => policy);
  const refused = { kind: 'refused', reason: 'bad' } as const;
  const stale = { kind: 'stale', reason: 'bad' } as const;
  const one = (options: Partial<AuthzOptions>, ...changes: Change[]) =>
    whole(apply(emptyModel, [put(local('a', '10.0.0.1', { authorizationPolicies: ['shop/s'] })), ...changes]).model, {
      ...defaultAuthzOptions,
      ...options,
    });
  const selector = (fields: Partial<Policy>) => rule(make('shop/s', { scope: 'selector', ...fields }));

  test('a policy that is named and not known', () => {
    const { step, index } = open(put(local('a', '10.0.0.1', { authorizationPolicies: ['shop/s'] })));
    expect(closed(index())).toEqual(['shop/s']);
    expect(ask(index(), '10.0.0.1', '10.0.0.2', 80)).toMatchObject({ allowed: false, why: 'deny' });
    step(selector({}));
    expect(closed(index())).toEqual([]);
    expect(ask(index(), '10.0.0.1', '10.0.0.2', 80)?.allowed).toBe(true);
    step({ kind: 'remove-policy', key: 'shop/s' });
    expect(closed(index())).toEqual(['shop/s']);
  });

  test('a policy that was refused before it ever was in force', () => {
    expect(closed(one({}, selector({ rules: [[]], fault: refused })))).toEqual(['shop/s']);
  });

  test('a refused update keeps the last good one, or closes', () => {
    const keep = one({}, selector({ fault: stale }));
    expect([closed(keep), keep.destinations.get('10.0.0.1')?.stale]).toEqual([[], ['shop/s']]);
    expect(ask(keep, '10.0.0.1', '10.0.0.2', 80)?.allowed).toBe(true);
    const close = one({ onBadPolicy: 'close' }, selector({ fault: stale }));
    expect(closed(close)).toEqual(['shop/s']);
    expect(ask(close, '10.0.0.1', '10.0.0.2', 80)?.allowed).toBe(false);
  });

  test('a DENY that lost its HTTP attributes, when asked for', () => {
    const rules: Rule[] = [port(81), [[emptyMatch]], [[{ ...emptyMatch, destinationPorts: [1] }, emptyMatch]], []];
    expect(deadRules(make('a/b', { rules }))).toEqual([1, 2]);
    expect(deadRules(make('a/b', { rules, action: 'allow' }))).toEqual([]);
    expect(closed(one({}, selector({ rules })))).toEqual([]);
    expect(closed(one({ strictL7Deny: true }, selector({ rules })))).toEqual(['shop/s']);
    expect(closed(one({ strictL7Deny: true }, selector({ rules, dryRun: true })))).toEqual([]);
  });

  const wide = (n: number): Match[] =>
    Array.from({ length: n }, (_, i) => ({ ...emptyMatch, destinationPorts: [i], notDestinationPorts: [70_000] }));
  const product: Rule = [wide(130), wide(130)];

  test('a policy of too many conjunctions', () => {
    expect(130 * 130).toBeGreaterThan(maxConjunctions);
    const made = one({}, selector({ rules: [product] }));
    expect(made.destinations.get('10.0.0.1')?.closed).toEqual([
      { policy: 'shop/s', reason: `it would take more than ${maxConjunctions} conjunctions` },
    ]);
    expect(closed(one({}, selector({ rules: [product], dryRun: true })))).toEqual([]);
  });

  test('more policies than a workload can have', () => {
    const many = Array.from({ length: 3 }, (_, i) => rule(make(`shop/n${i}`, { rules: [[wide(3000)]] })));
    // 9,000 conjunctions and the selector's: in four sets of up to 4,096.
    const made = one({ maxSets: 3 }, selector({}), ...many);
    expect(made.destinations.get('10.0.0.1')?.closed).toEqual([
      { policy: 'shop/s', reason: 'the policies that hold for the workload take more than 3 sets' },
    ]);
    expect(ask(made, '10.0.0.1', '10.0.0.2', 80)?.allowed).toBe(false);
    expect(made.destinations.get('10.0.0.1')?.stack.sets.length).toBe(1);
    const fits = one({ maxSets: 4 }, selector({}), ...many);
    expect(closed(fits)).toEqual([]);
    expect(fits.destinations.get('10.0.0.1')?.stack.sets.length).toBe(4);
    expect(ask(fits, '10.0.0.1', '10.0.0.2', 2999)?.allowed).toBe(false);
    expect(ask(fits, '10.0.0.1', '10.0.0.2', 3000)?.allowed).toBe(true);
  });
});

test('step by step as from scratch, and as the plain evaluator', () => {
  const plain = (index: AuthzIndex) => ({
    destinations: [...index.destinations]
      .map(([address, { workload: of, netns, closed, stale, stack }]) => [
        address,
        { of, netns, closed, stale, allows: stack.allows, dry: stack.dryAllows, size: stack.sets.length },
      ])
      .sort(),
    lists: [...index.lists.keys()].sort(),
    sources: [...index.sources.principals].sort(),
    identities: [...index.sources.identities].sort(),
    namespaces: [...index.sources.namespaces].map(([key, of]) => [key, [of].flat().sort()]).sort(),
    owners: [...index.sources.owners].map(([key, of]) => [key, [of].flat().sort()]).sort(),
    locals: [...index.locals.names, ...index.locals.addresses].map(([key, of]) => [key, [of].flat().sort()]).sort(),
    pods: [...index.pods].sort(),
  });
  fc.assert(
    fc.property(
      fc.array(fc.array(anyChange, { maxLength: 4 }), { maxLength: 8 }),
      fc.array(connection, { minLength: 10, maxLength: 10 }),
      (steps, connections) => {
        const { step, index, model } = open();
        const held = { destinations: new Map<string, unknown>(), sources: new Map<string, unknown>() };
        for (const changes of steps) {
          const delta = step(...changes);
          const now = { destinations: index().destinations, sources: index().sources.principals };
          for (const kind of ['destinations', 'sources'] as const) {
            const keys = delta[kind];
            if (keys === 'all') held[kind] = new Map<string, unknown>(now[kind]);
            else {
              for (const address of keys) {
                const value = now[kind].get(address);
                if (value === undefined) held[kind].delete(address);
                else held[kind].set(address, value);
              }
            }
          }
        }
        expect(plain(index())).toEqual(plain(whole(model())));
        expect(new Map(index().destinations)).toEqual(held.destinations);
        expect(new Map(index().sources.principals)).toEqual(held.sources);
        const policies = [...model().policies.values()];
        for (const [to, { workload: of }] of index().destinations) {
          const held = policiesFor(policies, model().workloads.get(of) as Workload);
          for (const { source, port: number } of connections) {
            const identity = identityAt(index(), source);
            const want = referenceVerdict(held, { identity, source, destination: to, port: number });
            const got = ask(index(), to, source, number);
            expect([got?.allowed, got?.why]).toEqual([want.allowed, want.why]);
            if (got?.by) expect(want.by).toContain(`${policyKey(got.by.policy)}#${got.by.rule}`);
          }
        }
      },
    ),
    { numRuns: 400 },
  );
}, 60_000);
