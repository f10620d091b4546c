// SPDX-License-Identifier: Apache-2.0
// An explanation as it is told: which rule made the verdict, or which came nearest, by the names and places that people know.
import { type Policy, policyKey } from '../../mesh/policy.ts';
import type { Told, ToldRule, ToldVerdict } from '../../mesh/told.ts';
import type { Explanation } from './explain.ts';
import type { Match, Verdict } from './judge.ts';
import { asksText } from './words.ts';

/** Where a policy and its rules are written. */
export type Written = (policy: Policy, rule: number) => { readonly place: string; readonly rule: number };

const nowhere: Written = (_policy, rule) => ({ place: '', rule });

const ruleOf = ({ policy, rule }: Match, written: Written): ToldRule => {
  const at = written(policy, rule);
  const told = { policy: policyKey(policy), action: policy.action, place: at.place };
  return policy.fault?.kind === 'refused' ? told : { ...told, rule: at.rule };
};

function verdictOf({ allowed, why, by }: Verdict, written: Written): ToldVerdict {
  const verdict = allowed ? 'allow' : 'deny';
  if (by === undefined) return { verdict, why };
  const { fault } = by.policy;
  if (fault?.kind === 'refused') return { verdict, why: 'closed', by: ruleOf(by, written), reason: fault.reason };
  return { verdict, why, by: ruleOf(by, written) };
}

export function tell({ judgement, nearest }: Explanation, written: Written = nowhere): Told {
  return {
    ...verdictOf(judgement, written),
    nearest: nearest.map(({ policy, rule, because }) => ({
      ...ruleOf({ policy, rule }, written),
      asks: asksText(policy, rule, because),
    })),
    ...(judgement.dryRun && { dryRun: verdictOf(judgement.dryRun, written) }),
  };
}
