// SPDX-License-Identifier: Apache-2.0
// Loads the programs and attaches them to the cgroup root.
import { dirname } from 'node:path';
import { withLock } from '../agent/lock.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { otherPlanes } from '../kernel/hook-programs.ts';
import { load, planLoad, recoverLoad } from '../kernel/load.ts';
import { isLoaded } from '../kernel/pinned.ts';
import { mountBpffs, onBpffs, pinFolders, refuseHiding, unmountBpffs } from '../kernel/pins.ts';
import { readVersion } from '../kernel/version.ts';
import { version } from '../version.ts';
import { resolveCgroupRoot } from './cgroup-path.ts';
import type { ChangeResult, Step } from './change.ts';
import { noteMount } from './run-dir.ts';
import { mapSizes, type SizeOptions } from './size-options.ts';

export interface LoadOptions extends SizeOptions {
  readonly place: Place;
  readonly dryRun: boolean;
}

/** The place pins can be made: a bpffs is mounted above it when there is none (as bpftool and systemd do at /sys/fs/bpf). */
function mountStep(bpffs: string): Step | undefined {
  if (onBpffs(bpffs)) return undefined;
  refuseHiding(dirname(bpffs));
  return { action: 'mount', what: `bpffs at ${dirname(bpffs)}` };
}

function refuseLoaded(place: Place): void {
  if (!isLoaded(place.bpffs)) return;
  const held = readVersion(pinFolders(place.bpffs).maps);
  throw new KmeshError(
    'KM_ALREADY_LOADED',
    `programs of kmeshctl ${held?.version ?? 'of an unknown version'} are loaded under "${place.bpffs}"`,
    {
      hint: '"kmeshctl upgrade" swaps them in place, "kmeshctl unload" takes them away',
    },
  );
}

/** Two data planes at one cgroup would both translate what its processes dial, each by its own state. */
function refuseShared(cgroupRoot: string): void {
  const others = otherPlanes(cgroupRoot, new Set());
  if (others.length === 0) return;
  const hooks = [...new Set(others.map(({ hook }) => hook))].join(', ');
  throw new KmeshError(
    'KM_ALREADY_LOADED',
    `another data plane of kmeshctl, with its pins elsewhere, is attached to "${cgroupRoot}" (${hooks})`,
    { hint: 'unload it with its own --bpffs, or give a --cgroup-root of your own' },
  );
}

/** Loads, attaches and pins everything, or nothing. KM_ALREADY_LOADED when something is loaded already, here or at the same cgroup. */
export async function loadPrograms(env: Env, options: LoadOptions): Promise<ChangeResult> {
  const { place, dryRun } = options;
  const cgroupRoot = resolveCgroupRoot(place);
  const sizes = mapSizes(options);
  const steps: Step[] = [];
  const mount = mountStep(place.bpffs);
  if (mount) steps.push(mount);
  const objects = planLoad({ sizes });
  try {
    for (const map of objects.maps.values()) {
      steps.push({ action: 'create', what: `map ${map.name}`, detail: `${map.maxEntries} entries` });
    }
    for (const program of objects.programs) {
      steps.push({ action: 'load', what: `program ${program.name}`, detail: program.section });
    }
  } finally {
    objects.close();
  }
  steps.push({ action: 'attach', what: `to ${cgroupRoot}`, detail: `pins under ${place.bpffs}` });
  if (dryRun) {
    refuseLoaded(place);
    refuseShared(cgroupRoot);
    return { dryRun, summary: 'nothing was changed', steps };
  }
  return withLock(place.runDir, { command: 'kmeshctl load' }, () => {
    const mounted = mount && dirname(place.bpffs);
    if (mounted !== undefined) mountBpffs(mounted);
    try {
      refuseLoaded(place);
      if (onBpffs(place.bpffs)) recoverLoad(place.bpffs);
      refuseShared(cgroupRoot);
      load({ bpffs: place.bpffs, cgroupRoot, version, now: env.now(), sizes });
      if (mounted !== undefined) noteMount(place.runDir, mounted);
    } catch (error) {
      if (mounted !== undefined) unmountBpffs(mounted);
      throw error;
    }
    return { dryRun, summary: `loaded kmeshctl ${version}, attached to ${cgroupRoot}`, steps };
  });
}
