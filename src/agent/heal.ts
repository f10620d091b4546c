// SPDX-License-Identifier: Apache-2.0
// Every so often everything is compared with the kernel and put right: entries, open-connection counts, enrolments.
import { setTimeout as pause } from 'node:timers/promises';
import type { HealStatus } from '../admin/types.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import type { Steps } from '../mesh/steps.ts';
import { type ActiveDrift, correctActive, measuringDrift } from './active.ts';
import type { Difference } from './drift.ts';
import { faultFacts, type Log } from './log.ts';
import { inTurns } from './slices.ts';

export interface HealOptions {
  /** Milliseconds between two rounds; 0: never. One of a minute and more is stretched for rounds that take long (see maxShare). */
  readonly interval: number;
  readonly now: () => number;
  readonly log: Log;
  /** Puts the entries right; what was different. */
  readonly repair: () => Promise<readonly Difference[]>;
  /** Takes out enrolments of cgroups that are gone; how many. */
  readonly prune: () => Promise<number>;
  /** Runs `work` on the plane, which stays as it is until that has ended. */
  readonly inside: <T>(work: (plane: DataPlane) => Promise<T>) => Promise<T>;
  /** No workload has an id as high as this. */
  readonly workloadLimit: () => Steps<number>;
  /** Between the two looks that have to agree on a count. */
  readonly lookAgainMs?: number;
}

export interface Heal {
  /** Begins the beat. */
  start(): void;
  /** One round now. Never fails: what goes wrong is logged, and tried at the next round. */
  round(): Promise<void>;
  /** Open-connection counts only: at the start of an agent. */
  recount(): Promise<void>;
  status(): HealStatus;
  /** Ends the beat and waits for a round that is under way. */
  close(): Promise<void>;
}

const usualLookAgainMs = 1000;
/** Rounds take at most this share of a core, however large the mesh: a tenth of a percent is all that an idle agent may cost. */
const maxShare = 1 / 2500;
/** Who asks for shorter intervals than this gets them, whatever they cost. */
const stretchFrom = 60_000;
/** So many differences are logged one by one. */
const mostLogged = 20;

export function openHeal(options: HealOptions): Heal {
  const { log, now } = options;
  const count = { comparisons: 0, repairedEntries: 0, correctedCounts: 0, removedEnrolments: 0 };
  let lastAt = 0;
  let lastMilliseconds = 0;
  let timer: NodeJS.Timeout | undefined;
  let under: Promise<void> = Promise.resolve();
  const stop = new AbortController();

  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    if (stop.signal.aborted) return;
    try {
      await work();
    } catch (fault) {
      if (!stop.signal.aborted) log.error(faultFacts(fault), `${what} failed`);
    }
  };

  const entries = async (): Promise<void> => {
    const begun = performance.now();
    const differences = await options.repair();
    lastMilliseconds = performance.now() - begun;
    lastAt = now();
    count.comparisons++;
    // What has no room is no drift.
    const repaired = differences.filter((d) => d.state !== 'refused');
    count.repairedEntries += repaired.length;
    for (const { what, name, state } of repaired.slice(0, mostLogged))
      log.warn({ what, name, state }, 'drift repaired');
    if (repaired.length > mostLogged) log.warn({ count: repaired.length }, 'drift repaired');
  };

  const counts = async (): Promise<void> => {
    function* measuring(plane: DataPlane): Steps<ActiveDrift> {
      return yield* measuringDrift(plane, yield* options.workloadLimit());
    }
    const measure = (plane: DataPlane): Promise<ActiveDrift> => inTurns(measuring(plane));
    const first = await options.inside(measure);
    if (first.size === 0) return;
    await pause(options.lookAgainMs ?? usualLookAgainMs, undefined, { signal: stop.signal, ref: false });
    const corrected = await options.inside(async (plane) => correctActive(plane, first, await measure(plane)));
    count.correctedCounts += corrected;
    if (corrected > 0) log.info({ count: corrected }, 'counts of open connections corrected');
  };

  const enrolments = async (): Promise<void> => {
    const removed = await options.prune();
    count.removedEnrolments += removed;
    if (removed > 0) log.info({ count: removed }, 'enrolments of deleted cgroups removed');
  };

  const after = (work: () => Promise<void>): Promise<void> => {
    under = under.then(work);
    return under;
  };
  const recount = () => after(() => attempt('counting open connections', counts));
  const round = () =>
    after(async () => {
      await attempt('removing enrolments', enrolments);
      await attempt('comparing with the kernel', entries);
      await attempt('counting open connections', counts);
    });

  /** Waits, makes a round, and again. */
  const next = (cpuMs: number): void => {
    if (stop.signal.aborted) return;
    const wait = options.interval < stretchFrom ? options.interval : Math.max(options.interval, cpuMs / maxShare);
    timer = setTimeout(() => {
      const before = process.cpuUsage();
      void round().then(() => {
        // Other work of the process counts too: then it is not idle anyway.
        const { user, system } = process.cpuUsage(before);
        next((user + system) / 1000);
      });
    }, wait);
    timer.unref();
  };

  return {
    start() {
      if (options.interval > 0 && !timer) next(0);
    },
    round,
    recount,
    status: () => ({ ...count, lastAt, lastMilliseconds }),
    async close() {
      stop.abort();
      clearTimeout(timer);
      await under;
    },
  };
}
