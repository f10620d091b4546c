// SPDX-License-Identifier: Apache-2.0
// Enrolments: what was asked for (map enrolment) to what the programs read (maps enrolled and level). Whole, never patched.

/** What one cgroup was enrolled as. */
export interface Enrolment {
  readonly cgroupId: bigint;
  /** Levels below the true cgroup2 root. */
  readonly level: number;
  /** "namespace/name", or '' when none was given. */
  readonly workload: string;
  /** Inode of its network namespace; 0n when not known. */
  readonly netns: bigint;
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
  for (const e of enrolments) out.set(e.cgroupId, { workload_id: e.workload === '' ? 0 : idOf(e.workload), flags: 0 });
  return out;
}

/** level[0].mask: bit n set when some enrolled cgroup lies n levels below the root. Levels beyond 63 cannot be enrolled. */
export function levelMask(enrolments: Iterable<Enrolment>): bigint {
  let mask = 0n;
  for (const e of enrolments) mask |= 1n << BigInt(e.level);
  return mask;
}

const text = new TextDecoder();

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
