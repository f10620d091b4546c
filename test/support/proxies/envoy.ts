// SPDX-License-Identifier: Apache-2.0
// Envoy as a waypoint: told by our control plane; one listener more of its own bootstrap tells what it sees of connections.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { envoyMissing, envoyProgram } from '../envoy.ts';
import { address, askSocket, type Place, type ProxyKind, type StockProxy, seenIn } from './kind.ts';
import { openProcesses } from './process.ts';

const told = { name: 'waypoint', port: 15088 };
const log = { name: 'log', port: 15090 };

const socket = (at: string, port: number) => ({ socket_address: { address: at, port_value: port } });
const typed = (name: string, more: object) => ({ '@type': `type.googleapis.com/envoy.${name}`, ...more });
const cluster = (name: string, host: string, port: number, more: object = {}) => ({
  name,
  type: 'STATIC',
  connect_timeout: '10s',
  load_assignment: {
    cluster_name: name,
    endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(host, port) } }] }],
  },
  ...more,
});

const proxyFilter = 'envoy.filters.listener.proxy_protocol';
const line =
  '%DOWNSTREAM_LOCAL_ADDRESS% from %DOWNSTREAM_REMOTE_ADDRESS% as %FILTER_STATE(identity:PLAIN)%: %REQ(:PATH)%\n';

const logListener = (path: string) => ({
  name: 'log',
  address: { socket_address: { address: '::', port_value: log.port, ipv4_compat: true } },
  listener_filters: [
    {
      name: proxyFilter,
      typed_config: typed('extensions.filters.listener.proxy_protocol.v3.ProxyProtocol', {
        rules: [{ tlv_type: 0xd0, on_tlv_present: { key: 'identity' } }],
      }),
    },
  ],
  filter_chains: [
    {
      filters: [
        {
          name: 'identity',
          typed_config: typed('extensions.filters.network.set_filter_state.v3.Config', {
            on_new_connection: [
              {
                object_key: 'identity',
                factory_key: 'envoy.string',
                format_string: {
                  text_format_source: { inline_string: `%DYNAMIC_METADATA(${proxyFilter}:identity)%` },
                },
              },
            ],
          }),
        },
        {
          name: 'http',
          typed_config: typed('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
            stat_prefix: 'log',
            access_log: [
              {
                name: 'file',
                typed_config: typed('extensions.access_loggers.file.v3.FileAccessLog', {
                  path,
                  log_format: { text_format_source: { inline_string: line } },
                }),
              },
            ],
            route_config: {
              virtual_hosts: [
                {
                  name: 'all',
                  domains: ['*'],
                  routes: [{ match: { prefix: '/' }, route: { cluster: 'log', timeout: '0s' } }],
                  request_headers_to_add: [{ header: { key: 'x-waypoint', value: 'envoy' } }],
                },
              ],
            },
            http_filters: [{ name: 'router', typed_config: typed('extensions.filters.http.router.v3.Router', {}) }],
          }),
        },
      ],
    },
  ],
});

function bootstrap({ folder, ads, pod }: Place, epoch: number) {
  const source = { resource_api_version: 'V3', ads: {} };
  const grpc = typed('extensions.upstreams.http.v3.HttpProtocolOptions', {
    explicit_http_config: { http2_protocol_options: {} },
  });
  return {
    admin: { address: { pipe: { path: join(folder, `admin-${epoch}`) } } },
    node: { id: pod.name, cluster: `shop/${told.name}` },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'ads' } }],
      },
      lds_config: source,
      cds_config: source,
    },
    static_resources: {
      listeners: [logListener(join(folder, 'access.log'))],
      clusters: [
        cluster('ads', ads.host, ads.port, {
          typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': grpc },
        }),
        // In a cgroup that is enrolled as a waypoint the address of a service leads to the service itself.
        cluster('log', address('v1'), 80),
      ],
    },
  };
}

function place(at: Place): StockProxy {
  const { pod, folder } = at;
  const processes = openProcesses(pod);
  const baseId = join(folder, 'base-id');
  const access = join(folder, 'access.log');
  let epoch = 0;
  const run = (words: readonly string[]): void => {
    const file = join(folder, `envoy-${epoch}.json`);
    writeFileSync(file, JSON.stringify(bootstrap(at, epoch)));
    // One that was killed leaves it.
    rmSync(join(folder, `admin-${epoch}`), { force: true });
    const quiet = ['--concurrency', '1', '-l', 'warning', '--file-flush-interval-msec', '50'];
    const drain = ['--drain-strategy', 'immediate', '--drain-time-s', '2', '--parent-shutdown-time-s', '5'];
    processes.start([envoyProgram, '-c', file, ...quiet, ...drain, ...words]);
  };
  /** Its memory for hot restarts has a name, and stays. */
  const forget = () => rmSync(`/dev/shm/envoy_shared_memory_${readFileSync(baseId, 'utf8').trim()}0`, { force: true });
  const admin = (path: string, method = 'GET') => askSocket(join(folder, `admin-${epoch}`), path, method);
  /** Sum of the counters that are named so. */
  const sum = async (pattern: string): Promise<number> => {
    const lines = (await admin(`/stats?filter=${encodeURIComponent(pattern)}`)).split('\n');
    return lines.reduce((total, text) => total + Number(/: (\d+)$/.exec(text)?.[1] ?? 0), 0);
  };
  const listeners = '^listener\\.(waypoint|.*_15090)\\.downstream_cx';
  const ready = () =>
    processes.until(async () => {
      await admin('/ready');
      const all = JSON.parse(await admin('/listeners?format=json')) as { listener_statuses?: { name: string }[] };
      return new Set(all.listener_statuses?.map(({ name }) => name)).size === 2;
    }, 'not ready');
  return {
    connections: () => sum(`${listeners}_total$`),
    broken: () => sum('proxy_proto\\..*(error|not_found)'),
    seen: () => (existsSync(access) ? seenIn(readFileSync(access, 'utf8')) : []),
    said: () => processes.said(),
    async kill() {
      processes.signal('SIGKILL');
      await processes.ended();
      forget();
    },
    async drain() {
      await admin('/drain_listeners?graceful', 'POST');
      await processes.until(async () => (await sum(`${listeners}_active$`)) === 0, 'connections do not end');
      await admin('/quitquitquit', 'POST');
      await processes.ended();
      forget();
    },
    async start() {
      epoch = 0;
      run(['--use-dynamic-base-id', '--base-id-path', baseId]);
      await ready();
    },
    async reload() {
      epoch++;
      run(['--base-id', readFileSync(baseId, 'utf8').trim(), '--restart-epoch', `${epoch}`]);
      await ready();
      await processes.ended('last');
    },
  };
}

export const envoy: ProxyKind = {
  name: 'Envoy',
  missing: envoyMissing(),
  gateways: { http: told, grpc: told, tls: told, log },
  place,
};
