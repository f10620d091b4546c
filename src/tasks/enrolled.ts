// SPDX-License-Identifier: Apache-2.0
// What is enrolled, and which connections are older than that.
import type { EnforcementState } from '../admin/authz.ts';
import { enforcementIn } from '../agent/enforcement.ts';
import { livingEnrolments, readEnrolments } from '../agent/enrolments.ts';
import { withLock } from '../agent/lock.ts';
import type { Env, Place } from '../env.ts';
import { cgroupPath } from '../kernel/cgroup.ts';
import type { DataPlane, OldRecord } from '../kernel/dataplane.ts';
import { openPinned } from '../kernel/pinned.ts';
import { socketAddressText } from '../net/socket-address.ts';
import { readNames } from './held/names.ts';
import { type UnusableBefore, unusableBefore } from './held/unusable.ts';
import { changeEnrolments } from './write-enrolments.ts';

export interface EnrolledOptions {
  readonly place: Place;
  /** Removes the enrolments of deleted cgroups first. */
  readonly prune: boolean;
  readonly dryRun: boolean;
}

export interface EnrolledRow {
  readonly cgroupId: bigint;
  /** Absent: the cgroup is deleted. */
  readonly path?: string;
  /** "namespace/name" asked for, or ''. */
  readonly workload: string;
  /** The workload that programs know it as (uid); '' while no agent has told of it. */
  readonly known: string;
  readonly netns: bigint;
  /** Whether inbound connections are judged. 'pending': none gets in until its policies are known. */
  readonly authz: EnforcementState;
  /** True: they should be judged, and are not: what does so has come off. */
  readonly detached: boolean;
  /** It is a waypoint: its calls go through none. */
  readonly waypoint?: true;
  /** The waypoint of its own cannot be used: what becomes of connections to it. */
  readonly unusable?: UnusableBefore;
  /** ISO 8601 */
  readonly since: string;
  readonly older: readonly OlderConnection[];
}

/** A connection made before the enrolment: it stays as it is. Addresses with port, "10.0.0.1:80", "[2001:db8::1]:80". */
export interface OlderConnection {
  readonly protocol: 'tcp' | 'udp';
  readonly local: string;
  readonly remote: string;
}

export interface EnrolledResult {
  readonly rows: readonly EnrolledRow[];
  /** Enrolments of deleted cgroups that were removed by --prune. */
  readonly pruned: number;
  /** Those that --prune would have removed but for --dry-run. */
  readonly wouldPrune?: number;
}

/** An address that is not known is a star. */
const socketText = (address: string, port: number) => socketAddressText(address === '' ? '*' : address, port);

function olderBy(records: readonly OldRecord[]): Map<bigint, OlderConnection[]> {
  const out = new Map<bigint, OlderConnection[]>();
  for (const r of records) {
    const list = out.get(r.cgroup_id) ?? [];
    list.push({
      protocol: r.protocol === 17 ? 'udp' : 'tcp',
      local: socketText(r.local, r.local_port),
      remote: socketText(r.remote, r.remote_port),
    });
    out.set(r.cgroup_id, list);
  }
  return out;
}

function rowsOf(plane: DataPlane): EnrolledRow[] {
  const names = readNames(plane);
  const older = olderBy(plane.olderSockets());
  const entries = new Map(plane.map('enrolled').entries());
  const enforcement = enforcementIn(plane);
  const judged = plane.enforced();
  return [...readEnrolments(plane).values()]
    .sort((a, b) => (a.sinceNs < b.sinceNs ? -1 : a.sinceNs > b.sinceNs ? 1 : 0))
    .map((e) => {
      const path = cgroupPath(e.cgroupId);
      const workloadId = entries.get(e.cgroupId)?.workload_id ?? 0;
      const unusable = unusableBefore(plane, workloadId);
      return {
        cgroupId: e.cgroupId,
        ...(path === undefined ? {} : { path }),
        workload: e.workload,
        known: names.nameOf('workload', workloadId),
        netns: e.netns,
        authz: enforcement(e),
        detached: e.authz && path !== undefined && !judged.has(e.netns),
        ...(e.waypoint && { waypoint: true }),
        ...(unusable && { unusable }),
        since: new Date(Number(e.sinceNs / 1_000_000n)).toISOString(),
        older: older.get(e.cgroupId) ?? [],
      };
    });
}

/** Lists enrolments, oldest first. */
export async function listEnrolled(_env: Env, options: EnrolledOptions): Promise<EnrolledResult> {
  const { place, prune, dryRun } = options;
  const plane = openPinned(place.bpffs);
  try {
    if (!prune || dryRun) {
      const rows = rowsOf(plane);
      const wouldPrune = rows.filter(({ path }) => path === undefined).length;
      return { rows, pruned: 0, ...(prune ? { wouldPrune } : {}) };
    }
    return await withLock(place.runDir, { command: 'kmeshctl enrolled --prune' }, () => {
      const held = readEnrolments(plane);
      const living = livingEnrolments(held, (id) => cgroupPath(id) !== undefined);
      changeEnrolments(place, plane, { held, wanted: living, networks: [], names: readNames(plane) });
      return { rows: rowsOf(plane), pruned: held.size - living.size };
    });
  } finally {
    plane.close();
  }
}
