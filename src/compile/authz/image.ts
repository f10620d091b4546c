// SPDX-License-Identifier: Apache-2.0
// Userland's exact picture of what the kernel holds to judge connections.
import type { KeyOf, ValueOfMap } from '../../abi/maps.ts';
import { dimensionIndex } from '../../abi/structs.ts';
import type { Address } from '../../net/address.ts';
import type { AuthzMap, AuthzSizes, MapFill, RangedMap } from '../limited-maps.ts';
import type { DeleteOperation } from '../operation.ts';
import { type Ranges, rangesOf, type TakenRange } from '../ranges.ts';
import type { PodPlace } from './enforcement.ts';
import type { PolicySet } from './set.ts';

/** An entry of the trie: first address of the range, and its bits of 128. */
export interface RangePlace {
  readonly address: Address;
  readonly prefix: number;
}

/** A set as it was read from the kernel, not yet compared with one that is wanted. */
export interface ReadSet {
  readonly header: ValueOfMap<'authz_set'>;
  /** Slots of authz_member, from the set's first. */
  readonly members: readonly number[];
  /** Key of authz_value -> vector. */
  readonly values: ReadonlyMap<number, number>;
  readonly entries: readonly (RangePlace & { readonly vector: number })[];
  /** Destination vectors that stacks name. */
  readonly destinations: ReadonlySet<number>;
  readonly wordAt: (index: number) => bigint;
}

export interface SetImage {
  readonly id: number;
  /** What was written; undefined for what was read and not yet compared. */
  set: PolicySet | undefined;
  /** Until it was compared. */
  read: ReadSet | undefined;
  /** Ids of its policies. */
  readonly policies: readonly number[];
  /** Number of the vector of identities without an entry. */
  base: number;
  /** Ids of identities that have an entry. */
  readonly identities: Set<number>;
  readonly ports: readonly number[];
  readonly entries: readonly RangePlace[];
  readonly member: TakenRange | undefined;
  readonly words: TakenRange[];
  /** Number of a vector -> where it stands in authz_word. */
  readonly places: Map<number, number>;
  /** Stacks that name it. */
  stacks: number;
}

export interface StackImage {
  readonly id: number;
  /** Equal texts lead to equal verdicts. */
  readonly text: string;
  readonly sets: readonly SetImage[];
  /** Destinations that name it. */
  destinations: number;
}

/** Something that was left as it is, whole: the old verdict stands. */
export interface AuthzRefusal {
  readonly what: 'destination' | 'identity' | 'source' | 'pod';
  /** Address, or principal. */
  readonly name: string;
  /** uid of the workload whose destination it is, or ''. */
  readonly workload: string;
  /** Policies that do not come into force, of those that hold for the destination. */
  readonly policies: readonly string[];
  readonly shortage: AuthzShortage;
  /** For people, without the names above. */
  readonly reason: string;
}

export interface AuthzShortage {
  readonly map: AuthzMap | 'name';
  /** Entries, ids, or slots in a row. */
  readonly needed: number;
  readonly free: number;
}

export interface AuthzImage {
  readonly sizes: AuthzSizes;
  readonly ranges: Readonly<Record<RangedMap, Ranges>>;
  /** Sets that are wanted, or were when they were written. */
  readonly sets: Map<PolicySet, SetImage>;
  /** Sets that were read and not yet compared. */
  readonly unread: Set<SetImage>;
  /** By text. */
  readonly stacks: Map<string, StackImage>;
  /** undefined: what the kernel holds cannot be used. */
  readonly destinations: Map<Address, StackImage | undefined>;
  /** Ids of identities by address; 0: what the kernel holds cannot be used. */
  readonly sources: Map<Address, number>;
  /** Id of an identity -> addresses that have it. */
  readonly sourcesOf: Map<number, number>;
  /** Principal -> id, of identities for which every set in use has the entry it needs. */
  readonly identities: Map<string, number>;
  /** Principals that nobody wants, and that sources still have for which there is no room to change. */
  readonly doomed: Set<string>;
  /** Principals without sources that are wanted, which those that are leaving may still have -> id: new sets judge them, too. */
  readonly parting: Map<string, number>;
  readonly pods: Map<Address, PodPlace>;
  readonly counts: { authz_value: number; authz_range: number };
  /** Destinations whose entry somebody else took away: planned again with the next plan. */
  readonly lost: Set<Address>;
  /** Addresses whose entry goes after a grace period, unless it is wanted again -> the plan that said so. */
  readonly leaving: Map<Address, number>;
  /** Number of the plan that was committed last. */
  plan: number;
  generation: number;
  /** Planned again with every later plan. */
  refused: readonly AuthzRefusal[];
  /** Entries that nothing explains; ids of sets that are free once these are gone. */
  stray: readonly DeleteOperation[];
  strayIds: readonly number[];
}

export type TakenSlots = Partial<Readonly<Record<RangedMap, readonly TakenRange[]>>>;

/** Slot 0 of stacks and sets means none. Vector 0 is a place like any other. */
const firstSlot: Readonly<Record<RangedMap, number>> = { authz_stack: 1, authz_set: 1, authz_word: 0, authz_member: 0 };

export function emptyAuthzImage(sizes: AuthzSizes, taken: TakenSlots = {}): AuthzImage {
  const ranges = (map: RangedMap): Ranges => rangesOf(sizes[map], Math.min(firstSlot[map], sizes[map]), taken[map]);
  return {
    sizes,
    ranges: {
      authz_stack: ranges('authz_stack'),
      authz_set: ranges('authz_set'),
      authz_word: ranges('authz_word'),
      authz_member: ranges('authz_member'),
    },
    sets: new Map(),
    unread: new Set(),
    stacks: new Map(),
    destinations: new Map(),
    sources: new Map(),
    sourcesOf: new Map(),
    identities: new Map(),
    doomed: new Set(),
    parting: new Map(),
    pods: new Map(),
    counts: { authz_value: 0, authz_range: 0 },
    lost: new Set(),
    leaving: new Map(),
    plan: 0,
    generation: 0,
    refused: [],
    stray: [],
    strayIds: [],
  };
}

/** Some set that the kernel judges by asks who the source is: identities must be kept. */
export function kernelAsks({ sets, unread }: AuthzImage): boolean {
  for (const { read } of unread) if (read && (read.header.used & (1 << dimensionIndex.identity)) !== 0) return true;
  for (const set of sets.keys()) if (set.identity.used) return true;
  return false;
}

/**
 * Takes over what the map pod_address holds now: whoever enrols writes it too, and takes away the destinations of addresses that come to
 * another pod.
 */
export function notePods(
  { pods, destinations, lost }: AuthzImage,
  entries: Iterable<readonly [KeyOf<'pod_address'>, ValueOfMap<'pod_address'>]>,
  hasDestination: (address: Address) => boolean,
) {
  pods.clear();
  for (const [address, place] of entries) {
    pods.set(address, podPlace(place));
    if (destinations.has(address) && !hasDestination(address)) lost.add(address);
  }
}

export function podPlace({ netns, host_netns, ifindex }: ValueOfMap<'pod_address'>): PodPlace {
  return { netns, hostNetns: host_netns, ifindex };
}

/** Says that an address has another identity now, or none; 0 stands for one that cannot be used. */
export function setSource({ sources, sourcesOf }: AuthzImage, address: Address, id: number | undefined): void {
  const was = sources.get(address);
  if (was !== undefined) {
    const left = (sourcesOf.get(was) ?? 0) - 1;
    if (left > 0) sourcesOf.set(was, left);
    else sourcesOf.delete(was);
  }
  if (id === undefined) sources.delete(address);
  else {
    sources.set(address, id);
    sourcesOf.set(id, (sourcesOf.get(id) ?? 0) + 1);
  }
}

/** Entries that a map of entries holds. */
export function heldIn(image: AuthzImage, map: Exclude<AuthzMap, RangedMap>): number {
  switch (map) {
    case 'authz_dest':
      return image.destinations.size;
    case 'authz_source':
      return image.sources.size;
    case 'pod_address':
      return image.pods.size;
    default:
      return image.counts[map];
  }
}

export function authzFill(image: AuthzImage): Readonly<Record<AuthzMap, MapFill>> {
  const entries = (map: Exclude<AuthzMap, RangedMap>): MapFill => {
    const used = heldIn(image, map);
    const size = image.sizes[map];
    return { used, size, fragmentation: 0, largestFree: Math.max(0, size - used) };
  };
  const slots = (map: RangedMap): MapFill => {
    const { used, slots: size, fragmentation, largestFree } = image.ranges[map].fill();
    return { used, size, fragmentation, largestFree };
  };
  return {
    authz_dest: entries('authz_dest'),
    authz_stack: slots('authz_stack'),
    authz_set: slots('authz_set'),
    authz_source: entries('authz_source'),
    authz_value: entries('authz_value'),
    authz_range: entries('authz_range'),
    authz_word: slots('authz_word'),
    authz_member: slots('authz_member'),
    pod_address: entries('pod_address'),
  };
}
