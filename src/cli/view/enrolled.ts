// SPDX-License-Identifier: Apache-2.0
// Enrolments, and the connections that are older.

import { counted } from '../../errors.ts';
import type { EnrolledResult, EnrolledRow } from '../../tasks/enrolled.ts';
import type { Block, Cell } from '../spec.ts';

const cgroupCell = ({ path, cgroupId }: EnrolledRow): Cell => path ?? { text: `${cgroupId} (deleted)`, tone: 'warn' };

/** "shop/cart", and what the programs know it as where that says more. */
const workloadCell = ({ workload, known, waypoint, unusable }: EnrolledRow): Cell => {
  const kind = waypoint ? ' (waypoint)' : '';
  if (workload !== '' && known === '') return { text: `${workload}${kind} (not known yet)`, tone: 'warn' };
  const text = `${workload || known}${kind}`.trim();
  if (unusable === undefined) return text;
  const how = unusable.instead === 'refuse' ? 'connections to it are refused' : 'connections go past it';
  return { text: `${text} (its waypoint cannot be used: ${how})`, tone: 'warn' };
};

const authzCell = ({ authz, detached }: EnrolledRow): Cell => {
  if (detached) return { text: 'off (came off)', tone: 'bad' };
  return authz === 'pending' ? { text: authz, tone: 'warn' } : authz;
};

export function* viewEnrolled({ rows, pruned, wouldPrune }: EnrolledResult): Generator<Block> {
  yield {
    kind: 'table',
    head: ['CGROUP', 'WORKLOAD', 'AUTHZ', 'NETNS', 'SINCE', 'OLDER'],
    rows: rows.map((row) => [
      cgroupCell(row),
      workloadCell(row),
      authzCell(row),
      row.netns === 0n ? undefined : row.netns,
      row.since,
      row.older.length,
    ]),
    none: 'nothing is enrolled',
  };
  const older = rows.flatMap((row) => row.older.map((connection) => [row, connection] as const));
  if (older.length > 0) {
    yield {
      kind: 'table',
      title: 'Connections older than their enrolment: outside of the mesh until they are made anew',
      head: ['CGROUP', 'PROTOCOL', 'LOCAL', 'REMOTE'],
      rows: older.map(([row, { protocol, local, remote }]) => [cgroupCell(row), protocol, local, remote]),
    };
  }
  if (pruned > 0) {
    yield { kind: 'line', text: `${counted(pruned, 'enrolment')} of deleted cgroups removed`, tone: 'good' };
  }
  if (wouldPrune !== undefined) {
    const text = `would remove ${counted(wouldPrune, 'enrolment')} of deleted cgroups; nothing was changed`;
    yield { kind: 'line', text, tone: 'dim' };
  }
}
