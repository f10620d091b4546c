// SPDX-License-Identifier: Apache-2.0
// Whether one rule takes in another: never said where a connection shows the contrary.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { conjunctionsOf } from '../../../src/mesh/conjunction.ts';
import type { Policy } from '../../../src/mesh/policy.ts';
import { covers } from '../../../src/tasks/authz/cover.ts';
import { connection, policy } from '../../support/authz-arbitrary.ts';
import { referenceVerdict } from '../../support/authz-reference.ts';

const rulesCovered = (wide: Policy, narrow: Policy): boolean => {
  const outer = conjunctionsOf(wide)?.flat() ?? [];
  return (conjunctionsOf(narrow)?.flat() ?? []).every((own) => outer.some((other) => covers(other, own)));
};
const allowing = (of: Policy): Policy => ({ ...of, scope: 'global', action: 'allow', dryRun: false });

test('whatever a covered policy matches, the other one matches', () => {
  let seen = 0;
  fc.assert(
    fc.property(policy, policy, fc.array(connection, { minLength: 10, maxLength: 20 }), (a, b, connections) => {
      const [wide, narrow] = [allowing(a), allowing(b)];
      if (!rulesCovered(wide, narrow) || narrow.rules.length === 0) return;
      seen++;
      for (const c of connections) {
        if (!referenceVerdict([narrow], c).allowed) continue;
        expect(referenceVerdict([wide], c).allowed, JSON.stringify({ wide, narrow, c })).toBe(true);
      }
    }),
    { numRuns: 4000 },
  );
  expect(seen).toBeGreaterThan(50);
});

test('every policy covers itself', () => {
  fc.assert(
    fc.property(policy, (one) => {
      expect(rulesCovered(one, one)).toBe(true);
    }),
    { numRuns: 500 },
  );
});
