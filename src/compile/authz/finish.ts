// SPDX-License-Identifier: Apache-2.0
// Long work is written in steps, so that an agent can let other things in between; who has time takes them all.

export type Steps<T> = Generator<undefined, T>;

/** So many small things make a step. */
export const stepSize = 500;

export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
