// SPDX-License-Identifier: Apache-2.0
// Sets and their vectors in the kernel: where they stand, and the operations that write them.
import { authzValueTag } from '../../abi/hash.ts';
import { memberPolicyBits, rangeSetBits, valuePort } from '../../abi/structs.ts';
import { type Identity, identityFrom } from '../../mesh/identity.ts';
import { policyKey, ruleNumber } from '../../mesh/policy.ts';
import type { PutOperation } from '../operation.ts';
import type { Operations } from '../plan-steps.ts';
import type { AuthzDraft, NewSet, NewStack, NewValue, NewVector } from './draft.ts';
import type { SetImage } from './image.ts';
import type { PolicySet } from './set.ts';
import { concernedBy, type KnownIdentity, type Sources } from './sources.ts';
import type { Bits, Vector } from './vector.ts';

const word = (low: number, high: number): bigint => (BigInt(high) << 32n) | BigInt(low);

/** Words that a vector takes: summary, changed, and those that are not the usual ones. */
export function wordsOf({ words }: Vector): number {
  return 2 + words.length / 2;
}

export function* vectorWords({ summary, changed, words }: Vector): Generator<bigint> {
  yield word(...summary);
  yield word(...changed);
  for (let at = 0; at < words.length; at += 2) yield word(words[at] as number, words[at + 1] as number);
}

export function* bitWords(bits: Bits): Generator<bigint> {
  for (let at = 0; at < bits.length; at += 2) yield word(bits[at] as number, bits[at + 1] as number);
}

/** In the order of `dimensions`. */
export function dimensionsOf({ identity, source, destination, port }: PolicySet) {
  return [identity, source, destination, port] as const;
}

/** Bits of a connection that some conjunction asks for. */
export function usedBits(set: PolicySet): number {
  return dimensionsOf(set).reduce((bits, { used }, i) => bits | (used ? 1 << i : 0), 0);
}

const largestRule = 2 ** (32 - memberPolicyBits) - 1;

/** What authz_member says of a conjunction: its policy, and its rule where there is room for the number. */
function memberValue(policy: number, rule: number): number {
  return (Math.min(rule, largestRule) * 2 ** memberPolicyBits + policy) >>> 0;
}

export function membersOf(set: PolicySet, idOf: (policy: string) => number | undefined): number[] {
  return set.members.map((member) => {
    return member ? memberValue(idOf(policyKey(member.policy)) ?? 0, ruleNumber(member.policy, member.rule)) : 0;
  });
}

/** Number of the vector of identities without an entry, and of those that have one by id. */
interface IdentityValues {
  readonly base: number;
  readonly values: ReadonlyMap<number, number>;
}

/** From so many entries on it is looked whether another vector is what most identities have: "cluster.local/*" is true for all. */
const many = 64;

/** The entries of the identities that the kernel knows, those included that nobody has any more and some address may still lead to. */
function identityValues(draft: AuthzDraft, set: PolicySet, sources: Sources): IdentityValues {
  const { base } = set.identity;
  const values = new Map<number, number>();
  if (!set.identity.used) return { base, values };
  const { parting } = draft.image.authz;
  const add = (principal: string, identity: Identity, other: number): void => {
    const id = draft.identityId(principal) ?? parting.get(principal);
    const number = set.identityVector(identity);
    if (id !== undefined && number !== other) values.set(id, number);
  };
  const addAll = (known: Iterable<KnownIdentity>, other: number): void => {
    for (const { principal, identity } of known) add(principal, identity, other);
    for (const principal of [...draft.lingering, ...parting.keys()]) {
      const identity = identityFrom(principal);
      if (identity) add(principal, identity, other);
    }
  };
  addAll(concernedBy(set, sources), base);
  if (values.size < many || values.size < sources.identities.size / 2) return { base, values };
  const usual = usualOf(values.values());
  values.clear();
  addAll(sources.identities.values(), usual);
  return { base: usual, values };
}

/** The number that comes most often. */
function usualOf(numbers: Iterable<number>): number {
  const counts = new Map<number, number>();
  for (const number of numbers) counts.set(number, (counts.get(number) ?? 0) + 1);
  return [...counts].reduce((most, each) => (each[1] > most[1] ? each : most))[0];
}

/** Claims all that a new set takes, within a unit. */
export function planSet(draft: AuthzDraft, set: PolicySet, sources: Sources): SetImage {
  const { base, values } = identityValues(draft, set, sources);
  const policies = new Map<string, number>();
  for (const member of set.members) {
    if (!member) continue;
    const name = policyKey(member.policy);
    if (!policies.has(name)) policies.set(name, draft.claim('policy', name));
  }
  const words = set.ends[3];
  const length = set.vectors.reduce((sum, vector) => sum + wordsOf(vector), 4 * words);
  const first = draft.allocate('authz_word', length);
  const places = new Map<number, number>();
  let at = first + 4 * words;
  for (const [number, vector] of set.vectors.entries()) {
    places.set(number, at);
    at += wordsOf(vector);
  }
  draft.count('authz_value', values.size + set.port.entries.size);
  draft.count('authz_range', set.source.entries.length);
  const image: SetImage = {
    id: draft.allocate('authz_set', 1),
    set,
    read: undefined,
    policies: [...policies.values()],
    base,
    identities: new Set(values.keys()),
    ports: [...set.port.entries.keys()],
    entries: set.source.entries,
    member: [draft.allocate('authz_member', set.members.length), set.members.length],
    words: [[first, length]],
    places,
    stacks: 0,
  };
  draft.addSet({ image, set, generation: draft.generation(), values });
  return image;
}

/** Place of a vector of a set, claimed if it has none. */
export function planVector(draft: AuthzDraft, image: SetImage, set: PolicySet, number: number): number {
  const held = draft.placeOf(image, number);
  if (held !== undefined) return held;
  const place = draft.allocate('authz_word', wordsOf(set.vectors[number] as Vector));
  draft.addVector({ image, number, place });
  return place;
}

function operations(length: number, each: () => Iterator<PutOperation, void>): Operations<PutOperation> {
  return { length, [Symbol.iterator]: each };
}

function* words(first: number, values: Iterable<bigint>, about: string): Generator<PutOperation, void> {
  let key = first;
  for (const value of values) yield { kind: 'put', map: 'authz_word', key: key++, value, about };
}

const aboutSet = ({ id }: SetImage): string => `policy set ${id}`;

export function setWords({ image, set }: NewSet): Operations<PutOperation> {
  const [first, length] = image.words[0] as readonly [number, number];
  return operations(length, function* () {
    const about = aboutSet(image);
    let at = first;
    for (const { usual } of dimensionsOf(set)) {
      yield* words(at, bitWords(usual), about);
      at += set.ends[3];
    }
    // Vectors that were asked for later have places of their own.
    for (const number of image.places.keys()) {
      const place = image.places.get(number) as number;
      if (place < first || place >= first + length) continue;
      yield* words(place, vectorWords(set.vectors[number] as Vector), about);
    }
  });
}

export function setMembers(
  { image, set }: NewSet,
  idOf: (policy: string) => number | undefined,
): Operations<PutOperation> {
  return operations(set.members.length, function* () {
    const first = image.member?.[0] as number;
    for (const [i, value] of membersOf(set, idOf).entries()) {
      yield { kind: 'put', map: 'authz_member', key: first + i, value, about: aboutSet(image) };
    }
  });
}

export function setHeader({ image, set, generation }: NewSet): PutOperation {
  const place = (number: number): number => image.places.get(number) as number;
  const first = image.words[0]?.[0] as number;
  const dimensions = dimensionsOf(set);
  return {
    kind: 'put',
    map: 'authz_set',
    key: image.id,
    value: {
      generation,
      ends: Uint8Array.from(set.ends),
      used: usedBits(set),
      member: image.member?.[0] as number,
      usual: dimensions.map((_, i) => first + i * set.ends[3]),
      base: dimensions.map(({ base }, i) => place(i === 0 ? image.base : base)),
      anonymous: place(set.identity.anonymous),
    },
    about: aboutSet(image),
  };
}

function valuePut(image: SetImage, value: number, vector: number): PutOperation {
  const key = { set: image.id, value };
  return {
    kind: 'put',
    map: 'authz_value',
    key,
    value: { vector, tag: authzValueTag(key) },
    about: aboutSet(image),
  };
}

/** Key of authz_value for a port. */
export const portValue = (port: number): number => (port | valuePort) >>> 0;

export function setValues({ image, set, values }: NewSet): Operations<PutOperation> {
  return operations(values.size + set.port.entries.size, function* () {
    const place = (number: number): number => image.places.get(number) as number;
    for (const [identity, number] of values) yield valuePut(image, identity, place(number));
    for (const [port, number] of set.port.entries) yield valuePut(image, portValue(port), place(number));
  });
}

export function setRanges({ image, set }: NewSet): Operations<PutOperation> {
  return operations(set.source.entries.length, function* () {
    for (const { address, prefix, value } of set.source.entries) {
      yield {
        kind: 'put',
        map: 'authz_range',
        key: { prefixlen: rangeSetBits + prefix, set: image.id, addr: address },
        value: { vector: image.places.get(value) as number, set: image.id },
        about: aboutSet(image),
      };
    }
  });
}

export function vectorPuts({ image, number, place }: NewVector): Operations<PutOperation> {
  const vector = image.set?.vectors[number] as Vector;
  return operations(wordsOf(vector), () => words(place, vectorWords(vector), aboutSet(image)));
}

export function identityPut({ image, identity, place }: NewValue): PutOperation {
  return valuePut(image, identity, place);
}

export function stackPut({ image, generation, flags, places }: NewStack): PutOperation {
  return {
    kind: 'put',
    map: 'authz_stack',
    key: image.id,
    value: {
      generation,
      count: places.length,
      flags,
      sets: image.sets.flatMap(({ id }, i) => [id, places[i] as number]),
    },
    about: `policies ${image.text}`,
  };
}
