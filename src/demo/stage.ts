// SPDX-License-Identifier: Apache-2.0
// Where one run of the demo lives: its own pins, run directory, cgroups and namespaces, named by its process. All of it
// can be found by that name and removed, whoever made it.
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type LockName, lockHolder } from '../agent/lock.ts';
import type { Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { mountBpffs, onBpffs } from '../kernel/pins.ts';
import { resolveCgroupRoot } from '../tasks/cgroup-path.ts';
import { isAlive, type Lab, openLab, removeLab } from './lab.ts';
import { type Running, runCommand } from './process.ts';

const namePrefix = 'kmesh-demo';

export interface Stage {
  readonly name: string;
  /** Holds everything below that is a file. */
  readonly folder: string;
  readonly config: string;
  readonly logs: string;
  /** The demo's own. */
  readonly place: Place;
  readonly lab: Lab;
}

/** Folders next to what `place` names, so that a mesh of this machine is not touched. */
function pathsOf(place: Place, name: string) {
  const folder = join(dirname(place.runDir), name);
  return {
    name,
    folder,
    bpffs: join(folder, 'bpf'),
    run: join(folder, 'run'),
    config: join(folder, 'config'),
    logs: join(folder, 'logs'),
    cgroupRoot: join(resolveCgroupRoot(place), name),
  };
}

/** Makes an empty stage for the process `pid`. @throws KmeshError; what was made by then is removed by removeStage. */
export async function openStage(place: Place, pid: number): Promise<Stage> {
  const paths = pathsOf(place, nameOf(pid));
  for (const path of [paths.folder, paths.run, paths.config, paths.logs])
    mkdirSync(path, { recursive: true, mode: 0o755 });
  // A bpffs of its own: unmounting it takes every pin along, and with the pins the programs.
  mountBpffs(paths.bpffs);
  const lab = await openLab(paths.name, paths.cgroupRoot);
  const { name, folder, config, logs, cgroupRoot } = paths;
  return {
    name,
    folder,
    config,
    logs,
    lab,
    place: { bpffs: join(paths.bpffs, 'kmesh'), cgroupRoot, runDir: paths.run },
  };
}

export const nameOf = (pid: number): string => `${namePrefix}-${pid}`;

/** Stops who holds the lock in a folder, if anybody does. SIGKILL when it takes longer than five seconds. */
async function stopHolder(runDir: string, name: LockName): Promise<void> {
  const holder = lockHolder(runDir, name);
  if (!holder || holder.pid <= 0) return;
  try {
    process.kill(holder.pid, 'SIGTERM');
    for (let i = 0; i < 500 && isAlive(holder.pid); i++) await pause(10);
    if (isAlive(holder.pid)) process.kill(holder.pid, 'SIGKILL');
  } catch {
    // It ended by itself in between.
  }
}

/** Those first that would start again what goes with the lab. */
async function stopWaypoints(runDir: string): Promise<void> {
  const folder = join(runDir, 'waypoints');
  for (const name of readDirectory(folder)) await stopHolder(join(folder, name), 'lock');
}

/**
 * Removes all that a stage consists of, as far as it exists: waypoint, agent, pods and what runs in them, programs, files. Every
 * part is tried. @throws the first failure.
 */
export async function removeStage(place: Place, name: string): Promise<void> {
  const paths = pathsOf(place, name);
  const failures: unknown[] = [];
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      failures.push(error);
    }
  };
  await attempt(() => stopWaypoints(paths.run));
  await attempt(() => stopHolder(paths.run, 'agent.lock'));
  await attempt(() => removeLab(name, paths.cgroupRoot));
  await attempt(async () => {
    if (onBpffs(paths.bpffs)) await runCommand('KM_MOUNT', 'umount', [paths.bpffs]);
  });
  // Only what is left when the mount is gone: removing files through it would leave programs attached without a name.
  if (failures.length === 0) await attempt(() => rm(paths.folder, { recursive: true, force: true }));
  if (failures.length > 0) throw failures[0];
}

/** Names of stages whose process is gone: kept ones, and those of a demo that was killed. A stage has its folder as long as anything of it is left. */
export function leftoverStages(place: Place): string[] {
  const pattern = new RegExp(`^${namePrefix}-(\\d+)$`);
  return readDirectory(dirname(place.runDir)).filter((entry) => {
    const match = pattern.exec(entry);
    return match !== null && !isAlive(Number(match[1]));
  });
}

function readDirectory(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** What names the stage's place to commands. */
export const flagsOf = ({ bpffs, cgroupRoot, runDir }: Place): string[] => [
  ...['--bpffs', bpffs],
  ...['--cgroup-root', cgroupRoot],
  ...['--run-dir', runDir],
];

/** Writes files into the folder, each in one step: the agent never reads half a file. */
export function writeConfig(folder: string, files: ReadonlyMap<string, string>): number {
  for (const [name, text] of files) {
    const path = join(folder, name);
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  }
  return files.size;
}

/** What did not start, by the telling line of its log: a crash says why first and where afterwards. */
export function notStarted(what: string, logPath: string): KmeshError {
  const detail = readFileSync(logPath, 'utf8').trim();
  const lines = detail.split('\n');
  const telling = lines.find((line) => /^(error |\w*Error\b)/.test(line)) ?? lines.at(-1) ?? '';
  return new KmeshError('KM_DEMO', `${what}${telling ? `: ${telling.trim().slice(0, 200)}` : ''}`, { detail });
}

const readyMs = 30_000;

/** True once `condition` holds; false when the process ended before, or half a minute passed. */
export async function until(running: Running, condition: () => boolean | Promise<boolean>): Promise<boolean> {
  let ended = false;
  void running.ended.then(() => {
    ended = true;
  });
  for (let waited = 0; waited < readyMs && !ended; waited += 20) {
    if (await condition()) return true;
    await pause(20);
  }
  return condition();
}
