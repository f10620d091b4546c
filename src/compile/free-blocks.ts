// SPDX-License-Identifier: Apache-2.0
// The free blocks of an array, joined with their neighbours and found by size.

/** Free blocks by start, by end and by size. Blocks never touch: neighbours are one block. */
export interface FreeBlocks {
  /** Slots in all blocks. */
  readonly total: number;
  /** Slots in the largest block. */
  readonly largest: number;
  /** Adds [start, start + length), joining it with the blocks it touches. */
  add(start: number, length: number): void;
  /** Takes the whole block that begins at `start`; its length. */
  remove(start: number): number;
  /** Distinct block lengths, ascending. */
  readonly lengths: readonly number[];
  /** Starts of the blocks of one length. */
  starts(length: number): ReadonlySet<number>;
  /** Every block: [start, length]. */
  blocks(): IterableIterator<[number, number]>;
}

/** Where `length` stands, or would stand, in ascending `lengths`. */
export function positionOf(lengths: readonly number[], length: number): number {
  let low = 0;
  let high = lengths.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((lengths[middle] as number) < length) low = middle + 1;
    else high = middle;
  }
  return low;
}

const none: ReadonlySet<number> = new Set();

/** No free block at all. */
export function freeBlocks(): FreeBlocks {
  const lengthAt = new Map<number, number>();
  const startBefore = new Map<number, number>();
  const bySize = new Map<number, Set<number>>();
  // At most sqrt(2 * slots) different lengths can exist at once, so inserting into an array is cheap.
  const lengths: number[] = [];
  let total = 0;

  const insert = (start: number, length: number): void => {
    lengthAt.set(start, length);
    startBefore.set(start + length, start);
    let same = bySize.get(length);
    if (!same) {
      same = new Set();
      bySize.set(length, same);
      lengths.splice(positionOf(lengths, length), 0, length);
    }
    same.add(start);
    total += length;
  };

  const remove = (start: number): number => {
    const length = lengthAt.get(start);
    if (length === undefined) throw new RangeError(`no free block begins at ${start}`);
    lengthAt.delete(start);
    startBefore.delete(start + length);
    const same = bySize.get(length) as Set<number>;
    same.delete(start);
    if (same.size === 0) {
      bySize.delete(length);
      lengths.splice(positionOf(lengths, length), 1);
    }
    total -= length;
    return length;
  };

  return {
    get total() {
      return total;
    },
    get largest() {
      return lengths.at(-1) ?? 0;
    },
    lengths,
    starts: (length) => bySize.get(length) ?? none,
    blocks: () => lengthAt.entries(),
    remove,
    add(start, length) {
      let from = start;
      let slots = length;
      const before = startBefore.get(start);
      if (before !== undefined) {
        slots += remove(before);
        from = before;
      }
      if (lengthAt.has(start + length)) slots += remove(start + length);
      insert(from, slots);
    },
  };
}
