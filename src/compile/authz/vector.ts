// SPDX-License-Identifier: Apache-2.0
// Bit vectors over the conjunctions of a policy set: up to 64 words of 64 bits. Nearly every vector of a dimension is nearly the same, so one
// is kept, and written to the kernel, as what differs from the dimension's usual words; a summary tells which words are zero, so that joining
// vectors skips what is zero in any of them.

export const maxWords = 64;
export const wordBits = 64;

/** 64 bits as two halves, as a 64-bit little-endian machine reads them. */
export type Halves = readonly [low: number, high: number];

export interface Vector {
  /** Bit w: word w is not zero. */
  readonly summary: Halves;
  /** Bit w: word w is not the usual one. */
  readonly changed: Halves;
  /** The changed words in order, the low half first. */
  readonly words: Uint32Array;
}

/** A vector in full, to be filled: two halves a word. */
export type Bits = Uint32Array;

export function emptyBits(words: number): Bits {
  return new Uint32Array(2 * words);
}

export function setBit(bits: Bits, bit: number, value: boolean): void {
  const at = bit >>> 5;
  const mask = 1 << (bit & 31);
  bits[at] = value ? (bits[at] as number) | mask : (bits[at] as number) & ~mask;
}

/** Bits set in 32 bits. */
function popcount(value: number): number {
  let v = value - ((value >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function hasBit(halves: Halves, bit: number): boolean {
  return ((halves[bit >>> 5] as number) & (1 << (bit & 31))) !== 0;
}

/** Bits set before `bit`: where that word stands among the changed ones. */
function rankOf([low, high]: Halves, bit: number): number {
  if (bit < 32) return popcount(low & ~(-1 << bit));
  return popcount(low) + popcount(high & ~(-1 << (bit - 32)));
}

/** A word of a vector whose usual words are `usual`. */
export function wordOf({ changed, words }: Vector, usual: Bits, word: number): Halves {
  const from = hasBit(changed, word) ? words : usual;
  const at = 2 * (from === usual ? word : rankOf(changed, word));
  return [from[at] as number, from[at + 1] as number];
}

function vectorOf(bits: Bits, usual: Bits): Vector {
  const summary: [number, number] = [0, 0];
  const changed: [number, number] = [0, 0];
  const words: number[] = [];
  for (let at = 0; at < bits.length; at += 2) {
    const [low, high] = [bits[at] as number, bits[at + 1] as number];
    const word = at >>> 1;
    const mask = 1 << (word & 31);
    if (low !== 0 || high !== 0) summary[word < 32 ? 0 : 1] |= mask;
    if (low === usual[at] && high === usual[at + 1]) continue;
    changed[word < 32 ? 0 : 1] |= mask;
    words.push(low, high);
  }
  const unsigned = ([low, high]: Halves): Halves => [low >>> 0, high >>> 0];
  return { summary: unsigned(summary), changed: unsigned(changed), words: Uint32Array.from(words) };
}

/** Gives equal vectors one number. Numbers are never taken back. */
export interface VectorPool {
  readonly vectors: readonly Vector[];
  add(bits: Bits, usual: Bits): number;
}

export function openVectorPool(): VectorPool {
  const vectors: Vector[] = [];
  const known = new Map<string, number>();
  return {
    vectors,
    add(bits, usual) {
      const vector = vectorOf(bits, usual);
      const text = `${vector.summary.join()}:${vector.changed.join()}:${vector.words.join()}`;
      const before = known.get(text);
      if (before !== undefined) return before;
      known.set(text, vectors.length);
      return vectors.push(vector) - 1;
    },
  };
}
