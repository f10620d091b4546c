// SPDX-License-Identifier: Apache-2.0
// Each fault of the configuration in the log, once, when it comes up.
import { type Finding, type Report, renderFinding } from '../source/findings.ts';
import type { Log } from './log.ts';

/** Lines for the faults that came up at once; status lists all. */
export const mostFaults = 50;

/** To be called with what the sources report now, whenever that may have changed. */
export function openFaultLog(log: Log): (reports: readonly (Report | undefined)[]) => void {
  let seen: readonly (readonly Finding[])[] = [];
  let told: ReadonlySet<string> = new Set();
  return (reports) => {
    const lists = reports.flatMap((report) => (report ? [report.faults] : []));
    if (lists.length === seen.length && lists.every((list, i) => list === seen[i])) return;
    seen = lists;
    const all = new Set(lists.flatMap((list) => list.map(renderFinding)));
    const fresh = [...all].filter((text) => !told.has(text));
    told = all;
    for (const fault of fresh.slice(0, mostFaults)) log.warn({ fault }, 'fault of the configuration');
    if (fresh.length > mostFaults) {
      log.warn(
        { more: fresh.length - mostFaults },
        'further faults of the configuration: "kmeshctl status" lists them',
      );
    }
  };
}
