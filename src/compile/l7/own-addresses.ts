// SPDX-License-Identifier: Apache-2.0
// Workloads that have the waypoint for calls by their own addresses: such calls go on to where they were dialled. Ports that a service of the workload
// says are HTTP are read as such.
import type { Model } from '../../mesh/model.ts';
import type { WaypointPolicy } from '../../mesh/waypoint-policy.ts';
import type { Workload } from '../../mesh/workload.ts';
import type { Address } from '../../net/address.ts';
import { targetPort } from '../eligible.ts';
import { type Dialled, httpChain, streamChain } from './chains.ts';
import { dialledCluster } from './clusters.ts';
import type * as envoy from './envoy.ts';
import { rbacOf } from './rbac.ts';
import type { WaypointScope } from './scope.ts';
import { speechOf } from './services.ts';
import { plainRoutes, rbacFields } from './unit.ts';

export interface OwnAddresses {
  /** True when the chains are others than before. `all`: whom the waypoint serves, or its policies, may be others. */
  update(model: Model, before: Model, scope: WaypointScope, policies: readonly WaypointPolicy[], all: boolean): boolean;
  readonly isAny: boolean;
  /** `ports`: those that other chains name, for Envoy looks at the port first and never back. */
  chains(ports: Iterable<number>): readonly envoy.FilterChain[];
  /** Absent: nothing is read as HTTP. */
  routes(): envoy.RouteConfiguration | undefined;
}

/** Of the routes of what is dialled by its own address. */
export const ownRoutes = 'workload';

interface Served {
  readonly addresses: readonly Address[];
  readonly httpPorts: readonly number[];
}

export function openOwnAddresses(): OwnAddresses {
  const served = new Map<string, Served>();
  let policies: readonly WaypointPolicy[] = [];

  const reached = (model: Model, before: Model): Set<string> => {
    const uids = new Set(model.workloads.changedSince(before.workloads));
    for (const key of model.services.changedSince(before.services)) {
      for (const uid of model.members.get(key) ?? []) if (served.has(uid)) uids.add(uid);
    }
    return uids;
  };

  return {
    update(model, before, scope, next, all) {
      policies = next;
      let changed = all;
      for (const uid of all ? [...model.workloads.keys(), ...served.keys()] : reached(model, before)) {
        const workload = model.workloads.get(uid);
        const old = served.get(uid);
        if (workload?.waypoint !== undefined && scope.isServed && scope.servesWorkload(workload)) {
          const now = { addresses: workload.addresses, httpPorts: httpPortsOf(workload, model) };
          served.set(uid, now);
          if (String(old?.addresses) !== String(now.addresses) || String(old?.httpPorts) !== String(now.httpPorts)) {
            changed = true;
          }
        } else if (served.delete(uid)) changed = true;
      }
      return changed;
    },
    get isAny() {
      return served.size > 0;
    },
    chains(ports) {
      if (served.size === 0) return [];
      const all = new Set<Address>();
      const http = new Map<number, Set<Address>>();
      for (const port of ports) http.set(port, new Set());
      for (const { addresses, httpPorts } of served.values()) {
        for (const address of addresses) all.add(address);
        for (const port of httpPorts) {
          const there = http.get(port) ?? new Set();
          http.set(port, there);
          for (const address of addresses) there.add(address);
        }
      }
      const made: envoy.FilterChain[] = [];
      const rbac = rbacOf(policies, { http: false, serverName: false });
      const stream = { serverNames: [], clusters: [{ name: dialledCluster, weight: 1 }] };
      for (const [port, spoken] of [...http].sort(([a], [b]) => a - b)) {
        const silent = [...all].filter((address) => !spoken.has(address));
        if (spoken.size > 0) made.push(httpChain(dialledAt(spoken, port, 'http'), ownRoutes));
        if (silent.length > 0) made.push(streamChain(dialledAt(silent, port, 'tcp'), ownRoutes, stream, rbac));
      }
      return [...made, streamChain(dialledAt(all, undefined, 'tcp'), ownRoutes, stream, rbac)];
    },
    routes() {
      if (![...served.values()].some(({ httpPorts }) => httpPorts.length > 0)) return undefined;
      const host = {
        name: ownRoutes,
        domains: ['*'],
        routes: plainRoutes(dialledCluster, true),
        ...rbacFields(policies),
      };
      return { name: ownRoutes, virtualHosts: [host] };
    },
  };
}

function dialledAt(addresses: Iterable<Address>, port: number | undefined, as: string): Dialled {
  const ranges = [...addresses].sort().map((address) => ({ address }));
  return { name: `${port ?? '*'}/${as}`, ranges, ...(port !== undefined && { port }) };
}

/** Ports of the workload that a service of its says to be HTTP. */
function httpPortsOf(workload: Workload, model: Model): readonly number[] {
  const found = new Set<number>();
  for (const key of workload.services.keys()) {
    const service = model.services.get(key);
    for (const port of service?.ports ?? []) {
      const speech = port.protocol === 'udp' ? 'tcp' : speechOf(port);
      if (speech !== 'http' && speech !== 'http2') continue;
      const target = targetPort(workload, key, port, 'tcp');
      if (target !== 0) found.add(target);
    }
  }
  return [...found].sort((a, b) => a - b);
}
