// SPDX-License-Identifier: Apache-2.0
// Puts a cgroup into the mesh.
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { enrolmentNameLength } from '../abi/structs.ts';
import { readEnrolments, workloadIdFinder, writeEnrolments } from '../agent/enrolments.ts';
import { withLock } from '../agent/lock.ts';
import { type Enrolment, enrolmentNameBytes } from '../compile/enrolment.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { cgroupId, cgroupLevel } from '../kernel/cgroup.ts';
import { netnsInode, netnsOfCgroups, openNetns } from '../kernel/netns.ts';
import { openPinned } from '../kernel/pinned.ts';
import { recover } from '../kernel/swap-recovery.ts';
import { requireBelow, resolveCgroup, resolveCgroupRoot } from './cgroup-path.ts';
import type { ChangeResult } from './change.ts';
import { readNames } from './held/names.ts';

export interface EnrollOptions {
  readonly place: Place;
  readonly cgroup?: string | undefined;
  readonly pid?: number | undefined;
  /** Name under /run/netns, or a path. */
  readonly netns?: string | undefined;
  /** "namespace/name" */
  readonly workload?: string | undefined;
  readonly dryRun: boolean;
}

/** The path of a network namespace given as a name under /run/netns or as a path. */
export function netnsPath(nameOrPath: string): string {
  return nameOrPath.includes('/') ? nameOrPath : join('/run/netns', nameOrPath);
}

/** Inode of the namespace the cgroup's sockets live in: the one named, else the one its processes share; 0n when they share none. */
function netnsOf(named: string | undefined, id: bigint): bigint {
  if (named !== undefined) {
    const fd = openNetns(netnsPath(named));
    try {
      return netnsInode(fd);
    } finally {
      closeSync(fd);
    }
  }
  const found = netnsOfCgroups([id]);
  try {
    const inodes = [...found.byInode.keys()];
    return inodes.length === 1 ? (inodes[0] as bigint) : 0n;
  } finally {
    found.close();
  }
}

/** Refuses names that could never be a workload's. */
function checkWorkload(workload: string): void {
  const parts = workload.split('/');
  const fits = enrolmentNameBytes(workload, enrolmentNameLength) !== undefined;
  if (parts.length !== 2 || parts.some((part) => part === '') || !fits) {
    throw new KmeshError('KM_USAGE', `"${workload}" is not a workload`, { hint: 'write NAMESPACE/NAME' });
  }
}

/** Enrols one cgroup. Enrolling it again with other options replaces them; with the same ones it changes nothing. */
export async function enrollCgroup(env: Env, options: EnrollOptions): Promise<ChangeResult> {
  const { place, dryRun } = options;
  const workload = options.workload ?? '';
  if (workload !== '') checkWorkload(workload);
  const path = resolveCgroup(place, options);
  requireBelow(resolveCgroupRoot(place), path);
  const level = cgroupLevel(path);
  if (level > 63) throw new KmeshError('KM_CGROUP', `cgroup "${path}" lies ${level} levels deep: 63 is the limit`);
  const id = cgroupId(path);
  const netns = netnsOf(options.netns, id);

  const work = (): ChangeResult => {
    if (!dryRun) recover(place.bpffs);
    const plane = openPinned(place.bpffs);
    try {
      const held = readEnrolments(plane);
      const before = held.get(id);
      const as = workload === '' ? '' : ` as ${workload}`;
      if (before && before.workload === workload && before.netns === netns) {
        return { dryRun, summary: `${path} is enrolled${as} already`, steps: [] };
      }
      const wanted: Enrolment = {
        cgroupId: id,
        level,
        workload,
        netns,
        authz: before?.authz ?? false,
        sinceNs: before?.sinceNs ?? BigInt(env.now()) * 1_000_000n,
      };
      const steps = [{ action: 'write', what: `cgroup ${path}`, detail: `id ${id}${as}` }];
      if (dryRun) return { dryRun, summary: 'nothing was changed', steps };
      const idOf = workloadIdFinder(readNames(plane).all('workload'));
      writeEnrolments(plane, new Map(held).set(id, wanted), idOf);
      const unknown = workload !== '' && idOf(workload) === 0 ? '; no agent has told of that workload yet' : '';
      return { dryRun, summary: `enrolled ${path}${as}${unknown}`, steps };
    } finally {
      plane.close();
    }
  };
  return dryRun ? work() : withLock(place.runDir, { command: 'kmeshctl enroll' }, work);
}
