// SPDX-License-Identifier: Apache-2.0
// Enrolments as the pinned maps hold them: read as a whole, and written whole from what is wanted.
import { enrolmentFlag, enrolmentNameLength } from '../abi/structs.ts';
import {
  type Enrolment,
  enrolmentName,
  enrolmentNameBytes,
  levelBetween,
  levelEntry,
  sameLevel,
  wantedEnrolled,
} from '../compile/enrolment.ts';
import { KmeshError } from '../errors.ts';
import type { DataPlane } from '../kernel/dataplane.ts';

/** Every enrolment, by cgroup id. */
export function readEnrolments(plane: DataPlane): Map<bigint, Enrolment> {
  const out = new Map<bigint, Enrolment>();
  for (const [cgroupId, value] of plane.map('enrolment').entries()) {
    out.set(cgroupId, {
      cgroupId,
      level: value.level,
      workload: enrolmentName(value.workload),
      netns: value.netns,
      authz: (value.authz & enrolmentFlag.authz) !== 0,
      ...(value.authz & enrolmentFlag.waypoint && { waypoint: true }),
      sinceNs: value.since_ns,
    });
  }
  return out;
}

/** Id of the workload "namespace/name": its uid ends with that (any kind of uid). 0 when the id table has none. */
export function workloadIdFinder(ids: ReadonlyMap<number, string>): (workload: string) => number {
  const byName = new Map<string, number>();
  for (const [id, uid] of ids) {
    const [name, namespace] = uid.split('/').reverse();
    byName.set(`${namespace}/${name}`, id);
  }
  return (workload) => byName.get(workload) ?? 0;
}

/**
 * Makes enrolment, level and enrolled hold exactly `wanted`, writing what differs. Order: what programs need first when
 * something is added (level before enrolled), last when something goes. Returns how many entries of `enrolled` were written or removed.
 *
 * @param touched addresses of pods were written before
 */
export function writeEnrolments(
  plane: DataPlane,
  wanted: ReadonlyMap<bigint, Enrolment>,
  idOf: (workload: string) => number,
  touched = false,
): number {
  const records = plane.map('enrolment');
  const held = readEnrolments(plane);
  const same = (a: Enrolment, b: Enrolment | undefined) =>
    b !== undefined &&
    a.level === b.level &&
    a.workload === b.workload &&
    a.netns === b.netns &&
    a.authz === b.authz &&
    (a.waypoint ?? false) === (b.waypoint ?? false) &&
    a.sinceNs === b.sinceNs;
  const encode = (e: Enrolment) => {
    const workload = enrolmentNameBytes(e.workload, enrolmentNameLength);
    if (workload === undefined) throw new KmeshError('KM_USAGE', `workload name "${e.workload}" is too long`);
    const authz = (e.authz ? enrolmentFlag.authz : 0) | (e.waypoint ? enrolmentFlag.waypoint : 0);
    return { netns: e.netns, since_ns: e.sinceNs, level: e.level, authz, workload };
  };
  const anew = [...wanted.values()].filter((e) => !same(e, held.get(e.cgroupId)));
  records.put(anew.map((e) => [e.cgroupId, encode(e)]));

  const enrolled = plane.map('enrolled');
  const current = new Map(enrolled.entries());
  const entries = wantedEnrolled(wanted.values(), idOf);
  const changed = [...entries].filter(([id, e]) => {
    const was = current.get(id);
    return was === undefined || was.workload_id !== e.workload_id || was.flags !== e.flags;
  });
  const gone = [...current.keys()].filter((id) => !entries.has(id));

  const level = plane.map('level');
  const before = level.get(0) ?? levelEntry([], 0n);
  const after = levelEntry(wanted.values(), (before.epoch | 1n) + 1n);
  // Odd: a change that was cut short.
  // An agent looks at enrolments when the epoch is another: also where programs see no difference.
  if (
    touched ||
    anew.length + changed.length + gone.length > 0 ||
    (before.epoch & 1n) === 1n ||
    !sameLevel(before, after)
  ) {
    // Both while entries change, and no identity kept in a socket counts: programs look up more than they need, at most.
    level.put([[0, levelBetween(before, after)]]);
    enrolled.put(changed);
    enrolled.delete(gone);
    level.put([[0, after]]);
  }
  records.delete([...held.keys()].filter((id) => !wanted.has(id)));
  return changed.length + gone.length;
}

/** Enrolments without those whose cgroup `exists` no more. */
export function livingEnrolments(
  held: ReadonlyMap<bigint, Enrolment>,
  exists: (cgroupId: bigint) => boolean,
): Map<bigint, Enrolment> {
  return new Map([...held].filter(([id]) => exists(id)));
}
