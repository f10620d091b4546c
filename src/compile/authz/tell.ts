// SPDX-License-Identifier: Apache-2.0
// An explanation as it is told: which rule made the verdict, or which came nearest, by the names and places that people know.
import { type Policy, policyKey, ruleNumber } from '../../mesh/policy.ts';
import type { Told, ToldRule, ToldVerdict } from '../../mesh/told.ts';
import type { Explanation } from './explain.ts';
import type { Match, Verdict } from './judge.ts';
import { asksText } from './words.ts';

/** Where a policy is written. */
export type PlaceOf = (policy: Policy) => string;

const nowhere: PlaceOf = () => '';

const ruleOf = ({ policy, rule }: Match, placeOf: PlaceOf): ToldRule => {
  const told = { policy: policyKey(policy), action: policy.action, place: placeOf(policy) };
  return policy.fault?.kind === 'refused' ? told : { ...told, rule: ruleNumber(policy, rule) };
};

function verdictOf({ allowed, why, by }: Verdict, placeOf: PlaceOf): ToldVerdict {
  const verdict = allowed ? 'allow' : 'deny';
  if (by === undefined) return { verdict, why };
  const { fault } = by.policy;
  if (fault?.kind === 'refused') return { verdict, why: 'closed', by: ruleOf(by, placeOf), reason: fault.reason };
  return { verdict, why, by: ruleOf(by, placeOf) };
}

export function tell({ judgement, nearest }: Explanation, placeOf: PlaceOf = nowhere): Told {
  return {
    ...verdictOf(judgement, placeOf),
    nearest: nearest.map(({ policy, rule, because }) => ({
      ...ruleOf({ policy, rule }, placeOf),
      asks: asksText(policy, rule, because),
    })),
    ...(judgement.dryRun && { dryRun: verdictOf(judgement.dryRun, placeOf) }),
  };
}
