// SPDX-License-Identifier: Apache-2.0
// What the hooks cost, by the kernel's own counters (bpf_stats): an empty program, a socket that is not enrolled, one that dials a
// service, one that dials something else. In turn, so that all see the same machine; ratios to the empty program of the same round.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLab, type Pod } from '../src/demo/lab.ts';
import { runCommand } from '../src/demo/process.ts';
import { cgroupMount } from '../src/kernel/cgroup.ts';
import { enableStats } from '../src/kernel/programs.ts';
import { openMesh } from '../test/support/mesh.ts';
import { through } from '../test/support/via.ts';
import { endpoint } from '../test/support/wanted.ts';
import { type Counter, openFloor } from './floor.ts';
import { type Line, report } from './report.ts';
import { spread, spreadText } from './statistics.ts';

const rounds = 11;
const connections = 20_000;
const service = '10.96.0.1';
const port = 8080;
/** Where a waypoint reads headers: at a port that the filter tells from `port`, and at one that it does not. */
const told = '10.99.0.1:15088';
const alike = '10.99.0.1:15056';

interface Sample {
  /** ns a run of the connect hook. */
  readonly hook: number;
  /** ns of all programs for one connection, both ends (they share the pod). */
  readonly all: number;
  /** ns of sock_ops for one connection, both ends. */
  readonly sockops: number;
}

function between(before: readonly Counter[], after: readonly Counter[]): Sample {
  const delta = after.map((a) => {
    const b = before.find(({ name }) => name === a.name);
    return { name: a.name, runs: a.runs - (b?.runs ?? 0), ns: a.ns - (b?.ns ?? 0) };
  });
  const hook = delta.find(({ name }) => name === 'connect4');
  if (!hook || hook.runs !== connections) throw new Error(`connect4 ran ${hook?.runs} times, not ${connections}`);
  const ops = delta.find(({ name }) => name === 'sock_ops' || name === 'sockops');
  return {
    hook: hook.ns / hook.runs,
    all: delta.reduce((sum, { ns }) => sum + ns, 0) / connections,
    sockops: (ops?.ns ?? 0) / connections,
  };
}

async function loop(tool: string, pod: Pod, ip: string): Promise<void> {
  const run = pod.start(tool, [String(connections), ip, String(port), pod.address4, String(port)]);
  let said = '';
  run.child.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  const { code } = await run.ended;
  if (code !== 0) throw new Error(`connect-loop in ${pod.name} failed: ${said}`);
}

/** Runs the rounds and prints the figures with the limits that they are held to. */
export async function benchHooks(): Promise<Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'km-bench-'));
  const tool = join(folder, 'connect-loop');
  const mesh = await openMesh(['enrolled', 'outside']);
  const floorName = `km-floor-${process.pid}`;
  const floorLab = await openLab(floorName, join(cgroupMount(), floorName));
  const stats = enableStats();
  try {
    await runCommand('KM_IO', 'cc', ['-O2', '-o', tool, 'bench/connect-loop.c']);
    const enrolled = mesh.pod('enrolled');
    const outside = mesh.pod('outside');
    const empty = await floorLab.addPod('empty', { address4: '10.0.0.1' });
    const floor = openFloor(floorLab.cgroupRoot);
    await mesh.enroll('enrolled');
    const shop = { name: 'shop', at: [`${service}:${port}`], endpoints: [endpoint(enrolled, port)] };
    await mesh.want(shop);
    const ours = (): Counter[] =>
      mesh.plane.programs().map((p) => ({ name: p.name, runs: Number(p.runCount), ns: Number(p.runTimeNs) }));
    const measure = async (read: () => Counter[], pod: Pod, ip: string): Promise<Sample> => {
      const before = read();
      await loop(tool, pod, ip);
      return between(before, read());
    };
    // In the same pod, but not by the same name: else its calls would go past it.
    const proxy = { ...endpoint(enrolled, port), workload: 'proxy' };
    const behind = through([shop, { name: 'way', at: [], endpoints: [proxy] }], { service: 'shop', waypoint: 'way' });
    const byWay = async (...kept: readonly string[]): Promise<Sample> => {
      await mesh.want(...behind);
      await mesh.keep(...kept);
      const sample = await measure(ours, enrolled, service);
      await mesh.keep();
      await mesh.want(shop);
      return sample;
    };
    const samples: Record<'floor' | 'outside' | 'other' | 'service' | 'told' | 'alike' | 'open' | 'way', Sample[]> = {
      ...{ floor: [], outside: [], other: [] },
      ...{ service: [], told: [], alike: [], open: [], way: [] },
    };
    const keeping = async (key: string): Promise<Sample> => {
      await mesh.keep(key);
      const sample = await measure(ours, enrolled, service);
      await mesh.keep();
      return sample;
    };
    for (let round = -1; round < rounds; round++) {
      const one = {
        floor: await measure(floor.read, empty, empty.address4),
        outside: await measure(ours, outside, outside.address4),
        other: await measure(ours, enrolled, enrolled.address4),
        service: await measure(ours, enrolled, service),
        told: await keeping(told),
        alike: await keeping(alike),
        open: await byWay(),
        way: await byWay(`${enrolled.address4}:${port}`),
      };
      // The first round warms caches and is not counted.
      if (round >= 0) for (const [name, sample] of Object.entries(one)) samples[name as 'floor'].push(sample);
    }
    floor.close();
    const ratios = (name: 'outside' | 'other' | 'service' | 'told' | 'alike' | 'open' | 'way') =>
      samples[name].map((s, i) => s.hook / (samples.floor[i] as Sample).hook);
    const line = (name: Parameters<typeof ratios>[0], what: string, limit: number): Line => {
      const ratio = ratios(name);
      return {
        what: `connect4, ${what}`,
        figure: `${spreadText(ratio)}x the floor; ${spreadText(
          samples[name].map((s) => s.hook),
          0,
        )} ns`,
        limit: `at most ${limit}x`,
        met: spread(ratio).median <= limit,
      };
    };
    const only = (name: Parameters<typeof ratios>[0], what: string): Line => {
      const { figure } = line(name, what, 0);
      return { what: `connect4, ${what}`, figure };
    };
    const sums = (name: keyof typeof samples, what: string): Line => ({
      what: `all programs, one connection with both ends, ${what}`,
      figure: `${spreadText(
        samples[name].map((s) => s.all),
        0,
      )} ns`,
    });
    const ops = samples.service.map((s) => s.sockops);
    return report('Hooks (bpf_stats)', [
      {
        what: 'connect4, empty program (floor)',
        figure: `${spreadText(
          samples.floor.map((s) => s.hook),
          0,
        )} ns`,
      },
      line('outside', 'not enrolled', 1.5),
      line('other', 'enrolled, another address', 4),
      line('service', 'enrolled, a service address', 6),
      line('told', 'the same while a waypoint reads headers somewhere', 6),
      line('alike', 'the same, at a port that has to be looked up', 8),
      only('open', 'through a waypoint whose port is not kept'),
      only('way', 'through a waypoint'),
      {
        what: 'sock_ops, both ends of a connection',
        figure: `${spreadText(ops, 0)} ns`,
        limit: 'at most 1000 ns',
        met: spread(ops).median <= 1000,
      },
      sums('outside', 'not enrolled'),
      sums('other', 'enrolled, another address'),
      sums('service', 'enrolled, a service address'),
    ]);
  } finally {
    stats.close();
    await mesh.close();
    await floorLab.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
