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
  const found = new Map<number, { place: PodPlace; addresses: Address[] }>();
  for (const [address, place] of entries) {
    const pod = found.get(place.netns);
    if (pod) pod.addresses.push(address);
    else found.set(place.netns, { place, addresses: [address] });
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
      const { place, addresses } = found.get(netns) ?? { place: undefined, addresses: [] };
      return {
        workload,
        netns,
        hostNetns: place?.hostNetns ?? 0,
        ifindex: place?.ifindex ?? 0,
        addresses: addresses.sort(),
      };
    });
}
