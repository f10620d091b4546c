// SPDX-License-Identifier: Apache-2.0
// Enrolled workloads with the policies that hold for them, for the admin socket.
import type { AuthzMode, AuthzPolicyRow, AuthzRow, EnforcementState } from '../admin/authz.ts';
import type { AuthzIndex } from '../compile/authz/compile.ts';
import { deadRules } from '../compile/authz/holding.ts';
import type { AuthzDestination } from '../compile/authz/lists.ts';
import type { Enrolment } from '../compile/enrolment.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import { conjunctionCount } from '../mesh/conjunction.ts';
import { type Policy, policyKey } from '../mesh/policy.ts';
import type { Workload } from '../mesh/workload.ts';
import { enforcementIn, podAddresses } from './enforcement.ts';
import { readEnrolments } from './enrolments.ts';
import { hitsOf } from './policy-hits.ts';
import { breath, sliceIsOver } from './slices.ts';

export interface AuthzRowsOf {
  readonly plane: DataPlane;
  readonly index: AuthzIndex;
  readonly idOf: (kind: 'policy', name: string) => number | undefined;
}

const stateOf = { refused: 'refused', stale: 'stale' } as const;

/** Policies are shown once made: hundreds of workloads may have the same thousand. */
function policyRows({ plane, index, idOf }: AuthzRowsOf): (policy: Policy) => AuthzPolicyRow {
  const made = new Map<string, AuthzPolicyRow>();
  return (as) => {
    const policy = policyKey(as);
    const known = made.get(policy);
    if (known) return known;
    // As it is written; one that nobody knows is only what stands in for it.
    const written = index.holding.enforced.get(policy)?.policy ?? as;
    const row: AuthzPolicyRow = {
      policy,
      action: written.action,
      scope: written.scope,
      dryRunOnly: written.dryRun,
      conjunctions: conjunctionCount(as),
      state: as.fault ? stateOf[as.fault.kind] : 'good',
      fault: as.fault?.reason ?? '',
      deniesLess: as.fault?.kind !== 'refused' && deadRules(written).length > 0,
      ...hitsOf(plane, idOf('policy', policy)),
    };
    made.set(policy, row);
    return row;
  };
}

function modeOf(
  state: EnforcementState,
  destination: AuthzDestination | undefined,
  policies: readonly Policy[],
): AuthzMode {
  if (state === 'off') return 'open';
  if (!destination || destination.closed.length > 0) return 'closed';
  if (destination.stack.allows) return 'allow-list';
  return policies.some(({ action, dryRun }) => action === 'deny' && !dryRun) ? 'deny-list' : 'open';
}

/** By name; of one workload only when `name` is given. */
export async function* authzRows(of: AuthzRowsOf, name?: string): AsyncGenerator<AuthzRow, void, undefined> {
  const { plane, index } = of;
  const state = enforcementIn(plane);
  const addresses = podAddresses(plane);
  const rowOf = policyRows(of);
  const workloads = new Map<number, Workload | undefined>();
  for (const { pod, workload } of index.resolved) workloads.set(pod.netns, workload);
  const destinations = new Map<number, AuthzDestination>();
  for (const destination of index.destinations.values()) destinations.set(destination.netns, destination);

  const nameOf = ({ workload, netns }: Enrolment): string => {
    const found = workloads.get(Number(netns));
    return workload === '' && found ? `${found.namespace}/${found.name}` : workload;
  };
  const listed = [...readEnrolments(plane).values()]
    .map((enrolment) => ({ enrolment, workload: nameOf(enrolment) }))
    .filter(({ workload }) => name === undefined || workload === name)
    .sort((a, b) => (a.workload < b.workload ? -1 : a.workload > b.workload ? 1 : 0));
  for (const { enrolment, workload } of listed) {
    if (sliceIsOver()) await breath();
    const enforcement = state(enrolment);
    const inode = Number(enrolment.netns);
    const found = enforcement === 'off' ? undefined : workloads.get(inode);
    const destination = enforcement === 'off' ? undefined : destinations.get(inode);
    const held = found ? policiesFor(index, found) : [];
    const policies = held.map(rowOf);
    yield {
      workload,
      cgroupId: String(enrolment.cgroupId),
      enforcement,
      addresses: (addresses.get(enrolment.netns) ?? []).sort(),
      mode: modeOf(enforcement, destination, held),
      conjunctions: policies.reduce((sum, { conjunctions }) => sum + conjunctions, 0),
      policies,
      closed: destination?.closed ?? [],
      stale: destination?.stale ?? [],
    };
  }
}

/** In the order in which they are asked. */
function policiesFor({ holding }: AuthzIndex, { namespace, authorizationPolicies }: Workload): readonly Policy[] {
  return [...holding.global, ...holding.namespace(namespace), ...holding.named(authorizationPolicies)];
}
