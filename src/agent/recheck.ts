// SPDX-License-Identifier: Apache-2.0
// Connections that are open are judged again after verdicts changed: soon, and once more when handshakes that were in flight have ended.
import { faultFacts, type Log } from './log.ts';
import { serial } from './serial.ts';
import { breath, sliceIsOver } from './slices.ts';

export interface RecheckOptions<T> {
  /** Inodes of all network namespaces in which connections are judged. */
  readonly enforced: () => Iterable<bigint>;
  /** Judges the connections of one again; those that it destroyed. */
  readonly recheck: (netns: bigint) => readonly T[];
  readonly destroyed: (connections: readonly T[]) => void;
  readonly log: Log;
  readonly now: () => number;
  readonly delays?: Partial<RecheckDelays>;
}

export interface RecheckDelays {
  /** From the first change to the round, for others to join it. */
  readonly gatherMs: number;
  /** From the end of a round to the next, at least. */
  readonly restMs: number;
  /** From the end of a round to the one for handshakes in flight. */
  readonly againMs: number;
}

export interface RecheckStatus {
  readonly rounds: number;
  /** Connections destroyed. */
  readonly destroyed: number;
  readonly lastAt: number;
  readonly lastMilliseconds: number;
}

export interface Recheck {
  /** Verdicts on connections to these namespaces (default: all) may be others now. */
  changed(netns?: Iterable<bigint>): void;
  status(): RecheckStatus;
  /** Waits for a round that is under way; there is none after it. */
  close(): Promise<void>;
}

/** A round begins at most `gatherMs + restMs` after a change: well within the second that is promised. */
const usual: RecheckDelays = { gatherMs: 50, restMs: 400, againMs: 2_000 };

/** Rounds take a fifth of a core at most, however much changes: each looks at all connections of the host. */
const restFactor = 4;

type Scope = Set<bigint> | 'all';

const join = (scope: Scope | undefined, more: Iterable<bigint> | undefined): Scope =>
  scope === 'all' || more === undefined ? 'all' : new Set([...(scope ?? []), ...more]);

export function openRecheck<T>(options: RecheckOptions<T>): Recheck {
  const { log, now } = options;
  const delays = { ...usual, ...options.delays };
  const status = { rounds: 0, destroyed: 0, lastAt: 0, lastMilliseconds: 0 };
  const work = serial();
  /** What changed since the last round began, and what that one looked at. */
  let due: Scope | undefined;
  let again: Scope | undefined;
  let soon: NodeJS.Timeout | undefined;
  let later: NodeJS.Timeout | undefined;
  let restUntil = 0;
  let closed = false;

  const round = async (scope: Scope): Promise<void> => {
    const begun = performance.now();
    const all = new Set(options.enforced());
    const gone: T[] = [];
    for (const netns of scope === 'all' ? all : scope) {
      if (sliceIsOver()) await breath();
      if (closed) break;
      if (!all.has(netns)) continue;
      try {
        gone.push(...options.recheck(netns));
      } catch (fault) {
        log.warn({ netns: String(netns), ...faultFacts(fault) }, 'open connections could not be judged again');
      }
    }
    status.rounds++;
    status.destroyed += gone.length;
    status.lastAt = now();
    status.lastMilliseconds = performance.now() - begun;
    if (gone.length > 0) options.destroyed(gone);
  };
  const arm = (): void => {
    if (closed || soon || due === undefined) return;
    const wait = Math.max(delays.gatherMs, restUntil - performance.now());
    soon = setTimeout(() => {
      const scope = due ?? 'all';
      due = undefined;
      again = join(again, scope === 'all' ? undefined : scope);
      clearTimeout(later);
      void work.run(async () => {
        await round(scope);
        restUntil = performance.now() + Math.max(delays.restMs, status.lastMilliseconds * restFactor);
        soon = undefined;
        arm();
        if (closed || soon) return;
        later = setTimeout(() => {
          const once = again;
          again = undefined;
          if (once) void work.run(() => round(once));
        }, delays.againMs).unref();
      });
    }, wait).unref();
  };

  return {
    changed(netns) {
      due = join(due, netns);
      arm();
    },
    status: () => ({ ...status }),
    async close() {
      closed = true;
      clearTimeout(soon);
      clearTimeout(later);
      await work.idle();
    },
  };
}
