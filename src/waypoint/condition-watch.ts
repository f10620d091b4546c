// SPDX-License-Identifier: Apache-2.0
// Tells, once each, what of routes and policies has no effect, and when that is over.
import { type Complaint, complaintsOf } from '../compile/l7/complaints.ts';
import type { ParentStatus } from '../compile/l7/settle.ts';
import { messageOf } from '../errors.ts';
import type { WaypointServerLog } from './server-log.ts';

/** A long list of changes comes in parts, and a backend may come right behind the route that names it. */
const usualGatherMs = 1000;
/** Lines at once: who changes thousands of routes reads "waypoint status". */
const mostLines = 50;

type Statuses = Iterable<readonly [string, readonly ParentStatus[]]>;

export interface ConditionWatch {
  /** `statuses` is asked a while later, for all that came until then. */
  look(statuses: () => Statuses): void;
  /** Reason -> how many, as of the last look. */
  counts(): Readonly<Record<string, number>>;
  close(): void;
}

export function watchConditions(log: WaypointServerLog, gatherMs = usualGatherMs): ConditionWatch {
  let told: ReadonlyMap<string, Complaint> = new Map();
  let timer: NodeJS.Timeout | undefined;
  let ask: (() => Statuses) | undefined;
  const tell = (): void => {
    timer = undefined;
    if (!ask) return;
    let now: ReadonlyMap<string, Complaint>;
    try {
      now = complaintsOf(ask());
    } catch (error) {
      log.warn({ reason: messageOf(error) }, 'conditions of routes could not be made');
      return;
    }
    const come = [...now].filter(([key]) => !told.has(key));
    const gone = [...told].filter(([key]) => !now.has(key));
    told = now;
    for (const [, { object, parent, type, reason, message }] of come.slice(0, mostLines)) {
      const facts = { event: 'route_condition', resource: object, parent, type, reason, details: message };
      log.warn(facts, 'a route or policy of waypoints has no effect, or not all of it');
    }
    for (const [, { object, parent, type, reason }] of gone.slice(0, mostLines)) {
      const facts = { event: 'route_condition_over', resource: object, parent, type, reason };
      log.info(facts, 'that no longer holds for the route or policy');
    }
    const more = Math.max(0, come.length - mostLines);
    if (more > 0) log.warn({ event: 'route_condition', more }, 'more such routes: "kmeshctl waypoint status" has all');
  };
  return {
    look(statuses) {
      ask = statuses;
      timer ??= setTimeout(tell, gatherMs).unref();
    },
    counts() {
      const counts: Record<string, number> = {};
      for (const { reason } of told.values()) counts[reason] = (counts[reason] ?? 0) + 1;
      return counts;
    },
    close: () => clearTimeout(timer),
  };
}
