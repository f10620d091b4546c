// SPDX-License-Identifier: Apache-2.0
// Where this machine has its cgroup2 file system.
import { readFileSync } from 'node:fs';

/** Mount point of the first cgroup2 in /proc/mounts. */
export function cgroupMount(): string {
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const [, where, type] = line.split(' ');
    if (type === 'cgroup2' && where) return where;
  }
  throw new Error('no cgroup2 is mounted here');
}
