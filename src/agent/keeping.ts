// SPDX-License-Identifier: Apache-2.0
// Every few seconds it is made sure that what judges pods is attached to them: a pod whose network was made anew is open until then.
import { faultFacts, type Log } from './log.ts';

export interface KeepingOptions {
  /** Anything is judged. */
  readonly needed: () => boolean;
  /** Puts right what is not as it should be. */
  readonly keep: () => Promise<void>;
  readonly log: Log;
  readonly everyMs?: number;
}

export interface Keeping {
  close(): Promise<void>;
}

/** A look costs some 12 ms with 250 pods: a quarter of a percent of a core. */
const usualEveryMs = 5_000;

export function openKeeping({ needed, keep, log, everyMs = usualEveryMs }: KeepingOptions): Keeping {
  let under: Promise<void> | undefined;
  let failed = false;
  const look = async (): Promise<void> => {
    try {
      await keep();
      failed = false;
    } catch (fault) {
      if (!failed) log.warn(faultFacts(fault), 'programs of judged pods cannot be looked at');
      failed = true;
    }
  };
  const timer = setInterval(() => {
    if (under || !needed()) return;
    under = look().finally(() => {
      under = undefined;
    });
  }, everyMs);
  timer.unref();
  return {
    async close() {
      clearInterval(timer);
      await under;
    },
  };
}
