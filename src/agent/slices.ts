// SPDX-License-Identifier: Apache-2.0
// Long work in steps, with the event loop let in between.
import { KmeshError } from '../errors.ts';
import type { Steps } from '../mesh/steps.ts';

/** Milliseconds of work in one turn of the event loop: everything else waits that long at most. */
const longMs = 2;
const shortMs = 0.5;
let sliceMs = longMs;

/** From now on others have their turn more often: what comes meanwhile may be urgent. */
export function shortenSlices(): void {
  sliceMs = shortMs;
}

/** When work began in this turn of the event loop, whoever's it was. */
let begun: number | undefined;

/** True when this turn of the event loop has been used for long enough. */
export function sliceIsOver(): boolean {
  const now = performance.now();
  if (begun === undefined) {
    begun = now;
    setImmediate(() => {
      begun = undefined;
    });
  }
  return now - begun >= sliceMs;
}

/** Steps between two looks at the clock. */
const stepsALook = 4;

/** Lets everything else that is due run first. */
export function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Stands for the result of work that was given up. */
export const givenUp: unique symbol = Symbol('given up');

/** Runs `steps` to their end, with a pause whenever a slice is over. Given up as soon as `stop` says so after a pause. */
export async function inSlices<T>(steps: Steps<T>, stop: () => boolean = () => false): Promise<T | typeof givenUp> {
  for (let looks = 0; ; looks++) {
    const step = steps.next();
    if (step.done) return step.value;
    // Most steps take a few microseconds: to ask for the time after each would be felt.
    if (looks % stepsALook !== 0 || !sliceIsOver()) continue;
    await breath();
    if (stop()) return givenUp;
  }
}

/** The same, given up after a pause once `signal` is aborted. KM_BUSY then. */
export async function untilStopped<T>(steps: Steps<T>, signal: AbortSignal): Promise<T> {
  const result = await inSlices(steps, () => signal.aborted);
  if (result === givenUp) throw new KmeshError('KM_BUSY', 'stopped before everything was written');
  return result;
}

/** The same, and never given up. */
export async function inTurns<T>(steps: Steps<T>): Promise<T> {
  return (await inSlices(steps)) as T;
}
