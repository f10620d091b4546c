// SPDX-License-Identifier: Apache-2.0
// Waits until it has been quiet for a while, but not for ever.
import type { Timers } from '../timers.ts';

export interface Debounce {
  touch(): void;
  close(): void;
}

interface Options {
  readonly timers: Timers;
  /** Milliseconds without a touch after which `run` is called. */
  readonly quiet: number;
  /** Milliseconds from the first touch after which it is called all the same. */
  readonly patience: number;
  readonly run: () => void;
}

export function openDebounce({ timers, quiet, patience, run }: Options): Debounce {
  let cancelQuiet: (() => void) | undefined;
  let cancelPatience: (() => void) | undefined;
  const cancel = () => {
    cancelQuiet?.();
    cancelPatience?.();
    cancelQuiet = undefined;
    cancelPatience = undefined;
  };
  const fire = () => {
    cancel();
    run();
  };
  return {
    touch() {
      cancelQuiet?.();
      cancelQuiet = timers.after(quiet, fire);
      cancelPatience ??= timers.after(patience, fire);
    },
    close: cancel,
  };
}
