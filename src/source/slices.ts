// SPDX-License-Identifier: Apache-2.0
// Long work in short slices, so that nothing else waits for it.

/** Milliseconds that a slice may take before everything else that is due gets its turn: the agent's own slices among that. */
const sliceMs = 2;

/** Runs `steps` to their end. Each yield is a place to pause at; a pause is made where a slice's time (`ms`) is over. */
export async function inSlices<T>(steps: Generator<undefined, T>, ms = sliceMs): Promise<T> {
  for (;;) {
    const until = performance.now() + ms;
    do {
      const step = steps.next();
      if (step.done) return step.value;
    } while (performance.now() < until);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
