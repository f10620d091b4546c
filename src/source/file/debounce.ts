// SPDX-License-Identifier: Apache-2.0
// Waits until it has been quiet for a while, but not for ever.
import type { Timers } from '../timers.ts';

export interface Debounce {
  /** `quiet`: milliseconds without another touch after which `run` is called; of several touches the longest counts. */
  touch(quiet: number): void;
  close(): void;
}

interface Options {
  readonly timers: Timers;
  /** Milliseconds from the first touch after which it is called all the same. */
  readonly patienceMs: number;
  readonly run: () => void;
}

export function openDebounce({ timers, patienceMs, run }: Options): Debounce {
  let cancelQuiet: (() => void) | undefined;
  let cancelPatience: (() => void) | undefined;
  let longest = 0;
  const cancel = () => {
    cancelQuiet?.();
    cancelPatience?.();
    cancelQuiet = undefined;
    cancelPatience = undefined;
    longest = 0;
  };
  const fire = () => {
    cancel();
    run();
  };
  return {
    touch(quiet) {
      longest = Math.max(longest, quiet);
      cancelQuiet?.();
      cancelQuiet = timers.after(longest, fire);
      cancelPatience ??= timers.after(patienceMs, fire);
    },
    close: cancel,
  };
}
