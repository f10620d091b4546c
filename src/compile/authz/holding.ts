// SPDX-License-Identifier: Apache-2.0
// Which policies hold for a workload, and what stands in for those that cannot be enforced as written: always something that closes.
import { isTooWide, maxConjunctions } from '../../mesh/conjunction.ts';
import { isEmptyMatch, type Policy, policyKey, refusedPolicy } from '../../mesh/policy.ts';

export interface AuthzOptions {
  /** What a policy does whose later version was refused: 'keep' enforces the last good one, 'close' closes what it holds for. */
  readonly onBadPolicy: 'keep' | 'close';
  /** Closes what a DENY policy holds for when what is left of it without HTTP attributes denies less than it says. */
  readonly strictL7Deny: boolean;
  /** Policy sets that one destination can have. What would take more is closed, and the policy that went beyond is named. */
  readonly maxSets: number;
}

export const defaultAuthzOptions: AuthzOptions = { onBadPolicy: 'keep', strictL7Deny: false, maxSets: 16 };

/**
 * Rules of a DENY policy that hold a match without a value, which never holds: what istiod leaves of HTTP attributes. It denies less than
 * its author wrote, or nothing.
 */
export function deadRules(policy: Policy): number[] {
  if (policy.action !== 'deny') return [];
  return policy.rules.flatMap((rule, i) => (rule.some((clause) => clause.some(isEmptyMatch)) ? [i] : []));
}

/** The policy as it is enforced. */
export function enforcedPolicy(policy: Policy, options: AuthzOptions): Policy {
  if (policy.dryRun) return isTooWide(policy) ? { ...policy, rules: [] } : policy;
  if (policy.fault?.kind === 'stale' && options.onBadPolicy === 'close') {
    return refusedPolicy(policy, policy.fault.reason);
  }
  if (options.strictL7Deny && deadRules(policy).length > 0) {
    return refusedPolicy(policy, 'it rests on HTTP attributes, which cannot be judged here');
  }
  if (isTooWide(policy)) {
    return refusedPolicy(policy, `it would take more than ${maxConjunctions} conjunctions`);
  }
  return policy;
}

/** Stands for a policy that a workload names and nobody knows. */
function unknownPolicy(key: string): Policy {
  const slash = key.indexOf('/');
  const [namespace, name] = slash < 0 ? ['', key] : [key.slice(0, slash), key.slice(slash + 1)];
  return refusedPolicy({ name, namespace, scope: 'selector' }, 'the workload names it, and it is not known');
}

/** The policies of a model by whom they hold for, each list in the order of its keys. */
export interface Holding {
  readonly global: readonly Policy[];
  namespace(namespace: string): readonly Policy[];
  /** Those that a workload names. */
  named(keys: readonly string[]): readonly Policy[];
  /** Key -> the policy, and as it is enforced. */
  readonly enforced: ReadonlyMap<string, Enforced>;
  /** By namespace and a slash; the empty name is the mesh. */
  readonly lists: ReadonlyMap<string, readonly Policy[]>;
  readonly options: AuthzOptions;
}

interface Enforced {
  readonly policy: Policy;
  readonly as: Policy;
}

/** Stands for the namespace of the policies of the mesh. */
const everywhere = '';

/** Which list a policy is in; undefined: none, as workloads name it. */
function listOf({ scope, namespace }: Policy): string | undefined {
  if (scope === 'selector') return undefined;
  return scope === 'global' ? everywhere : `${namespace}/`;
}

/**
 * @param before what was made of an earlier model: what is the same is not looked at again
 * @param touched keys of the policies that may differ from then; undefined: all may
 */
export function holdingOf(
  policies: ReadonlyMap<string, Policy>,
  options: AuthzOptions,
  before?: Holding,
  touched?: ReadonlySet<string>,
): Holding {
  const known = before?.options === options ? before : undefined;
  const part = known && touched;
  const enforced = new Map(part ? known.enforced : undefined);
  const stale = new Set<string>();
  for (const key of part ? touched : policies.keys()) {
    const policy = policies.get(key);
    const held = known?.enforced.get(key);
    for (const of of [policy, held?.policy]) {
      const list = of && listOf(of);
      if (list !== undefined) stale.add(list);
    }
    if (policy === undefined) enforced.delete(key);
    else enforced.set(key, held?.policy === policy ? held : { policy, as: enforcedPolicy(policy, options) });
  }
  const lists = new Map(part ? known.lists : undefined);
  const gathered = new Map<string, [key: string, policy: Policy][]>();
  for (const [key, { policy, as }] of stale.size === 0 ? [] : enforced) {
    const list = listOf(policy);
    if (list === undefined || !stale.has(list)) continue;
    const found = gathered.get(list);
    if (found) found.push([key, as]);
    else gathered.set(list, [[key, as]]);
  }
  for (const list of stale) lists.delete(list);
  for (const [list, found] of gathered) {
    const sorted = found.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, as]) => as);
    lists.set(list, sorted);
  }
  return {
    enforced,
    lists,
    options,
    global: lists.get(everywhere) ?? none,
    namespace: (namespace) => lists.get(`${namespace}/`) ?? none,
    named: (keys) =>
      [...new Set(keys)].sort().flatMap((key) => {
        const policy = enforced.get(key)?.as;
        // One that holds more widely is asked once.
        if (policy !== undefined && policy.scope !== 'selector') return [];
        return policy ?? unknownPolicy(key);
      }),
  };
}

const none: readonly Policy[] = [];

/** Keys and reasons of those that close what they hold for. */
export function closingOf(policies: readonly Policy[]): { readonly policy: string; readonly reason: string }[] {
  return policies.flatMap((policy) => {
    return policy.fault?.kind === 'refused' ? [{ policy: policyKey(policy), reason: policy.fault.reason }] : [];
  });
}
