// SPDX-License-Identifier: Apache-2.0
import { dryRunFlag } from '../../global.ts';
import { toggle } from '../../param.ts';
import { command } from '../../spec.ts';
import { viewApplied } from '../../view/waypoint.ts';
import { clusterFlags, gatewayFlags, waitFlags } from '../../waypoint-flags.ts';

export const waypointApply = command({
  path: ['waypoint', 'apply'],
  group: 'Waypoints',
  summary: 'make a waypoint in a cluster, or change it',
  description:
    'Writes the Gateway by server-side apply. Fields that other field managers own are not touched: the command says whose they are and changes nothing. ' +
    'With --enroll-namespace the services of the namespace use it from then on (with --wait: once it is programmed); a namespace that uses ' +
    'another waypoint is left alone unless --overwrite is given.',
  examples: [
    {
      line: 'kmeshctl waypoint apply -n shop --enroll-namespace --wait',
      note: 'a waypoint for all services of a namespace',
    },
    {
      line: 'kmeshctl waypoint apply -n shop --name edge --for workload --dry-run',
      note: 'ask the API server, and store nothing',
    },
  ],
  args: {},
  flags: {
    ...clusterFlags,
    ...gatewayFlags,
    enrollNamespace: toggle('label the namespace to use it'),
    overwrite: toggle('with --enroll-namespace: also when the namespace uses another waypoint'),
    forceConflicts: toggle('take over fields of the Gateway that other field managers own'),
    ...waitFlags,
    ...dryRunFlag,
  },
  run: async (ctx, input) => (await import('../../../tasks/waypoint/apply.ts')).applyWaypoint(ctx.env, input),
  view: viewApplied,
});
