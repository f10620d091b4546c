// SPDX-License-Identifier: Apache-2.0
// Which object a change is about.
import { gatewayKey } from './gateway.ts';
import type { Change } from './model.ts';
import { policyKey } from './policy.ts';
import { routeKey } from './route.ts';
import { serviceKey } from './service.ts';

export type ObjectKind = 'workload' | 'service' | 'policy' | 'gateway' | 'route';

/** @throws a change that is none: what somebody else thinks of it must not become a route without a name */
export function kindOf({ kind }: Change): ObjectKind {
  switch (kind) {
    case 'put-workload':
    case 'remove-workload':
      return 'workload';
    case 'put-service':
    case 'remove-service':
      return 'service';
    case 'put-policy':
    case 'remove-policy':
      return 'policy';
    case 'put-gateway':
    case 'remove-gateway':
      return 'gateway';
    case 'put-route':
    case 'remove-route':
      return 'route';
    default:
      throw new Error(`no change of the mesh is of kind "${kind satisfies never}"`);
  }
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
