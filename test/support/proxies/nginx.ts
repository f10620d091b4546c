// SPDX-License-Identifier: Apache-2.0
// nginx as a waypoint: its configuration is the example of docs/waypoints.md.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { project } from '../project.ts';
import { askSocket, found, type Place, type ProxyKind, type StockProxy, seenIn } from './kind.ts';
import { openProcesses } from './process.ts';

const http = { name: 'web', port: 15088 };
const grpc = { name: 'grpc', port: 15089 };
const tls = { name: 'tls', port: 15443 };

const example = (name: string) => join(project, `docs/examples/waypoints/nginx-${name}.conf`);

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
  keepalive_requests 1000000;
  include ${example('http')};
  access_log ${folder}/access.log waypoint;
  server {
    listen unix:${folder}/status.sock;
    access_log off;
    location / { stub_status; }
  }
}
stream { include ${example('stream')}; }
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
    seen: () => seenIn(text('access.log')),
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
