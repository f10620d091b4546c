// SPDX-License-Identifier: Apache-2.0
// A unix socket that only its owner may open.
import { chmodSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KmeshError, messageOf } from '../errors.ts';

/** sockaddr_un.sun_path holds 108 bytes with the final zero. */
const longestPath = 107;

/** @throws KmeshError KM_IO when no client could name it. */
export function checkSocketPath(path: string): void {
  if (Buffer.byteLength(path) <= longestPath) return;
  throw new KmeshError('KM_IO', `socket path "${path}" is longer than ${longestPath} bytes`, {
    hint: 'choose a shorter --run-dir',
  });
}

/**
 * Has `listen` make a socket in a folder of its own, and moves it into place with its mode set, so that it is never open to others. One of a
 * dead process is replaced.
 * @throws KmeshError KM_IO when it cannot be made.
 */
export async function makePrivateSocket(path: string, listen: (first: string) => Promise<unknown>): Promise<void> {
  checkSocketPath(path);
  let nest: string | undefined;
  try {
    // No longer than `path` itself: names of sockets have ten characters and more.
    nest = mkdtempSync(join(dirname(path), '.s'));
    const first = join(nest, 's');
    await listen(first);
    chmodSync(first, 0o600);
    renameSync(first, path);
  } catch (cause) {
    throw new KmeshError('KM_IO', `socket "${path}" could not be made: ${messageOf(cause)}`, { cause });
  } finally {
    if (nest !== undefined) rmSync(nest, { recursive: true });
  }
}
