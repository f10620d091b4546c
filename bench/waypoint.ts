// SPDX-License-Identifier: Apache-2.0
// What it costs to get to a waypoint: wrk and iperf3 to a service whose connections the kernel sends to an Envoy, against the same process
// called by a pod that is not enrolled. Requests and bulk are direct at a listener with the same filter chain and without PROXY protocol; new
// connections at the very same listener, with a header that the load generator writes. In turn.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Pod } from '../src/demo/lab.ts';
import { enableStats } from '../src/kernel/programs.ts';
import { pod, service } from '../test/support/kube.ts';
import { proxyHeader } from '../test/support/l7.ts';
import { type Node, openNode } from '../test/support/node.ts';
import { type Line, report } from './report.ts';
import { compared, httpPort, output, type Rate, startIperf, startNginx } from './traffic.ts';
import { directListener, startEnvoy, startServe, until } from './waypoint-envoy.ts';

const rounds = 5;
const seconds = 2;
const web = '10.96.0.1';
const sink = '10.96.0.2';
const streamPort = 5201;
const ports = { listen: 15088, ads: 15010, admin: 15000, http: 16080, stream: 16201 };

interface Lab {
  readonly node: Node;
  readonly client: Pod;
  readonly outside: Pod;
  readonly waypoint: Pod;
}

function write({ node, waypoint }: Lab, names: readonly string[]): void {
  const pods = names.map((name) => pod(name, { node: 'n1', addresses: [node.pod(name).address4] }));
  const use = { labels: { 'istio.io/use-waypoint': 'waypoint' }, app: 'server' };
  const served = (name: string, address: string, port: number, appProtocol: string) =>
    service(name, { ...use, addresses: [address], more: { ports: [{ name, port, targetPort: port, appProtocol }] } });
  const gateway = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'waypoint', namespace: 'shop' },
    spec: { gatewayClassName: 'kmesh-waypoint', addresses: [{ type: 'IPAddress', value: waypoint.address4 }] },
  };
  const services = [served('web', web, httpPort, 'http'), served('stream', sink, streamPort, 'tcp')];
  const items = [...pods, ...services, gateway];
  node.write('mesh.json', JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
}

/** CPU microseconds that all pods have used. */
function used({ node }: Lab): number {
  const text = readFileSync(join(node.lab.cgroupRoot, 'cpu.stat'), 'utf8');
  return Number(/^usage_usec (\d+)/m.exec(text)?.[1]);
}

/** Requests of one pod, and the CPU time of client, waypoint and server for each. */
async function wrk(lab: Lab, from: Pod, to: string, ...more: readonly string[]): Promise<Rate> {
  const before = used(lab);
  const text = await output(from, 'wrk', ['-t2', '-c32', `-d${seconds}s`, ...more, `http://${to}/`]);
  const cpu = used(lab) - before;
  const faults = /Socket errors: (.*)|Non-2xx.*/.exec(text);
  if (faults) throw new Error(`wrk to ${to}: ${faults[0]}`);
  const requests = Number(/(\d+) requests in/.exec(text)?.[1]);
  return { rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]), cpu: cpu / requests };
}

const closing = ['-H', 'Connection: close'];

/** A script for wrk that writes before each request what the kernel would: for connections of one request each. */
function headerScript({ node, outside }: Lab): string {
  const part = (type: number, text: string) =>
    Buffer.from([type, text.length >> 8, text.length & 255, ...Buffer.from(text)]);
  const more = Buffer.concat([part(0xe0, 'shop'), part(0xe1, 'web.shop.svc.cluster.local')]);
  const header = proxyHeader(web, httpPort, 'spiffe://cluster.local/ns/shop/sa/outside', outside.address4);
  header.writeUInt16BE(header.length - 16 + more.length, 14);
  const bytes = [...header, ...more].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('');
  const path = join(dirname(node.place.runDir), 'header.lua');
  // wrk itself reads one request of its first thread, before it begins.
  const request = `local threads, whole = 0
function setup(thread) threads = threads + 1; thread:set("bare", threads == 1 and 1 or 0) end
function init() whole = "${bytes}" .. wrk.format() end
function request()
  if bare == 0 then return whole end
  bare = 0
  return wrk.format()
end
`;
  writeFileSync(path, request);
  return path;
}

/** One stream, and the CPU time for a megabyte. */
async function stream(lab: Lab, from: Pod, ip: string, port: number): Promise<Rate> {
  const before = used(lab);
  const text = await output(from, 'iperf3', ['-c', ip, '-p', `${port}`, '-t', `${seconds}`, '-J']);
  const cpu = used(lab) - before;
  const { bits_per_second: rate, bytes } = JSON.parse(text).end.sum_received;
  return { rate, cpu: cpu / (bytes / 1e6) };
}

type Way = () => Promise<Rate>;

async function inTurn(direct: Way, through: Way, times = rounds): Promise<[Rate, Rate, Rate][]> {
  const runs: [Rate, Rate, Rate][] = [];
  for (let round = -1; round < times; round++) {
    const one: [Rate, Rate, Rate] = [await direct(), await through(), await direct()];
    if (round >= 0) runs.push(one);
  }
  return runs;
}

/** Runs of the program that writes headers, and its ns a run, while something runs; and headers written. */
async function headers(lab: Lab, body: () => Promise<unknown>) {
  const read = () =>
    lab.node.held((plane) => {
      const program = plane.programs().find(({ name }) => name === 'waypoint_msg');
      const written = new Map(plane.reasons()).get('waypoint_header') ?? 0n;
      return { runs: Number(program?.runCount), ns: Number(program?.runTimeNs), written: Number(written) };
    });
  const before = read();
  await body();
  const after = read();
  const runs = after.runs - before.runs;
  return { runs, written: after.written - before.written, ns: (after.ns - before.ns) / Math.max(1, runs) };
}

async function counted(lab: Lab): Promise<Line[]> {
  const stats = enableStats();
  try {
    const line = (what: string, { runs, written, ns }: Awaited<ReturnType<typeof headers>>, limit = true): Line => ({
      what: `runs of waypoint_msg a connection, ${what}`,
      figure: `${(runs / written).toFixed(4)} (${runs} for ${written} headers), ${ns.toFixed(0)} ns each`,
      ...(limit && { limit: 'one', met: runs === written && written > 0 }),
    });
    const to = `${web}:${httpPort}`;
    return [
      line('keep-alive requests', await headers(lab, () => wrk(lab, lab.client, to))),
      line('new connections', await headers(lab, () => wrk(lab, lab.client, to, ...closing))),
      // The second run of a first write that is larger than what TCP takes at once only tells that no more is wanted.
      line('one stream', await headers(lab, () => stream(lab, lab.client, sink, streamPort)), false),
    ];
  } finally {
    stats.close();
  }
}

async function traffic(lab: Lab): Promise<Line[]> {
  const { client, outside, waypoint } = lab;
  const labels: [string, string] = ['direct', 'service'];
  const script = headerScript(lab);
  const bare = `${waypoint.address4}:${ports.http}`;
  const to = `${web}:${httpPort}`;
  const keeping = await inTurn(
    () => wrk(lab, outside, bare),
    () => wrk(lab, client, to),
  );
  const given = await inTurn(
    () => wrk(lab, outside, `${waypoint.address4}:${ports.listen}`, ...closing, '-s', script),
    () => wrk(lab, client, to, ...closing),
  );
  const without = await inTurn(
    () => wrk(lab, outside, bare, ...closing),
    () => wrk(lab, client, to, ...closing),
    2,
  );
  const bulk = await inTurn(
    () => stream(lab, outside, waypoint.address4, ports.stream),
    () => stream(lab, client, sink, streamPort),
  );
  return [
    ...compared('keep-alive requests (wrk -t2 -c32)', 0.99, keeping, labels),
    ...compared('new connections (Connection: close)', 0.95, given, labels),
    // Envoy reads and keeps what the header says: the difference to the lines before is what that costs it, whoever wrote the header.
    ...compared('new connections, no header when direct', 0, without, labels).map(({ what, figure }) => ({
      what,
      figure,
    })),
    ...compared('one stream (iperf3)', 0.98, bulk, labels),
    ...(await counted(lab)),
  ];
}

/** An Envoy that has what our control plane tells, and listeners made of that to be dialled directly. */
async function openEnvoy({ node, waypoint }: Lab, folder: string) {
  const start = waypoint.start.bind(waypoint);
  const serve = startServe(start, join(folder, 'config'), ports.ads);
  const admin = (path: string) => output(waypoint, 'curl', ['-sf', `http://127.0.0.1:${ports.admin}${path}`]);
  const common = {
    start,
    folder,
    waypoint: 'shop/waypoint',
    listen: `0.0.0.0:${ports.listen}`,
    ads: ports.ads,
    admin: ports.admin,
  };
  const listening = (what: string) =>
    node.until(async () => (await admin('/listeners').catch(() => '')).includes(what));
  const first = startEnvoy(common);
  await listening('waypoint::');
  const dump = await admin('/config_dump?resource=dynamic_listeners');
  await first.stop();
  const listeners = [directListener(dump, httpPort, ports.http), directListener(dump, streamPort, ports.stream)];
  const envoy = startEnvoy({ ...common, listeners });
  await listening('waypoint::');
  return {
    async stop() {
      await envoy.stop();
      await serve.stop();
    },
  };
}

export async function benchWaypoint(): Promise<Line[]> {
  const names = ['client', 'outside', 'waypoint', 'server'];
  const node = await openNode('bench', names);
  try {
    const [client, outside, waypoint, server] = names.map((name) => node.pod(name)) as [Pod, Pod, Pod, Pod];
    const lab: Lab = { node, client, outside, waypoint };
    const folder = dirname(node.place.runDir);
    write(lab, names);
    node.startAgent({ words: ['--log-level', 'warn'] });
    await node.ready();
    const enroll = async (...words: readonly string[]) => {
      const { code, err } = await node.kmeshctl('enroll', ...words, '--authz', 'off');
      if (code !== 0) throw new Error(`enroll ended with ${code}: ${err}`);
    };
    await enroll(client.cgroup, '--netns', client.netns, '--workload', 'shop/client');
    await enroll(waypoint.cgroup, '--netns', waypoint.netns, '--workload', 'shop/waypoint', '--waypoint');
    const nginx = await startNginx(server, folder);
    const iperf = await startIperf(server);
    const envoy = await openEnvoy(lab, folder);
    await until('answered through the waypoint', () =>
      output(client, 'curl', ['-sf', `http://${web}:${httpPort}/`]).then(
        () => true,
        () => false,
      ),
    );
    const lines = await traffic(lab);
    await envoy.stop();
    await iperf.stop();
    await nginx.stop();
    return report('Waypoints', lines);
  } finally {
    await node.close();
  }
}
