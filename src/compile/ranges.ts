// SPDX-License-Identifier: Apache-2.0
// Contiguous ranges in an array of slots: best fit, joined when freed, and drafts that change nothing until committed.
import type { Steps } from '../mesh/steps.ts';
import { type FreeBlocks, freeBlocks, positionOf } from './free-blocks.ts';

export interface RangeFill {
  /** Slots that may be handed out at all. */
  readonly slots: number;
  readonly used: number;
  readonly free: number;
  readonly largestFree: number;
  /** 1 - largest free block / free slots: 0 when free space is one block (or none is left). */
  readonly fragmentation: number;
}

/** Slots of one array and which of them are taken. */
export interface Ranges {
  fill(): RangeFill;
  /** Gives back [start, start + length), which must be taken; throws when that cannot be. */
  free(start: number, length: number): void;
  /** A plan's view: allocations that become real with commit(). The ranges must not change while a draft is open. */
  draft(): RangeDraft;
}

export interface RangeDraft {
  /** Start of `length` contiguous slots in the smallest block that holds them, or undefined. */
  allocate(length: number): number | undefined;
  /** How many allocations were made: a point to go back to. */
  mark(): number;
  /** Gives back everything allocated since `mark`. */
  rollback(mark: number): void;
  /** Largest block that is still free in this draft. */
  largestFree(): number;
  totalFree(): number;
  /** Makes the allocations real; the draft is used up. */
  commit(): Steps<void>;
}

/** [start, length] of slots that are taken. */
export type TakenRange = readonly [start: number, length: number];

/**
 * Slots `firstSlot`..`slots - 1` with `taken` ranges in use (in any order).
 * Throws RangeError when two of them overlap or one leaves the array: callers check what they read first.
 */
export function rangesOf(slots: number, firstSlot: number, taken: readonly TakenRange[] = []): Ranges {
  const free = freeBlocks();
  let at = firstSlot;
  for (const [start, length] of [...taken].sort((a, b) => a[0] - b[0])) {
    if (start < at || length < 1 || start + length > slots) throw new RangeError(`range ${start}+${length} overlaps`);
    if (start > at) free.add(at, start - at);
    at = start + length;
  }
  if (slots > at) free.add(at, slots - at);

  return {
    fill() {
      const all = slots - firstSlot;
      return {
        slots: all,
        used: all - free.total,
        free: free.total,
        largestFree: free.largest,
        fragmentation: free.total === 0 ? 0 : 1 - free.largest / free.total,
      };
    },
    free(start, length) {
      if (start < firstSlot || length < 1 || start + length > slots) {
        throw new RangeError(`range ${start}+${length} is outside the array`);
      }
      free.add(start, length);
      if (free.total > slots - firstSlot) throw new RangeError(`range ${start}+${length} was freed twice`);
    },
    draft: () => draftOf(free),
  };
}

/** Blocks between two pauses. */
const blocksAStep = 32;

/** Blocks of `base` that the draft touched move to blocks of its own; commit writes both back. */
function draftOf(base: FreeBlocks): RangeDraft {
  const own = freeBlocks();
  const moved = new Set<number>();
  const allocated: TakenRange[] = [];
  // One walk per length over blocks that cannot change meanwhile: each is looked at once a draft.
  const walks = new Map<number, IterableIterator<number>>();
  /** Lengths whose blocks were all moved. */
  const usedUp = new Set<number>();
  let movedSlots = 0;

  /** The next block of `length` that the draft has not moved. */
  const untouched = (length: number): number | undefined => {
    let walk = walks.get(length);
    if (!walk) {
      walk = base.starts(length).values();
      walks.set(length, walk);
    }
    const next = walk.next();
    return next.done ? undefined : next.value;
  };
  const move = (start: number, length: number): void => {
    moved.add(start);
    movedSlots += length;
    own.add(start, length);
  };

  const largestUntouched = (): number => {
    for (let i = base.lengths.length - 1; i >= 0; i--) {
      const length = base.lengths[i] as number;
      if (usedUp.has(length)) continue;
      for (const start of base.starts(length)) if (!moved.has(start)) return length;
    }
    return 0;
  };

  return {
    allocate(length) {
      const mine = own.lengths[positionOf(own.lengths, length)];
      for (let i = positionOf(base.lengths, length); i < base.lengths.length; i++) {
        const theirs = base.lengths[i] as number;
        if (mine !== undefined && mine <= theirs) break;
        if (usedUp.has(theirs)) continue;
        const start = untouched(theirs);
        if (start === undefined) {
          usedUp.add(theirs);
          continue;
        }
        move(start, theirs);
        break;
      }
      const size = own.lengths[positionOf(own.lengths, length)];
      if (size === undefined) return undefined;
      const [start] = own.starts(size) as Iterable<number> as [number];
      own.remove(start);
      if (size > length) own.add(start + length, size - length);
      allocated.push([start, length]);
      return start;
    },
    mark: () => allocated.length,
    rollback(mark) {
      while (allocated.length > mark) {
        const [start, length] = allocated.pop() as TakenRange;
        own.add(start, length);
      }
    },
    largestFree: () => Math.max(own.largest, largestUntouched()),
    totalFree: () => base.total - movedSlots + own.total,
    commit: () => exchanging(base, moved, own),
  };
}

/** Puts the blocks of `own` in the place of those that begin at `moved`. */
function* exchanging(base: FreeBlocks, moved: ReadonlySet<number>, own: FreeBlocks): Steps<void> {
  let seen = 0;
  for (const start of moved) {
    base.remove(start);
    if (++seen % blocksAStep === 0) yield;
  }
  for (const [start, length] of own.blocks()) {
    base.add(start, length);
    if (++seen % blocksAStep === 0) yield;
  }
}
