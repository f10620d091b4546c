// SPDX-License-Identifier: Apache-2.0
// Things that wait for a grace period: each for one that begins after it was added, all that wait together for the same.

export interface GraceQueue {
  /** `then` is called after a grace period that begins after this call. */
  add(then: () => void): void;
  readonly busy: boolean;
  /** Resolves when nothing waits. */
  idle(): Promise<void>;
}

/** `grace` waits for one period; what it throws goes to `failed`, and what waited for it is dropped. */
export function graceQueue(grace: () => Promise<void>, failed: (error: unknown) => void): GraceQueue {
  let waiting: (() => void)[] = [];
  let running: Promise<void> | undefined;

  const drain = async (): Promise<void> => {
    // What is added in this turn waits with it.
    await Promise.resolve();
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        await grace();
        for (const then of batch) then();
      } catch (error) {
        failed(error);
      }
    }
    running = undefined;
  };

  return {
    get busy() {
      return running !== undefined;
    },
    add(then) {
      waiting.push(then);
      running ??= drain();
    },
    async idle() {
      while (running) await running;
    },
  };
}
