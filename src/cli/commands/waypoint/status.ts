// SPDX-License-Identifier: Apache-2.0
import { KmeshError } from '../../../errors.ts';
import { choice, texts } from '../../param.ts';
import { command } from '../../spec.ts';
import { viewWaypointStatus } from '../../view/waypoint-status.ts';
import { allNamespacesFlag, clusterFlags, waitFlags } from '../../waypoint-flags.ts';

export const waypointStatus = command({
  path: ['waypoint', 'status'],
  group: 'Waypoints',
  summary: 'show conditions of waypoints, routes and policies, and what proxies refuse',
  description:
    'Of a cluster: one row for each condition of each waypoint, as it is now. With --wait only once all of them are programmed; at the time-out it ends with ' +
    'the reason that the controller gives. Of this node, where an agent with --waypoint-ads or "waypoint serve" runs: proxies that are connected, what they refuse ' +
    'with their reason and what they use in its place, and the conditions of routes and of policies that waypoints enforce. Both, as far as they are there, unless --from says which. ' +
    'Exit code 1 also when a name is that of no waypoint.',
  examples: [
    { line: 'kmeshctl waypoint status -n shop', note: 'all of a namespace' },
    { line: 'kmeshctl waypoint status waypoint -n shop --wait --timeout 2m', note: 'until one is ready' },
    { line: 'kmeshctl waypoint status --from node -o yaml', note: 'what this node tells proxies, with every field' },
  ],
  args: { names: texts('NAME', 'name of a waypoint (default: all)') },
  flags: {
    from: choice(
      ['cluster', 'node'],
      'WHERE',
      'only the Gateways of the cluster, or only what the control plane on this node knows (default: both)',
    ),
    ...clusterFlags,
    ...allNamespacesFlag,
    ...waitFlags,
  },
  run: async (ctx, input) =>
    (await import('../../../tasks/waypoint/status.ts')).showWaypointStatus(ctx.env, { place: ctx.place, ...input }),
  view: viewWaypointStatus,
  failure: ({ missing }) =>
    missing.length === 0 ? undefined : new KmeshError('KM_NOT_FOUND', `no such waypoint: ${missing.join(', ')}`),
});
