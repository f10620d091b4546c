// SPDX-License-Identifier: Apache-2.0
// Which policies hold for a workload, and what stands in for those that cannot be enforced as written: always something that closes.
import { conjunctionCount, maxConjunctions } from '../../mesh/conjunction.ts';
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
  if (policy.dryRun) return conjunctionCount(policy) <= maxConjunctions ? policy : { ...policy, rules: [] };
  if (policy.fault?.kind === 'stale' && options.onBadPolicy === 'close') {
    return refusedPolicy(policy, policy.fault.reason);
  }
  if (options.strictL7Deny && deadRules(policy).length > 0) {
    return refusedPolicy(policy, 'it rests on HTTP attributes, which cannot be judged here');
  }
  if (conjunctionCount(policy) > maxConjunctions) {
    return refusedPolicy(policy, `it would take more than ${maxConjunctions} conjunctions`);
  }
  return policy;
}

/** Stands for a policy that a workload names and nobody knows. */
export function unknownPolicy(key: string): Policy {
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
  readonly enforced: ReadonlyMap<string, { readonly policy: Policy; readonly as: Policy }>;
  readonly options: AuthzOptions;
}

/** @param before what was made of an earlier model: policies that are the same are not looked at again */
export function holdingOf(policies: ReadonlyMap<string, Policy>, options: AuthzOptions, before?: Holding): Holding {
  const global: Policy[] = [];
  const byNamespace = new Map<string, Policy[]>();
  const enforced = new Map<string, { readonly policy: Policy; readonly as: Policy }>();
  const known = before?.options === options ? before.enforced : undefined;
  for (const [key, policy] of [...policies].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const held = known?.get(key);
    const entry = held?.policy === policy ? held : { policy, as: enforcedPolicy(policy, options) };
    const now = entry.as;
    enforced.set(key, entry);
    if (policy.scope === 'global') global.push(now);
    else if (policy.scope === 'namespace') {
      const list = byNamespace.get(policy.namespace);
      if (list) list.push(now);
      else byNamespace.set(policy.namespace, [now]);
    }
  }
  return {
    enforced,
    options,
    global,
    namespace: (namespace) => byNamespace.get(namespace) ?? [],
    named: (keys) =>
      [...new Set(keys)].sort().flatMap((key) => {
        const policy = enforced.get(key)?.as;
        // One that holds more widely is asked once.
        if (policy !== undefined && policy.scope !== 'selector') return [];
        return policy ?? unknownPolicy(key);
      }),
  };
}

/** Keys and reasons of those that close what they hold for. */
export function closingOf(policies: readonly Policy[]): { readonly policy: string; readonly reason: string }[] {
  return policies.flatMap((policy) => {
    return policy.fault?.kind === 'refused' ? [{ policy: policyKey(policy), reason: policy.fault.reason }] : [];
  });
}
