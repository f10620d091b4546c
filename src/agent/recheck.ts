// SPDX-License-Identifier: Apache-2.0
// Connections that are open are judged again after verdicts changed: soon, and once more when handshakes that were in flight have ended.
import type { Address } from '../net/address.ts';
import { faultFacts, type Log } from './log.ts';
import { serial } from './serial.ts';
import { breath, sliceIsOver } from './slices.ts';

export interface RecheckOptions<T> {
  /** Inodes of all network namespaces in which connections are judged. */
  readonly enforced: () => Iterable<bigint>;
  /** Inodes of those that are known to have connections from these addresses: one look at the host. */
  readonly reachedFrom: (sources: ReadonlySet<Address>) => Iterable<bigint>;
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
  /** From a change of sources to a round over all: connections older than their pod's enrolment are known from nothing else. */
  readonly sweepMs: number;
}

export interface RecheckStatus {
  readonly rounds: number;
  /** Connections destroyed. */
  readonly destroyed: number;
  readonly lastAt: number;
  readonly lastMilliseconds: number;
}

export interface Recheck {
  /** Verdicts on connections to these namespaces may be others now. */
  pods(netns: Iterable<bigint>): void;
  /** Verdicts on connections from these addresses may be. */
  sources(addresses: Iterable<Address>): void;
  everything(): void;
  status(): RecheckStatus;
  /** Waits for a round that is under way; there is none after it. */
  close(): Promise<void>;
}

/** A round begins at most `gatherMs + restMs` after a change: well within the second that is promised. */
const usual: RecheckDelays = { gatherMs: 50, restMs: 400, againMs: 2_000, sweepMs: 30_000 };
/** Rounds take a fifth of a core at most, however much changes: each namespace costs a walk over all connections of the host. */
const restFactor = 4;

interface Scope {
  all: boolean;
  readonly netns: Set<bigint>;
  readonly sources: Set<Address>;
}

const nothing = (): Scope => ({ all: false, netns: new Set(), sources: new Set() });
const isNothing = ({ all, netns, sources }: Scope): boolean => !all && netns.size + sources.size === 0;

function join(scope: Scope, { all, netns, sources }: Scope): void {
  scope.all ||= all;
  for (const inode of netns) scope.netns.add(inode);
  for (const address of sources) scope.sources.add(address);
}

export function openRecheck<T>(options: RecheckOptions<T>): Recheck {
  const { log, now } = options;
  const delays = { ...usual, ...options.delays };
  const status = { rounds: 0, destroyed: 0, lastAt: 0, lastMilliseconds: 0 };
  const work = serial();
  /** What changed since the last round began, and what the rounds before looked at. */
  let due = nothing();
  let again = nothing();
  let soon: NodeJS.Timeout | undefined;
  let later: NodeJS.Timeout | undefined;
  let sweep: NodeJS.Timeout | undefined;
  let restUntil = 0;
  let closed = false;

  const attempt = <R>(what: object, none: R, look: () => R): R => {
    try {
      return look();
    } catch (fault) {
      log.warn({ ...what, ...faultFacts(fault) }, 'open connections could not be judged again');
      return none;
    }
  };
  const round = async (scope: Scope): Promise<void> => {
    const begun = performance.now();
    const all = new Set(options.enforced());
    const netns = scope.all ? all : new Set(scope.netns);
    if (!scope.all && scope.sources.size > 0)
      for (const inode of attempt<Iterable<bigint>>({}, all, () => options.reachedFrom(scope.sources)))
        netns.add(inode);
    const gone: T[] = [];
    for (const inode of netns) {
      if (sliceIsOver()) await breath();
      if (closed) break;
      if (all.has(inode)) gone.push(...attempt({ netns: String(inode) }, [], () => options.recheck(inode)));
    }
    status.rounds++;
    status.destroyed += gone.length;
    status.lastAt = now();
    status.lastMilliseconds = performance.now() - begun;
    if (gone.length > 0) options.destroyed(gone);
  };

  const begin = async (): Promise<void> => {
    const scope = due;
    due = nothing();
    join(again, scope);
    clearTimeout(later);
    await round(scope);
    restUntil = performance.now() + Math.max(delays.restMs, status.lastMilliseconds * restFactor);
    soon = undefined;
    arm();
    if (closed || soon) return;
    later = setTimeout(() => {
      const once = again;
      again = nothing();
      void work.run(() => round(once));
    }, delays.againMs).unref();
  };
  const arm = (): void => {
    if (closed || soon || isNothing(due)) return;
    soon = setTimeout(() => void work.run(begin), Math.max(delays.gatherMs, restUntil - performance.now())).unref();
  };
  const everything = (): void => {
    due.all = true;
    arm();
  };

  return {
    pods(netns) {
      for (const inode of netns) due.netns.add(inode);
      arm();
    },
    sources(addresses) {
      for (const address of addresses) due.sources.add(address);
      arm();
      if (closed) return;
      sweep ??= setTimeout(() => {
        sweep = undefined;
        everything();
      }, delays.sweepMs).unref();
    },
    everything,
    status: () => ({ ...status }),
    async close() {
      closed = true;
      clearTimeout(soon);
      clearTimeout(later);
      clearTimeout(sweep);
      await work.idle();
    },
  };
}
