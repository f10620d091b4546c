// SPDX-License-Identifier: Apache-2.0
// Which process holds a flock(2), as the kernel says: what a lock file contains may be left from before.
import { readdirSync, readFileSync, statSync } from 'node:fs';

/** The pid that holds the lock on `path`; undefined when nobody does, or nobody whom this process may look at. */
export function flockHolder(path: string): number | undefined {
  const wanted = identity(path);
  if (wanted === undefined) return undefined;
  for (const pid of flockPids()) {
    for (const fd of names(`/proc/${pid}/fd`)) {
      if (identity(`/proc/${pid}/fd/${fd}`) !== wanted) continue;
      if (/^lock:.*\bFLOCK\b/m.test(text(`/proc/${pid}/fdinfo/${fd}`))) return pid;
    }
  }
  return undefined;
}

/** Device and inode. Not compared with those in /proc/locks: overlay and btrfs show others there. */
function identity(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

/** "1: FLOCK  ADVISORY  WRITE 1234 00:2f:99 0 EOF", pids as this namespace has them (0: of another one). */
function flockPids(): ReadonlySet<number> {
  const pids = new Set<number>();
  for (const [, pid] of text('/proc/locks').matchAll(/^\d+: FLOCK +\S+ +\S+ +(\d+) /gm)) pids.add(Number(pid));
  pids.delete(0);
  return pids;
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function names(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
