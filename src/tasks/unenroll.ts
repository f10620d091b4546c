// SPDX-License-Identifier: Apache-2.0
// Takes cgroups out of the mesh. Connections that are open stay as they are.
import { readEnrolments } from '../agent/enrolments.ts';
import { withLock } from '../agent/lock.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { cgroupId, cgroupPath } from '../kernel/cgroup.ts';
import { openPinned } from '../kernel/pinned.ts';
import { recover } from '../kernel/swap-recovery.ts';
import { resolveCgroup } from './cgroup-path.ts';
import type { ChangeResult } from './change.ts';
import { readNames } from './held/names.ts';
import { changeEnrolments } from './write-enrolments.ts';

export interface UnenrollOptions {
  readonly place: Place;
  readonly cgroup?: string | undefined;
  readonly pid?: number | undefined;
  /** "namespace/name": every cgroup enrolled as this workload. */
  readonly workload?: string | undefined;
  readonly dryRun: boolean;
}

/** Unenrols what was named. KM_NOT_ENROLLED when nothing of it is enrolled. */
export async function unenrollCgroup(_env: Env, options: UnenrollOptions): Promise<ChangeResult> {
  const { place, dryRun, workload } = options;
  if (workload !== undefined && (options.cgroup !== undefined || options.pid !== undefined)) {
    throw new KmeshError('KM_USAGE', 'a workload and a cgroup were given', { hint: 'give one of them' });
  }
  if (workload === undefined && options.cgroup === undefined && options.pid === undefined) {
    throw new KmeshError('KM_USAGE', 'nothing to take out was given', { hint: 'give a cgroup, --pid or --workload' });
  }
  const path = workload === undefined ? resolveCgroup(place, options) : undefined;
  const id = path === undefined ? undefined : cgroupId(path);

  const work = (): ChangeResult => {
    if (!dryRun) recover(place.bpffs);
    const plane = openPinned(place.bpffs);
    try {
      const held = readEnrolments(plane);
      const gone = [...held.values()].filter((e) => (id === undefined ? e.workload === workload : e.cgroupId === id));
      if (gone.length === 0) {
        throw new KmeshError('KM_NOT_ENROLLED', `${path ?? `workload "${workload}"`} is not enrolled`, {
          hint: '"kmeshctl enrolled" lists what is',
        });
      }
      const steps = gone.map((e) => ({
        action: 'remove',
        what: `cgroup ${cgroupPath(e.cgroupId) ?? e.cgroupId}`,
        ...(e.workload === '' ? {} : { detail: e.workload }),
      }));
      if (dryRun) return { dryRun, summary: 'nothing was changed', steps };
      const wanted = new Map(held);
      for (const e of gone) wanted.delete(e.cgroupId);
      changeEnrolments(place, plane, { held, wanted, networks: [], names: readNames(plane) });
      return { dryRun, summary: `unenrolled ${gone.length === 1 ? steps[0]?.what : `${gone.length} cgroups`}`, steps };
    } finally {
      plane.close();
    }
  };
  return dryRun ? work() : withLock(place.runDir, { command: 'kmeshctl unenroll' }, work);
}
