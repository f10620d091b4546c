// SPDX-License-Identifier: Apache-2.0
// What waiting changes are known by.
import type { Change } from '../mesh/model.ts';
import type { ObjectKind } from '../mesh/subject.ts';

/** In the order in which what has waited for longest is looked for. */
export const kinds = ['workload', 'service', 'policy', 'gateway', 'route'] as const satisfies readonly ObjectKind[];

/** Something for each kind. */
export function byKind<T>(make: (kind: ObjectKind) => T): Record<ObjectKind, T> {
  return Object.fromEntries(kinds.map((kind) => [kind, make(kind)])) as Record<ObjectKind, T>;
}

/** What a change is about. */
export interface Named {
  readonly kind: ObjectKind;
  readonly key: string;
}

/** Policies that a workload names from now on. */
export const policiesNamed = (change: Change): readonly string[] =>
  change.kind === 'put-workload' ? change.workload.authorizationPolicies : [];

/** Keys of each kind. */
type Keys = Readonly<Record<ObjectKind, Set<string>>>;
export const noKeys = (): Keys => byKind(() => new Set());
