// SPDX-License-Identifier: Apache-2.0
// From the sources into the reconciler: puts them together, counts what is on its way, and follows where the node stands.
import type { ApplyStatus } from '../admin/types.ts';
import type { Change } from '../mesh/model.ts';
import type { ObjectKind } from '../mesh/subject.ts';
import { type Origin, openCombination } from '../source/combine.ts';
import { notTakenUp, type Report } from '../source/findings.ts';
import type { News } from '../source/news.ts';
import type { Outcome, Reconciler } from './reconciler-api.ts';
import { serial } from './serial.ts';
import { inSlices, inTurns } from './slices.ts';
import type { ViewFinder } from './view.ts';

export interface FeedOptions {
  /** Names of the sources, the one that counts most first. */
  readonly sources: readonly string[];
  readonly reconciler: Reconciler;
  readonly view: ViewFinder;
  readonly now: () => number;
  /** After each piece of news is in the kernel, or could not be written. */
  readonly onSettled: (outcome: Outcome) => void;
}

export interface Feed {
  /** What the source at `place` says. Nothing goes on before every source has said something. Resolves once it is settled. */
  take(place: number, news: News): Promise<void>;
  /** Resolves when everything that could go on so far is in the kernel, or could not be written. */
  settled(): Promise<void>;
  /** Of each source; undefined until it has said something. */
  readonly reports: readonly (Report | undefined)[];
  /** Changes taken and not yet settled. */
  readonly queue: number;
  /** Changes taken in all. */
  readonly taken: number;
  readonly lastApply: ApplyStatus | undefined;
  /** Undefined: no source gives it. */
  origin(kind: ObjectKind, name: string): Origin | undefined;
}

/** True when the source found faults and nothing else: a folder that is not mounted yet, say. That tells nothing of what there should be. */
export function saysNothing({ objects, faults }: Report): boolean {
  return objects === 0 && faults.length > 0;
}

export function openFeed({ sources, reconciler, view, now, onSettled }: FeedOptions): Feed {
  const reports = sources.map((): Report | undefined => undefined);
  /** What a single source says goes on as it is. */
  const combination = sources.length > 1 ? openCombination(sources) : undefined;
  const turns = serial();
  /** A long list takes several slices to look through, and what comes after it stays behind it. */
  const entering = serial();
  /** Sources whose first whole state is not taken in yet. */
  const silent = new Set(sources.keys());
  /** Sources whose changes count from now on. */
  const spoken = new Set<number>();
  let begin = (): void => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  let started = false;
  let queue = 0;
  let taken = 0;
  let lastApply: ApplyStatus | undefined;
  let under: Promise<unknown> = Promise.resolve();

  const submit = async (changes: readonly Change[]): Promise<void> => {
    const first = !started;
    started = true;
    const from = performance.now();
    let outcome: Outcome;
    try {
      const { done } = await entering.run(async () => {
        const moves = await inTurns(view.following(changes));
        // Both go into the same batch.
        const moved = moves ? reconciler.setView(view.view) : undefined;
        return { done: Promise.all([first ? reconciler.replaceAll(changes) : reconciler.submit(changes), moved]) };
      });
      [outcome] = await done;
    } catch (fault) {
      // Whoever told it tells it again, everything if it was the first time.
      if (first) started = false;
      throw fault;
    }
    lastApply = {
      at: now(),
      milliseconds: performance.now() - from,
      changes: changes.length,
      operations: outcome.operations,
    };
    if (first) begin();
    onSettled(outcome);
  };
  const pass = (changes: readonly Change[]): Promise<void> => {
    const done = submit(changes);
    // What fails is told to whoever waits for these changes, and to nobody else.
    under = Promise.allSettled([under, done]);
    return done;
  };

  const combined = async (place: number, changes: readonly Change[]): Promise<void> => {
    if (!combination) return pass(changes);
    // Only putting together is done one after the other: what follows need not wait until this is in the kernel.
    const { done } = await turns.run(async () => {
      // What was told first and did not come through is told again as a whole.
      if (silent.has(place)) combination.clear(place);
      // Never given up, so that there is a result.
      const own = (await inSlices(combination.take(place, changes))) as readonly Change[];
      silent.delete(place);
      if (silent.size > 0) return { done: begun };
      return { done: pass(started ? own : ((await inSlices(combination.everything())) as readonly Change[])) };
    });
    return done;
  };

  return {
    async take(place, { changes, report }) {
      const first = !spoken.has(place);
      reports[place] = report;
      // What the kernel holds from before stays until the source has something to put in its place.
      if (first && saysNothing(report)) return;
      spoken.add(place);
      // What a report alone says needs no batch.
      if (!first && changes.length === 0) return;
      queue += changes.length;
      taken += changes.length;
      try {
        await combined(place, changes);
      } catch (fault) {
        // Whoever tells it again reports anew.
        if (reports[place] === report) reports[place] = notTakenUp(report, sources[place] ?? '', fault);
        if (first) {
          spoken.delete(place);
          silent.add(place);
        }
        throw fault;
      } finally {
        queue -= changes.length;
      }
    },
    async settled() {
      await turns.idle();
      await under;
    },
    reports,
    get queue() {
      return queue;
    },
    get taken() {
      return taken;
    },
    get lastApply() {
      return lastApply;
    },
    origin(kind, name) {
      return combination ? combination.origin(kind, name) : { source: sources[0] ?? '', shadows: [] };
    },
  };
}
