// SPDX-License-Identifier: Apache-2.0
// What commands leave in the run directory, and taking it away.
import { readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KmeshError, messageOf } from '../errors.ts';

/** Holds the path of the bpffs that `load` mounted, so that `unload` takes away that one and no other. */
const mountFile = 'mounted';
/** Locks, and the automatic addresses that an agent keeps. */
const files = ['lock', 'agent.lock', 'addresses.json', mountFile];

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
  for (const name of files) rmSync(join(runDir, name), { force: true });
  try {
    rmdirSync(runDir);
  } catch {
    // Somebody else's files, or gone already.
  }
}
