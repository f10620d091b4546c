// SPDX-License-Identifier: Apache-2.0
// What it costs to judge: the programs by the kernel's own counters with 1 to 1,000 policies, and wrk and iperf3 to a pod that is judged
// against the same pod when it is not, in turn.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../src/demo/process.ts';
import { enableStats } from '../src/kernel/programs.ts';
import { type AuthzLab, authz, openAuthzLab } from '../test/support/authz-lab.ts';
import type { KubeObject } from '../test/support/kube.ts';
import { type Line, report } from './report.ts';
import { spread, spreadText } from './statistics.ts';
import { compared, httpPort, iperf, output, type Rate, startIperf, startNginx, wrk } from './traffic.ts';

const rounds = 7;
const trafficRounds = 5;
const connections = 10_000;
const sizes = [1, 10, 100, 1000];
const kinds: readonly { readonly what: string; readonly limit?: number; readonly objects: () => KubeObject[] }[] = [
  ...sizes.map((size) => ({
    what: `${size} ${size === 1 ? 'policy' : 'policies'}`,
    ...(size === 1 ? {} : { limit: size === 1000 ? 3 : 2 }),
    objects: () => policies(size),
  })),
  { what: '1000 policies, half of which match by range and half by port', objects: () => crossed(1000) },
];
const names = ['authz', 'spoof', 'no_group', 'sockops'] as const;

/** So many ALLOW policies that name accounts, ranges and ports; the last one lets the client in. */
function policies(count: number): KubeObject[] {
  return Array.from({ length: count }, (_, i) => {
    const account = i === count - 1 ? 'client' : `account-${i}`;
    const principals = [`cluster.local/ns/shop/sa/${account}`];
    const source = i % 5 === 0 ? { principals, ipBlocks: [`10.0.0.0/8`, `172.${i & 255}.0.0/16`] } : { principals };
    const ports = [`${httpPort}`, '5201', `${9000 + (i % 50)}`];
    return authz(`p${i}`, { app: 'server', rules: [{ from: [{ source }], to: [{ operation: { ports } }] }] });
  });
}

/** The worst kind: of every two policies one matches by the range and the other by the port, none by both. */
function crossed(count: number): KubeObject[] {
  return Array.from({ length: count }, (_, i) => {
    const [range, port] = i % 2 === 0 ? ['10.0.0.0/8', 1] : ['192.0.2.0/24', httpPort];
    const rules = [{ from: [{ source: { ipBlocks: [range] } }], to: [{ operation: { ports: [`${port}`] } }] }];
    return authz(`x${i}`, { action: 'DENY', app: 'server', rules });
  });
}

/** Runs of each program, and their ns, so far. */
const counters = (lab: AuthzLab) =>
  lab.node.held(
    (plane) =>
      new Map(plane.programs().map((p) => [p.name, { runs: Number(p.runCount), ns: Number(p.runTimeNs) }] as const)),
  );

interface Cost {
  /** A run. */
  readonly ns: number;
  readonly runs: number;
}

/** What the programs of a pod did while something ran. */
async function costs(lab: AuthzLab, body: () => Promise<unknown>): Promise<Readonly<Record<string, Cost>>> {
  const before = counters(lab);
  await body();
  const after = counters(lab);
  return Object.fromEntries(
    names.map((name) => {
      const [a, b] = [after.get(name), before.get(name)];
      const runs = (a?.runs ?? 0) - (b?.runs ?? 0);
      return [name, { runs, ns: ((a?.ns ?? 0) - (b?.ns ?? 0)) / Math.max(runs, 1) }];
    }),
  );
}

async function connect(lab: AuthzLab, tool: string): Promise<void> {
  const [client, server] = [lab.node.pod('client'), lab.node.pod('server')];
  await output(client, tool, [String(connections), server.address4, String(httpPort), client.address4, '7777']);
}

async function programs(lab: AuthzLab, tool: string): Promise<Line[]> {
  const stats = enableStats();
  try {
    const runs = kinds.map(() => [] as number[]);
    for (let round = -1; round < rounds; round++) {
      for (const [i, { objects }] of kinds.entries()) {
        await lab.policies(...objects());
        const { authz: one } = await costs(lab, () => connect(lab, tool));
        if (!one || one.runs < connections) throw new Error(`authz ran ${one?.runs} times, not ${connections}`);
        if (round >= 0) runs[i]?.push(one.ns);
      }
    }
    await lab.policies(...policies(1));
    const [least = []] = runs;
    const lines = kinds.map(({ what, limit }, i): Line => {
      const ns = runs[i] ?? [];
      const ratios = ns.map((n, round) => n / (least[round] as number));
      return {
        what: `a new connection judged, ${what}`,
        figure: `${spreadText(ns, 0)} ns; ${spreadText(ratios)}x of one policy`,
        ...(limit === undefined ? {} : { limit: `at most ${limit}x`, met: spread(ratios).median <= limit }),
      };
    });
    const [client, server] = [lab.node.pod('client'), lab.node.pod('server')];
    // Both ways go through the programs of the server's link: its answers are checked, what comes to it is looked at.
    const bulk = await costs(lab, () => iperf(client, server.address4));
    const small = await costs(lab, () => wrk(client, server.address4, false));
    for (const [what, cost] of [
      ['one stream', bulk],
      ['keep-alive requests', small],
    ] as const) {
      lines.push({
        what: `a packet at the pod's link, ${what}`,
        figure: `from it ${cost.spoof?.ns.toFixed(0)} ns (${cost.spoof?.runs} packets), to it ${cost.no_group?.ns.toFixed(0)} ns (${cost.no_group?.runs})`,
      });
    }
    return lines;
  } finally {
    stats.close();
  }
}

/** As it is two minutes after the last change: until then a connection is judged again when its handshake is done. */
const age = (lab: AuthzLab) =>
  lab.node.held((plane) => {
    const state = plane.map('authz_state');
    const now = state.get(0);
    if (now) state.put([[0, { ...now, changed_ns: now.changed_ns - 200_000_000_000n }]]);
  });

async function traffic(lab: AuthzLab): Promise<Line[]> {
  const [client, server] = [lab.node.pod('client'), lab.node.pod('server')];
  await lab.policies(...policies(100));
  const judged = async (on: boolean) => {
    await lab.enforce('server', '--authz', on ? 'on' : 'off');
    if (!on) return;
    await lab.node.until(async () => (await lab.kmeshctl('enrolled', '-o', 'json')).includes('"authz": "on"'));
    age(lab);
  };
  const inTurn = async (run: () => Promise<Rate>) => {
    const runs: [Rate, Rate, Rate][] = [];
    for (let round = -1; round < trafficRounds; round++) {
      const one: Rate[] = [];
      for (const on of [false, true, false]) {
        await judged(on);
        one.push(await run());
      }
      if (round >= 0) runs.push(one as [Rate, Rate, Rate]);
    }
    return runs;
  };
  const labels: [string, string] = ['off', 'judged'];
  const host = server.address4;
  return [
    ...compared('keep-alive requests (wrk -t2 -c32)', 0.99, await inTurn(() => wrk(client, host, false)), labels),
    ...compared('new connections (Connection: close)', 0.95, await inTurn(() => wrk(client, host, true)), labels),
    ...compared('one stream (iperf3)', 0.99, await inTurn(() => iperf(client, host)), labels),
  ];
}

export async function benchAuthz(): Promise<Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'km-bench-'));
  const lab = await openAuthzLab('bench', ['server', 'client']);
  try {
    const tool = join(folder, 'connect-loop');
    await runCommand('KM_IO', 'cc', ['-O2', '-o', tool, 'bench/connect-loop.c']);
    const nginx = await startNginx(lab.node.pod('server'), folder);
    const stream = await startIperf(lab.node.pod('server'));
    await lab.policies(...policies(1));
    await lab.enforce('server');
    const lines = [...(await programs(lab, tool)), ...(await traffic(lab))];
    await nginx.stop();
    await stream.stop();
    return report('Authorization', lines);
  } finally {
    await lab.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
