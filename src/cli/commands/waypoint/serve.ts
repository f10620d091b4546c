// SPDX-License-Identifier: Apache-2.0
import { logLevels } from '../../log-levels.ts';
import { choiceOr, listenAddress, text, texts, toggle } from '../../param.ts';
import { command } from '../../spec.ts';

const defaultListen = { host: '127.0.0.1', port: 15010 };

export const waypointServe = command({
  path: ['waypoint', 'serve'],
  group: 'Waypoints',
  summary: 'tell the proxies of waypoints what their routes and policies are',
  description:
    'A control plane for stock Envoys (LDS, RDS, CDS and EDS over one stream, incremental or not) from Kubernetes, Istio and Gateway API YAML, which is watched: ' +
    'HTTPRoute, GRPCRoute, TLSRoute and TCPRoute whose parents are services, and policies that are aimed at services and gateways. An Envoy says which ' +
    'waypoint it is by its node.cluster, NAMESPACE/NAME. What it refuses is logged and shown by "kmeshctl waypoint status", and the version before stays. SIGHUP reads everything again.',
  examples: [
    { line: 'kmeshctl waypoint serve --config /etc/kmesh --listen 127.0.0.1:15010', note: 'a folder, watched' },
    {
      line: 'kmeshctl waypoint serve --config /etc/kmesh --status :15021',
      note: 'with status, metrics and health over HTTP',
    },
  ],
  args: {},
  flags: {
    config: texts('DIR|FILE', 'where configuration is; - reads standard input once', { complete: 'file' }),
    listen: listenAddress('ADDRESS', 'where proxies connect to (default: 127.0.0.1:15010)', 15010),
    tlsCert: text('FILE', 'certificate of that address, in PEM, read again when it changes; without it plain text', {
      complete: 'file',
    }),
    tlsKey: text('FILE', 'its key', { complete: 'file' }),
    clientCa: text('FILE', 'proxies must show a certificate that one of these signed', { complete: 'file' }),
    status: listenAddress(
      'ADDRESS',
      'where status (/), /metrics, /healthz/live and /healthz/ready are served over HTTP (default: nowhere)',
    ),
    requireGrants: toggle('let routes use backends of other namespaces only where a ReferenceGrant says so'),
    logLevel: choiceOr('info', logLevels, 'LEVEL', 'how much is logged'),
  },
  handlesSignals: true,
  ownOutput: true,
  run: async (ctx, input) =>
    (await import('../../../tasks/waypoint/serve.ts')).serveWaypoints(ctx.env, {
      place: ctx.place,
      ...input,
      listen: input.listen ?? defaultListen,
    }),
  view: () => [],
});
