// SPDX-License-Identifier: Apache-2.0
// How locality narrows and weighs the workloads that can serve: scopes of the service, or locality settings of a DestinationRule.
import { localityDistance, localityFits, localityText } from '../mesh/locality.ts';
import type { NodeView } from '../mesh/model.ts';
import type { LocalityDistribution, Scope, Service } from '../mesh/service.ts';
import type { Workload } from '../mesh/workload.ts';
import type { Eligible, Report } from './eligible.ts';
import { integerShares } from './weights.ts';

/** The workloads that take part, and their weights among each other (1..2^32-1) where those are not their capacities. */
export interface Spread {
  readonly chosen: readonly Eligible[];
  readonly weights?: readonly number[];
}

/** The name by which a cluster that is not named goes. */
const cluster = (id: string): string => id || 'Kubernetes';

function scopeOf(scope: Scope, at: NodeView | Workload): string {
  switch (scope) {
    case 'region':
    case 'zone':
    case 'subzone':
      return at.locality[scope];
    case 'node':
      return at.node;
    case 'network':
      return at.network;
    case 'cluster':
      return cluster(at.clusterId);
  }
}

/**
 * How many scopes match from the front. When the first is the network, a match there outweighs all others together,
 * and a miss does not end the count: endpoints of other networks are still told apart by what follows.
 */
function scopeRank(scopes: readonly Scope[], view: NodeView, workload: Workload): number {
  let rank = 0;
  for (let i = 0; i < scopes.length; i++) {
    const scope = scopes[i] as Scope;
    const matches = scopeOf(scope, view) === scopeOf(scope, workload);
    const network = i === 0 && scope === 'network';
    if (matches) rank += network ? scopes.length : 1;
    else if (!network) break;
  }
  return rank;
}

/** The first scope that differs, in words; undefined when all match. */
function difference(scopes: readonly Scope[], view: NodeView, workload: Workload): string | undefined {
  for (const scope of scopes) {
    const here = scopeOf(scope, view);
    const there = scopeOf(scope, workload);
    if (here !== there) return `${scope} "${there}", here "${here}"`;
  }
  return undefined;
}

/** Those of `pool` with the lowest `distance`. */
function nearest(
  pool: readonly Eligible[],
  distance: (w: Workload) => number,
  tell: (w: Workload) => string,
  report?: Report,
): readonly Eligible[] {
  const distances = pool.map((e) => distance(e.workload));
  const best = distances.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  return pool.filter((e, i) => {
    if (distances[i] === best) return true;
    report?.(e.workload, { code: 'rank', reason: tell(e.workload) });
    return false;
  });
}

/** Where a workload stands when its region is not ours: 3, or 4 when we should fail over to another region than its. */
function failoverDistance(locality: LocalityDistribution, view: NodeView, workload: Workload): number {
  const distance = localityDistance(view.locality, workload.locality);
  if (distance < 3) return distance;
  const to = locality.failover.find((f) => f.from === view.locality.region)?.to;
  return to === undefined || to === workload.locality.region ? 3 : 4;
}

/** Percent shares of the localities that have anybody, split inside each by capacity. */
function distribute(to: ReadonlyMap<string, number>, pool: readonly Eligible[], report?: Report): Spread {
  const chosen: Eligible[] = [];
  const groups: { readonly percent: number; total: number }[] = [];
  const byPattern = new Map<string, { readonly percent: number; total: number }>();
  for (const e of pool) {
    const target = [...to].find(([pattern]) => localityFits(pattern, e.workload.locality));
    if (!target || target[1] <= 0) {
      const reason = `locality "${localityText(e.workload.locality)}" gets no share of this node's connections`;
      report?.(e.workload, { code: 'share', reason });
      continue;
    }
    const group = byPattern.get(target[0]) ?? { percent: target[1], total: 0 };
    byPattern.set(target[0], group);
    group.total += e.workload.capacity;
    groups.push(group);
    chosen.push(e);
  }
  const weights = integerShares(
    chosen.map((e, i) => {
      const group = groups[i] as { percent: number; total: number };
      return { times: group.percent * e.workload.capacity, per: group.total };
    }),
  );
  return { chosen, weights };
}

/** Who of `pool` (sorted by uid) takes part for a client on this node, and with what weight. */
export function chooseByLocality(service: Service, pool: readonly Eligible[], view: NodeView, report?: Report): Spread {
  const { mode, scopes } = service.loadBalancing;
  let left = pool;
  if (mode === 'strict') {
    left = pool.filter((e) => {
      const differs = difference(scopes, view, e.workload);
      if (differs) report?.(e.workload, { code: 'scope', reason: differs });
      return differs === undefined;
    });
  }
  if (service.locality && service.locality.distribute.length > 0) {
    const rule = service.locality.distribute.find((d) => localityFits(d.from, view.locality));
    return rule ? distribute(rule.to, left, report) : { chosen: left };
  }
  if (service.locality) {
    const { locality } = service;
    const tell = (w: Workload) =>
      `nearer ones exist: locality "${localityText(w.locality)}", here "${localityText(view.locality)}"`;
    return { chosen: nearest(left, (w) => failoverDistance(locality, view, w), tell, report) };
  }
  if (mode === 'failover') {
    const tell = (w: Workload) => `nearer ones exist: ${difference(scopes, view, w)}`;
    return { chosen: nearest(left, (w) => -scopeRank(scopes, view, w), tell, report) };
  }
  return { chosen: left };
}
