// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next stream.

/** How a stream came to its end. Times in milliseconds. */
export interface StreamEnd {
  /** The server closed it in good order (status OK). */
  readonly clean: boolean;
  /** It answered with something that could be read. */
  readonly answered: boolean;
  /** When it was begun and when it ended. */
  readonly begunAt: number;
  readonly endedAt: number;
}

export interface Backoff {
  /** Milliseconds until the next stream is to be begun. */
  pauseAfter(end: StreamEnd): number;
}

const firstMs = 10;
const lastMs = 15_000;
/** A stream that lived so long was well: the next failure counts as the first one. */
const wellMs = 5000;
/** At once, but not more often than this in so many milliseconds: a server that closes each stream after its first answer is not worth more. */
const atOnce = { times: 3, withinMs: 1000 };

/**
 * Pauses double from 10 ms to 15 s; each is a random share of its length, so that the nodes of a cluster do not come back all together.
 * @param random in [0, 1)
 */
export function openBackoff(random: () => number): Backoff {
  let wait = firstMs;
  /** When the last streams that were begun without a pause ended. */
  let free: number[] = [];
  return {
    pauseAfter({ clean, answered, begunAt, endedAt }) {
      if (answered && endedAt - begunAt >= wellMs) wait = firstMs;
      if (clean && answered) {
        free = free.filter((at) => endedAt - at < atOnce.withinMs);
        if (free.length < atOnce.times) {
          free.push(endedAt);
          wait = firstMs;
          return 0;
        }
      }
      const pause = Math.floor(random() * wait);
      wait = Math.min(2 * wait, lastMs);
      return pause;
    },
  };
}
