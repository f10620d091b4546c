// SPDX-License-Identifier: Apache-2.0
import { counted, KmeshError } from '../../../errors.ts';
import { dryRunFlag } from '../../global.ts';
import { text, texts, toggle } from '../../param.ts';
import { command } from '../../spec.ts';
import { viewDeleted } from '../../view/waypoint.ts';
import { clusterFlags } from '../../waypoint-flags.ts';

export const waypointDelete = command({
  path: ['waypoint', 'delete'],
  group: 'Waypoints',
  summary: 'delete waypoints from a cluster',
  description:
    'Deletes the waypoints named, or with --all or --revision those of one namespace; Gateways that are no waypoints are never touched. Says what is ' +
    'still labelled to use them: its traffic is refused, or goes direct, as the nodes are set. Exit code 1 when one of them was not found or could ' +
    'not be deleted; the others are deleted all the same.',
  examples: [
    { line: 'kmeshctl waypoint delete waypoint -n shop', note: 'one' },
    { line: 'kmeshctl waypoint delete --all -n shop --dry-run', note: 'which ones would go' },
  ],
  args: { names: texts('NAME', 'name of a waypoint') },
  flags: {
    ...clusterFlags,
    all: toggle('all waypoints of the namespace'),
    revision: text('REV', 'those of this revision', { short: 'r' }),
    ...dryRunFlag,
  },
  run: async (ctx, input) => (await import('../../../tasks/waypoint/delete.ts')).deleteWaypoints(ctx.env, input),
  view: viewDeleted,
  failure: ({ waypoints }) => {
    const failed = waypoints.filter(({ state }) => state !== 'deleted');
    if (failed.length === 0) return undefined;
    const code = failed.every(({ state }) => state === 'not found') ? 'KM_NOT_FOUND' : 'KM_KUBE';
    return new KmeshError(code, `${counted(failed.length, 'waypoint')} of ${waypoints.length} not deleted`);
  },
});
