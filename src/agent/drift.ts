// SPDX-License-Identifier: Apache-2.0
// How the kernel differs from what is wanted, by name.
import type { AuthzPlan } from '../compile/authz/plan.ts';
import type { Plan, PlannedChange } from '../compile/plan.ts';

export interface Difference {
  readonly what: PlannedChange['what'] | ReturnType<AuthzPlan['changes']>[number]['what'] | 'service';
  /** Backend name, frontend key text, uid, service; for a stray entry what it is. */
  readonly name: string;
  /** From the kernel's side. `refused`: wanted, but there is no room for it. */
  readonly state: 'missing' | 'different' | 'unexpected' | 'refused';
  /** Why it was refused, else ''. */
  readonly reason: string;
}

const stateOf = { add: 'missing', change: 'different', remove: 'unexpected' } as const;

/** What carrying out `plan` (of everything that is wanted) would put right, and what it cannot. */
export function differencesOf(plan: Plan): Difference[] {
  return [
    ...plan.changes().map(({ what, name, change }) => ({ what, name, state: stateOf[change], reason: '' })),
    ...plan.refused.map(
      (r): Difference => ({
        what: r.port !== undefined ? 'waypoint port' : r.workload === '' ? 'service' : 'client',
        name: r.port ?? (r.workload || r.services.join(', ')),
        state: 'refused',
        reason: r.reason,
      }),
    ),
  ];
}

/** The same of verdicts. */
export function verdictDifferencesOf(plan: AuthzPlan): Difference[] {
  return [
    ...plan.changes().map(({ what, name, change }) => ({ what, name, state: stateOf[change], reason: '' })),
    ...plan.refused.map(({ what, name, reason }): Difference => ({ what, name, state: 'refused', reason })),
  ];
}
