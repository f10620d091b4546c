// SPDX-License-Identifier: Apache-2.0
// Enforcement as it should be: what is gone is collected, what came off is attached again, and pods that got another network are followed.
import { closeSync } from 'node:fs';
import { KmeshError } from '../errors.ts';
import type { Kept } from './dataplane.ts';
import { type Enforcement, enforce, listEnforced, release } from './enforcement.ts';
import { type NetnsSet, netnsOfCgroups } from './netns.ts';

/**
 * Takes off all that is not wanted, and all of namespaces that are gone, whose inodes others may have by now: of how many. `held` is what
 * is attached, and afterwards what still is.
 */
export function collect(at: Enforcement, wanted: ReadonlySet<bigint>, held = listEnforced(at.folders)): number {
  let removed = 0;
  for (const [netns, { judged }] of held) {
    if (judged && wanted.has(netns)) continue;
    release(at, netns);
    held.delete(netns);
    removed++;
  }
  return removed;
}

/** The one of these namespaces that a cgroup is in; undefined when it is in none. */
function theOne({ byInode }: NetnsSet, cgroupId: bigint, netns: bigint): bigint | undefined {
  if (byInode.has(netns)) return netns;
  if (byInode.size > 1) {
    throw new KmeshError('KM_NETNS', `processes of cgroup ${cgroupId} are in ${byInode.size} network namespaces`);
  }
  return [...byInode.keys()][0];
}

/**
 * Makes what is attached right for `wanted`: inode of the network namespace by cgroup. One that is not attached must be proven by a
 * process that is in it: inodes are used again.
 */
export function keepEnforced(at: Enforcement, wanted: ReadonlyMap<bigint, bigint>): Kept {
  const held = listEnforced(at.folders);
  const removed = collect(at, new Set(wanted.values()), held);
  const moved = new Map<bigint, bigint>();
  const attached = new Set<bigint>();
  const faults: KmeshError[] = [];
  const tried = (body: () => void): void => {
    try {
      body();
    } catch (fault) {
      if (!(fault instanceof KmeshError)) throw fault;
      faults.push(fault);
    }
  };
  for (const [cgroupId, netns] of wanted) {
    const now = held.get(netns);
    if (now && !now.broken) continue;
    tried(() => {
      const fd = now && at.finder.open(netns);
      if (fd !== undefined) {
        // Alive: only a device was replaced.
        try {
          if (!attached.has(netns)) enforce(at, fd);
          attached.add(netns);
        } finally {
          closeSync(fd);
        }
        return;
      }
      const spaces = netnsOfCgroups([cgroupId]);
      try {
        const found = theOne(spaces, cgroupId, netns);
        if (found === undefined) return; // nobody is there
        if (!attached.has(found)) enforce(at, spaces.byInode.get(found) as number);
        attached.add(found);
        if (found !== netns) moved.set(cgroupId, found);
      } finally {
        spaces.close();
      }
    });
  }
  return { attached: attached.size, removed, moved, faults };
}
