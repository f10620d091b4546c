// SPDX-License-Identifier: Apache-2.0
// flock(2), which Node does not have: a lock that the kernel takes back when its holder dies, however it dies.
import koffi from 'koffi';
import { KmeshError } from '../errors.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

export interface Flock {
  /** True: `fd` now holds the exclusive lock. False: somebody else does. Never waits. */
  tryExclusive(fd: number): boolean;
  unlock(fd: number): void;
}

/** Binds the C library's flock. */
export function openFlock(): Flock {
  const flock = koffi.load('libc.so.6').func('int flock(int fd, int operation)') as (fd: number, op: number) => number;
  const { EWOULDBLOCK, EINTR } = koffi.os.errno as Readonly<Record<string, number>>;
  const call = (fd: number, operation: number): boolean => {
    for (;;) {
      if (flock(fd, operation) === 0) return true;
      const errno = koffi.errno();
      if (errno === EWOULDBLOCK) return false;
      if (errno !== EINTR) throw new KmeshError('KM_IO', `flock of descriptor ${fd} failed with errno ${errno}`);
    }
  };
  return {
    tryExclusive: (fd) => call(fd, LOCK_EX | LOCK_NB),
    unlock: (fd) => void call(fd, LOCK_UN),
  };
}
