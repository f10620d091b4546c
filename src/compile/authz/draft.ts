// SPDX-License-Identifier: Apache-2.0
// A plan of what connections are judged by, being made: what it claims of ids, slots and room. The image stays as it is.
import type { Address } from '../../net/address.ts';
import type { IdDraft } from '../ids.ts';
import type { Image } from '../image.ts';
import { type AuthzMap, type RangedMap, rangedMaps } from '../limited-maps.ts';
import { partCountOf } from '../names.ts';
import type { RangeDraft } from '../ranges.ts';
import type { PodPlace } from './enforcement.ts';
import { type AuthzRefusal, type AuthzShortage, heldIn, type SetImage, type StackImage } from './image.ts';
import type { PolicySet } from './set.ts';

/** Maps of entries, and the names. */
type CountedMap = Exclude<AuthzMap, RangedMap> | 'name';
const countedMaps: readonly CountedMap[] = [
  'authz_dest',
  'authz_source',
  'authz_value',
  'authz_range',
  'pod_address',
  'name',
];

/** A vector that a set in use did not have. */
export interface NewVector {
  readonly image: SetImage;
  readonly number: number;
  readonly place: number;
}

/** The entry of an identity in a set that was there before it. */
export interface NewValue {
  readonly image: SetImage;
  readonly identity: number;
  readonly place: number;
}

export interface NewStack {
  readonly image: StackImage;
  readonly generation: number;
  readonly flags: number;
  readonly places: readonly number[];
}

export interface NewSet {
  readonly image: SetImage;
  readonly set: PolicySet;
  readonly generation: number;
  /** Ids of identities -> number of their vector. */
  readonly values: ReadonlyMap<number, number>;
}

export interface DestinationChange {
  readonly address: Address;
  readonly next: StackImage | undefined;
}

export interface SourceChange {
  readonly address: Address;
  /** Id of the identity; undefined: goes after a grace period. */
  readonly next: number | undefined;
}

export interface PodChange {
  readonly address: Address;
  readonly next: PodPlace | undefined;
}

export interface AuthzDraft {
  readonly image: Image;
  readonly ids: Readonly<Record<'identity' | 'policy', IdDraft>>;
  readonly sets: NewSet[];
  readonly vectors: NewVector[];
  readonly values: NewValue[];
  readonly stacks: NewStack[];
  readonly destinations: DestinationChange[];
  readonly sources: SourceChange[];
  readonly pods: PodChange[];
  /** Principals with the ids that they have from now on. */
  readonly arrived: [principal: string, id: number][];
  /** Principals that nobody has any more, but that sources may lead to until this plan is done, or longer. */
  readonly lingering: string[];
  /** Those of them that go, and those that go once no source has them. */
  readonly left: string[];
  readonly doomed: string[];
  readonly refused: AuthzRefusal[];
  /** The image of a set, or the one that this plan makes. */
  setOf(set: PolicySet): SetImage | undefined;
  stackOf(text: string): StackImage | undefined;
  /** Where a vector of a set stands, if it has a place already. */
  placeOf(image: SetImage, number: number): number | undefined;
  identityId(principal: string): number | undefined;
  addSet(made: NewSet): void;
  addStack(made: NewStack): void;
  addVector(made: NewVector): void;
  addIdentity(principal: string, id: number): void;
  /** The id of a name, a new one if it has none. Some number when there is no room: the unit will be refused. */
  claim(kind: 'identity' | 'policy', name: string): number;
  /** Start of `length` slots in a row; some number when there are none. */
  allocate(map: RangedMap, length: number): number;
  count(map: CountedMap, entries?: number): void;
  /** Entries of `map` that nothing has taken yet. */
  free(map: CountedMap): number;
  generation(): number;
  /** Begins a unit: all or nothing of it is kept. */
  begin(): void;
  /** Ends it. What it lacks, if anything: nothing of it is kept then. `short`: it is known to lack this. */
  end(short?: AuthzShortage): AuthzShortage | undefined;
  /** Entries of new names. */
  readonly names: number;
  readonly ranges: Readonly<Record<RangedMap, RangeDraft>>;
  readonly lastGeneration: number;
}

type Counts = Record<CountedMap, number>;
const zeros = (): Counts => ({
  authz_dest: 0,
  authz_source: 0,
  authz_value: 0,
  authz_range: 0,
  pod_address: 0,
  name: 0,
});

export function draftAuthz(image: Image): AuthzDraft {
  const { authz } = image;
  const ids = { identity: image.ids.identity.draft(), policy: image.ids.policy.draft() };
  const ranges: Record<RangedMap, RangeDraft> = {
    authz_stack: authz.ranges.authz_stack.draft(),
    authz_set: authz.ranges.authz_set.draft(),
    authz_word: authz.ranges.authz_word.draft(),
    authz_member: authz.ranges.authz_member.draft(),
  };
  const sets: NewSet[] = [];
  const vectors: NewVector[] = [];
  const values: NewValue[] = [];
  const stacks: NewStack[] = [];
  const destinations: DestinationChange[] = [];
  const sources: SourceChange[] = [];
  const pods: PodChange[] = [];
  const arrived: [string, number][] = [];
  const lists: { length: number }[] = [values, destinations, sources, pods];
  const newSets = new Map<PolicySet, SetImage>();
  const newStacks = new Map<string, StackImage>();
  const newPlaces = new Map<SetImage, Map<number, number>>();
  const newIdentities = new Map<string, number>();

  const taken = zeros();
  let needed = zeros();
  let noRange: AuthzShortage | undefined;
  let generation = authz.generation;
  let marks = markOf();

  function markOf() {
    return {
      lists: lists.map((list) => list.length),
      counts: [sets.length, stacks.length, vectors.length, arrived.length] as const,
      ids: [ids.identity.mark(), ids.policy.mark()] as const,
      ranges: rangedMaps.map((map) => ranges[map].mark()),
    };
  }
  const free = (map: CountedMap): number => {
    const held = map === 'name' ? image.counts.name : heldIn(authz, map);
    const size = map === 'name' ? image.sizes.name : authz.sizes[map];
    return Math.max(0, size - held - taken[map]);
  };
  const abandon = (): void => {
    for (const [i, list] of lists.entries()) list.length = marks.lists[i] as number;
    const [setCount, stackCount, vectorCount, arrivedCount] = marks.counts;
    for (const { set } of sets.splice(setCount)) newSets.delete(set);
    for (const { image: stack } of stacks.splice(stackCount)) newStacks.delete(stack.text);
    for (const { image: set, number } of vectors.splice(vectorCount)) newPlaces.get(set)?.delete(number);
    for (const [principal] of arrived.splice(arrivedCount)) newIdentities.delete(principal);
    ids.identity.rollback(marks.ids[0]);
    ids.policy.rollback(marks.ids[1]);
    for (const [i, map] of rangedMaps.entries()) ranges[map].rollback(marks.ranges[i] as number);
  };

  return {
    image,
    ids,
    ranges,
    sets,
    vectors,
    values,
    stacks,
    destinations,
    sources,
    pods,
    arrived,
    lingering: [],
    left: [],
    doomed: [],
    refused: [],
    setOf: (set) => newSets.get(set) ?? authz.sets.get(set),
    stackOf: (text) => newStacks.get(text) ?? authz.stacks.get(text),
    placeOf: (set, number) => set.places.get(number) ?? newPlaces.get(set)?.get(number),
    identityId: (principal) => newIdentities.get(principal) ?? authz.identities.get(principal),
    addSet(made) {
      sets.push(made);
      newSets.set(made.set, made.image);
    },
    addStack(made) {
      stacks.push(made);
      newStacks.set(made.image.text, made.image);
    },
    addVector(made) {
      vectors.push(made);
      const places = newPlaces.get(made.image) ?? new Map<number, number>();
      newPlaces.set(made.image, places.set(made.number, made.place));
    },
    addIdentity(principal, id) {
      arrived.push([principal, id]);
      newIdentities.set(principal, id);
    },
    claim(kind, name) {
      const id = ids[kind].claim(name, () => {
        needed.name += partCountOf(name);
      });
      if (id === undefined) noRange ??= { map: 'name', needed: 1, free: 0 };
      return id ?? 1;
    },
    allocate(map, length) {
      const start = ranges[map].allocate(length);
      if (start === undefined) noRange ??= { map, needed: length, free: ranges[map].largestFree() };
      return start ?? 1;
    },
    count(map, entries = 1) {
      needed[map] += entries;
    },
    free,
    generation() {
      generation = generation >= 0xffffffff ? 1 : generation + 1;
      return generation;
    },
    begin() {
      needed = zeros();
      noRange = undefined;
      marks = markOf();
    },
    end(known) {
      const map = countedMaps.find((counted) => needed[counted] > free(counted));
      const short = known ?? (map ? { map, needed: needed[map], free: free(map) } : noRange);
      if (short) abandon();
      else for (const counted of countedMaps) taken[counted] += needed[counted];
      return short;
    },
    get names() {
      return taken.name;
    },
    get lastGeneration() {
      return generation;
    },
  };
}
