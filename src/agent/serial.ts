// SPDX-License-Identifier: Apache-2.0
// One thing at a time, in the order in which it was asked for.

export interface Serial {
  /** Runs `work` when everything before it has ended. What it throws goes to its own caller only. */
  run<T>(work: () => Promise<T> | T): Promise<T>;
  readonly busy: boolean;
  /** Resolves when nothing is left to run. */
  idle(): Promise<void>;
}

export function serial(): Serial {
  let last: Promise<unknown> = Promise.resolve();
  let left = 0;
  return {
    get busy() {
      return left > 0;
    },
    run(work) {
      left++;
      const result = last.then(work);
      const done = () => void left--;
      last = result.then(done, done);
      return result;
    },
    async idle() {
      for (let seen: unknown; seen !== last; ) {
        seen = last;
        await last;
      }
    },
  };
}
