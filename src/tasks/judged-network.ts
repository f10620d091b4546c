// SPDX-License-Identifier: Apache-2.0
// The network namespace that a cgroup is enrolled with, and whether what comes there shall be judged.
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { lockHolder } from '../agent/lock.ts';
import type { Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { isHostNetns, netnsInode, netnsOfCgroups, openNetns } from '../kernel/netns.ts';

export type AuthzChoice = 'on' | 'off';

export interface CgroupNetwork {
  /** 0n: there is none, or more than one. */
  readonly inode: bigint;
  readonly fd: number | undefined;
  /** How many its processes are in. */
  readonly count: number;
  close(): void;
}

/** The path of a network namespace given as a name under /run/netns or as a path. */
export function netnsPath(nameOrPath: string): string {
  return nameOrPath.includes('/') ? nameOrPath : join('/run/netns', nameOrPath);
}

/** The namespace that the cgroup's sockets live in: the one named, else the one that its processes share. */
export function openNetwork(named: string | undefined, cgroupId: bigint): CgroupNetwork {
  if (named !== undefined) {
    const fd = openNetns(netnsPath(named));
    return { inode: netnsInode(fd), fd, count: 1, close: () => closeSync(fd) };
  }
  const { byInode, close } = netnsOfCgroups([cgroupId]);
  const [only] = byInode.size === 1 ? byInode : [];
  return { inode: only?.[0] ?? 0n, fd: only?.[1], count: byInode.size, close };
}

/** Whether inbound connections shall be judged, where nothing was said: only where somebody writes policies. */
export function defaultAuthz(place: Place): AuthzChoice {
  if (lockHolder(place.runDir, 'agent.lock')) return 'on';
  throw new KmeshError('KM_USAGE', 'no agent is running: say whether inbound connections are judged', {
    hint: '--authz off lets everything in; --authz on refuses all of it until an agent has written policies',
  });
}

/** A descriptor of the namespace, whose inbound connections can be judged. KM_NETNS names why they cannot. */
export function requireOwnNetwork(cgroup: string, network: CgroupNetwork): number {
  const refuse = (why: string, hint: string) =>
    new KmeshError('KM_NETNS', `inbound connections of cgroup "${cgroup}" cannot be judged: ${why}`, { hint });
  const { fd, count } = network;
  if (fd !== undefined && isHostNetns(fd)) throw refuse("it is in the host's network", 'enroll it with --authz off');
  if (fd !== undefined) return fd;
  if (count === 0) throw refuse('no process tells its network', 'name that with --netns, or give --authz off');
  throw refuse(`its processes are in ${count} networks`, 'name the one with --netns, or give --authz off');
}
