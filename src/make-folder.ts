// SPDX-License-Identifier: Apache-2.0
// A folder with those above it. Node's own way never ends where a file system has the folder above, and says of a new one in it that it is not there
// (/proc does).
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { KmeshError, messageOf } from './errors.ts';

/** Somebody may take away an empty folder above just then. */
const tries = 5;

/** Nothing is done where it is already. @throws what mkdir(2) says. */
export function makeFolder(path: string, mode = 0o777): void {
  for (let left = tries; ; left--) {
    try {
      mkdirSync(path, { mode });
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (isFolder(path)) return;
      const above = dirname(path);
      if (code !== 'ENOENT' || left === 0 || above === path) throw error;
      makeFolder(above, mode);
    }
  }
}

/** @throws KmeshError KM_IO when that cannot be a run directory. */
export function makeRunDir(path: string): void {
  try {
    makeFolder(path, 0o700);
  } catch (cause) {
    throw new KmeshError('KM_IO', `the run directory "${path}" cannot be made: ${messageOf(cause)}`, {
      hint: 'give --run-dir a folder where files and sockets can be made, such as /run/kmesh',
      cause,
    });
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
