// SPDX-License-Identifier: Apache-2.0
// Network namespaces by inode: where they are mounted, and which processes are in them.
import { closeSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { netnsInode, openNetns, ownNetns } from './netns.ts';

/** Looks namespaces up time and again; remembers where it found them, and keeps none alive. */
export interface NetnsFinder {
  /** A descriptor of the namespace with that inode; the caller closes it. undefined: nobody has it mounted or is in it. */
  open(inode: bigint): number | undefined;
}

/** Mounted namespaces of /proc/self/mountinfo text: inode and path (an `ip netns`, a container runtime's). */
export function* mountedNetns(mountinfo: string): Generator<readonly [bigint, string]> {
  for (const line of mountinfo.split('\n')) {
    const [, , , root = '', path = ''] = line.split(' ');
    const inode = /^net:\[(\d+)\]$/.exec(root)?.[1];
    if (inode === undefined) continue;
    yield [
      BigInt(inode),
      path.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    ];
  }
}

/** Where namespaces can be opened, each once: our own, those that are mounted, those of processes. A path may lead elsewhere any time. */
export function* netnsPaths(): Generator<readonly [bigint, string]> {
  const own = statSync(ownNetns, { bigint: true }).ino;
  const seen = new Set([own]);
  yield [own, ownNetns];
  for (const [inode, path] of mountedNetns(readFileSync('/proc/self/mountinfo', 'utf8'))) {
    if (seen.has(inode)) continue;
    seen.add(inode);
    yield [inode, path];
  }
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const path = `/proc/${pid}/ns/net`;
    let inode: bigint;
    try {
      inode = statSync(path, { bigint: true }).ino;
    } catch {
      continue; // ended meanwhile
    }
    if (seen.has(inode)) continue;
    seen.add(inode);
    yield [inode, path];
  }
}

/** The namespace at `path` if it is the one wanted. */
function openExactly(path: string, inode: bigint): number | undefined {
  let fd: number;
  try {
    fd = openNetns(path);
  } catch {
    return undefined;
  }
  if (netnsInode(fd) === inode) return fd;
  closeSync(fd);
  return undefined;
}

export function netnsFinder(): NetnsFinder {
  let known = new Map<bigint, string>();
  return {
    open(inode) {
      const path = known.get(inode);
      const fd = path === undefined ? undefined : openExactly(path, inode);
      if (fd !== undefined) return fd;
      known = new Map(netnsPaths());
      const found = known.get(inode);
      return found === undefined ? undefined : openExactly(found, inode);
    },
  };
}
