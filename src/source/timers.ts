// SPDX-License-Identifier: Apache-2.0
// Timers as a value, so that tests can run time by hand.

export interface Timers {
  /** Calls `run` once after `ms` milliseconds. @returns what cancels it. */
  after(ms: number, run: () => void): () => void;
}

/** The process's own; none keeps it alive. */
export const realTimers: Timers = {
  after(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
