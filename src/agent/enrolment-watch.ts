// SPDX-License-Identifier: Apache-2.0
// Notices that a command enrolled something or took it out: the programs' own counter of such changes is looked at now and then.
import type { DataPlane } from '../kernel/dataplane.ts';
import { faultFacts, type Log } from './log.ts';

export interface EnrolmentWatchOptions {
  readonly plane: () => DataPlane;
  readonly changed: () => void;
  readonly log: Log;
  readonly everyMs?: number;
}

export interface EnrolmentWatch {
  close(): void;
}

/** One lookup: some microseconds. */
const usualEveryMs = 250;

/** Calls `changed` once at first if anything ever was enrolled, then at every change. */
export function watchEnrolments({
  plane,
  changed,
  log,
  everyMs = usualEveryMs,
}: EnrolmentWatchOptions): EnrolmentWatch {
  let seen = 0n;
  let failed = false;
  const look = (): void => {
    try {
      const epoch = plane().map('level').get(0)?.epoch ?? 0n;
      failed = false;
      if (epoch === seen) return;
      seen = epoch;
    } catch (fault) {
      // Pins that were taken away are opened anew by whoever writes next.
      if (!failed) log.warn(faultFacts(fault), 'enrolments cannot be read');
      failed = true;
      return;
    }
    changed();
  };
  look();
  const timer = setInterval(look, everyMs).unref();
  return { close: () => clearInterval(timer) };
}
