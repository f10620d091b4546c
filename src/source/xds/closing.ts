// SPDX-License-Identifier: Apache-2.0
// What stands in for a policy of the control plane that is refused: nobody knows what it was to forbid, so all that it may hold for is closed.
import { type Policy, refusedPolicy } from '../../mesh/policy.ts';

/** Policies of this namespace may hold for the whole mesh. */
const rootNamespace = 'istio-system';
/** Characters of the reason: it goes into status and log. */
const mostReason = 300;

/**
 * @param name of the resource: "namespace/name"
 * @param scope as the message says it; undefined when that could not be read
 */
export function closingPolicy(name: string, scope: Policy['scope'] | undefined, faults: readonly string[]): Policy {
  const slash = name.indexOf('/');
  const [namespace, own] = slash < 0 ? ['', name] : [name.slice(0, slash), name.slice(slash + 1)];
  // A name without a namespace, or the root one, tells of nothing that it does not hold for.
  const widest = namespace === '' || namespace === rootNamespace ? 'global' : 'namespace';
  return refusedPolicy({ namespace, name: own, scope: scope ?? widest }, reasonOf(faults));
}

export function reasonOf(faults: readonly string[]): string {
  const text = faults.join('; ');
  return text.length > mostReason ? `${text.slice(0, mostReason)}…` : text;
}
