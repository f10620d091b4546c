// SPDX-License-Identifier: Apache-2.0
// Policy sets as the pinned maps hold them: what is sound, what of words and members is a set's own, and the entries of values and ranges.
import { authzValueTag } from '../../abi/hash.ts';
import type { ValueOfMap } from '../../abi/maps.ts';
import { rangeSetBits, valuePort } from '../../abi/structs.ts';
import type { Steps } from '../../mesh/steps.ts';
import type { IdTables } from '../image.ts';
import type { Sizes } from '../limited-maps.ts';
import { eachEntry, type Pins } from '../pins.ts';
import type { TakenRange } from '../ranges.ts';
import { memberOf } from './from-maps.ts';
import type { RangePlace, SetImage } from './image.ts';
import { maxWords, wordBits } from './vector.ts';

type Header = ValueOfMap<'authz_set'>;

/** Never equal to a vector that is looked for. */
const noVector = 0xffffffff;

/** What authz_value and authz_range hold for one set. */
export interface Entries {
  readonly values: Map<number, number>;
  readonly ranges: (RangePlace & { readonly vector: number })[];
}

export function* readEntries(pins: Pins): Steps<Map<number, Entries>> {
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

/** Words and members of all sets that are sound. */
interface Slots {
  readonly words: BigUint64Array;
  readonly members: Uint32Array;
}

/** Reads as many slots as some set may name. */
function* readSlots(
  pins: Pins,
  headers: ReadonlyMap<number, Header>,
  vectors: (id: number) => Set<number>,
  sizes: Sizes,
): Steps<Slots> {
  let [wordsEnd, membersEnd] = [0, 0];
  for (const [id, header] of headers) {
    const end = header.ends[3] as number;
    membersEnd = Math.max(membersEnd, header.member + end * wordBits);
    for (const first of header.usual) wordsEnd = Math.max(wordsEnd, first + end);
    for (const vector of vectors(id)) {
      if (vector + 2 <= sizes.authz_word) wordsEnd = Math.max(wordsEnd, vector + 2 + maxWords);
    }
  }
  const words = new BigUint64Array(Math.min(wordsEnd, sizes.authz_word));
  if (words.length > 0) {
    yield* eachEntry(pins, 'authz_word', (at, word) => words.fill(word, at, at + 1), words.length);
  }
  const members = new Uint32Array(membersEnd);
  if (members.length > 0) {
    yield* eachEntry(pins, 'authz_member', (at, value) => members.fill(value, at, at + 1), members.length);
  }
  return { words, members };
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

/** An image for each set in use; of one that is not sound only its entries are known. */
export function* readSets(
  pins: Pins,
  found: ReadonlyMap<number, Header>,
  inUse: ReadonlyMap<number, ReadonlySet<number>>,
  entries: ReadonlyMap<number, Entries>,
  ids: IdTables,
  sizes: Sizes,
): Steps<Map<number, SetImage>> {
  const headers = new Map([...found].filter(([, header]) => isSound(header, sizes)));
  const vectors = (id: number) => vectorsIn(headers.get(id) as Header, inUse.get(id), entries.get(id));
  const { words, members } = yield* readSlots(pins, headers, vectors, sizes);
  const taken = { words: new Uint8Array(words.length), members: new Uint8Array(members.length) };
  const out = new Map<number, SetImage>();
  for (const [id, destinations] of inUse) {
    const { values, ranges } = entries.get(id) ?? { values: new Map<number, number>(), ranges: [] };
    const image: SetImage = {
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
    out.set(id, image);
    yield;
    const header = headers.get(id);
    if (!header) continue;
    const end = header.ends[3] as number;
    const slots: [number, number][] = header.usual.map((first) => [first, end]);
    for (const vector of vectors(id)) {
      if (vector + 2 <= words.length) slots.push([vector, 2 + bitsIn(words[vector + 1] as bigint)]);
    }
    yield;
    const held = Array.from(members.subarray(header.member, header.member + end * wordBits));
    const [member, ...pieces] = takeSlots(taken.members, [[header.member, end * wordBits]]);
    const wordAt = (at: number): bigint => words[at] ?? -1n;
    // Slots that two sets name are not known to be either's: such a set is written again.
    const isWhole = pieces.length === 0 && (member?.[1] ?? 0) === end * wordBits;
    out.set(id, {
      ...image,
      read: isWhole ? { header, members: held, values, entries: ranges, destinations, wordAt } : undefined,
      member: isWhole ? member : undefined,
      policies: policyIds(held, ids),
      words: takeSlots(taken.words, slots),
    });
  }
  return out;
}
