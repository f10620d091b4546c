// SPDX-License-Identifier: Apache-2.0
// flock(2), which Node does not have: a lock that the kernel takes back when its holder dies, however it dies.
import { KmeshError } from '../errors.ts';
import { libc } from './libc.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

function flock(fd: number, operation: number): boolean {
  for (;;) {
    if (libc().flock(fd, operation) === 0) return true;
    const errno = libc().errno();
    if (errno === 'EAGAIN') return false;
    if (errno !== 'EINTR') throw new KmeshError('KM_IO', `flock of descriptor ${fd} failed: ${errno}`);
  }
}

/** True: `fd` now holds the exclusive lock. False: somebody else does. Never waits. */
export function tryExclusive(fd: number): boolean {
  return flock(fd, LOCK_EX | LOCK_NB);
}

export function unlock(fd: number): void {
  flock(fd, LOCK_UN);
}
