// SPDX-License-Identifier: Apache-2.0
// wrk and iperf3 through a service address against the same server's own address, client and server enrolled. Rounds of direct,
// service, direct again: the two direct runs tell how far figures stray by themselves.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Pod } from '../src/demo/lab.ts';

import { openMesh } from '../test/support/mesh.ts';
import { endpoint } from '../test/support/wanted.ts';
import { type Line, report } from './report.ts';
import { spread, spreadText } from './statistics.ts';

const rounds = 5;
const seconds = 3;
export const service = '10.96.0.1';
export const httpPort = 8080;
const streamPort = 5201;

/** Busy ticks of all CPUs: user, nice, system, irq, softirq. */
function busyTicks(): number {
  const [, user, nice, system, , , irq, softirq] =
    readFileSync('/proc/stat', 'utf8').split('\n')[0]?.split(/\s+/).map(Number) ?? [];
  return (user ?? 0) + (nice ?? 0) + (system ?? 0) + (irq ?? 0) + (softirq ?? 0);
}

export async function output(pod: Pod, command: string, args: readonly string[]): Promise<string> {
  const run = pod.start(command, args);
  let text = '';
  run.child.stdout?.on('data', (chunk) => {
    text += chunk;
  });
  run.child.stderr?.on('data', (chunk) => {
    text += chunk;
  });
  const { code } = await run.ended;
  if (code !== 0) throw new Error(`${command} in ${pod.name} ended with ${code}: ${text}`);
  return text;
}

export interface Rate {
  /** A second: requests, or bits. */
  readonly rate: number;
  /** Busy CPU microseconds a request; NaN for streams. */
  readonly cpu: number;
}

/** Requests over connections that stay (`close`: one each) to nginx as startNginx starts it. */
export async function wrk(pod: Pod, ip: string, close: boolean): Promise<Rate> {
  const headers = close ? ['-H', 'Connection: close'] : [];
  const before = busyTicks();
  const text = await output(pod, 'wrk', ['-t2', '-c32', `-d${seconds}s`, ...headers, `http://${ip}:${httpPort}/`]);
  const ticks = busyTicks() - before;
  const faults = /Socket errors: (.*)|Non-2xx.*/.exec(text);
  if (faults) throw new Error(`wrk through ${ip}: ${faults[0]}`);
  const requests = Number(/(\d+) requests in/.exec(text)?.[1]);
  return { rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]), cpu: (ticks * 10_000) / requests };
}

/** One stream to iperf3 as startIperf starts it. */
export async function iperf(pod: Pod, ip: string): Promise<Rate> {
  const text = await output(pod, 'iperf3', ['-c', ip, '-p', `${streamPort}`, '-t', `${seconds}`, '-J']);
  return { rate: JSON.parse(text).end.sum_received.bits_per_second, cpu: Number.NaN };
}

/** Runs of the plain way, the other, the plain again. A ratio that the plain ones show among themselves counts as 1. */
export function compared(
  what: string,
  limit: number,
  runs: readonly (readonly [Rate, Rate, Rate])[],
  [plain, other] = ['direct', 'service'],
): Line[] {
  const ratios = runs.map(([a, s, b]) => s.rate / ((a.rate + b.rate) / 2));
  const same = runs.map(([a, , b]) => b.rate / a.rate);
  const { median } = spread(ratios);
  const inside = spread(same).min <= median;
  const lines: Line[] = [
    {
      what: `${what}, ${other} against ${plain}`,
      figure: `${spreadText(ratios, 3)}x; ${plain} against ${plain} ${spreadText(same, 3)}x`,
      limit: `at least ${limit}x`,
      met: median >= limit || inside,
    },
  ];
  const cpu = runs.map(([a, s, b]) => s.cpu / ((a.cpu + b.cpu) / 2));
  if (cpu.some(Number.isNaN)) return lines;
  const noise = runs.map(([a, , b]) => b.cpu / a.cpu);
  const extra = spread(cpu).median;
  lines.push({
    what: `${what}, CPU a request`,
    figure: `${spreadText(cpu, 3)}x; ${plain} against ${plain} ${spreadText(noise, 3)}x`,
    limit: 'within 2 %',
    met: extra <= 1.02 || extra <= spread(noise).max,
  });
  return lines;
}

/** nginx in the pod, answering 1 KB. */
export async function startNginx(pod: Pod, folder: string): Promise<{ stop(): Promise<unknown> }> {
  const conf = join(folder, 'nginx.conf');
  writeFileSync(
    conf,
    `daemon off; worker_processes 1; pid ${join(folder, 'nginx.pid')}; error_log ${join(folder, 'error.log')};
events { worker_connections 8192; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path ${folder}; proxy_temp_path ${folder};
fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
server { listen ${httpPort} reuseport backlog=8192; location / { return 200 "${'x'.repeat(1024)}"; } } }`,
  );
  const run = pod.start('nginx', ['-c', conf, '-p', folder]);
  await pause(500);
  return run;
}

export async function startIperf(pod: Pod): Promise<{ stop(): Promise<unknown> }> {
  const run = pod.start('iperf3', ['-s', '-p', `${streamPort}`]);
  await pause(500);
  return run;
}

export async function benchTraffic(): Promise<Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'km-bench-'));
  const mesh = await openMesh(['client', 'server']);
  try {
    const client = mesh.pod('client');
    const server = mesh.pod('server');
    await mesh.enroll('client');
    await mesh.enroll('server');
    await mesh.want(
      { name: 'web', at: [`${service}:${httpPort}`], endpoints: [endpoint(server, httpPort)] },
      { name: 'stream', at: [`${service}:${streamPort}`], endpoints: [endpoint(server, streamPort)] },
    );
    const nginx = await startNginx(server, folder);
    const stream = await startIperf(server);
    const inTurn = async (run: (ip: string) => Promise<Rate>) => {
      const runs: [Rate, Rate, Rate][] = [];
      for (let round = -1; round < rounds; round++) {
        const one: [Rate, Rate, Rate] = [await run(server.address4), await run(service), await run(server.address4)];
        if (round >= 0) runs.push(one);
      }
      return runs;
    };
    const lines = [
      ...compared('keep-alive requests (wrk -t2 -c32)', 0.99, await inTurn((ip) => wrk(client, ip, false))),
      ...compared(
        'new connections (wrk -t2 -c32, Connection: close)',
        0.95,
        await inTurn((ip) => wrk(client, ip, true)),
      ),
      ...compared('one stream (iperf3)', 0.99, await inTurn((ip) => iperf(client, ip))),
    ];
    await nginx.stop();
    await stream.stop();
    return report('Traffic', lines);
  } finally {
    await mesh.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
