// SPDX-License-Identifier: Apache-2.0
// Long work in steps, with the event loop let in between.

/** Lets everything else that is due run first. */
export function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Stands for the result of work that was given up. */
export const givenUp: unique symbol = Symbol('given up');

/** Runs `steps` to their end, pausing at each yield. Given up as soon as `stop` says so at a pause. */
export async function inSlices<T>(
  steps: Generator<undefined, T>,
  stop: () => boolean = () => false,
): Promise<T | typeof givenUp> {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (stop()) return givenUp;
    await breath();
  }
}
