// SPDX-License-Identifier: Apache-2.0
// How late the event loop runs its timers, in the last minute: what was long ago says nothing of how the agent is now.
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface LagMeter {
  /** In milliseconds. */
  read(): { readonly mean: number; readonly max: number };
  close(): void;
}

/** Of a histogram as node has it, in nanoseconds: the whole time between two looks. */
interface Delays {
  readonly count: number;
  readonly mean: number;
  readonly max: number;
  reset(): void;
}

/** Seldom enough to cost nothing while idle; a stall longer than this is seen for sure, a shorter one by chance. */
const periodMs = 500;
/** Half of what is looked back on: a figure counts for at least so long, and for twice that at most. */
const windowMs = 30_000;

export function openLagMeter(): LagMeter {
  const histogram = monitorEventLoopDelay({ resolution: periodMs });
  histogram.enable();
  const window = lagWindow(histogram);
  const turns = setInterval(window.turn, windowMs).unref();
  return {
    read: window.read,
    close() {
      clearInterval(turns);
      histogram.disable();
    },
  };
}

/** The window that `turn` ends, and the one before. */
export function lagWindow(delays: Delays): { read: LagMeter['read']; turn(): void } {
  let before = { count: 0, sum: 0, max: 0 };
  const now = () => {
    const { count } = delays;
    return count === 0 ? { count, sum: 0, max: 0 } : { count, sum: delays.mean * count, max: delays.max };
  };
  const beyond = (nanoseconds: number): number => Math.max(0, Math.round(nanoseconds / 1e5 - periodMs * 10) / 10);
  return {
    read() {
      const at = now();
      const count = at.count + before.count;
      return {
        mean: count === 0 ? 0 : beyond((at.sum + before.sum) / count),
        max: beyond(Math.max(at.max, before.max)),
      };
    },
    turn() {
      before = now();
      delays.reset();
    },
  };
}
