// SPDX-License-Identifier: Apache-2.0
// From the source into the reconciler: counts what is on its way, and follows where the node stands.
import type { ApplyStatus } from '../admin/types.ts';
import type { Change } from '../mesh/model.ts';
import type { Report } from '../source/findings.ts';
import type { Outcome, Reconciler } from './reconciler.ts';
import type { ViewFinder } from './view.ts';

export interface FeedOptions {
  readonly reconciler: Reconciler;
  readonly view: ViewFinder;
  readonly now: () => number;
  /** After each piece of news is in the kernel, or could not be written. */
  readonly onSettled: (outcome: Outcome) => void;
}

export interface Feed {
  /** What the source says: first everything there is, then what differs. */
  take(changes: readonly Change[], report: Report): void;
  /** Resolves when everything taken so far is in the kernel, or could not be written. */
  settled(): Promise<void>;
  /** Undefined until the source has said something. */
  readonly report: Report | undefined;
  /** Changes taken and not yet settled. */
  readonly queue: number;
  /** Changes taken in all. */
  readonly taken: number;
  readonly lastApply: ApplyStatus | undefined;
}

/** True when the source found faults and nothing else: a folder that is not mounted yet, say. That tells nothing of what there should be. */
export function saysNothing({ objects, faults }: Report): boolean {
  return objects === 0 && faults.length > 0;
}

export function openFeed({ reconciler, view, now, onSettled }: FeedOptions): Feed {
  let report: Report | undefined;
  let begun = false;
  let queue = 0;
  let taken = 0;
  let lastApply: ApplyStatus | undefined;
  let under: Promise<unknown> = Promise.resolve();

  const submit = async (changes: readonly Change[], first: boolean): Promise<void> => {
    const begun = performance.now();
    queue += changes.length;
    taken += changes.length;
    // Both go into the same batch.
    const moved = view.follow(changes) ? reconciler.setView(view.view) : undefined;
    const outcome = await (first ? reconciler.replaceAll(changes) : reconciler.submit(changes));
    await moved;
    queue -= changes.length;
    lastApply = {
      at: now(),
      milliseconds: performance.now() - begun,
      changes: changes.length,
      operations: outcome.operations,
    };
    onSettled(outcome);
  };

  return {
    take(changes, next) {
      report = next;
      // What the kernel holds from before stays until the source has something to put in its place.
      if (!begun && saysNothing(next)) return;
      const first = !begun;
      begun = true;
      // What a report alone says needs no batch.
      if (first || changes.length > 0) under = Promise.all([under, submit(changes, first)]);
    },
    async settled() {
      await under;
    },
    get report() {
      return report;
    },
    get queue() {
      return queue;
    },
    get taken() {
      return taken;
    },
    get lastApply() {
      return lastApply;
    },
  };
}
