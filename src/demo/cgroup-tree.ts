// SPDX-License-Identifier: Apache-2.0
// The cgroups of a lab: made, emptied by killing what runs in them, removed.
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { KmeshError } from '../errors.ts';

const isMissing = (error: unknown) =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENODEV');

/** Makes a cgroup below one that exists; one that exists already is taken as it is. @throws KmeshError KM_CGROUP */
export async function makeCgroup(path: string): Promise<void> {
  try {
    await mkdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    // Any directory can be made; only one on a cgroup file system has this file.
    await readFile(join(path, 'cgroup.procs'));
  } catch (cause) {
    throw new KmeshError('KM_CGROUP', `cannot make cgroup "${path}": ${(cause as Error).message}`, {
      hint: 'is --cgroup-root a directory of a cgroup2 file system?',
      cause,
    });
  }
}

/** Pids of processes directly in a cgroup; none when it does not exist. */
async function cgroupPids(path: string): Promise<number[]> {
  try {
    const text = await readFile(join(path, 'cgroup.procs'), 'utf8');
    return text.split('\n').filter(Boolean).map(Number);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function children(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((e) => e.isDirectory()).map((e) => join(path, e.name));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function killIn(path: string): Promise<void> {
  try {
    await writeFile(join(path, 'cgroup.kill'), '1');
    return;
  } catch (error) {
    if (isMissing(error) && (await cgroupPids(path)).length === 0) return;
  }
  // Before Linux 5.14 there is no cgroup.kill.
  for (const pid of await cgroupPids(path)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself in between.
    }
  }
}

/** Kills every process in a cgroup and below it, and removes the cgroups. A missing one is no fault. @throws KmeshError KM_CGROUP */
export async function removeCgroupTree(path: string): Promise<void> {
  for (const child of await children(path)) await removeCgroupTree(child);
  // A killed process leaves its cgroup a moment later, so removing is tried for a while.
  for (let tries = 0; ; tries++) {
    try {
      await killIn(path);
      await rmdir(path);
      return;
    } catch (error) {
      if (isMissing(error)) return;
      if (tries === 200) {
        throw new KmeshError('KM_CGROUP', `cannot remove cgroup "${path}": ${(error as Error).message}`, {
          cause: error,
        });
      }
      await pause(tries < 20 ? 5 : 25);
    }
  }
}
