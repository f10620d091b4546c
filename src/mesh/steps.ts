// SPDX-License-Identifier: Apache-2.0
// Long work as steps: whoever runs it decides when to let others have their turn.

/**
 * Work that may be paused at each yield. What it reads must stay as it is until it has ended. What is made anew for each batch has no generator
 * functions among its closures: for each that is called the engine makes a layout of objects, which is an old object from the start and keeps
 * the closure, and all that it sees, until old objects are collected. Functions of a module are made once.
 */
export type Steps<T> = Generator<undefined, T, undefined>;

/** The result of `steps`, without a pause. */
export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
