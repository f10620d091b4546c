// SPDX-License-Identifier: Apache-2.0
// Which pods of this node are judged: what was enrolled so, with the addresses that the kernel holds for each.
import type { Address } from '../../net/address.ts';

/** A network namespace in which connections are judged. */
export interface EnforcedPod {
  /** "namespace/name" that it was enrolled as; '': the workload of this node that has one of its addresses. */
  readonly workload: string;
  /** Inode of the namespace. */
  readonly netns: number;
  /** Where the host's side of its link is: inode of that namespace, and the interface there. 0: not known, or it has none. */
  readonly hostNetns: number;
  readonly ifindex: number;
  /** Those that the kernel holds for it now, at first as they were found at its interfaces. */
  readonly addresses: readonly Address[];
  /** Where packets from one of them enter the host, if by another link than said above. */
  readonly otherwise?: ReadonlyMap<Address, PodPlace>;
}

export interface Enforcement {
  readonly pods: readonly EnforcedPod[];
  /** Addresses of this node, which are exempt as sources unless a workload owns them. */
  readonly hosts: ReadonlySet<Address>;
}

export const noEnforcement: Enforcement = { pods: [], hosts: new Set() };

/** Value of an entry of the map pod_address. */
export interface PodPlace {
  readonly netns: number;
  readonly hostNetns: number;
  readonly ifindex: number;
}

export function samePlace(a: PodPlace, b: PodPlace): boolean {
  return a.netns === b.netns && a.hostNetns === b.hostNetns && a.ifindex === b.ifindex;
}

/** The pods of `enrolments`, each namespace once, with the entries of pod_address. */
export function enforcedPods(
  enrolments: Iterable<{ readonly workload: string; readonly netns: bigint }>,
  entries: Iterable<readonly [Address, PodPlace]>,
): EnforcedPod[] {
  const found = new Map<number, (readonly [Address, PodPlace])[]>();
  for (const entry of entries) {
    const pod = found.get(entry[1].netns);
    if (pod) pod.push(entry);
    else found.set(entry[1].netns, [entry]);
  }
  const names = new Map<number, string>();
  for (const { workload, netns } of enrolments) {
    const inode = Number(netns);
    // Several cgroups of one pod: any name tells more than none.
    names.set(inode, names.get(inode) || workload);
  }
  return [...names]
    .sort(([a], [b]) => a - b)
    .map(([netns, workload]) => {
      const held = (found.get(netns) ?? []).sort(([a], [b]) => (a < b ? -1 : 1));
      // The first link that it has: usually the only one, and that of its main address.
      const place = held.map((entry) => entry[1]).reduce(firstOf, undefined);
      const others = held.filter((entry) => place && !samePlace(entry[1], place));
      return {
        workload,
        netns,
        hostNetns: place?.hostNetns ?? 0,
        ifindex: place?.ifindex ?? 0,
        addresses: held.map(([address]) => address),
        ...(others.length > 0 ? { otherwise: new Map(others) } : {}),
      };
    });
}

const firstOf = (a: PodPlace | undefined, b: PodPlace): PodPlace =>
  a && (b.ifindex === 0 || (a.ifindex !== 0 && a.ifindex <= b.ifindex)) ? a : b;
