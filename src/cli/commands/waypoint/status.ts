// SPDX-License-Identifier: Apache-2.0
import { KmeshError } from '../../../errors.ts';
import { texts } from '../../param.ts';
import { command } from '../../spec.ts';
import { viewWaypointStatus } from '../../view/waypoint.ts';
import { allNamespacesFlag, clusterFlags, waitFlags } from '../../waypoint-flags.ts';

export const waypointStatus = command({
  path: ['waypoint', 'status'],
  group: 'Waypoints',
  summary: 'show what controllers say of the waypoints of a cluster',
  description:
    'One row for each condition of each waypoint, as it is now. With --wait only once all of them are programmed; at the time-out it ends with the ' +
    'reason that the controller gives. Exit code 1 also when a name is that of no waypoint.',
  examples: [
    { line: 'kmeshctl waypoint status -n shop', note: 'all of a namespace' },
    { line: 'kmeshctl waypoint status waypoint -n shop --wait --timeout 2m', note: 'until one is ready' },
  ],
  args: { names: texts('NAME', 'name of a waypoint (default: all)') },
  flags: { ...clusterFlags, ...allNamespacesFlag, ...waitFlags },
  run: async (ctx, input) => (await import('../../../tasks/waypoint/list.ts')).showWaypoints(ctx.env, input),
  view: viewWaypointStatus,
  failure: ({ missing }) =>
    missing.length === 0 ? undefined : new KmeshError('KM_NOT_FOUND', `no such waypoint: ${missing.join(', ')}`),
});
