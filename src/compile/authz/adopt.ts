// SPDX-License-Identifier: Apache-2.0
// Sets that were read from the kernel, compared with those that are wanted: what is the same is taken over as it is.
import { valuePort } from '../../abi/structs.ts';
import type { Steps } from '../../mesh/steps.ts';
import type { Image } from '../image.ts';
import type { AuthzIndex } from './compile.ts';
import type { ReadSet, SetImage } from './image.ts';
import { bitWords, dimensionsOf, membersOf, portValue, usedBits, vectorWords } from './plan-sets.ts';
import type { PolicySet } from './set.ts';
import { concernedBy, type Sources } from './sources.ts';
import type { Vector } from './vector.ts';

/** Entries compared between two pauses. */
const entriesAStep = 256;

function same(read: ReadSet, first: number, words: Iterable<bigint>): boolean {
  let at = first;
  for (const word of words) if (read.wordAt(at++) !== word) return false;
  return true;
}

const outlineOf = (ends: ArrayLike<number>, used: number, members: readonly number[]): string =>
  `${Array.from(ends).join()} ${used} ${members.join()}`;

/** Names the sets of which the kernel holds an equal one. Makes `image` know more; nothing of the kernel changes. */
export function* adopting(image: Image, index: AuthzIndex): Steps<void> {
  const { authz } = image;
  const unread = new Map<string, SetImage[]>();
  for (const candidate of authz.unread) {
    if (!candidate.read) continue;
    const { header, members } = candidate.read;
    const outline = outlineOf(header.ends, header.used, members);
    const others = unread.get(outline);
    if (others) others.push(candidate);
    else unread.set(outline, [candidate]);
  }
  yield;
  const adopted = new Set<SetImage>();
  const looked = new Set<PolicySet>();
  const adopt = function* (set: PolicySet): Steps<void> {
    const members = membersOf(set, (policy) => image.ids.policy.idOf(policy));
    for (const candidate of unread.get(outlineOf(set.ends, usedBits(set), members)) ?? []) {
      const { read } = candidate;
      const found = read && !candidate.set ? yield* comparing(image, set, read, index.sources) : undefined;
      if (!found) continue;
      candidate.set = set;
      candidate.base = found.base;
      for (const [number, place] of found.places) candidate.places.set(number, place);
      authz.sets.set(set, candidate);
      authz.unread.delete(candidate);
      adopted.add(candidate);
      return;
    }
  };
  for (const { stack } of index.destinations.values()) {
    for (const { set, destination } of stack.sets) {
      if (!looked.has(set) && !authz.sets.has(set)) yield* adopt(set);
      looked.add(set);
      const found = authz.sets.get(set);
      if (!found?.read || found.places.has(destination)) continue;
      const words = [...vectorWords(set.vectors[destination] as Vector)];
      for (const place of found.read.destinations) {
        if (!same(found.read, place, words)) continue;
        found.places.set(destination, place);
        break;
      }
    }
    yield;
  }
  for (const set of adopted) set.read = undefined;
}

/** How the kernel holds an equal set: where its vectors stand, and which one identities without an entry have. */
interface Equal {
  readonly places: ReadonlyMap<number, number>;
  readonly base: number;
}

/** `set` as it was read; undefined when that differs. */
function* comparing(image: Image, set: PolicySet, read: ReadSet, sources: Sources): Steps<Equal | undefined> {
  const places = new Map<number, number>();
  const isAt = (number: number, place: number | undefined): boolean => {
    if (place === undefined) return false;
    if (places.get(number) === place) return true;
    if (!same(read, place, vectorWords(set.vectors[number] as Vector))) return false;
    if (!places.has(number)) places.set(number, place);
    return true;
  };
  const { header, values } = read;
  const dimensions = dimensionsOf(set);
  for (const [i, { usual, base }] of dimensions.entries()) {
    if (!same(read, header.usual[i] as number, bitWords(usual))) return undefined;
    if (i > 0 && !isAt(base, header.base[i])) return undefined;
  }
  if (!isAt(set.identity.anonymous, header.anonymous)) return undefined;

  let ports = 0;
  for (const value of values.keys()) if (value >= valuePort) ports++;
  if (ports !== set.port.entries.size) return undefined;
  for (const [port, number] of set.port.entries) if (!isAt(number, values.get(portValue(port)))) return undefined;

  if (read.entries.length !== set.source.entries.length) return undefined;
  let seen = 0;
  const ranges = new Map<string, number>();
  for (const { address, prefix, vector } of read.entries) {
    ranges.set(`${address}/${prefix}`, vector);
    if (++seen % entriesAStep === 0) yield;
  }
  for (const { address, prefix, value } of set.source.entries) {
    if (!isAt(value, ranges.get(`${address}/${prefix}`))) return undefined;
    if (++seen % entriesAStep === 0) yield;
  }

  // An identity that has no id yet is given its entries later, and one that nobody has any more loses them.
  const usual = isAt(set.identity.base, header.base[0]);
  let base = usual ? set.identity.base : undefined;
  const concerned = new Set<number>();
  const identities = !set.identity.used ? [] : usual ? concernedBy(set, sources) : sources.identities.values();
  for (const { principal, identity } of identities) {
    if (++seen % entriesAStep === 0) yield;
    const id = image.authz.identities.get(principal);
    if (id === undefined) continue;
    concerned.add(id);
    const number = set.identityVector(identity);
    const place = values.get(id);
    if (!isAt(number, place ?? header.base[0])) return undefined;
    if (place === undefined) base ??= number;
  }
  if (base === undefined) return undefined;
  for (const [value, place] of values) {
    if (value >= valuePort || concerned.has(value)) continue;
    const principal = image.ids.identity.nameOf(value);
    if (principal !== undefined && sources.identities.has(principal) && !isAt(set.identity.base, place))
      return undefined;
  }
  return { places, base };
}
