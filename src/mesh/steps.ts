// SPDX-License-Identifier: Apache-2.0
// Long work as steps: whoever runs it decides when to let others have their turn.

/** Work that may be paused at each yield. What it reads must stay as it is until it has ended. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** The result of `steps`, without a pause. */
export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
