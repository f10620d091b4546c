// SPDX-License-Identifier: Apache-2.0
// Workloads that have the waypoint for calls by their own addresses: such calls go on to where they were dialled.
import type { Model } from '../../mesh/model.ts';
import type { WaypointPolicy } from '../../mesh/waypoint-policy.ts';
import type { Address } from '../../net/address.ts';
import { streamChain } from './chains.ts';
import { dialledCluster } from './clusters.ts';
import type * as envoy from './envoy.ts';
import { rbacOf } from './rbac.ts';
import type { WaypointScope } from './scope.ts';

export interface OwnAddresses {
  /** True when the chains are others than before. `all`: whom the waypoint serves, or its policies, may be others. */
  update(model: Model, before: Model, scope: WaypointScope, policies: readonly WaypointPolicy[], all: boolean): boolean;
  readonly isAny: boolean;
  chains(): readonly envoy.FilterChain[];
}

export function openOwnAddresses(): OwnAddresses {
  const served = new Map<string, readonly Address[]>();
  let policies: readonly WaypointPolicy[] = [];
  return {
    update(model, before, scope, next, all) {
      policies = next;
      let changed = all;
      const uids = all ? [...model.workloads.keys(), ...served.keys()] : model.workloads.changedSince(before.workloads);
      for (const uid of uids) {
        const workload = model.workloads.get(uid);
        const old = served.get(uid);
        const isServed = workload?.waypoint !== undefined && scope.servesWorkload(workload);
        if (!isServed && !old) continue;
        if (isServed) served.set(uid, workload.addresses);
        else served.delete(uid);
        if (!isServed || String(old) !== String(workload.addresses)) changed = true;
      }
      return changed;
    },
    get isAny() {
      return served.size > 0;
    },
    chains() {
      const target = { serverNames: [], clusters: [{ name: dialledCluster, weight: 1 }] };
      const rbac = rbacOf(policies, true);
      const addresses = [...new Set([...served.values()].flat())].sort();
      return addresses.map((address) => streamChain({ address }, 'workload', target, rbac));
    },
  };
}
