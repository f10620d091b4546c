// SPDX-License-Identifier: Apache-2.0
// What policies decided, as the programs counted it.
import type { KeyOf } from '../abi/maps.ts';
import type { NameKind } from '../abi/structs.ts';
import type { PolicyHits } from '../admin/authz.ts';
import type { DataPlane } from '../kernel/dataplane.ts';

const none: PolicyHits = { denied: 0, allowed: 0, dryRun: 0 };

/** What the policy of this id decided. */
export function hitsOf(plane: DataPlane, id: number | undefined): PolicyHits {
  const hits = id === undefined ? undefined : plane.map('authz_hit').get(id as KeyOf<'authz_hit'>);
  return hits ? { denied: Number(hits.denied), allowed: Number(hits.allowed), dryRun: Number(hits.dry) } : none;
}

/** Those that decided most are told by name, so that there are not too many. */
const mostNamed = 200;

/** Policy, verdict, count. Of policies without a name: those that are many, gone, or beyond the map. */
export function policyHits(
  plane: DataPlane,
  names: { names(kind: NameKind): Iterable<readonly [name: string, id: number]> },
): (readonly [policy: string, verdict: string, count: number])[] {
  const nameOf = new Map<number, string>();
  for (const [name, id] of names.names('policy')) nameOf.set(id, name);
  const others = { denied: 0, allowed: 0, dry_run: 0 };
  const found: { policy: string; of: typeof others; sum: number }[] = [];
  for (const [id, { denied, allowed, dry }] of plane.map('authz_hit').entries()) {
    const of = { denied: Number(denied), allowed: Number(allowed), dry_run: Number(dry) };
    found.push({ policy: nameOf.get(id) ?? '', of, sum: of.denied + of.allowed + of.dry_run });
  }
  found.sort((a, b) => b.sum - a.sum);
  const out: (readonly [string, string, number])[] = [];
  for (const [i, { policy, of }] of found.entries()) {
    for (const [verdict, count] of Object.entries(of)) {
      if (i < mostNamed && policy !== '') out.push([policy, verdict, count]);
      else others[verdict as keyof typeof others] += count;
    }
  }
  return [...out, ...Object.entries(others).map(([verdict, count]) => ['', verdict, count] as const)];
}
