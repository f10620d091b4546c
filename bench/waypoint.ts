// SPDX-License-Identifier: Apache-2.0
// What it costs to get to a waypoint: requests and one stream to a service whose connections the kernel sends to an Envoy, against the same
// process called by a pod that is not enrolled. Requests are direct at the very same listener, with the same bytes: their first write has the
// header that the kernel would put before them. The stream is direct at a listener with the same filter chain and without PROXY protocol. In turn.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Pod } from '../src/demo/lab.ts';
import { enableStats } from '../src/kernel/programs.ts';
import { pod, service } from '../test/support/kube.ts';
import { proxyHeader } from '../test/support/l7.ts';
import { type Node, openNode } from '../test/support/node.ts';
import { type Line, report } from './report.ts';
import { httpPort, output, startIperf, startNginx } from './traffic.ts';
import { directListener, startEnvoy, startServe, until } from './waypoint-envoy.ts';
import { inTurns, type Load, loadTool, type StartLoad, turnLines } from './waypoint-load.ts';

const web = '10.96.0.1';
const sink = '10.96.0.2';
const streamPort = 5201;
const host = `${web}:${httpPort}`;
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

/** What the kernel would write before the first bytes of a connection to the service. */
function header({ outside }: Lab): Buffer {
  const part = (type: number, text: string) =>
    Buffer.from([type, text.length >> 8, text.length & 255, ...Buffer.from(text)]);
  const more = Buffer.concat([part(0xe0, 'shop'), part(0xe1, 'web.shop.svc.cluster.local')]);
  const head = proxyHeader(web, httpPort, 'spiffe://cluster.local/ns/shop/sa/outside', outside.address4);
  head.writeUInt16BE(head.length - 16 + more.length, 14);
  return Buffer.concat([head, more]);
}

/** Streams of so many megabytes. */
const stream = (from: Pod, ip: string, port: number): Load => ({
  async run(megabytes) {
    const text = await output(from, 'iperf3', ['-c', ip, '-p', `${port}`, '-n', `${megabytes}M`, '-J']);
    return JSON.parse(text).end.sum_received.seconds;
  },
  stop: async () => undefined,
});

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

async function counted(lab: Lab, start: StartLoad): Promise<Line[]> {
  const stats = enableStats();
  const requests = async (keep: boolean) => {
    const load = start({ pod: lab.client, address: web, port: httpPort }, keep, host);
    await load.run(5000);
    await load.stop();
  };
  try {
    const line = (what: string, { runs, written, ns }: Awaited<ReturnType<typeof headers>>, limit = true): Line => ({
      what: `runs of waypoint_msg a connection, ${what}`,
      figure: `${(runs / written).toFixed(4)} (${runs} for ${written} headers), ${ns.toFixed(0)} ns each`,
      ...(limit && { limit: 'one', met: runs === written && written > 0 }),
    });
    return [
      line('keep-alive requests', await headers(lab, () => requests(true))),
      line('new connections', await headers(lab, () => requests(false))),
      // The second run of a first write that is larger than what TCP takes at once only tells that no more is wanted.
      line('one stream', await headers(lab, () => stream(lab.client, sink, streamPort).run(100)), false),
    ];
  } finally {
    stats.close();
  }
}

interface Compare {
  readonly keep: boolean;
  readonly blocks: number;
  readonly rounds: number;
  readonly requests: number;
  readonly limit?: number;
}

/** Both sides ask the same, of the same listener or of one without PROXY protocol. */
async function compare(lab: Lab, start: StartLoad, what: string, bare: boolean, how: Compare): Promise<Line[]> {
  const { address4: address } = lab.waypoint;
  const to = bare ? { address, port: ports.http } : { address, port: ports.listen, first: header(lab) };
  const direct = () => start({ pod: lab.outside, ...to }, how.keep, host);
  const other = () => start({ pod: lab.client, address: web, port: httpPort }, how.keep, host);
  return turnLines(what, 'a request', how.limit, await inTurns(direct, other, { ...how, podsUsed: () => used(lab) }));
}

async function traffic(lab: Lab): Promise<Line[]> {
  const { client, outside, waypoint } = lab;
  const start = await loadTool(dirname(lab.node.place.runDir));
  // What is looked for is a hundredth, and where processes are placed makes ten.
  const kept = { keep: true, blocks: 24, rounds: 4, requests: 3000 };
  const closed = { keep: false, blocks: 8, rounds: 6, requests: 1000 };
  return [
    ...(await compare(lab, start, 'keep-alive requests', false, { ...kept, limit: 0.99 })),
    ...(await compare(lab, start, 'new connections', false, { ...closed, limit: 0.95 })),
    // Envoy reads and keeps what the header says: the difference to the lines before is what that costs it, whoever wrote the header.
    ...(await compare(lab, start, 'new connections, no header when direct', true, { ...closed, blocks: 4 })),
    ...turnLines(
      'one stream (iperf3)',
      'a megabyte',
      0.98,
      await inTurns(
        () => stream(outside, waypoint.address4, ports.stream),
        () => stream(client, sink, streamPort),
        { blocks: 4, rounds: 4, requests: 500, podsUsed: () => used(lab) },
      ),
    ),
    ...(await counted(lab, start)),
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
