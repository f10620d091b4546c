// SPDX-License-Identifier: Apache-2.0
// What the pinned maps hold to judge connections by. Only what a destination leads to counts: sets and stacks that nothing names are free,
// and entries of such sets are strays.
import { addressTag } from '../../abi/hash.ts';
import type { KeyOf, ValueOfMap } from '../../abi/maps.ts';
import { identityHost, rangeSetBits, stackSets } from '../../abi/structs.ts';
import type { Steps } from '../../mesh/steps.ts';
import type { Address } from '../../net/address.ts';
import type { IdTables } from '../image.ts';
import type { Sizes } from '../limited-maps.ts';
import type { DeleteOperation } from '../operation.ts';
import { eachEntry, entriesAStep, type Pins } from '../pins.ts';
import { type AuthzImage, emptyAuthzImage, podPlace, type SetImage, type StackImage, setSource } from './image.ts';
import { type Entries, readEntries, readSets } from './read-sets.ts';
import { stackText } from './stack-text.ts';

type Stack = ValueOfMap<'authz_stack'>;

/** Values of an array at `ids`. */
function* readAt<M extends 'authz_stack' | 'authz_set'>(
  pins: Pins,
  map: M,
  ids: ReadonlySet<number>,
): Steps<Map<number, ValueOfMap<M>>> {
  const out = new Map<number, ValueOfMap<M>>();
  const below = [...ids].reduce((most, id) => Math.max(most, id + 1), 0);
  if (below === 0) return out;
  const each = (id: KeyOf<M>, value: ValueOfMap<M>): void => {
    if (ids.has(id as number)) out.set(id as number, value);
  };
  yield* eachEntry(pins, map, each, below);
  return out;
}

/** What destinations lead to. */
interface Led {
  /** Address -> id of its stack; 0: what is held cannot be used. */
  readonly stackOf: ReadonlyMap<Address, number>;
  /** Those that make sense. */
  readonly stacks: ReadonlyMap<number, Stack>;
  /** Set that some of them names -> its destination vectors that they name. */
  readonly sets: ReadonlyMap<number, ReadonlySet<number>>;
}

function* readLed(pins: Pins, sizes: Sizes): Steps<Led> {
  const stackOf = new Map<Address, number>();
  yield* eachEntry(pins, 'authz_dest', (address, { stack, tag }) => {
    stackOf.set(address as Address, tag === addressTag(address) && stack < sizes.authz_stack ? stack : 0);
  });
  const stacks = yield* readAt(pins, 'authz_stack', new Set(stackOf.values()));
  stacks.delete(0);
  const found = new Map<number, Set<number>>();
  for (const [id, { count, sets }] of stacks) {
    const named = Array.from(
      { length: Math.min(count, stackSets) },
      (_, i) => [sets[2 * i], sets[2 * i + 1]] as [number, number],
    );
    if (count > stackSets || named.some(([set]) => set === 0 || set >= sizes.authz_set)) {
      stacks.delete(id);
      continue;
    }
    for (const [set, vector] of named) found.set(set, (found.get(set) ?? new Set()).add(vector));
  }
  return { stackOf, stacks, sets: found };
}

/** The picture of `pins`; names of identities and policies that are in use are referred to in `ids`. */
export function* readAuthz(pins: Pins, ids: IdTables, sizes: Sizes): Steps<AuthzImage> {
  const { stackOf, stacks, sets } = yield* readLed(pins, sizes);
  const headers = yield* readAt(pins, 'authz_set', new Set(sets.keys()));
  const entries = yield* readEntries(pins);
  const setImages = yield* readSets(pins, headers, sets, entries, ids, sizes);

  const isSet = (id: number): boolean => id > 0 && id < sizes.authz_set;
  const authz = emptyAuthzImage(sizes, {
    authz_stack: [...stacks.keys()].map((id) => [id, 1]),
    authz_set: [...new Set([...sets.keys(), ...entries.keys()])].filter(isSet).map((id) => [id, 1]),
    authz_word: [...setImages.values()].flatMap((image) => image.words),
    authz_member: [...setImages.values()].flatMap(({ member }) => (member ? [member] : [])),
  });
  takeStacks(authz, stackOf, stacks, setImages);
  yield;
  for (const { values, ranges } of entries.values()) {
    authz.counts.authz_value += values.size;
    authz.counts.authz_range += ranges.length;
  }
  authz.stray = yield* strayEntries(entries, setImages);
  authz.strayIds = [...entries.keys()].filter((id) => !setImages.has(id) && isSet(id));
  yield* readSources(pins, authz, ids, setImages);
  yield* eachEntry(pins, 'pod_address', (address, place) => void authz.pods.set(address as Address, podPlace(place)));
  return authz;
}

function takeStacks(
  authz: AuthzImage,
  stackOf: ReadonlyMap<Address, number>,
  stacks: ReadonlyMap<number, Stack>,
  setImages: ReadonlyMap<number, SetImage>,
): void {
  const images = new Map<number, StackImage>();
  for (const [id, { generation, count, flags, sets }] of stacks) {
    const of: SetImage[] = [];
    const places: number[] = [];
    for (let i = 0; i < count; i++) {
      of.push(setImages.get(sets[2 * i] as number) as SetImage);
      places.push(sets[2 * i + 1] as number);
    }
    for (const set of of) {
      set.stacks++;
      authz.unread.add(set);
      authz.generation = Math.max(authz.generation, set.read?.header.generation ?? 0);
    }
    authz.generation = Math.max(authz.generation, generation);
    const image = { id, text: stackText(flags, of, places), sets: of, destinations: 0 };
    images.set(id, image);
    authz.stacks.set(image.text, image);
  }
  for (const [address, id] of stackOf) {
    const image = images.get(id);
    authz.destinations.set(address, image);
    if (image) image.destinations++;
  }
}

function* strayEntries(
  entries: ReadonlyMap<number, Entries>,
  setImages: ReadonlyMap<number, SetImage>,
): Steps<DeleteOperation[]> {
  const values: DeleteOperation[] = [];
  const ranges: DeleteOperation[] = [];
  for (const [set, held] of entries) {
    if (setImages.has(set)) continue;
    yield;
    const about = `of policy set ${set}, which nothing names`;
    for (const value of held.values.keys())
      values.push({ kind: 'delete', map: 'authz_value', key: { set, value }, about });
    for (const { address, prefix } of held.ranges) {
      const key = { prefixlen: rangeSetBits + prefix, set, addr: address };
      ranges.push({ kind: 'delete', map: 'authz_range', key, about });
    }
  }
  return [...values, ...ranges];
}

function* readSources(
  pins: Pins,
  authz: AuthzImage,
  ids: IdTables,
  setImages: ReadonlyMap<number, SetImage>,
): Steps<void> {
  const know = (id: number): boolean => {
    const principal = ids.identity.nameOf(id);
    if (principal === undefined) {
      ids.identity.reserve(id);
      return false;
    }
    if (!authz.identities.has(principal)) {
      authz.identities.set(principal, id);
      ids.identity.refer(id);
    }
    return true;
  };
  yield* eachEntry(pins, 'authz_source', (address, { identity, tag }) => {
    const usable = tag === addressTag(address) && (identity === identityHost || know(identity));
    setSource(authz, address as Address, usable ? identity : 0);
  });
  let seen = 0;
  for (const { identities } of setImages.values()) {
    for (const id of identities) {
      know(id);
      if (++seen % entriesAStep === 0) yield;
    }
  }
}
