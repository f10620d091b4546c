// SPDX-License-Identifier: Apache-2.0
// The network of one pod: its addresses, and the devices by which its packets enter the host.
import { closeSync } from 'node:fs';
import type { Address } from '../net/address.ts';
import { netnsPaths } from './find-netns.ts';
import { inNetns, netnsInode, openNetns } from './netns.ts';
import { listAddresses, listLinks, type NetLink, netnsIdOf } from './rtnetlink.ts';

/** The host's end of a pair whose other end is in the pod. */
export interface HostSide {
  /** Inode of the network namespace that it is in: usually the host's. */
  readonly netns: bigint;
  readonly ifindex: number;
}

export interface PodAddress {
  readonly address: Address;
  /** Where packets from it enter the host; undefined when the pod has no such device. */
  readonly host: HostSide | undefined;
}

export interface PodNetwork {
  /** Those valid beyond their link; not those of the loopback range. */
  readonly addresses: readonly PodAddress[];
  readonly hosts: readonly HostSide[];
}

/** Kinds of links that come in pairs. */
const paired: ReadonlySet<string> = new Set(['veth', 'netkit']);
const everywhere = 0; // RT_SCOPE_UNIVERSE

/** Inodes of the namespaces that the one behind `fd` calls by these names (nsids): nearly always it is our own alone. */
function namedNetns(fd: number, names: ReadonlySet<number>): Map<number, bigint> {
  const found = new Map<number, bigint>();
  for (const [, path] of netnsPaths()) {
    if (found.size === names.size) break;
    let candidate: number;
    try {
      candidate = openNetns(path);
    } catch {
      continue; // gone meanwhile
    }
    try {
      const name = inNetns(fd, () => netnsIdOf(candidate));
      if (name !== undefined && names.has(name)) found.set(name, netnsInode(candidate));
    } finally {
      closeSync(candidate);
    }
  }
  return found;
}

/** Reads the network of the namespace behind `fd`. */
export function readPodNetwork(fd: number): PodNetwork {
  const { links, all } = inNetns(fd, () => ({ links: listLinks(), all: listAddresses() }));
  const outside = links.filter((link) => paired.has(link.kind) && link.peerNetns !== undefined);
  const named = namedNetns(fd, new Set(outside.map((link) => link.peerNetns as number)));
  const hostOf = (link: NetLink): HostSide | undefined => {
    const netns = named.get(link.peerNetns as number);
    return netns === undefined ? undefined : { netns, ifindex: link.peer };
  };
  const byLink = new Map<number, HostSide>();
  for (const link of outside) {
    const host = hostOf(link);
    if (host) byLink.set(link.index, host);
  }
  const hosts = [...byLink.values()];
  return {
    hosts,
    // An address of lo or of a dummy leaves by some other device: the first.
    addresses: all
      .filter(({ scope }) => scope === everywhere)
      .map(({ address, link }) => ({ address, host: byLink.get(link) ?? hosts[0] })),
  };
}
