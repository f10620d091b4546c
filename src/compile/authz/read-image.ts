// SPDX-License-Identifier: Apache-2.0
// What the pinned maps hold to judge connections by. Only what a destination leads to counts: sets and stacks that nothing names are free,
// and entries of such sets are strays.
import { addressTag, authzValueTag } from '../../abi/hash.ts';
import type { KeyOf, ValueOfMap } from '../../abi/maps.ts';
import { identityHost, rangeSetBits, stackSets, valuePort } from '../../abi/structs.ts';
import type { Steps } from '../../mesh/steps.ts';
import type { Address } from '../../net/address.ts';
import type { IdTables } from '../image.ts';
import type { Sizes } from '../limited-maps.ts';
import type { DeleteOperation } from '../operation.ts';
import { eachEntry, entriesAStep, type Pins } from '../pins.ts';
import type { TakenRange } from '../ranges.ts';
import { memberOf } from './from-maps.ts';
import {
  type AuthzImage,
  emptyAuthzImage,
  podPlace,
  type RangePlace,
  type ReadSet,
  type SetImage,
  type StackImage,
  setSource,
} from './image.ts';
import { stackText } from './stack-text.ts';
import { maxWords, wordBits } from './vector.ts';

/** Never equal to a vector that is looked for. */
const noVector = 0xffffffff;

/** What authz_value and authz_range hold for one set. */
interface Entries {
  readonly values: Map<number, number>;
  readonly ranges: (RangePlace & { readonly vector: number })[];
}

type Stack = ValueOfMap<'authz_stack'>;
type Header = ValueOfMap<'authz_set'>;

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

/** Slots of an array below `below`. */
function* readWords(pins: Pins, below: number): Steps<BigUint64Array> {
  const out = new BigUint64Array(below);
  if (below > 0) {
    yield* eachEntry(pins, 'authz_word', (at, word) => out.fill(word, at, at + 1), below);
  }
  return out;
}

function* readMembers(pins: Pins, below: number): Steps<Uint32Array> {
  const out = new Uint32Array(below);
  if (below > 0) {
    yield* eachEntry(pins, 'authz_member', (at, value) => out.fill(value, at, at + 1), below);
  }
  return out;
}

function* readEntries(pins: Pins): Steps<Map<number, Entries>> {
  const out = new Map<number, Entries>();
  const of = (set: number): Entries => {
    const held = out.get(set) ?? { values: new Map(), ranges: [] };
    out.set(set, held);
    return held;
  };
  yield* eachEntry(pins, 'authz_value', (key, { vector, tag }) => {
    of(key.set).values.set(key.value, tag === authzValueTag(key) ? vector : noVector);
  });
  yield* eachEntry(pins, 'authz_range', ({ set, prefixlen, addr }, value) => {
    const vector = value.set === set ? value.vector : noVector;
    of(set).ranges.push({ address: addr === '' ? '::' : addr, prefix: prefixlen - rangeSetBits, vector });
  });
  return out;
}

/** Makes sense of itself: parts in order, and everything inside its array. */
function isSound(header: Header, sizes: Sizes): boolean {
  const [deny = 0, allow = 0, dryDeny = 0, end = 0] = header.ends;
  const words = sizes.authz_word;
  return (
    deny <= allow &&
    allow <= dryDeny &&
    dryDeny <= end &&
    end <= maxWords &&
    header.member + end * wordBits <= sizes.authz_member &&
    header.usual.every((first) => first + end <= words) &&
    [...header.base, header.anonymous].every((vector) => vector + 2 <= words)
  );
}

/** Every vector that something of a set names. */
function vectorsIn(header: Header, destinations: Iterable<number> = [], entries?: Entries): Set<number> {
  const out = new Set([...header.base, header.anonymous, ...destinations, ...(entries?.values.values() ?? [])]);
  for (const { vector } of entries?.ranges ?? []) out.add(vector);
  return out;
}

function bitsIn(word: bigint): number {
  let count = 0;
  for (let left = word; left !== 0n; left &= left - 1n) count++;
  return count;
}

/** Slots that nobody before took, of those of one set. */
function takeSlots(taken: Uint8Array, slots: Iterable<readonly [start: number, length: number]>): TakenRange[] {
  const own: number[] = [];
  for (const [start, length] of slots) {
    for (let at = start; at < Math.min(start + length, taken.length); at++) {
      if (taken[at] !== 0) continue;
      taken[at] = 1;
      own.push(at);
    }
  }
  own.sort((a, b) => a - b);
  const out: [number, number][] = [];
  for (const at of own) {
    const last = out.at(-1);
    if (last && last[0] + last[1] === at) last[1]++;
    else out.push([at, 1]);
  }
  return out;
}

/** The picture of `pins`; names of identities and policies that are in use are referred to in `ids`. */
export function* readAuthz(pins: Pins, ids: IdTables, sizes: Sizes): Steps<AuthzImage> {
  const leads = new Map<Address, number>();
  yield* eachEntry(pins, 'authz_dest', (address, { stack, tag }) => {
    leads.set(address as Address, tag === addressTag(address) && stack < sizes.authz_stack ? stack : 0);
  });
  const stacks = yield* readAt(pins, 'authz_stack', new Set(leads.values()));
  stacks.delete(0);
  const inUse = new Map<number, Set<number>>();
  for (const [id, { count, sets }] of stacks) {
    const named = Array.from(
      { length: Math.min(count, stackSets) },
      (_, i) => [sets[2 * i], sets[2 * i + 1]] as [number, number],
    );
    if (count > stackSets || named.some(([set]) => set === 0 || set >= sizes.authz_set)) {
      stacks.delete(id);
      continue;
    }
    for (const [set, vector] of named) inUse.set(set, (inUse.get(set) ?? new Set()).add(vector));
  }
  const headers = yield* readAt(pins, 'authz_set', new Set(inUse.keys()));
  const entries = yield* readEntries(pins);
  const sound = new Set<number>();
  let [wordsEnd, membersEnd] = [0, 0];
  for (const [id, header] of headers) {
    if (!isSound(header, sizes)) continue;
    sound.add(id);
    const end = header.ends[3] as number;
    membersEnd = Math.max(membersEnd, header.member + end * wordBits);
    for (const first of header.usual) wordsEnd = Math.max(wordsEnd, first + end);
    for (const vector of vectorsIn(header, inUse.get(id), entries.get(id))) {
      if (vector + 2 <= sizes.authz_word) wordsEnd = Math.max(wordsEnd, vector + 2 + maxWords);
    }
  }
  wordsEnd = Math.min(wordsEnd, sizes.authz_word);
  const words = yield* readWords(pins, wordsEnd);
  const members = yield* readMembers(pins, membersEnd);

  const wordTaken = new Uint8Array(wordsEnd);
  const memberTaken = new Uint8Array(membersEnd);
  const setImages = new Map<number, SetImage>();
  for (const [id, destinations] of inUse) {
    const header = headers.get(id);
    const { values, ranges } = entries.get(id) ?? { values: new Map<number, number>(), ranges: [] };
    const image: SetImage & { member: TakenRange | undefined } = {
      id,
      set: undefined,
      read: undefined,
      policies: [],
      base: 0,
      identities: new Set([...values.keys()].filter((value) => value < valuePort)),
      ports: [...values.keys()].filter((value) => value >= valuePort).map((value) => value - valuePort),
      entries: ranges,
      member: undefined,
      words: [],
      places: new Map(),
      stacks: 0,
    };
    setImages.set(id, image);
    yield;
    if (!header || !sound.has(id)) continue;
    const end = header.ends[3] as number;
    const slots: [number, number][] = header.usual.map((first) => [first, end]);
    for (const vector of vectorsIn(header, destinations, entries.get(id))) {
      if (vector + 2 <= wordsEnd) slots.push([vector, 2 + bitsIn(words[vector + 1] as bigint)]);
    }
    yield;
    for (const range of takeSlots(wordTaken, slots)) image.words.push(range);
    const held = Array.from(members.subarray(header.member, header.member + end * wordBits));
    const [member, ...pieces] = takeSlots(memberTaken, [[header.member, end * wordBits]]);
    const read: ReadSet = {
      header,
      members: held,
      values,
      entries: ranges,
      destinations,
      wordAt: (at) => words[at] ?? -1n,
    };
    // Slots that two sets name are not known to be either's: such a set is written again.
    const whole = pieces.length === 0 && (member?.[1] ?? 0) === end * wordBits;
    setImages.set(id, {
      ...image,
      read: whole ? read : undefined,
      member: whole ? member : undefined,
      policies: policyIds(held, ids),
    });
  }

  const authz = emptyAuthzImage(sizes, {
    authz_stack: [...stacks.keys()].map((id) => [id, 1]),
    authz_set: [...new Set([...inUse.keys(), ...entries.keys()])].flatMap((id) => {
      return id > 0 && id < sizes.authz_set ? [[id, 1] as const] : [];
    }),
    authz_word: [...setImages.values()].flatMap((image) => image.words),
    authz_member: [...setImages.values()].flatMap(({ member }) => (member ? [member] : [])),
  });
  takeStacks(authz, leads, stacks, setImages);
  yield;
  for (const { values, ranges } of entries.values()) {
    authz.counts.authz_value += values.size;
    authz.counts.authz_range += ranges.length;
  }
  authz.stray = yield* strayEntries(entries, setImages);
  authz.strayIds = [...entries.keys()].filter((id) => !setImages.has(id) && id > 0 && id < sizes.authz_set);
  yield* readSources(pins, authz, ids, setImages);
  yield* eachEntry(pins, 'pod_address', (address, place) => void authz.pods.set(address as Address, podPlace(place)));
  return authz;
}

/** Those of its members' policies that have names. */
function policyIds(members: readonly number[], ids: IdTables): number[] {
  const found = new Set<number>();
  for (const slot of members) {
    const member = memberOf(slot);
    if (member) found.add(member.policy);
  }
  const named = [...found].filter((id) => ids.policy.nameOf(id) !== undefined);
  for (const id of found) if (ids.policy.nameOf(id) === undefined) ids.policy.reserve(id);
  for (const id of named) ids.policy.refer(id);
  return named;
}

function takeStacks(
  authz: AuthzImage,
  leads: ReadonlyMap<Address, number>,
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
  for (const [address, id] of leads) {
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
