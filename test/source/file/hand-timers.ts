// SPDX-License-Identifier: Apache-2.0
// Timers whose time is moved by hand.
import type { Timers } from '../../../src/source/timers.ts';

export interface HandTimers extends Timers {
  /** Lets `ms` pass and calls what is due, in order. */
  run(ms: number): void;
  readonly pending: number;
}

export function openHandTimers(): HandTimers {
  let now = 0;
  const due = new Map<symbol, { readonly at: number; readonly run: () => void }>();
  return {
    after(ms, run) {
      const id = Symbol(String(ms));
      due.set(id, { at: now + ms, run });
      return () => void due.delete(id);
    },
    run(ms) {
      const until = now + ms;
      for (;;) {
        const [next] = [...due].filter(([, t]) => t.at <= until).sort(([, a], [, b]) => a.at - b.at);
        if (!next) break;
        now = next[1].at;
        due.delete(next[0]);
        next[1].run();
      }
      now = until;
    },
    get pending() {
      return due.size;
    },
  };
}
