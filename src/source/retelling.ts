// SPDX-License-Identifier: Apache-2.0
// Tells changes of a source, and those that were not taken up again, until they are.
import type { Change } from '../mesh/model.ts';
import { subjectText } from './combine.ts';
import type { Report } from './findings.ts';
import type { Tell } from './news.ts';
import type { Timers } from './timers.ts';

export interface RetellingOptions {
  readonly tell: Tell;
  readonly timers: Timers;
  /** To be told now. */
  readonly report: () => Report;
  readonly onLost: (error: unknown) => void;
}

export interface Retelling {
  /** With what was not taken up before. Never throws. */
  tell(changes: readonly Change[]): void;
  /** Something was not taken up. */
  readonly owes: boolean;
  close(): void;
}

interface Told {
  readonly changes: readonly Change[];
  /** Everything there is: what was told first, or what takes its place. */
  readonly whole: boolean;
  state: 'told' | 'taken' | 'lost';
}

/** The pause before something is told again by itself, twice as long each time. */
const firstMs = 1000;
const lastMs = 60_000;

export function openRetelling({ tell, timers, report, onLost }: RetellingOptions): Retelling {
  /** In order, from the oldest on that is not taken up. */
  let all: Told[] = [];
  let begun = false;
  let wait = firstMs;
  let cancel: (() => void) | undefined;
  let closed = false;

  const isLost = ({ state }: Told): boolean => state === 'lost';
  /** As it was told last. What was told again since then, or may be taken up yet, is left out, unless everything is owed. */
  const owed = (): { readonly changes: readonly Change[]; readonly whole: boolean } => {
    const whole = all.some((one) => one.whole && isLost(one));
    const latest = new Map<string, Change>();
    for (const one of all) {
      for (const change of one.changes) {
        const subject = subjectText(change);
        latest.delete(subject);
        if (whole || isLost(one)) latest.set(subject, change);
      }
    }
    return { changes: [...latest.values()], whole };
  };
  const send = async (one: Told): Promise<void> => {
    all.push(one);
    try {
      await tell({ changes: one.changes, report: report() });
      one.state = 'taken';
      wait = firstMs;
      while (all[0]?.state === 'taken') all.shift();
    } catch (error) {
      one.state = 'lost';
      if (closed) return;
      onLost(error);
      cancel ??= timers.after(wait, () => next([]));
    }
  };
  const next = (changes: readonly Change[]): void => {
    if (cancel) wait = Math.min(2 * wait, lastMs);
    cancel?.();
    cancel = undefined;
    const before = all.some(isLost) ? owed() : { changes: [], whole: !begun };
    begun = true;
    all = all.filter((one) => !isLost(one));
    const now = before.changes.length === 0 ? changes : [...before.changes, ...changes];
    void send({ changes: now, whole: before.whole, state: 'told' });
  };

  return {
    tell: next,
    get owes() {
      return all.some(isLost);
    },
    close() {
      closed = true;
      cancel?.();
    },
  };
}
