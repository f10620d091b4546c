// SPDX-License-Identifier: Apache-2.0
// Compiled policy sets against the plain evaluator: on every random policy and connection they say the same.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { judge, type Match, type Stack } from '../../../src/compile/authz/judge.ts';
import { compilingSet, packingMembers } from '../../../src/compile/authz/set.ts';
import { concernedBy, editSources, noSources } from '../../../src/compile/authz/sources.ts';
import { type Policy, policyKey } from '../../../src/mesh/policy.ts';
import { finish } from '../../../src/mesh/steps.ts';
import { view, workload } from '../../mesh/make.ts';
import { connection, identity, policies } from '../../support/authz-arbitrary.ts';
import { type Connection, referenceVerdict } from '../../support/authz-reference.ts';
import { stackOf } from './judged.ts';

/** How the two differ on a connection; undefined: they do not. */
function difference(list: readonly Policy[], stack: Stack, c: Connection): object | undefined {
  const nameOf = (match: Match) => `${policyKey(match.policy)}#${match.rule}`;
  const got = judge(stack, c);
  const want = referenceVerdict(list, c);
  const dry = referenceVerdict(list, c, true);
  const same =
    got.allowed === want.allowed &&
    got.why === want.why &&
    (got.by === undefined ? want.by.size === 0 : want.by.has(nameOf(got.by))) &&
    (got.dryRun ?? got).allowed === dry.allowed &&
    (got.dryRun?.by === undefined || dry.by.has(nameOf(got.dryRun.by)));
  return same ? undefined : { list, connection: c, got, want, dry };
}

function check(list: readonly Policy[], connections: readonly Connection[], seen?: Map<string, number>): void {
  const stacks = new Map<string, Stack>();
  for (const c of connections) {
    const stack = stacks.get(c.destination) ?? stackOf(list, c.destination);
    stacks.set(c.destination, stack);
    const differs = difference(list, stack, c);
    if (differs) expect.fail(JSON.stringify(differs));
    const { why } = judge(stack, c);
    seen?.set(why, (seen.get(why) ?? 0) + 1);
  }
}

test('50,000 random connections to random policies', () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(policies(), fc.array(connection, { minLength: 20, maxLength: 20 }), (list, connections) => {
      check(list, connections, seen);
    }),
    { numRuns: 2500 },
  );
  // Every way of ending is met often.
  for (const why of ['deny', 'allow', 'no-allow-policy', 'no-match']) expect(seen.get(why)).toBeGreaterThan(2500);
}, 300_000);

test('the same where policies take several words and sets', () => {
  const many = policies(5).map((list) =>
    Array.from({ length: 60 }, (_, i) => list.map((p) => ({ ...p, name: `${p.name}${i}` }))).flat(),
  );
  fc.assert(
    fc.property(many, fc.array(connection, { minLength: 5, maxLength: 5 }), (list, connections) => {
      check(list, connections);
    }),
    { numRuns: 100 },
  );
}, 300_000);

test('identities that do not concern a set have its base vector', () => {
  fc.assert(
    fc.property(policies(), fc.array(identity), (list, identities) => {
      const workloads = new Map(
        identities.map((of, i) => [`w${i}`, workload(`w${i}`, { ...of, addresses: [`10.1.0.${i}`] })]),
      );
      const edit = editSources({ ...noSources, asked: true }, workloads, view);
      for (const one of workloads.values()) edit.replace(undefined, one);
      const { sources } = finish(edit.close());
      for (const members of finish(packingMembers(list))) {
        const set = finish(compilingSet(members));
        const concerned = new Set(Array.from(concernedBy(set, sources), ({ principal }) => principal));
        for (const { principal, identity } of sources.identities.values()) {
          if (!concerned.has(principal)) expect(set.identityVector(identity)).toBe(set.identity.base);
        }
      }
    }),
    { numRuns: 300 },
  );
});
