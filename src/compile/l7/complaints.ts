// SPDX-License-Identifier: Apache-2.0
// What of routes and policies has no effect, or not as it is written.
import type { Condition, ParentStatus } from './settle.ts';

export interface Complaint extends Pick<Condition, 'type' | 'reason' | 'message'> {
  /** "HTTPRoute shop/cart", "AuthorizationPolicy shop/cart" */
  readonly object: string;
  /** Of a policy its target: "Service shop/cart" */
  readonly parent: string;
}

const isBad = ({ type, status }: Condition): boolean => (type === 'PartiallyInvalid' ? status : !status);

/** By what tells one from another, so that the same one is not told twice. */
export function complaintsOf(
  statuses: Iterable<readonly [string, readonly ParentStatus[]]>,
): ReadonlyMap<string, Complaint> {
  const found = new Map<string, Complaint>();
  for (const [object, parents] of statuses) {
    for (const { parent, conditions } of parents) {
      for (const { type, reason, message } of conditions.filter(isBad)) {
        const named = `${parent.kind} ${parent.namespace === '' ? '' : `${parent.namespace}/`}${parent.name}`;
        const one = { object, parent: named, type, reason, message };
        found.set(Object.values(one).join('\n'), one);
      }
    }
  }
  return found;
}
