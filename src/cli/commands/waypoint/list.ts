// SPDX-License-Identifier: Apache-2.0
import { command } from '../../spec.ts';
import { viewWaypoints } from '../../view/waypoint.ts';
import { allNamespacesFlag, clusterFlags } from '../../waypoint-flags.ts';

export const waypointList = command({
  path: ['waypoint', 'list'],
  group: 'Waypoints',
  summary: 'list the waypoints of a cluster',
  description:
    'Gateways of a class for waypoints, and those that are marked as one by label or annotation. PROGRAMMED is what the controller says of the ' +
    'latest version of the Gateway.',
  examples: [
    { line: 'kmeshctl waypoint list -n shop', note: 'of one namespace' },
    { line: 'kmeshctl waypoint list -A -o yaml', note: 'of all, with everything known' },
  ],
  args: {},
  flags: { ...clusterFlags, ...allNamespacesFlag },
  run: async (ctx, input) => (await import('../../../tasks/waypoint/list.ts')).listWaypoints(ctx.env, input),
  view: viewWaypoints,
});
