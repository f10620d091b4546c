// SPDX-License-Identifier: Apache-2.0
// nginx as a waypoint: its configuration is ours to write, for routes of services by their addresses.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { address, askSocket, found, type Place, type ProxyKind, type Seen, type StockProxy } from './kind.ts';
import { openProcesses } from './process.ts';

const http = { name: 'web', port: 15088 };
const grpc = { name: 'grpc', port: 15089 };
const tls = { name: 'tls', port: 15443 };

const listen = (port: number, more: string) => `listen ${port} ${more};\n    listen [::]:${port} ${more};`;

/** $origin is what the client dialled: in a cgroup that is enrolled as a waypoint that leads to the service itself. */
const origin = `map $proxy_protocol_server_addr $origin {
    ~: [$proxy_protocol_server_addr]:$proxy_protocol_server_port;
    default $proxy_protocol_server_addr:$proxy_protocol_server_port;
  }`;

const configuration = (folder: string, stream: string) => `
load_module ${stream};
daemon off;
user root;
worker_processes 1;
worker_shutdown_timeout 120s;
pid ${folder}/pid;
error_log ${folder}/error.log info;
events {}
http {
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  log_format seen "seen $request_uri $proxy_protocol_server_addr $proxy_protocol_server_port $proxy_protocol_addr $proxy_protocol_port $proxy_protocol_tlv_0xd0";
  access_log ${folder}/access.log seen;
  ${origin}
  map $http_upgrade $connection_header { '' ''; default upgrade; }
  map "$proxy_protocol_server_addr $uri $http_version" $to {
    ~^(${address('shop')}|${address('shop', 6)})\\s/two/ ${address('v2')}:80;
    ~^(${address('shop')}|${address('shop', 6)})\\s.*\\stwo$ ${address('v2')}:80;
    default $origin;
  }
  server {
    ${listen(http.port, 'proxy_protocol')}
    client_max_body_size 0;
    keepalive_requests 1000000;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_header;
    proxy_set_header X-Waypoint nginx;
    proxy_read_timeout 1h;
    location / { proxy_pass http://$to; }
  }
  server {
    ${listen(grpc.port, 'proxy_protocol')}
    http2 on;
    client_max_body_size 0;
    location / {
      grpc_set_header X-Waypoint nginx;
      grpc_pass grpc://$origin;
    }
  }
  server {
    listen unix:${folder}/status.sock;
    access_log off;
    location / { stub_status; }
  }
}
stream {
  ${origin}
  map $ssl_preread_server_name $to {
    two.example ${address('v2')}:443;
    default $origin;
  }
  server {
    ${listen(tls.port, 'proxy_protocol')}
    ssl_preread on;
    proxy_pass $to;
  }
}
`;

function place({ pod, folder }: Place): StockProxy {
  const { nginx, stream } = found();
  const processes = openProcesses(pod);
  const file = join(folder, 'nginx.conf');
  mkdirSync(join(folder, 'body'));
  writeFileSync(file, configuration(folder, stream[0] ?? ''));
  const text = (name: string): string => {
    const path = join(folder, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  const socket = join(folder, 'status.sock');
  let asked = 0;
  const status = async (): Promise<string> => {
    const said = await askSocket(socket, '/');
    asked++;
    return said;
  };
  /** Workers that were told to end. */
  const leaving = () => (text('error.log').match(/gracefully shutting down/g) ?? []).length;
  const gone = () => (text('error.log').match(/worker process \d+ exited with code 0/g) ?? []).length;
  return {
    async connections() {
      const [accepted = '0'] = /\d+(?= \d+ \d+ \n)/.exec(await status()) ?? [];
      return Number(accepted) - asked;
    },
    broken: async () => (text('error.log').match(/broken header/g) ?? []).length,
    seen: () =>
      [...text('access.log').matchAll(/^seen (\S+) (\S+) (\d+) (\S+) (\d+) (\S*)$/gm)].map(
        ([, path = '', local = '', lp, remote = '', rp, identity = '']) => ({
          path,
          local: [local, Number(lp)],
          remote: [remote, Number(rp)],
          identity,
        }),
      ) satisfies Seen[],
    said: () => `${text('nginx.conf')}\n${processes.said()}\n${text('error.log').slice(-10_000)}`,
    async kill() {
      // Its workers are processes of their own, and would go on; it would replace them, too.
      const { pid } = processes;
      const workers = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
      processes.signal('SIGKILL');
      await processes.ended();
      for (const worker of workers) process.kill(Number(worker), 'SIGKILL');
      await processes.until(() => workers.every((worker) => !existsSync(`/proc/${worker}`)), 'not gone', true);
    },
    async drain() {
      processes.signal('SIGQUIT');
      await processes.ended();
    },
    async start() {
      asked = 0;
      // One that was killed leaves it, and then cannot listen there.
      rmSync(socket, { force: true });
      processes.start([...nginx, '-c', file, '-e', join(folder, 'error.log')]);
      await processes.until(async () => /^Active/.test(await status()), 'not ready');
    },
    async reload() {
      const before = gone();
      processes.signal('SIGHUP');
      await processes.until(() => leaving() > 0 && gone() > before, 'not reloaded');
    },
  };
}

export const nginx: ProxyKind = {
  name: 'nginx',
  missing: found().missing,
  gateways: { http, grpc, log: http, tls },
  place,
};
