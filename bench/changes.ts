// SPDX-License-Identifier: Apache-2.0
// Single changes under a control plane, alone and while a large push is being applied: from the server's write, and from when the bytes are
// in the agent's process, until a program of the kernel would choose the new pod.
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { makeCgroup, removeCgroupTree } from '../src/demo/cgroup-tree.ts';
import { cgroupMount } from '../src/kernel/cgroup.ts';
import type { DataPlane } from '../src/kernel/dataplane.ts';
import { openPinned } from '../src/kernel/pinned.ts';
import type { Workload } from '../src/mesh/workload.ts';
import { type AgentProcess, type Arrival, withAgent } from './agent-process.ts';
import { type MeshServer, openMeshServer, resourcesOf, workloadOf } from './mesh-server.ts';
import { type MeshSize, meshChanges, meshService, meshWorkload } from './model.ts';
import { type Line, report } from './report.ts';
import { percentile, spreadText } from './statistics.ts';

const singles = 300;
const large = 10_000;
const pushes = 10;
const limits = { p50: 2, p99: 10 };
/** Between two changes, and between two looks at the kernel. */
const betweenMs = 2;
const lookMs = 0.05;

function latency(what: string, times: readonly number[], isLimited = true): Line {
  const [p50, p99] = [percentile(times, 0.5), percentile(times, 0.99)];
  return {
    what,
    figure: `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, most ${Math.max(...times).toFixed(1)} ms (${times.length})`,
    ...(isLimited && {
      limit: `p50 at most ${limits.p50} ms, p99 at most ${limits.p99} ms`,
      met: p50 <= limits.p50 && p99 <= limits.p99,
    }),
  };
}

/** Milliseconds of the clock that all processes share. */
const monotonic = (): number => Number(process.hrtime.bigint()) / 1e6;
const nothingToWake = new Int32Array(new SharedArrayBuffer(4));

/** Milliseconds from the server's write to the ACK: of a pod in place of another, and of its removal; `n` times. */
async function acknowledged(server: MeshServer, size: MeshSize, from: number, n: number) {
  const changed: number[] = [];
  const removed: number[] = [];
  for (let i = 0; i < n; i++) {
    const was = meshWorkload(from + i, size);
    const now = meshWorkload(from + i, size, 1);
    changed.push(await server.push([workloadOf(now)], [was.uid]).send());
    removed.push(await server.push([], [now.uid]).send());
  }
  return { changed, removed };
}

/** A change that was seen in the kernel. */
interface Seen {
  /** When the server wrote it, and when it was there; milliseconds of the monotonic clock. */
  readonly written: number;
  readonly seen: number;
  /** Bytes of the stream up to its end. */
  readonly end: number;
  /** Milliseconds that the agent had waited for a CPU when it was seen. */
  readonly waited: number;
  /** The same when it was written. */
  readonly waitedBefore: number;
}

/** Resolves once connections to its service can be given to this pod. */
async function untilChosen(plane: DataPlane, { addresses }: Workload, service: number): Promise<void> {
  const [backend, endpoint] = [plane.map('backend'), plane.map('endpoint')];
  const addr = meshService(service).addresses[0]?.address as string;
  const id = plane.map('frontend').get({ addr, port: 80, protocol: 6 })?.backend_id;
  if (id === undefined) throw new Error(`no service at ${addr}`);
  const began = performance.now();
  for (let looked = -1; ; ) {
    const { first, generation } = backend.get(id) ?? { first: 0, generation: -1 };
    if (generation !== looked) {
      looked = generation;
      const { count } = plane.header(first);
      for (let i = 1; i <= count; i++) if (endpoint.get(first + i)?.addr === addresses[0]) return;
    }
    if (performance.now() - began > 30_000) throw new Error(`${addresses[0]} was not there within half a minute`);
    // The two cores are for the agent and this.
    Atomics.wait(nothingToWake, 0, 0, lookMs);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** One after the other, while `goesOn`. */
async function replaceSingly(
  server: MeshServer,
  plane: DataPlane,
  agent: AgentProcess,
  size: MeshSize,
  from: number,
  goesOn: (n: number) => boolean,
): Promise<Seen[]> {
  const all: Seen[] = [];
  for (let n = 0; goesOn(n); n++) {
    const pod = meshWorkload(from + n, size, 1);
    const push = server.push([workloadOf(pod)], [meshWorkload(from + n, size).uid]);
    const waitedBefore = agent.waited();
    const written = monotonic();
    push.send().catch(() => {});
    await untilChosen(plane, pod, (from + n) % size.services);
    // What was seen when all else was over tells nothing.
    if (goesOn(n)) all.push({ written, seen: monotonic(), end: push.end, waited: agent.waited(), waitedBefore });
    await pause(betweenMs);
  }
  return all;
}

/** The piece with which so many bytes of the stream were there. */
function arrivalOf(arrivals: readonly Arrival[], end: number): Arrival {
  const arrival = arrivals.find(([bytes]) => bytes >= end);
  if (arrival === undefined) throw new Error('nobody noted when the bytes came');
  return arrival;
}

/** Times of changes by each clock. */
function openClocks() {
  const fromArrival: number[] = [];
  const own: number[] = [];
  const fromWrite: number[] = [];
  const ownFromWrite: number[] = [];
  return {
    add(seen: readonly Seen[], arrivals: readonly Arrival[]): void {
      for (const one of seen) {
        const [, at, waited] = arrivalOf(arrivals, one.end);
        fromArrival.push(one.seen - at);
        own.push(one.seen - at - (one.waited - waited));
        fromWrite.push(one.seen - one.written);
        ownFromWrite.push(one.seen - one.written - (one.waited - one.waitedBefore));
      }
    },
    lines: (what: string): Line[] => [
      latency(`${what}, from their arrival`, fromArrival),
      latency('  waiting for a CPU not counted', own, false),
      latency('  from the write', fromWrite, false),
      latency('  from the write, waiting for a CPU not counted', ownFromWrite, false),
    ],
  };
}

export async function changes(root: string, size: MeshSize): Promise<Line[]> {
  const server = await openMeshServer(resourcesOf(meshChanges(size)));
  try {
    return await withAgent(root, server.port, async (agent) => {
      await agent.ready();
      await pause(2_000);
      const plane = openPinned(agent.place.bpffs);
      const alone = await acknowledged(server, size, 50_000, singles);
      await agent.meter();
      const singly = openClocks();
      singly.add(
        await replaceSingly(server, plane, agent, size, 70_000, (n) => n < singles),
        (await agent.meter()).arrivals,
      );
      const hundred: number[] = [];
      for (let i = 0; i < 10; i++) {
        const uids = Array.from({ length: 100 }, (_, n) => meshWorkload(60_000 + i * 100 + n, size).uid);
        hundred.push(await server.push([], uids).send());
      }
      await agent.meter();
      const took: number[] = [];
      const meanwhile = openClocks();
      let block = 0;
      let ownBlock = 0;
      for (let version = 1; version <= pushes; version++) {
        const put = Array.from({ length: large }, (_, n) => workloadOf(meshWorkload(n, size, version)));
        const gone = Array.from({ length: large }, (_, n) => meshWorkload(n, size, version - 1).uid);
        const push = server.push(put, gone);
        let isOver = false;
        const whole = push.send().finally(() => {
          isOver = true;
        });
        const from = 80_000 + version * 1_000;
        const seen = await replaceSingly(server, plane, agent, size, from, () => !isOver);
        took.push(await whole);
        const { longest, own, arrivals } = await agent.meter();
        block = Math.max(block, longest);
        ownBlock = Math.max(ownBlock, own);
        meanwhile.add(seen, arrivals);
      }
      plane.close();
      return [
        latency('one pod replaced, from the write to the ACK', alone.changed),
        latency('one pod removed, from the write to the ACK', alone.removed),
        ...singly.lines('one pod replaced'),
        ...meanwhile.lines(`one pod replaced while ${large} are`),
        {
          what: '100 pods removed in one push',
          figure: `${spreadText(hundred, 1)} ms`,
          limit: 'at most 50 ms',
          met: percentile(hundred, 0.5) <= 50,
        },
        { what: `${large} pods replaced in one push`, figure: `${spreadText(took, 0)} ms` },
        {
          what: 'event loop held up meanwhile',
          figure: `${ownBlock.toFixed(1)} ms at most (${block.toFixed(1)} with waiting for a CPU)`,
          limit: 'at most 20 ms',
          met: ownBlock <= 20,
        },
      ];
    });
  } finally {
    await server.close();
  }
}

export async function benchChanges(): Promise<Line[]> {
  const root = join(cgroupMount(), `km-changes-${process.pid}`);
  await makeCgroup(root);
  try {
    const lines = await changes(root, { services: 10_000, workloads: 100_000 });
    return report('Changes under a control plane (delta xDS)', lines);
  } finally {
    await removeCgroupTree(root);
  }
}
