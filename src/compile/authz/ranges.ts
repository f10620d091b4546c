// SPDX-License-Identifier: Apache-2.0
// Named ranges as entries of a longest-prefix trie: each with every named range that takes it in, so that the longest match tells all of them.
import { finish, type Steps } from '../../mesh/steps.ts';
import { type Address, writeAddress } from '../../net/address.ts';
import { addressBits, coversMapped, parseCidr } from '../../net/cidr.ts';

/** One entry: the first `prefix` bits of the 16-byte address. */
export interface RangeEntry {
  /** The first one, host bits zero. */
  readonly address: Address;
  readonly bytes: Uint8Array;
  readonly prefix: number;
  /** Texts of the named ranges that hold every address whose longest match this is. */
  readonly chain: readonly string[];
}

interface Named {
  readonly text: string;
  readonly address: Address;
  readonly bytes: Uint8Array;
  readonly prefix: number;
  readonly v4: boolean;
  /** It is one of IPv6 addresses whose first bits are those of the mapped ones, too. */
  readonly coversMapped: boolean;
}

const mappedPrefix = 96;

function namedOf(text: string): Named {
  const range = parseCidr(text) ?? { address: text, length: addressBits(text) };
  const bytes = new Uint8Array(16);
  writeAddress(range.address, bytes);
  const v4 = addressBits(range.address) === 32;
  const prefix = range.length + (v4 ? mappedPrefix : 0);
  return { text, address: range.address, bytes, prefix, v4, coversMapped: coversMapped(range) };
}

function compare(a: Named, b: Named): number {
  for (let i = 0; i < 16; i++) {
    const by = (a.bytes[i] as number) - (b.bytes[i] as number);
    if (by !== 0) return by;
  }
  return a.prefix - b.prefix;
}

/** `list` in order: runs are sorted at once, and merged in steps. */
function* sorting<T>(list: readonly T[], order: (a: T, b: T) => number): Steps<readonly T[]> {
  if (list.length <= rangesAStep) return list.toSorted(order);
  const middle = list.length >>> 1;
  const left = yield* sorting(list.slice(0, middle), order);
  const right = yield* sorting(list.slice(middle), order);
  yield;
  const out: T[] = [];
  let [l, r] = [0, 0];
  while (l < left.length && r < right.length) {
    out.push(order(left[l] as T, right[r] as T) <= 0 ? (left[l++] as T) : (right[r++] as T));
  }
  for (; l < left.length; l++) out.push(left[l] as T);
  for (; r < right.length; r++) out.push(right[r] as T);
  return out;
}

/** True when the first `prefix` bits of both are the same. */
export function samePrefix(a: Uint8Array, b: Uint8Array, prefix: number): boolean {
  const whole = prefix >>> 3;
  for (let i = 0; i < whole; i++) if (a[i] !== b[i]) return false;
  const rest = prefix & 7;
  return rest === 0 || (((a[whole] as number) ^ (b[whole] as number)) & (0xff00 >> rest) & 0xff) === 0;
}

/**
 * Entries of canonical range texts. A range of IPv6 addresses never holds an IPv4 one, although its prefix may take in the mapped ones: then all
 * of IPv4 has an entry of its own.
 */
export function rangeEntries(texts: Iterable<string>): RangeEntry[] {
  return finish(makingRangeEntries(texts));
}

const rangesAStep = 256;

/** rangeEntries() in steps. */
export function* makingRangeEntries(texts: Iterable<string>): Steps<RangeEntry[]> {
  const all: Named[] = [];
  for (const text of texts) if (all.push(namedOf(text)) % rangesAStep === 0) yield;
  const out: RangeEntry[] = [];
  for (const v4 of [true, false]) {
    const around: RangeEntry[] = [];
    // An outer range sorts before what lies in it.
    const family = all.filter((named) => named.v4 === v4);
    for (const { text, address, bytes, prefix } of yield* sorting(family, compare)) {
      for (;;) {
        const last = around.at(-1);
        if (last === undefined || (last.prefix <= prefix && samePrefix(last.bytes, bytes, last.prefix))) break;
        around.pop();
      }
      const entry = { address, bytes, prefix, chain: [...(around.at(-1)?.chain ?? []), text] };
      around.push(entry);
      if (out.push(entry) % rangesAStep === 0) yield;
    }
  }
  if (
    all.some((named) => named.coversMapped) &&
    !out.some(({ bytes, prefix }) => prefix === mappedPrefix && isMapped(bytes))
  ) {
    const bytes = new Uint8Array(16);
    writeAddress('0.0.0.0', bytes);
    out.push({ address: '0.0.0.0', bytes, prefix: mappedPrefix, chain: [] });
  }
  return out;
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((b) => b === 0);
}

/** Longest-prefix lookup as the trie does it: by the prefix lengths in use. */
export interface RangeLookup<T> {
  find(bytes: Uint8Array): T | undefined;
}

export function openRangeLookup<T>(entries: readonly (RangeEntry & { readonly value: T })[]): RangeLookup<T> {
  const byPrefix = new Map<number, Map<string, T>>();
  for (const { bytes, prefix, value } of entries) {
    let table = byPrefix.get(prefix);
    if (table === undefined) {
      table = new Map();
      byPrefix.set(prefix, table);
    }
    table.set(masked(bytes, prefix), value);
  }
  const longestFirst = [...byPrefix].sort(([a], [b]) => b - a);
  return {
    find(bytes) {
      for (const [prefix, table] of longestFirst) {
        const found = table.get(masked(bytes, prefix));
        if (found !== undefined) return found;
      }
      return undefined;
    },
  };
}

function masked(bytes: Uint8Array, prefix: number): string {
  const whole = prefix >>> 3;
  let out = '';
  for (let i = 0; i < whole; i++) out += String.fromCharCode(bytes[i] as number);
  const rest = prefix & 7;
  return rest === 0 ? out : out + String.fromCharCode((bytes[whole] as number) & (0xff00 >> rest) & 0xff);
}
