// SPDX-License-Identifier: Apache-2.0
// cgroup2: where it is mounted, ids and levels as programs see them, and whose processes are in one.
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { KmeshError } from '../errors.ts';
import { libc } from './libc.ts';

/** Inode, and so id, of the true root on 64-bit kernels. */
const rootId = 1n;
/** FILEID_KERNFS of linux/exportfs.h */
const kernfsHandle = 0xfe;

/** The cgroup2 mount of /proc/mounts text: of several, the one that shows most (the shortest path). */
export function cgroupMountOf(mounts: string): string | undefined {
  const found: string[] = [];
  for (const line of mounts.split('\n')) {
    const [, path, type] = line.split(' ');
    if (type !== 'cgroup2' || path === undefined) continue;
    found.push(path.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))));
  }
  return found.sort((a, b) => a.length - b.length)[0];
}

/** Where cgroup2 is mounted; KM_MOUNT when it is nowhere. */
export function cgroupMount(): string {
  const path = cgroupMountOf(readFileSync('/proc/mounts', 'utf8'));
  if (path !== undefined) return path;
  throw new KmeshError('KM_MOUNT', 'no cgroup2 is mounted', {
    hint: 'mount one: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified',
  });
}

/** Id of the cgroup at `path`, as bpf_get_current_cgroup_id() gives it: on 64-bit kernels the directory's inode. */
export function cgroupId(path: string): bigint {
  try {
    return statSync(path, { bigint: true }).ino;
  } catch (cause) {
    throw new KmeshError('KM_CGROUP', `cgroup "${path}" does not exist`, { cause });
  }
}

/** True when `path` is the root of the whole hierarchy, not of a container's part of it. */
export function isTrueRoot(path: string): boolean {
  return cgroupId(path) === rootId;
}

/** Levels between the true root (0) and `path`: what struct cgroup.level says. KM_CGROUP outside of cgroup2. */
export function cgroupLevel(path: string, mount: string = cgroupMount()): number {
  if (!isTrueRoot(mount)) {
    throw new KmeshError(
      'KM_CGROUP',
      `the cgroup2 mount "${mount}" shows a part of the hierarchy only: levels cannot be counted`,
      {
        hint: "run in the host's cgroup namespace",
      },
    );
  }
  const under = relative(resolve(mount), resolve(path));
  if (under.startsWith('..')) throw new KmeshError('KM_CGROUP', `"${path}" is not below the cgroup2 mount "${mount}"`);
  cgroupId(path);
  return under === '' ? 0 : under.split('/').length;
}

/** Path of the cgroup with that id; undefined when it is gone. */
export function cgroupPath(id: bigint, mount: string = cgroupMount()): string | undefined {
  // struct file_handle: bytes, type, then the id
  const handle = new Uint8Array(16);
  const view = new DataView(handle.buffer);
  view.setUint32(0, 8, true);
  view.setInt32(4, kernfsHandle, true);
  view.setBigUint64(8, id, true);
  const root = openSync(mount, 'r');
  try {
    const fd = libc().open_by_handle_at(root, handle, 0);
    if (fd < 0) {
      const errno = libc().errno();
      if (errno === 'ESTALE' || errno === 'ENOENT') return undefined;
      throw new KmeshError('KM_CGROUP', `cgroup ${id} could not be opened: ${errno}`);
    }
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      // A directory removed while it is open reads as "PATH (deleted)".
      return existsSync(path) && cgroupId(path) === id ? path : undefined;
    } finally {
      closeSync(fd);
    }
  } finally {
    closeSync(root);
  }
}

/** Ids of the processes in the cgroup and everything below it. */
export function cgroupProcesses(path: string): number[] {
  const found: number[] = [];
  const visit = (folder: string): void => {
    let text: string;
    try {
      text = readFileSync(join(folder, 'cgroup.procs'), 'utf8');
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      // Gone meanwhile; or a threaded cgroup, whose processes its domain lists.
      if (code !== 'ENOENT' && code !== 'ENODEV' && code !== 'EOPNOTSUPP') {
        throw new KmeshError('KM_CGROUP', `processes of "${folder}" cannot be read: ${code}`, { cause });
      }
      if (code !== 'EOPNOTSUPP') return;
      text = '';
    }
    for (const line of text.split('\n')) if (line !== '' && line !== '0') found.push(Number(line));
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) visit(join(folder, entry.name));
    }
  };
  visit(path);
  return found;
}
