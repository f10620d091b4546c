// SPDX-License-Identifier: Apache-2.0
// Enrolments: what was asked for (map enrolment) to what the programs read (maps enrolled and level). Whole, never patched.
import { enrolledFilter } from '../abi/hash.ts';
import { enrolledFlag } from '../abi/structs.ts';

/** What one cgroup was enrolled as. */
export interface Enrolment {
  readonly cgroupId: bigint;
  /** Levels below the true cgroup2 root. */
  readonly level: number;
  /** "namespace/name", or '' when none was given. */
  readonly workload: string;
  /** Inode of its network namespace; 0n when not known. */
  readonly netns: bigint;
  /** What it accepts is judged. */
  readonly authz: boolean;
  /** It is a waypoint: its calls go through none. */
  readonly waypoint?: boolean;
  /** Nanoseconds since the epoch. */
  readonly sinceNs: bigint;
}

export interface EnrolledEntry {
  readonly workload_id: number;
  readonly flags: number;
}

/** enrolled: cgroup id -> entry. `idOf` gives the workload id of "namespace/name", 0 while it is not known. */
export function wantedEnrolled(
  enrolments: Iterable<Enrolment>,
  idOf: (workload: string) => number,
): Map<bigint, EnrolledEntry> {
  const out = new Map<bigint, EnrolledEntry>();
  for (const e of enrolments) {
    out.set(e.cgroupId, {
      workload_id: e.workload === '' ? 0 : idOf(e.workload),
      flags: (e.authz ? enrolledFlag.authz : 0) | (e.waypoint ? enrolledFlag.waypoint : 0),
    });
  }
  return out;
}

/** Value of the one entry of level. */
export interface LevelEntry {
  readonly mask: bigint;
  readonly epoch: bigint;
  readonly filter: readonly bigint[];
}

/** level[0] for these enrolments. Levels beyond 63 cannot be enrolled. `epoch` as it stands in struct km_level. */
export function levelEntry(enrolments: Iterable<Enrolment>, epoch: bigint): LevelEntry {
  const all = [...enrolments];
  let mask = 0n;
  for (const e of all) mask |= 1n << BigInt(e.level);
  return { mask, epoch, filter: enrolledFilter(all.map((e) => e.cgroupId)) };
}

/** True when programs read the same in both, whatever the epoch. */
export function sameLevel(a: LevelEntry, b: LevelEntry): boolean {
  return a.mask === b.mask && a.filter.every((word, i) => word === b.filter[i]);
}

/** The entry while `enrolled` changes from what `before` was made for to what `after` was: lets both through, and is odd. */
export function levelBetween(before: LevelEntry, after: LevelEntry): LevelEntry {
  return {
    mask: before.mask | after.mask,
    epoch: before.epoch | 1n,
    filter: after.filter.map((word, i) => word | (before.filter[i] ?? 0n)),
  };
}

const text = new TextDecoder('utf-8', { ignoreBOM: true });

/** The record's name: UTF-8 up to the first zero byte. */
export function enrolmentName(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return text.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** The name as `length` zero-filled bytes; undefined when it does not fit. */
export function enrolmentNameBytes(name: string, length: number): Uint8Array | undefined {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length > length) return undefined;
  const out = new Uint8Array(length);
  out.set(bytes);
  return out;
}
