// SPDX-License-Identifier: Apache-2.0
import { texts, toggle } from '../../param.ts';
import { command } from '../../spec.ts';
import { viewObject } from '../../view/waypoint.ts';
import { gatewayFlags, namespaceFlag } from '../../waypoint-flags.ts';

export const waypointGenerate = command({
  path: ['waypoint', 'generate'],
  group: 'Waypoints',
  summary: 'print the Gateway that asks for a waypoint',
  description:
    'Prints YAML for "kubectl apply", or for a folder that an agent reads, and needs no cluster. With --envoyfilter it prints, in its place, the ' +
    'EnvoyFilter with which a waypoint of istiod (a stock istio-proxy) takes connections with a PROXY protocol header, as nodes of ' +
    'the mesh send it; apply both.',
  examples: [
    {
      line: 'kmeshctl waypoint generate -n shop --for all | kubectl apply -f -',
      note: 'what "waypoint apply" would send',
    },
    {
      line: 'kmeshctl waypoint generate -n shop --envoyfilter | kubectl apply -f -',
      note: 'so that it takes the PROXY protocol',
    },
    { line: 'kmeshctl waypoint generate --class kmesh-waypoint -n shop', note: 'one that kmeshctl configures' },
    {
      line: 'kmeshctl waypoint generate --class kmesh-waypoint -n shop --address 10.0.0.7 > /etc/kmesh/waypoint.yaml',
      note: 'for "waypoint run" on this node, without a cluster',
    },
  ],
  args: {},
  flags: {
    ...namespaceFlag,
    ...gatewayFlags,
    address: texts('ADDRESS', 'where it is, for a folder that agents read: an IP address or a host name'),
    envoyfilter: toggle('the EnvoyFilter for a waypoint of istiod, in place of the Gateway'),
  },
  run: async (_ctx, input) => (await import('../../../tasks/waypoint/generate.ts')).generateWaypoint(input),
  view: viewObject,
});
