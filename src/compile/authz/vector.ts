// SPDX-License-Identifier: Apache-2.0
// Bit vectors over the conjunctions of a policy set: up to 64 words of 64 bits. A vector is kept, and written to the kernel, as a summary
// (bit w: word w is not zero) and its words that are not zero, so that one that names little is small and joining vectors skips what is
// zero in any of them.

export const maxWords = 64;
export const wordBits = 64;

/** Words as pairs of 32 bits, the low half first, as a 64-bit little-endian machine reads them. */
export interface Vector {
  readonly summary: readonly [low: number, high: number];
  /** Only those that are not zero, in order. */
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

/** Bits set in the summary before bit `word`: where that word stands among those that are kept. */
function rankOf({ summary: [low, high] }: Vector, word: number): number {
  if (word < 32) return popcount(low & ~(-1 << word));
  return popcount(low) + popcount(high & ~(-1 << (word - 32)));
}

export function hasWord({ summary }: Vector, word: number): boolean {
  return ((summary[word >>> 5] as number) & (1 << (word & 31))) !== 0;
}

/** Both halves of a word; zero when it is not kept. */
export function wordOf(vector: Vector, word: number): readonly [low: number, high: number] {
  if (!hasWord(vector, word)) return [0, 0];
  const at = 2 * rankOf(vector, word);
  return [vector.words[at] as number, vector.words[at + 1] as number];
}

function vectorOf(bits: Bits): Vector {
  const summary: [number, number] = [0, 0];
  const words: number[] = [];
  for (let at = 0; at < bits.length; at += 2) {
    const low = bits[at] as number;
    const high = bits[at + 1] as number;
    if (low === 0 && high === 0) continue;
    const word = at >>> 1;
    summary[word >>> 5 ? 1 : 0] |= 1 << (word & 31);
    words.push(low, high);
  }
  return { summary: [summary[0] >>> 0, summary[1] >>> 0], words: Uint32Array.from(words) };
}

/** Gives equal vectors one number. Numbers are never taken back. */
export interface VectorPool {
  readonly vectors: readonly Vector[];
  add(bits: Bits): number;
}

export function openVectorPool(): VectorPool {
  const vectors: Vector[] = [];
  const known = new Map<string, number>();
  return {
    vectors,
    add(bits) {
      const vector = vectorOf(bits);
      const text = `${vector.summary.join()}:${vector.words.join()}`;
      const before = known.get(text);
      if (before !== undefined) return before;
      known.set(text, vectors.length);
      return vectors.push(vector) - 1;
    },
  };
}
