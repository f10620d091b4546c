// SPDX-License-Identifier: Apache-2.0
// Puts a cgroup into the mesh.
import { enrolmentNameLength } from '../abi/structs.ts';
import { enforcementIn } from '../agent/enforcement.ts';
import { readEnrolments, workloadIdFinder } from '../agent/enrolments.ts';
import { withLock } from '../agent/lock.ts';
import { type Enrolment, enrolmentNameBytes } from '../compile/enrolment.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { cgroupId, cgroupLevel } from '../kernel/cgroup.ts';
import { openPinned, type PinnedDataPlane } from '../kernel/pinned.ts';
import type { PodNetwork } from '../kernel/pod-network.ts';
import { recover } from '../kernel/swap-recovery.ts';
import { requireBelow, resolveCgroup, resolveCgroupRoot } from './cgroup-path.ts';
import type { ChangeResult, Step } from './change.ts';
import { readNames } from './held/names.ts';
import { type AuthzChoice, defaultAuthz, openNetwork, requireOwnNetwork } from './judged-network.ts';
import { changeEnrolments } from './write-enrolments.ts';

export interface EnrollOptions {
  readonly place: Place;
  readonly cgroup?: string | undefined;
  readonly pid?: number | undefined;
  /** Name under /run/netns, or a path. */
  readonly netns?: string | undefined;
  /** "namespace/name" */
  readonly workload?: string | undefined;
  /** Whether inbound connections are judged. Left out: as it is enrolled now, else on if an agent runs. */
  readonly authz?: AuthzChoice | undefined;
  /** It is a waypoint: what it calls goes through none. */
  readonly waypoint?: boolean | undefined;
  readonly dryRun: boolean;
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

  const work = (): ChangeResult => {
    if (!dryRun) recover(place.bpffs);
    const plane = openPinned(place.bpffs);
    const network = openNetwork(options.netns, id);
    try {
      const held = readEnrolments(plane);
      const before = held.get(id);
      const authz = (options.authz ?? (before ? choiceOf(before) : defaultAuthz(place))) === 'on';
      const networks = authz ? [requireOwnNetwork(path, network)] : [];
      const wanted: Enrolment = {
        cgroupId: id,
        level,
        workload,
        netns: network.inode,
        authz,
        ...(options.waypoint && { waypoint: true }),
        sinceNs: before?.sinceNs ?? BigInt(env.now()) * 1_000_000n,
      };
      const as = workload === '' ? '' : ` as ${workload}`;
      const steps = stepsOf(path, wanted, before);
      if (dryRun) return { dryRun, summary: 'nothing was changed', steps };
      const names = readNames(plane);
      const all = new Map(held).set(id, wanted);
      // Also when nothing differs: something may have come off.
      const found = changeEnrolments(place, plane, { held, wanted: all, networks, names });
      if (steps.length === 0) return { dryRun, summary: `${path} is enrolled${as} already`, steps };
      const unknown = workload !== '' && workloadIdFinder(names.all('workload'))(workload) === 0;
      const remarks = [
        ...(unknown ? ['no agent has told of that workload yet'] : []),
        ...(before?.workload && workload === ''
          ? [`not as ${before.workload} any more: --workload was not given`]
          : []),
        ...remarksOf(plane, wanted, before, found),
      ];
      return { dryRun, summary: [`enrolled ${path}${as}`, ...remarks].join('; '), steps };
    } finally {
      network.close();
      plane.close();
    }
  };
  return dryRun ? work() : withLock(place.runDir, { command: 'kmeshctl enroll' }, work);
}

const choiceOf = ({ authz }: Enrolment): AuthzChoice => (authz ? 'on' : 'off');

/** What there is to do; nothing when it is enrolled so already. */
function stepsOf(path: string, wanted: Enrolment, before: Enrolment | undefined): Step[] {
  const { workload, netns, authz, waypoint = false } = wanted;
  const same =
    before?.workload === workload &&
    before.netns === netns &&
    before.authz === authz &&
    (before.waypoint ?? false) === waypoint;
  if (same) return [];
  const where = (inode: bigint) => `network namespace ${inode}`;
  const as = (workload === '' ? '' : ` as ${workload}`) + (waypoint ? ', a waypoint' : '');
  return [
    ...(authz ? [{ action: 'attach', what: 'authorization', detail: where(netns) }] : []),
    { action: 'write', what: `cgroup ${path}`, detail: `id ${wanted.cgroupId}${as}` },
    ...(before?.authz && !(authz && before.netns === netns)
      ? [{ action: 'detach', what: 'authorization', detail: where(before.netns) }]
      : []),
  ];
}

/** What whoever enrolled it should know of how it is judged. */
function remarksOf(
  plane: PinnedDataPlane,
  wanted: Enrolment,
  before: Enrolment | undefined,
  networks: readonly PodNetwork[],
): string[] {
  if (!wanted.authz) return before?.authz ? ['inbound connections are not judged any more'] : [];
  const pending = enforcementIn(plane)(wanted) === 'pending';
  return [
    pending ? 'nothing gets in until its policies are known' : 'inbound connections are judged',
    ...(networks.some(({ hosts }) => hosts.length === 0)
      ? ['the device that joins it to the host was not found, so whose addresses it sends from is not checked']
      : []),
  ];
}
