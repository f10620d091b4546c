// SPDX-License-Identifier: Apache-2.0
// Other network namespaces: running one synchronous step inside them, and which ones the processes of a cgroup use.
import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import { KmeshError } from '../errors.ts';
import { cgroupMount, cgroupPath, cgroupProcesses } from './cgroup.ts';
import { libc } from './libc.ts';

const newNetwork = 0x40000000; // CLONE_NEWNET
/** The one that this thread is in. */
export const ownNetns = '/proc/thread-self/ns/net';

/** A descriptor of the network namespace at `path` (/run/netns/NAME, /proc/PID/ns/net); the caller closes it. */
export function openNetns(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    throw new KmeshError('KM_NETNS', `network namespace "${path}" cannot be opened`, {
      hint: 'give a name that "ip netns list" shows, or the path of one: /proc/PID/ns/net',
      cause,
    });
  }
}

/** Inode of the network namespace behind `fd`: its identity. */
export function netnsInode(fd: number): bigint {
  return fstatSync(fd, { bigint: true }).ino;
}

/** True for the network of the host: the one that this process or the first process is in. */
export function isHostNetns(fd: number): boolean {
  const inode = netnsInode(fd);
  return [ownNetns, '/proc/1/ns/net'].some((path) => {
    try {
      return statSync(path, { bigint: true }).ino === inode;
    } catch {
      return false; // hidden from us
    }
  });
}

/**
 * Runs `body` with this thread in the namespace behind `fd`, and comes back whatever happens. `body` must be synchronous:
 * everything else on the thread would run there too. A thread that cannot come back ends the process, for nothing it did
 * from then on would be where it belongs.
 */
export function inNetns<T>(fd: number, body: () => T extends Promise<unknown> ? never : T): T {
  const { setns, errno } = libc();
  const home = openSync(ownNetns, 'r');
  try {
    if (netnsInode(home) === netnsInode(fd)) return body();
    if (setns(fd, newNetwork) < 0) {
      throw new KmeshError('KM_NETNS', `a network namespace cannot be entered: ${errno()}`);
    }
    try {
      return body();
    } finally {
      if (setns(home, newNetwork) < 0) process.abort();
    }
  } finally {
    closeSync(home);
  }
}

/** Open network namespaces by inode. */
export interface NetnsSet {
  readonly byInode: ReadonlyMap<bigint, number>;
  close(): void;
}

/** The namespaces of all processes in the cgroups with these ids and below; cgroups and processes that are gone add none. */
export function netnsOfCgroups(ids: Iterable<bigint>): NetnsSet {
  const mount = cgroupMount();
  const byInode = new Map<bigint, number>();
  const close = () => {
    for (const fd of byInode.values()) closeSync(fd);
    byInode.clear();
  };
  try {
    for (const id of ids) {
      const path = cgroupPath(id, mount);
      if (path === undefined) continue;
      for (const pid of cgroupProcesses(path)) {
        let fd: number;
        try {
          fd = openSync(`/proc/${pid}/ns/net`, 'r');
        } catch {
          continue; // ended meanwhile
        }
        const inode = netnsInode(fd);
        if (byInode.has(inode)) closeSync(fd);
        else byInode.set(inode, fd);
      }
    }
    return { byInode, close };
  } catch (cause) {
    close();
    throw cause;
  }
}
