// SPDX-License-Identifier: Apache-2.0
// Enrolled cgroups kept right: ids of the workloads they were enrolled as, and none whose cgroup is gone.
import type { Difference } from '../admin/types.ts';
import { type Enrolment, wantedEnrolled } from '../compile/enrolment.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import type { Workload } from '../mesh/workload.ts';
import { readEnrolments, workloadIdFinder, writeEnrolments } from './enrolments.ts';

export interface WorkloadIds {
  /** False until the kernel was read: what is enrolled keeps the ids that an earlier agent wrote. */
  readonly known: boolean;
  /** Workloads of this node, by uid: what is enrolled is nearly always one of them. */
  readonly local: ReadonlyMap<string, Workload>;
  idOf(uid: string): number | undefined;
  /** All ids, asked for when a name is not a local workload's. */
  all(): ReadonlyMap<number, string>;
}

/** Id of "namespace/name"; 0 while it has none. */
export function memberIds(ids: WorkloadIds): (name: string) => number {
  const local = new Map<string, string>();
  for (const [uid, { namespace, name }] of ids.local) local.set(`${namespace}/${name}`, uid);
  let find: ((name: string) => number) | undefined;
  return (name) => {
    const uid = local.get(name);
    const id = uid === undefined ? undefined : ids.idOf(uid);
    if (id !== undefined) return id;
    find ??= workloadIdFinder(ids.all());
    return find(name);
  };
}

/** Writes what programs read anew where it differs. Returns how many entries did. To be called under the lock. */
export function syncMembers(plane: DataPlane, ids: WorkloadIds): number {
  if (!ids.known) return 0;
  const held = readEnrolments(plane);
  return held.size === 0 ? 0 : writeEnrolments(plane, held, memberIds(ids));
}

/** Milliseconds between two searches for names that no workload of this node has: among all workloads of the mesh. */
const searchMs = 5_000;

/**
 * syncMembers after every batch: it looks at ids only, unless enrolments or the id of an enrolled name are others than the last time. What
 * somebody else wrote into the map it does not see.
 */
export function openMemberSync(ids: WorkloadIds, now: () => number = () => performance.now()) {
  let seen: { readonly plane: DataPlane; readonly epoch: bigint; readonly names: readonly string[] } | undefined;
  let known: readonly (number | undefined)[] = [];
  let searched = 0;
  /** Put together once for each: this is done after every batch. */
  const fullNames = new WeakMap<Workload, string>();
  const fullNameOf = (workload: Workload): string => {
    const known = fullNames.get(workload);
    if (known !== undefined) return known;
    const name = `${workload.namespace}/${workload.name}`;
    fullNames.set(workload, name);
    return name;
  };

  const epochOf = (plane: DataPlane): bigint => plane.map('level').get(0)?.epoch ?? 0n;
  const localIds = (names: readonly string[]): (number | undefined)[] => {
    if (names.length === 0) return [];
    const uids = new Map<string, string | undefined>(names.map((name) => [name, undefined]));
    for (const [uid, workload] of ids.local) {
      const name = fullNameOf(workload);
      if (uids.has(name)) uids.set(name, uid);
    }
    return names.map((name) => {
      const uid = uids.get(name);
      return uid === undefined ? undefined : ids.idOf(uid);
    });
  };
  return (plane: DataPlane): void => {
    if (!ids.known) return;
    const same = seen?.plane === plane && seen.epoch === epochOf(plane);
    if (same && seen) {
      const current = localIds(seen.names);
      const search = current.includes(undefined) && now() - searched >= searchMs;
      if (!search && current.every((id, i) => id === known[i])) return;
    }
    searched = now();
    syncMembers(plane, ids);
    const names = [...readEnrolments(plane).values()].map(({ workload }) => workload).filter((name) => name !== '');
    known = localIds(names);
    seen = { plane, epoch: epochOf(plane), names };
  };
}

/** Takes out enrolments whose cgroup `exists` no more; how many. To be called under the lock. */
export function pruneMembers(plane: DataPlane, ids: WorkloadIds, exists: (cgroupId: bigint) => boolean): number {
  if (!ids.known) return 0;
  const held = readEnrolments(plane);
  const left = new Map<bigint, Enrolment>();
  for (const [id, enrolment] of held) if (exists(id)) left.set(id, enrolment);
  if (left.size < held.size) writeEnrolments(plane, left, memberIds(ids));
  return held.size - left.size;
}

/** How `enrolled` differs from what was asked for. */
export function* memberDifferences(plane: DataPlane, ids: WorkloadIds): Generator<Difference, void, undefined> {
  if (!ids.known) return;
  const wanted = wantedEnrolled(readEnrolments(plane).values(), memberIds(ids));
  const held = new Map(plane.map('enrolled').entries());
  for (const [id, entry] of wanted) {
    const has = held.get(id);
    if (!has) yield { map: 'enrolled', kind: 'missing', about: `cgroup ${id}` };
    else if (has.workload_id !== entry.workload_id || has.flags !== entry.flags) {
      yield { map: 'enrolled', kind: 'different', about: `cgroup ${id}` };
    }
  }
  for (const id of held.keys()) if (!wanted.has(id)) yield { map: 'enrolled', kind: 'extra', about: `cgroup ${id}` };
}
