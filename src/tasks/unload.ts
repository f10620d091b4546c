// SPDX-License-Identifier: Apache-2.0
// Takes away everything that load made.
import { lockHolder, withLock } from '../agent/lock.ts';
import type { Env, Place } from '../env.ts';
import { counted, KmeshError } from '../errors.ts';
import { unload } from '../kernel/load.ts';
import { isLoaded } from '../kernel/pinned.ts';
import { openPinnedMap } from '../kernel/pinned-map.ts';
import { pinFolders, pinNames, unmountBpffs } from '../kernel/pins.ts';
import type { ChangeResult, Step } from './change.ts';
import { clearRunDir, notedMount } from './run-dir.ts';

export interface UnloadOptions {
  readonly place: Place;
  readonly force: boolean;
  readonly dryRun: boolean;
}

/** How many cgroups are enrolled; read by the map's own BTF, so that any version can be unloaded. */
export function enrolledCount(bpffs: string): number {
  if (!pinNames(pinFolders(bpffs).maps).includes('enrolled')) return 0;
  const map = openPinnedMap(bpffs, 'enrolled');
  try {
    let count = 0;
    for (const _ of map.entries(true)) count++;
    return count;
  } finally {
    map.close();
  }
}

/** "1 cgroup is", "2 cgroups are" */
export const cgroupsAre = (count: number): string => `${counted(count, 'cgroup')} ${count === 1 ? 'is' : 'are'}`;

function refuseInUse(place: Place): void {
  const agent = lockHolder(place.runDir, 'agent.lock');
  if (agent) {
    throw new KmeshError('KM_BUSY', `an agent is running (pid ${agent.pid})`, {
      hint: 'stop it first, or --force: it will load the programs again or fail',
    });
  }
  const enrolled = enrolledCount(place.bpffs);
  if (enrolled > 0) {
    throw new KmeshError('KM_BUSY', `${cgroupsAre(enrolled)} enrolled`, {
      hint: '"kmeshctl enrolled" lists them; --force takes them out of the mesh as well',
    });
  }
}

/** Detaches, unpins and leaves nothing behind. KM_BUSY while cgroups are enrolled or an agent runs, unless forced. */
export async function unloadPrograms(_env: Env, options: UnloadOptions): Promise<ChangeResult> {
  const { place, force, dryRun } = options;
  const folders = pinFolders(place.bpffs);
  const work = (): ChangeResult => {
    if (!isLoaded(place.bpffs) && pinNames(folders.maps).length === 0) {
      throw new KmeshError('KM_NOT_LOADED', `no programs are loaded under "${place.bpffs}"`, {
        hint: 'nothing is left to remove there; --bpffs names another place',
      });
    }
    if (!force) refuseInUse(place);
    const enrolled = enrolledCount(place.bpffs);
    const judged = pinNames(folders.authz).length;
    const mounted = notedMount(place.runDir);
    const steps: Step[] = [
      ...(enrolled > 0 ? [{ action: 'unenroll', what: counted(enrolled, 'cgroup') }] : []),
      ...(judged > 0
        ? [{ action: 'detach', what: 'authorization', detail: counted(judged, 'network namespace') }]
        : []),
      ...pinNames(folders.links).map((name) => ({ action: 'detach', what: `program ${name}` })),
      ...pinNames(folders.progs).map((name) => ({ action: 'remove', what: `program ${name}` })),
      ...pinNames(folders.maps).map((name) => ({ action: 'remove', what: `map ${name}` })),
      ...(mounted === undefined ? [] : [{ action: 'unmount', what: `bpffs at ${mounted}` }]),
    ];
    if (dryRun) return { dryRun, summary: 'nothing was changed', steps };
    unload(place.bpffs);
    if (mounted !== undefined) unmountBpffs(mounted);
    // An agent that is still there holds its lock and goes on using the folder.
    if (!lockHolder(place.runDir, 'agent.lock')) clearRunDir(place.runDir);
    const lost = enrolled > 0 ? `; ${cgroupsAre(enrolled)} not enrolled any more` : '';
    return { dryRun, summary: `unloaded${lost}`, steps };
  };
  return dryRun ? work() : withLock(place.runDir, { command: 'kmeshctl unload' }, work);
}
