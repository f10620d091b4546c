// SPDX-License-Identifier: Apache-2.0
// Something that is tried again after longer and longer pauses, until it is no longer called for.

export interface Backoff {
  /** Asks for another try, if none is due already. */
  arm(): void;
  /** It went well: the next pause is short again, and no try is due. */
  reset(): void;
  close(): void;
}

/** Calls `attempt` `firstMs` after arm(), then twice as long after the next one, at most `lastMs`. */
export function backoff(firstMs: number, lastMs: number, attempt: () => void): Backoff {
  let wait = firstMs;
  let timer: NodeJS.Timeout | undefined;
  const clear = () => {
    clearTimeout(timer);
    timer = undefined;
  };
  return {
    arm() {
      if (timer) return;
      timer = setTimeout(() => {
        timer = undefined;
        wait = Math.min(2 * wait, lastMs);
        attempt();
      }, wait);
      timer.unref();
    },
    reset() {
      clear();
      wait = firstMs;
    },
    close: clear,
  };
}
