// SPDX-License-Identifier: Apache-2.0
// What a waypoint's Envoy is started with: its bootstrap and its arguments.
import { httpStats } from '../../compile/l7/chains.ts';
import { KmeshError } from '../../errors.ts';
import { type Locality, noLocality } from '../../mesh/workload.ts';
import { listenKey, nodeKey } from '../../waypoint/server.ts';

/** Below the folder that Envoy runs in: from any network namespace, and from nowhere else. */
export const adsSocket = 'ads.sock';
export const adminSocket = 'admin.sock';

/**
 * How large regular expressions may be is said by those of our control plane themselves, in a field that Envoy calls deprecated: here it holds whether
 * an Envoy to come reads that field, refuses it, or does not know it.
 */
const regexRuntime = {
  're2.max_program_size.error_level': 1_000_000_000,
  're2.max_program_size.warn_level': 1_000_000_000,
  'envoy.deprecated_features:envoy.type.matcher.v3.RegexMatcher.google_re2': true,
};

/**
 * What becomes a label of a counter. Each name is searched for all that Envoy knows of otherwise, which is a sixth of its start with a thousand
 * services. Only names that Envoy has had for long: it refuses those that it does not know.
 */
const labels = [
  'cluster_name',
  'http_conn_manager_prefix',
  'listener_address',
  'response_code',
  'response_code_class',
  'tcp_prefix',
];

/** Counters of each service's routes would have a name of their own each, for no label takes theirs; the control plane knows what they say. */
const statistics = {
  use_all_default_tags: false,
  stats_tags: labels.map((label) => ({ tag_name: `envoy.${label}` })),
  stats_matcher: { exclusion_list: { patterns: [{ prefix: `http.${httpStats}.rds.` }] } },
};

/** Of clients at once; further ones are closed. Without a limit Envoy warns at each start. */
const mostConnections = 1_000_000;

export interface BootstrapOptions {
  /** "namespace/name" */
  readonly waypoint: string;
  /** Endpoints are chosen by where it is. */
  readonly node: string;
  readonly locality?: Locality;
  /** ADDRESS:PORT */
  readonly listen: string;
}

export function bootstrapOf({
  waypoint,
  node,
  locality = noLocality,
  listen,
}: BootstrapOptions): Readonly<Record<string, unknown>> {
  const ads = { resource_api_version: 'V3', ads: {} };
  return {
    node: {
      id: `${waypoint}@${node}`,
      cluster: waypoint,
      metadata: { [listenKey]: listen, [nodeKey]: node },
      locality: { region: locality.region, zone: locality.zone, sub_zone: locality.subzone },
    },
    // A file mode is a number; 0600.
    admin: { address: { pipe: { path: adminSocket, mode: 0o600 } } },
    layered_runtime: { layers: [{ name: 'kmesh', static_layer: regexRuntime }] },
    overload_manager: {
      resource_monitors: [
        {
          name: 'envoy.resource_monitors.global_downstream_max_connections',
          typed_config: {
            '@type':
              'type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig',
            max_active_downstream_connections: mostConnections,
          },
        },
      ],
    },
    // Of a thousand clusters most have no traffic soon: counters are made when there is something to count.
    deferred_stat_options: { enable_deferred_creation_stats: true },
    stats_config: statistics,
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [
          {
            envoy_grpc: { cluster_name: 'ads' },
            // An agent that was started anew is not waited for longer than it takes.
            retry_policy: { retry_back_off: { base_interval: '0.2s', max_interval: '3s' } },
          },
        ],
      },
      lds_config: ads,
      cds_config: ads,
    },
    static_resources: {
      clusters: [
        {
          name: 'ads',
          type: 'STATIC',
          connect_timeout: '5s',
          load_assignment: {
            cluster_name: 'ads',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: adsSocket } } } }] }],
          },
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: {
                // A control plane that went away without a word is noticed.
                http2_protocol_options: { connection_keepalive: { interval: '30s', timeout: '10s' } },
              },
            },
          },
        },
      ],
    },
  };
}

export const proxyLogLevels = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'] as const;

export interface ProxyArgs {
  readonly bootstrap: BootstrapOptions;
  /** Worker threads; 0: as many as there are processors. */
  readonly concurrency: number;
  readonly proxyLogLevel: (typeof proxyLogLevels)[number];
  /** Milliseconds. */
  readonly drain: number;
  /** Passed on as they are. */
  readonly more: readonly string[];
}

/** What Envoy does not know it passes over in any case; it need not look for that in each part of each resource first. */
export const unsearched = '--ignore-unknown-dynamic-fields';

/** Ours to say, for what we know of the proxy rests on them. */
const own: ReadonlySet<string> = new Set([
  '-c',
  '--config-path',
  '--config-yaml',
  '--mode',
  '--restart-epoch',
  '--base-id',
]);

/** @throws KmeshError KM_USAGE for what cannot be passed on. */
export function checkArgs(more: readonly string[]): void {
  const refused = more.find((word) => own.has(word.split('=')[0] ?? ''));
  if (refused === undefined) return;
  throw new KmeshError('KM_USAGE', `"${refused}" cannot be passed on: kmeshctl says it to Envoy itself`);
}

export function proxyArgs({ bootstrap, concurrency, proxyLogLevel, drain, more }: ProxyArgs): readonly string[] {
  return [
    // Not as a file: Envoy looks at every folder of its path, and the run directory is closed to it.
    ...['--config-yaml', JSON.stringify(bootstrapOf(bootstrap)), '--disable-hot-restart'],
    ...(concurrency === 0 ? [] : ['--concurrency', String(concurrency)]),
    ...['-l', proxyLogLevel],
    ...(more.includes(unsearched) ? [] : [unsearched]),
    // It warns of each field that it calls deprecated, at every change of a policy.
    ...(more.some((word) => word.startsWith('--component-log-level')) ? [] : ['--component-log-level', 'misc:error']),
    // All clients are told at once, for the whole of the time: it is short.
    ...['--drain-strategy', 'immediate', '--drain-time-s', String(Math.max(1, Math.ceil(drain / 1000)))],
    ...more,
  ];
}
