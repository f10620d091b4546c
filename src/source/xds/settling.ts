// SPDX-License-Identifier: Apache-2.0
// When what was there before a stream, and is neither told again on it nor taken back, counts as gone.
import type { Timers } from '../timers.ts';
import type { TypeName } from './types.ts';

/** Once nothing came of its type for so long, and at the latest so long after its first response: a server may say in several what it has. */
export const settleAfter = { quietMs: 10_000, mostMs: 60_000 };

export interface Settling {
  /** A response of the type came, and something of it is not settled yet: `settle` is called, once, when the time has come. */
  wait(type: TypeName, settle: () => void): void;
  stop(type: TypeName): void;
  stopAll(): void;
}

export function openSettling(timers: Timers): Settling {
  const waiting = new Map<TypeName, { readonly cancelQuiet: () => void; readonly cancelMost: () => void }>();

  const stop = (type: TypeName): void => {
    const timer = waiting.get(type);
    timer?.cancelQuiet();
    timer?.cancelMost();
    waiting.delete(type);
  };

  return {
    wait(type, settle) {
      const before = waiting.get(type);
      before?.cancelQuiet();
      const due = () => {
        stop(type);
        settle();
      };
      waiting.set(type, {
        cancelQuiet: timers.after(settleAfter.quietMs, due),
        // The first one's: what comes later puts only the quiet off.
        cancelMost: before?.cancelMost ?? timers.after(settleAfter.mostMs, due),
      });
    },
    stop,
    stopAll() {
      for (const type of [...waiting.keys()]) stop(type);
    },
  };
}
