// SPDX-License-Identifier: Apache-2.0
// Takes the service away: stops it, removes its units and all that belongs to them, and unloads the programs.
import { existsSync, lstatSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { lockHolder } from '../agent/lock.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError, messageOf } from '../errors.ts';
import { isLoaded } from '../kernel/pinned.ts';
import type { ChangeResult, Step } from './change.ts';
import { clearRunDir } from './run-dir.ts';
import { dropInsOf, systemctl, systemdRuns, unitFolder, wantsFolder } from './service/systemd.ts';
import { agentUnit, loadUnit, placeOf } from './service/units.ts';
import { cgroupsAre, enrolledCount, unloadPrograms } from './unload.ts';

export interface UninstallOptions {
  readonly place: Place;
  readonly dryRun: boolean;
  /** An image below this folder, not this machine. */
  readonly root?: string;
  /** The programs stay in the kernel, and those who are in the mesh in it. */
  readonly keepPrograms: boolean;
  /** Also while workloads are enrolled. */
  readonly force: boolean;
}

const units = [agentUnit, loadUnit];

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Everything in the file system that is the units'. */
const belongings = (root: string): string[] => [
  ...units.flatMap((unit) => [join(root, wantsFolder, unit), join(root, unitFolder, unit)]).filter(isThere),
  ...units.flatMap((unit) => dropInsOf(root, unit)),
];

/** The place the installed agent uses; the one that was asked for when none is installed. */
function placeHeld(root: string, asked: Place): Place {
  const unit = join(root, unitFolder, agentUnit);
  return (existsSync(unit) ? placeOf(readFileSync(unit, 'utf8')) : undefined) ?? asked;
}

function refuseEnrolled({ bpffs }: Place): void {
  const enrolled = enrolledCount(bpffs);
  if (enrolled === 0) return;
  throw new KmeshError('KM_BUSY', `${cgroupsAre(enrolled)} enrolled`, {
    hint: '--keep-programs leaves them in the mesh as it is now; --force takes them out of it',
  });
}

/** Nothing is changed when it refuses; KM_BUSY while workloads are enrolled, unless told what becomes of them. */
export async function uninstallNode(env: Env, options: UninstallOptions): Promise<ChangeResult> {
  const { dryRun, keepPrograms, force } = options;
  const root = resolve(options.root ?? '/');
  const own = root === '/';
  const place = placeHeld(root, options.place);
  const live = own && systemdRuns();
  const found = belongings(root);
  const unloads = own && !keepPrograms && isLoaded(place.bpffs);
  if (unloads && !force) refuseEnrolled(place);
  const unload = (dry: boolean) => unloadPrograms(env, { place, force: force || live, dryRun: dry });
  const told = live && found.length > 0;
  // unload does the same, if there is something to unload.
  const clears = own && !keepPrograms && !unloads && existsSync(place.runDir);
  const steps: Step[] = [
    ...(told ? [{ action: 'run', what: `systemctl stop ${units.join(' ')}` }] : []),
    ...(unloads && dryRun ? (await unload(true)).steps : []),
    ...found.map((path) => ({ action: 'remove', what: path })),
    ...(clears ? [{ action: 'remove', what: place.runDir }] : []),
    ...(told ? [{ action: 'run', what: 'systemctl daemon-reload' }] : []),
  ];
  if (dryRun) return { dryRun, summary: 'nothing was changed', steps };
  if (told) await systemctl('stop', ...units);
  const unloaded = unloads ? await unload(false) : undefined;
  if (clears && !lockHolder(place.runDir, 'agent.lock')) clearRunDir(place.runDir);
  remove(found, root);
  if (told) {
    await systemctl('daemon-reload');
    // A unit that failed is remembered until told otherwise; one that did not is nothing to forget.
    await systemctl('reset-failed', ...units).catch(() => undefined);
  }
  return { dryRun, summary: summaryOf(found.length > 0, unloaded), steps: [...steps, ...(unloaded?.steps ?? [])] };
}

function remove(paths: readonly string[], root: string): void {
  for (const path of paths) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch (cause) {
      throw new KmeshError('KM_IO', `"${path}" cannot be removed: ${messageOf(cause)}`, { cause });
    }
  }
  try {
    // Made by the first unit that was enabled, if that was ours.
    rmdirSync(join(root, wantsFolder));
  } catch {
    // Others are enabled.
  }
}

function summaryOf(removed: boolean, unloaded: ChangeResult | undefined): string {
  const parts = [removed ? 'uninstalled' : 'no service was installed', ...(unloaded ? [unloaded.summary] : [])];
  return parts.join('; ');
}
