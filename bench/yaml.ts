// SPDX-License-Identifier: Apache-2.0
// The agent as a process of its own, fed from YAML: CPU until everything is in the kernel, memory once settled, an edit of one
// file, and what it costs while nothing happens.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { adminClient } from '../src/admin/client.ts';
import { makeCgroup, removeCgroupTree } from '../src/demo/cgroup-tree.ts';
import type { Place } from '../src/env.ts';
import { cgroupMount } from '../src/kernel/cgroup.ts';
import { unload } from '../src/kernel/load.ts';
import { openPlace } from '../test/support/instance.ts';
import { type Line, report } from './report.ts';
import { spread, spreadText } from './statistics.ts';

const services = 1_000;
const workloads = 10_000;
const files = 100;
const edits = 20;
const idleSeconds = 120;
const program = join(import.meta.dirname, '..', 'bin', 'kmeshctl.js');

const podAddress = (n: number) => `172.${16 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
const serviceYaml = (n: number) => `apiVersion: v1
kind: Service
metadata:
  name: app-${n}
  namespace: team-${n % 20}
spec:
  clusterIP: 10.0.${n >> 8}.${n & 255}
  selector:
    app: app-${n}
  ports:
  - name: http
    port: 80
    targetPort: 8080
`;
/** Small: about 350 bytes. Real: about 4 KB, as an API server prints a pod. */
const podYaml = (n: number, real: boolean, version = 0) => `apiVersion: v1
kind: Pod
metadata:
  name: app-${n % services}-${Math.floor(n / services)}
  namespace: team-${(n % services) % 20}
  labels:
    app: app-${n % services}
    version: v1
${real ? `  annotations:\n${Array.from({ length: 30 }, (_, i) => `    example.com/note-${i}: "${'text '.repeat(18)}"\n`).join('')}` : ''}spec:
  nodeName: node-${n % 100}
  serviceAccountName: app-${n % services}
status:
  phase: Running
  podIP: ${podAddress(n + version * 20_000)}
  conditions:
  - type: Ready
    status: "True"
    lastTransitionTime: "2026-01-01T00:00:00Z"
`;

function fileText(file: number, real: boolean, version = 0): string {
  const docs: string[] = [];
  for (let n = file; n < services; n += files) docs.push(serviceYaml(n));
  for (let n = file; n < workloads; n += files) docs.push(podYaml(n, real, version));
  return docs.join('---\n');
}

interface Usage {
  readonly cpu: number;
  readonly rssMb: number;
}

/** utime and stime of all threads (in ticks of 10 ms), resident memory. */
function usage(pid: number): Usage {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').map(Number) ?? [];
  const rss = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return { cpu: ((fields[11] ?? 0) + (fields[12] ?? 0)) / 100, rssMb: rss / 1024 };
}

interface Agent {
  readonly pid: number;
  stop(): Promise<void>;
}

function startAgent(place: Place, config: string): Agent {
  const args = ['agent', '--config', config, '--node', 'node-0', '--log-level', 'warn'];
  const flags = ['--bpffs', place.bpffs, '--cgroup-root', place.cgroupRoot, '--run-dir', place.runDir];
  const child: ChildProcess = spawn(process.execPath, [program, ...args, ...flags], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    pid: child.pid as number,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function untilReady(place: Place): Promise<void> {
  const client = adminClient(place.runDir);
  for (let i = 0; i < 600; i++) {
    const ready = await client.ready({}).catch(() => undefined);
    if (ready?.ready) return;
    await pause(100);
  }
  throw new Error('the agent was not ready within a minute');
}

/**
 * What an agent costs while nothing happens. A whole comparison is rare (its interval grows with what it takes), so it is measured by
 * itself: the first one after the edits, spread over the time until the next.
 */
async function idleLine(pid: number, place: Place): Promise<Line> {
  const client = adminClient(place.runDir);
  const rounds = (await client.status({})).heal.comparisons;
  let before = usage(pid).cpu;
  let heal = 0;
  for (let waited = 0; waited < 120 && heal === 0; waited++) {
    await pause(1000);
    const now = usage(pid).cpu;
    if ((await client.status({})).heal.comparisons > rounds) heal = now - before;
    before = now;
  }
  if (heal === 0) throw new Error('no comparison was made within two minutes');
  await pause(2000);
  const from = usage(pid).cpu;
  await pause(idleSeconds * 1000);
  const between = (usage(pid).cpu - from) / idleSeconds;
  // As src/agent/heal.ts spaces them: a minute at least, and at most 1/2500 of a core.
  const comparing = heal / Math.max(60, heal * 2500);
  const share = between + comparing;
  return {
    what: 'idle, self-heal at its default interval',
    figure: `${(share * 100).toFixed(3)} % of a core: ${(between * 100).toFixed(3)} % over ${idleSeconds} s, ${(comparing * 100).toFixed(3)} % for comparisons of ${heal.toFixed(2)} CPU-s`,
    limit: 'at most 0.1 %',
    met: share <= 0.001,
  };
}

async function oneSize(root: string, real: boolean, idle: boolean): Promise<Line[]> {
  const { place, close } = await openPlace(root);
  const config = join(place.runDir, '..', 'config');
  mkdirSync(config);
  const path = (file: number) => join(config, `part-${file}.yaml`);
  for (let file = 0; file < files; file++) writeFileSync(path(file), fileText(file, real));
  const bytes = Math.round(podYaml(0, real).length / 10) * 10;
  const started = performance.now();
  const agent = startAgent(place, config);
  try {
    await untilReady(place);
    const wall = (performance.now() - started) / 1000;
    const filled = usage(agent.pid).cpu;
    await pause(15_000);
    const settled = usage(agent.pid);
    const lines: Line[] = [
      {
        what: `start to everything in the kernel, pods of ${bytes} bytes`,
        figure: `${filled.toFixed(2)} CPU-s, ${wall.toFixed(2)} s`,
        ...(real ? {} : { limit: 'at most 6 CPU-s', met: filled <= 6 }),
      },
      {
        what: `resident memory once settled, pods of ${bytes} bytes`,
        figure: `${settled.rssMb.toFixed(0)} MB`,
        ...(real ? {} : { limit: 'at most 130 MB', met: settled.rssMb <= 130 }),
      },
    ];
    const latency: number[] = [];
    const client = adminClient(place.runDir);
    for (let i = 0; i < edits; i++) {
      const before = (await client.status({})).lastApply?.at;
      const at = performance.now();
      writeFileSync(path(i % files), fileText(i % files, real, i + 1));
      for (;;) {
        if ((await client.status({})).lastApply?.at !== before) break;
        if (performance.now() - at > 10_000) throw new Error('an edit was not in the kernel within ten seconds');
        await pause(5);
      }
      latency.push(performance.now() - at);
      await pause(50);
    }
    lines.push({
      what: `edit of one file (100 pods) to the kernel, pods of ${bytes} bytes`,
      figure: `${spreadText(latency, 0)} ms`,
      limit: 'at most 500 ms',
      met: spread(latency).median <= 500,
    });
    if (idle) lines.push(await idleLine(agent.pid, place));
    return lines;
  } finally {
    await agent.stop();
    unload(place.bpffs);
    await close();
  }
}

export async function benchYaml(): Promise<Line[]> {
  const root = join(cgroupMount(), `km-yaml-${process.pid}`);
  await makeCgroup(root);
  try {
    const lines = [...(await oneSize(root, false, true)), ...(await oneSize(root, true, false))];
    return report(`From YAML, ${services} services and ${workloads} workloads in ${files} files`, lines);
  } finally {
    await removeCgroupTree(root);
  }
}
