// SPDX-License-Identifier: Apache-2.0
// HAProxy as a waypoint: its configuration is the example of docs/waypoints.md.
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { project } from '../project.ts';
import { found, type Place, type ProxyKind, type StockProxy, seenIn } from './kind.ts';
import { openProcesses } from './process.ts';

const http = { name: 'web', port: 15088 };
const tls = { name: 'tls', port: 15443 };

const example = join(project, 'docs/examples/waypoints/haproxy.cfg');

const globals = (folder: string) => `
global
  log stdout format raw local0
  stats socket ${join(folder, 'stats')} mode 600 level admin expose-fd listeners
  hard-stop-after 120s
`;

function place({ pod, folder }: Place): StockProxy {
  const { haproxy } = found();
  const processes = openProcesses(pod);
  const file = join(folder, 'globals.cfg');
  const stats = join(folder, 'stats');
  writeFileSync(file, globals(folder));
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
    seen: () => seenIn(processes.said()),
    said: () => processes.said(),
    async kill() {
      processes.signal('SIGKILL');
      await processes.ended();
    },
    async drain() {
      processes.signal('SIGUSR1');
      await processes.ended();
    },
    async start() {
      processes.start([...haproxy, '-db', '-f', file, '-f', example]);
      await ready();
    },
    async reload() {
      const { pid } = processes;
      processes.start([...haproxy, '-db', '-f', file, '-f', example, '-x', stats, '-sf', `${pid}`]);
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
