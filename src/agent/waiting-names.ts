// SPDX-License-Identifier: Apache-2.0
// What waiting changes are known by.
import { gatewayKey } from '../mesh/gateway.ts';
import type { Change } from '../mesh/model.ts';
import { policyKey } from '../mesh/policy.ts';
import { routeKey } from '../mesh/route.ts';
import { serviceKey } from '../mesh/service.ts';

/** In the order in which what has waited for longest is looked for. */
export const kinds = ['workload', 'service', 'policy', 'gateway', 'route'] as const;
export type Kind = (typeof kinds)[number];

/** Something for each kind. */
export function byKind<T>(make: (kind: Kind) => T): Record<Kind, T> {
  return Object.fromEntries(kinds.map((kind) => [kind, make(kind)])) as Record<Kind, T>;
}

/** What a change is about. */
export interface Named {
  readonly kind: Kind;
  readonly key: string;
}

export function kindOf(change: Change): Kind {
  if (change.kind === 'put-workload' || change.kind === 'remove-workload') return 'workload';
  if (change.kind === 'put-service' || change.kind === 'remove-service') return 'service';
  if (change.kind === 'put-gateway' || change.kind === 'remove-gateway') return 'gateway';
  return change.kind === 'put-policy' || change.kind === 'remove-policy' ? 'policy' : 'route';
}

export function keyOf(change: Change): string {
  switch (change.kind) {
    case 'put-workload':
      return change.workload.uid;
    case 'remove-workload':
      return change.uid;
    case 'put-service':
      return serviceKey(change.service);
    case 'put-policy':
      return policyKey(change.policy);
    case 'put-gateway':
      return gatewayKey(change.gateway);
    case 'put-route':
      return routeKey(change.route);
    default:
      return change.key;
  }
}

/** Policies that a workload names from now on. */
export const policiesNamed = (change: Change): readonly string[] =>
  change.kind === 'put-workload' ? change.workload.authorizationPolicies : [];

/** Keys of each kind. */
type Keys = Readonly<Record<Kind, Set<string>>>;
export const noKeys = (): Keys => byKind(() => new Set());
