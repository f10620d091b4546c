// SPDX-License-Identifier: Apache-2.0
// Lists of policies compiled once for all that have the same, and the stack of one destination address made of them.
import { equal } from '../../mesh/equal.ts';
import { type Policy, policyKey, refusedPolicy } from '../../mesh/policy.ts';
import type { Steps } from '../../mesh/steps.ts';
import type { Workload } from '../../mesh/workload.ts';
import type { Address } from '../../net/address.ts';
import { closingOf, type Holding } from './holding.ts';
import type { Stack } from './judge.ts';
import { compilingSet, type PolicySet, packingMembers } from './set.ts';

/** An address of a judged workload of this node. */
export interface AuthzDestination {
  /** uid */
  readonly workload: string;
  readonly stack: Stack;
  /** Policies that close it, and why. */
  readonly closed: readonly { readonly policy: string; readonly reason: string }[];
  /** Keys of those of which a later version was refused. */
  readonly stale: readonly string[];
}

/** Policies that hold together: those of one workload's own, of a namespace, or of the mesh. */
export interface CompiledList {
  readonly policies: readonly Policy[];
  readonly sets: readonly PolicySet[];
}

/** By the names of their policies. */
export type CompiledLists = ReadonlyMap<string, CompiledList>;

/** A list, and what its policies are beyond what is compiled of them. */
interface Listed extends CompiledList {
  readonly allows: boolean;
  readonly dryAllows: boolean;
  readonly dry: boolean;
  readonly closed: AuthzDestination['closed'];
  readonly stale: readonly string[];
}

/** Lists as they are asked for: those of before where they say the same. */
export interface Lists {
  of(policies: readonly Policy[]): Steps<Listed>;
  /** Those of before and of now that some of `destinations` have. */
  used(destinations: Iterable<AuthzDestination>): CompiledLists;
}

export function openLists(before: CompiledLists = new Map()): Lists {
  const now = new Map<string, CompiledList>();
  // Asked for by every destination: its name is long where it has many policies.
  const known = new Map<readonly Policy[], Listed>();
  function* find(policies: readonly Policy[]): Steps<CompiledList> {
    const name = policies.map(nameOfPolicy).join(' ');
    const made = now.get(name);
    if (made !== undefined) return made;
    const held = before.get(name);
    if (held?.policies.every((policy, i) => samePolicy(policy, policies[i] as Policy))) {
      now.set(name, held);
      return held;
    }
    const sets: PolicySet[] = [];
    for (const members of yield* packingMembers(policies)) sets.push(yield* compilingSet(members));
    const list = { policies, sets };
    now.set(name, list);
    return list;
  }
  return {
    *of(policies) {
      const before = known.get(policies);
      if (before) return before;
      const listed = listedOf(policies, yield* find(policies));
      known.set(policies, listed);
      return listed;
    },
    used(destinations) {
      const sets = new Set<PolicySet>();
      for (const { stack } of destinations) for (const { set } of stack.sets) sets.add(set);
      const used = new Map<string, CompiledList>();
      for (const from of [before, now]) {
        for (const [name, list] of from) if (list.sets.some((set) => sets.has(set))) used.set(name, list);
      }
      return used;
    },
  };
}

function listedOf(policies: readonly Policy[], { sets }: CompiledList): Listed {
  const some = (test: (policy: Policy) => boolean): boolean => policies.some(test);
  return {
    policies,
    sets,
    allows: some((policy) => policy.action === 'allow' && !policy.dryRun),
    dryAllows: some((policy) => policy.action === 'allow'),
    dry: some((policy) => policy.dryRun),
    closed: closingOf(policies),
    stale: policies.filter((policy) => policy.fault?.kind === 'stale').map(policyKey),
  };
}

/** What stands in for a policy is another one than the policy itself, and made anew each time. */
function nameOfPolicy(policy: Policy): string {
  return policyKey(policy) + (policy.fault?.kind === 'refused' ? `!${policy.fault.reason}` : '');
}

/** True when both enforce the same. Whether a later version was refused is told beside the sets. */
function samePolicy(a: Policy, b: Policy): boolean {
  if (a === b || (a.fault?.kind === 'refused' && b.fault?.kind === 'refused')) return true;
  const asWritten = a.rules === b.rules && equal(a.written, b.written);
  return asWritten && a.action === b.action && a.dryRun === b.dryRun && a.fault?.kind !== 'refused';
}

/** What holds for one address of a workload. */
export function* compilingDestination(
  workload: Workload,
  address: Address,
  holding: Holding,
  lists: Lists,
): Steps<AuthzDestination> {
  const all = [
    holding.global,
    holding.namespace(workload.namespace),
    holding.named(workload.authorizationPolicies),
  ].filter((list) => list.length > 0);
  const listed: Listed[] = [];
  for (const list of all) listed.push(yield* lists.of(list));
  const over = beyondLimit(listed, holding.options.maxSets);
  const used = over ? [yield* lists.of([over])] : listed;
  const sets: Stack['sets'][number][] = [];
  for (const list of used) {
    for (const set of list.sets) sets.push({ set, destination: set.destinationVector(address) });
  }
  return {
    workload: workload.uid,
    stack: {
      sets,
      allows: listed.some((list) => list.allows),
      dryAllows: listed.some((list) => list.dryAllows),
      dry: listed.some((list) => list.dry),
    },
    closed: [...listed, ...(over ? used : [])].flatMap((list) => list.closed),
    stale: listed.flatMap((list) => list.stale),
  };
}

/** Stands for the policy with which the sets became too many. */
function beyondLimit(compiled: readonly CompiledList[], maxSets: number): Policy | undefined {
  const sets = compiled.flatMap((list) => list.sets);
  if (sets.length <= maxSets) return undefined;
  const [first] = (sets[maxSets] as PolicySet).policies;
  return refusedPolicy(first as Policy, `the policies that hold for the workload take more than ${maxSets} sets`);
}

export function sameDestination(a: AuthzDestination, b: AuthzDestination): boolean {
  return (
    a.workload === b.workload &&
    a.stack.allows === b.stack.allows &&
    a.stack.dryAllows === b.stack.dryAllows &&
    a.stack.dry === b.stack.dry &&
    a.stale.join() === b.stale.join() &&
    a.stack.sets.length === b.stack.sets.length &&
    a.stack.sets.every(({ set, destination }, i) => {
      const other = b.stack.sets[i];
      return other?.set === set && other.destination === destination;
    })
  );
}
