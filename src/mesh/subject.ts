// SPDX-License-Identifier: Apache-2.0
// Which object a change is about.
import { gatewayKey } from './gateway.ts';
import type { Change } from './model.ts';
import { policyKey } from './policy.ts';
import { routeKey } from './route.ts';
import { serviceKey } from './service.ts';

export type ObjectKind = 'workload' | 'service' | 'policy' | 'gateway' | 'route';

export function kindOf(change: Change): ObjectKind {
  if (change.kind === 'put-workload' || change.kind === 'remove-workload') return 'workload';
  if (change.kind === 'put-service' || change.kind === 'remove-service') return 'service';
  if (change.kind === 'put-gateway' || change.kind === 'remove-gateway') return 'gateway';
  return change.kind === 'put-policy' || change.kind === 'remove-policy' ? 'policy' : 'route';
}

/** The object's name among those of its kind: uid of a workload, key of any other. */
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
