// SPDX-License-Identifier: Apache-2.0
// HAProxy as a waypoint: its configuration is ours to write, for routes of services by their addresses.
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { address, found, type Place, type ProxyKind, type Seen, type StockProxy } from './kind.ts';
import { openProcesses } from './process.ts';

const http = { name: 'web', port: 15088 };
const tls = { name: 'tls', port: 15443 };

/** "origin" dials what the client dialled: in a cgroup that is enrolled as a waypoint that leads to the service itself. */
const configuration = (folder: string) => `
global
  log stdout format raw local0
  stats socket ${join(folder, 'stats')} mode 600 level admin expose-fd listeners
  hard-stop-after 120s
defaults
  log global
  timeout connect 10s
  timeout client 5m
  timeout server 5m
  timeout tunnel 1h

frontend web
  bind :::${http.port} v4v6 accept-proxy
  mode http
  log-format "seen %HU %[dst] %[dst_port] %[src] %[src_port] %[fc_pp_tlv(0xd0)]"
  http-request set-header x-waypoint haproxy
  acl shop dst ${address('shop')} ${address('shop', 6)}
  use_backend two if shop { path_beg /two/ } || shop { req.hdr(version) -m str two }
  use_backend grpc if { req.hdr(content-type) -m beg application/grpc }
  default_backend origin
backend origin
  mode http
  server origin 0.0.0.0
backend two
  mode http
  server two ${address('v2')}:80
backend grpc
  mode http
  server origin 0.0.0.0 proto h2

frontend tls
  bind :::${tls.port} v4v6 accept-proxy
  mode tcp
  tcp-request inspect-delay 10s
  tcp-request content accept if { req.ssl_hello_type 1 }
  use_backend tls-two if { req.ssl_sni two.example }
  default_backend tls-origin
backend tls-origin
  mode tcp
  server origin 0.0.0.0
backend tls-two
  mode tcp
  server two ${address('v2')}:443
`;

function place({ pod, folder }: Place): StockProxy {
  const { haproxy } = found();
  const processes = openProcesses(pod);
  const file = join(folder, 'haproxy.cfg');
  const stats = join(folder, 'stats');
  writeFileSync(file, configuration(folder));
  const ask = (command: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(stats, () => socket.end(`${command}\n`));
      let text = '';
      socket.on('data', (part) => {
        text += part;
      });
      socket.on('error', reject);
      socket.on('end', () => resolve(text));
    });
  const ready = () =>
    processes.until(async () => /^Pid: (\d+)/m.exec(await ask('show info'))?.[1] === `${processes.pid}`, 'not ready');
  /** Sum of a column over the frontends. */
  const sum = async (column: string): Promise<number> => {
    const [head = '', ...lines] = (await ask('show stat')).trim().replace('# ', '').split('\n');
    const at = head.split(',').indexOf(column);
    const frontends = lines.map((line) => line.split(',')).filter((cells) => cells[1] === 'FRONTEND');
    return frontends.reduce((total, cells) => total + Number(cells[at] || 0), 0);
  };
  const lines = (pattern: RegExp) => [...processes.said().matchAll(pattern)];
  return {
    connections: () => sum('conn_tot'),
    broken: async () => lines(/PROXY/g).length,
    seen: () =>
      lines(/^seen (\S+) (\S+) (\d+) (\S+) (\d+) (\S+)$/gm).map(
        ([, path = '', local = '', lp, remote = '', rp, identity = '']) => ({
          path,
          local: [local, Number(lp)],
          remote: [remote, Number(rp)],
          identity,
        }),
      ) satisfies Seen[],
    said: () => `${readFileSync(file, 'utf8')}\n${processes.said()}`,
    async kill() {
      processes.signal('SIGKILL');
      await processes.ended();
    },
    async drain() {
      processes.signal('SIGUSR1');
      await processes.ended();
    },
    async start() {
      processes.start([...haproxy, '-db', '-f', file]);
      await ready();
    },
    async reload() {
      const { pid } = processes;
      processes.start([...haproxy, '-db', '-f', file, '-x', stats, '-sf', `${pid}`]);
      await ready();
      await processes.ended('last');
    },
  };
}

export const haproxy: ProxyKind = {
  name: 'HAProxy',
  missing: found().missing,
  gateways: { http, grpc: http, log: http, tls },
  place,
};
