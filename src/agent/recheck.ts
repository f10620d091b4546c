// SPDX-License-Identifier: Apache-2.0
// Connections that are open are judged again after verdicts changed: soon, and once more when handshakes that were in flight have ended.
import { faultFacts, type Log } from './log.ts';
import { serial } from './serial.ts';
import { breath, sliceIsOver } from './slices.ts';

export interface RecheckOptions<T> {
  /** Inodes of the network namespaces with a connection that is denied now, as far as that is known: one look at the mesh's connections. */
  readonly denied: () => Iterable<bigint>;
  /** Inodes of all network namespaces where connections are judged. */
  readonly judged: () => Iterable<bigint>;
  /** A handshake is under way in one: it may be denied now, and `denied` knows of open connections only. */
  readonly handshakes: (netns: bigint) => boolean;
  /** Judges all connections of one again, and handshakes; those that it destroyed. It costs a walk over all connections of the host. */
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
  /** Verdicts may be others now. */
  changed(): void;
  /** Connections are judged in these namespaces from now on: what was open before is not known of yet. */
  fresh(netns: Iterable<bigint>): void;
  status(): RecheckStatus;
  /** Waits for a round that is under way; there is none after it. */
  close(): Promise<void>;
}

/** A round begins at most `gatherMs + restMs` after a change: well within the second that is promised. */
const usual: RecheckDelays = { gatherMs: 50, restMs: 400, againMs: 2_000 };
/** Rounds take a fifth of a core at most, however much changes. */
const restFactor = 4;

export function openRecheck<T>(options: RecheckOptions<T>): Recheck {
  const { log, now } = options;
  const delays = { ...usual, ...options.delays };
  const status = { rounds: 0, destroyed: 0, lastAt: 0, lastMilliseconds: 0 };
  const work = serial();
  let due = false;
  /** Not walked since they are judged; those of the last rounds, which handshakes may have slipped past. */
  let unknown = new Set<bigint>();
  let walked = new Set<bigint>();
  let soon: NodeJS.Timeout | undefined;
  let later: NodeJS.Timeout | undefined;
  let restUntil = 0;
  let closed = false;

  const attempt = <R>(
    what: object,
    none: R,
    look: () => R,
    message = 'open connections could not be judged again',
  ): R => {
    try {
      return look();
    } catch (fault) {
      log.warn({ ...what, ...faultFacts(fault) }, message);
      return none;
    }
  };
  const round = async (netns: ReadonlySet<bigint>, alsoWithin: Iterable<bigint>): Promise<void> => {
    const begun = performance.now();
    const all = new Set(netns);
    for (const inode of attempt<Iterable<bigint>>({}, [], options.denied)) all.add(inode);
    const gone: T[] = [];
    const walk = (inode: bigint): void => {
      gone.push(...attempt({ netns: String(inode) }, [], () => options.recheck(inode)));
    };
    for (const inode of all) {
      if (sliceIsOver()) await breath();
      if (closed) break;
      walk(inode);
    }
    for (const inode of alsoWithin) {
      if (all.has(inode)) continue;
      if (sliceIsOver()) await breath();
      if (closed) break;
      if (attempt({ netns: String(inode) }, false, () => options.handshakes(inode))) walk(inode);
    }
    status.rounds++;
    status.destroyed += gone.length;
    status.lastAt = now();
    status.lastMilliseconds = performance.now() - begun;
    if (gone.length > 0)
      attempt({}, undefined, () => options.destroyed(gone), 'connections that were ended could not be told of');
  };

  const begin = async (): Promise<void> => {
    const netns = unknown;
    unknown = new Set();
    due = false;
    for (const inode of netns) walked.add(inode);
    clearTimeout(later);
    await round(netns, options.judged());
    restUntil = performance.now() + Math.max(delays.restMs, status.lastMilliseconds * restFactor);
    soon = undefined;
    arm();
    if (closed || soon) return;
    later = setTimeout(() => {
      const once = walked;
      walked = new Set();
      void work.run(() => round(once, []));
    }, delays.againMs).unref();
  };
  const arm = (): void => {
    if (closed || soon || !due) return;
    soon = setTimeout(() => void work.run(begin), Math.max(delays.gatherMs, restUntil - performance.now())).unref();
  };
  const changed = (): void => {
    due = true;
    arm();
  };

  return {
    changed,
    fresh(netns) {
      for (const inode of netns) unknown.add(inode);
      if (unknown.size > 0) changed();
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
