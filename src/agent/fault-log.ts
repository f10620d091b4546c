// SPDX-License-Identifier: Apache-2.0
// Each fault and warning of the configuration in the log, once, when it comes up.
import { type Finding, type Report, renderFinding } from '../source/findings.ts';
import type { Log } from './log.ts';

/** Lines for those that came up at once; status lists all. */
export const mostFaults = 50;

type Reports = readonly (Report | undefined)[];

/** To be called with what the sources report now, whenever that may have changed. */
export function openFaultLog(log: Log): (reports: Reports) => void {
  const faults = openTelling(
    (fault) => log.warn({ fault }, 'fault of the configuration'),
    (more) => log.warn({ more }, 'further faults of the configuration: "kmeshctl status" lists them'),
  );
  const warnings = openTelling(
    (warning) => log.warn({ warning }, 'warning of the configuration'),
    (more) => log.warn({ more }, 'further warnings of the configuration: "kmeshctl status" lists them'),
  );
  return (reports) => {
    faults(reports.flatMap((report) => (report ? [report.faults] : [])));
    warnings(reports.flatMap((report) => (report ? [report.warnings] : [])));
  };
}

function openTelling(tell: (text: string) => void, further: (more: number) => void) {
  let seen: readonly (readonly Finding[])[] = [];
  let told: ReadonlySet<string> = new Set();
  return (lists: readonly (readonly Finding[])[]): void => {
    if (lists.length === seen.length && lists.every((list, i) => list === seen[i])) return;
    seen = lists;
    const all = new Set(lists.flatMap((list) => list.map(renderFinding)));
    const fresh = [...all].filter((text) => !told.has(text));
    told = all;
    for (const text of fresh.slice(0, mostFaults)) tell(text);
    if (fresh.length > mostFaults) further(fresh.length - mostFaults);
  };
}
