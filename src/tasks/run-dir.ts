// SPDX-License-Identifier: Apache-2.0
// What commands leave in the run directory, and taking it away.
import { readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KmeshError, messageOf } from '../errors.ts';

/** Holds the path of the bpffs that `load` mounted, so that `unload` takes away that one and no other. */
const mountFile = 'mounted';
/** Of an agent: what it keeps of files over restarts. */
export const lastGoodName = 'last-good';
/** The same of `waypoint serve`: a folder for each list of paths. */
export const lastGoodOfWaypoints = 'last-good-waypoints';
/** Locks, and what an agent keeps: automatic addresses, and what files said. */
const ours = ['lock', 'agent.lock', 'addresses.json', lastGoodName, lastGoodOfWaypoints, mountFile];

/** Remembers that `load` mounted a bpffs at `path`. */
export function noteMount(runDir: string, path: string): void {
  const file = join(runDir, mountFile);
  try {
    writeFileSync(file, path, { mode: 0o600 });
  } catch (cause) {
    throw new KmeshError('KM_IO', `"${file}" cannot be written: ${messageOf(cause)}`, { cause });
  }
}

/** The bpffs that `load` mounted; undefined when it found one. */
export function notedMount(runDir: string): string | undefined {
  try {
    return readFileSync(join(runDir, mountFile), 'utf8');
  } catch {
    return undefined;
  }
}

/** Removes our files, and the folder when nothing else is in it. */
export function clearRunDir(runDir: string): void {
  for (const name of ours) rmSync(join(runDir, name), { recursive: true, force: true });
  try {
    rmdirSync(runDir);
  } catch {
    // Somebody else's files, or gone already.
  }
}
