// SPDX-License-Identifier: Apache-2.0
// The agent under a control plane: CPU and memory of a first load, single changes with nothing else and within a large push, removals,
// and the longest time that its event loop was held up.

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { makeCgroup, removeCgroupTree } from '../src/demo/cgroup-tree.ts';
import { cgroupMount } from '../src/kernel/cgroup.ts';
import type { DataPlane } from '../src/kernel/dataplane.ts';
import { unload } from '../src/kernel/load.ts';
import { openPinned } from '../src/kernel/pinned.ts';
import { openPlace } from '../test/support/instance.ts';
import { istiodMissing, startIstiod } from '../test/support/istiod.ts';
import { type AgentProcess, startAgent } from './agent-process.ts';
import { type MeshServer, openMeshServer, resourcesOf, workloadOf } from './mesh-server.ts';
import { type MeshSize, meshChanges, meshWorkload } from './model.ts';
import { type Line, report } from './report.ts';
import { percentile, spreadText } from './statistics.ts';

const sizes: readonly MeshSize[] = [
  { services: 1_000, workloads: 10_000 },
  { services: 5_000, workloads: 100_000 },
  { services: 10_000, workloads: 100_000 },
];
const rounds = 3;
const singles = 300;
const large = 10_000;
/** By then the agent has given back what the first load needed. */
const settledMs = 12_000;
/** What another agent took on such a machine for 5,000/100,000, the most that it can. */
const kmesh = { cpu: 3.7, rssMb: 415 };
/** Entries for two clients of that many pods. */
const room = ['--map-size', 'endpoint=524288'];

async function withAgent<T>(
  root: string,
  words: readonly string[],
  work: (agent: AgentProcess) => Promise<T>,
): Promise<T> {
  const { place, close } = await openPlace(root);
  const agent = startAgent(place, [...words, ...room]);
  try {
    return await work(agent);
  } finally {
    await agent.stop();
    unload(place.bpffs);
    await close();
  }
}

const plain = (port: number): string[] => ['--xds', `127.0.0.1:${port}`, '--xds-plaintext'];
const nameOf = ({ services, workloads }: MeshSize): string => `${services}/${workloads}`;
const latency = (
  what: string,
  times: readonly number[],
  limits?: { readonly p50: number; readonly p99: number },
): Line => {
  const [p50, p99] = [percentile(times, 0.5), percentile(times, 0.99)];
  return {
    what,
    figure: `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, most ${Math.max(...times).toFixed(1)} ms (${times.length})`,
    ...(limits && {
      limit: `p50 at most ${limits.p50} ms, p99 at most ${limits.p99} ms`,
      met: p50 <= limits.p50 && p99 <= limits.p99,
    }),
  };
};

/** First loads: CPU and time from the agent's first request. */
async function firstLoads(root: string, size: MeshSize): Promise<Line[]> {
  const resources = resourcesOf(meshChanges(size));
  const runs: { cpu: number; ms: number; peakMb: number; rssMb: number; block: number; emptyMb: number }[] = [];
  const empty = await openMeshServer([]);
  const bare = await withAgent(root, plain(empty.port), async (agent) => {
    await agent.ready();
    await pause(settledMs);
    return agent.usage();
  }).finally(() => empty.close());
  for (let i = 0; i < rounds; i++) {
    let running: AgentProcess | undefined;
    // Loading programs is one call of libbpf's: what counts begins with the stream.
    let before = 0;
    const server = await openMeshServer(resources, async () => {
      before ||= running?.usage().cpu ?? 0;
      await running?.longestBlock();
    });
    try {
      await withAgent(root, plain(server.port), async (agent) => {
        running = agent;
        const { lastApply } = await agent.ready();
        const { cpu, peakMb } = agent.usage();
        const block = await agent.longestBlock();
        await pause(settledMs);
        const ms = (lastApply?.at ?? 0) - server.askedAt;
        runs.push({ cpu: cpu - before, peakMb, block, ms, rssMb: agent.usage().rssMb, emptyMb: bare.rssMb });
      });
    } finally {
      await server.close();
    }
  }
  const of = (pick: (run: (typeof runs)[number]) => number, digits = 2) => spreadText(runs.map(pick), digits);
  const median = (pick: (run: (typeof runs)[number]) => number) => percentile(runs.map(pick), 0.5);
  const limited = size.services === 5_000;
  const each = ((median((r) => r.rssMb) - median((r) => r.emptyMb)) * 1024 ** 2) / (size.services + size.workloads);
  return [
    {
      what: `${nameOf(size)}: stream open to all maps written`,
      figure: `${of((r) => r.cpu)} CPU-s; ${of((r) => r.ms, 0)} ms from the first request`,
      ...(limited && { limit: `at most ${kmesh.cpu} CPU-s`, met: median((r) => r.cpu) <= kmesh.cpu }),
    },
    {
      what: `${nameOf(size)}: memory`,
      figure: `${of((r) => r.rssMb, 0)} MB settled, ${of((r) => r.peakMb, 0)} MB at most; ${each.toFixed(0)} bytes a resource`,
      ...(limited && { limit: `at most ${kmesh.rssMb} MB at most`, met: median((r) => r.peakMb) <= kmesh.rssMb }),
    },
    {
      what: `${nameOf(size)}: event loop held up`,
      figure: `${of((r) => r.block, 1)} ms at most`,
      limit: 'at most 20 ms',
      met: median((r) => r.block) <= 20,
    },
  ];
}

/** A pod in place of another, and its removal, `n` times; `beside` goes on until that is over. */
async function single(
  server: MeshServer,
  size: MeshSize,
  from: number,
  n: number,
): Promise<{ changed: number[]; removed: number[] }> {
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

/** Resolves once a pod of the node with this address is in the kernel. */
async function untilHeld(plane: DataPlane, address: string): Promise<void> {
  const began = performance.now();
  for (;;) {
    for (const [, client] of plane.map('client').entries()) if (client.addr4 === address) return;
    if (performance.now() - began > 30_000) throw new Error(`${address} was not in the kernel within half a minute`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function changes(root: string, size: MeshSize): Promise<Line[]> {
  const server = await openMeshServer(resourcesOf(meshChanges(size)));
  try {
    return await withAgent(root, plain(server.port), async (agent) => {
      await agent.ready();
      await pause(2_000);
      const alone = await single(server, size, 50_000, singles);
      const hundred: number[] = [];
      for (let i = 0; i < 10; i++) {
        const uids = Array.from({ length: 100 }, (_, n) => meshWorkload(60_000 + i * 100 + n, size).uid);
        hundred.push(await server.push([], uids).send());
      }
      await agent.longestBlock();
      const plane = openPinned(agent.place.bpffs);
      const within: number[] = [];
      const pushes: number[] = [];
      for (let version = 2; version < 8; version++) {
        const put = Array.from({ length: large }, (_, n) => workloadOf(meshWorkload(n, size, version)));
        const gone = Array.from(
          { length: large },
          (_, n) => meshWorkload(n, size, version === 2 ? 0 : version - 1).uid,
        );
        const push = server.push(put, gone);
        let over = false;
        let onOut = () => {};
        const out = new Promise<void>((resolve) => {
          onOut = resolve;
        });
        const whole = push.send(onOut).finally(() => {
          over = true;
        });
        // A stream is one after the other: nothing that comes behind can be there before all of it is.
        await out;
        // ACKs go out in the order of the responses: the kernel is asked instead.
        for (let n = 0; !over; n++) {
          const pod = { ...meshWorkload(90_000 + version * 1_000 + n, size, 1), node: 'node-0' };
          const other = server.push([workloadOf(pod)], [meshWorkload(90_000 + version * 1_000 + n, size).uid]);
          const began = performance.now();
          const told = other.send();
          told.catch(() => {});
          await untilHeld(plane, pod.addresses[0] as string);
          if (!over) within.push(performance.now() - began);
          await pause(2);
        }
        pushes.push(await whole);
      }
      const block = await agent.longestBlock();
      plane.close();
      return [
        latency('one pod replaced', alone.changed, { p50: 2, p99: 10 }),
        latency('one pod removed', alone.removed, { p50: 2, p99: 10 }),
        latency(`one pod replaced while ${large} are`, within, { p50: 2, p99: 10 }),
        {
          what: '100 pods removed in one push',
          figure: `${spreadText(hundred, 1)} ms`,
          limit: 'at most 50 ms',
          met: percentile(hundred, 0.5) <= 50,
        },
        { what: `${large} pods replaced in one push`, figure: `${spreadText(pushes, 0)} ms` },
        {
          what: 'event loop held up meanwhile',
          figure: `${block.toFixed(1)} ms at most`,
          limit: 'at most 20 ms',
          met: block <= 20,
        },
      ];
    });
  } finally {
    await server.close();
  }
}

/** What an agent has used by the time that it asks. */
async function startCpu(root: string): Promise<number> {
  let running: AgentProcess | undefined;
  let cpu = 0;
  const server = await openMeshServer([], async () => {
    cpu ||= running?.usage().cpu ?? 0;
  });
  try {
    return await withAgent(root, plain(server.port), async (agent) => {
      running = agent;
      await agent.ready();
      return cpu;
    });
  } finally {
    await server.close();
  }
}

/** The same first load from a real istiod, whose generated services have two ports. */
async function fromIstiod(root: string, size: MeshSize): Promise<Line[]> {
  const before = await startCpu(root);
  const istiod = await startIstiod({ generate: `${size.services},${size.workloads}` });
  try {
    const times: { cpu: number; s: number; peakMb: number }[] = [];
    for (let i = 0; i < rounds; i++) {
      const began = Date.now();
      await withAgent(root, ['--xds', istiod.ads, '--xds-plaintext'], async (agent) => {
        const { lastApply } = await agent.ready();
        const { cpu, peakMb } = agent.usage();
        times.push({ cpu: cpu - before, peakMb, s: ((lastApply?.at ?? 0) - began) / 1000 });
      });
    }
    const of = (pick: (run: (typeof times)[number]) => number, digits = 2) => spreadText(times.map(pick), digits);
    return [
      {
        what: `istiod, ${nameOf(size)}: stream open to all maps written`,
        figure: `${of((r) => r.cpu)} CPU-s (${before.toFixed(2)} more before); ${of((r) => r.s)} s from the start of the process; ${of((r) => r.peakMb, 0)} MB at most`,
        ...(size.services === 5_000 && {
          limit: `at most ${kmesh.cpu} CPU-s, ${kmesh.rssMb} MB`,
          met:
            percentile(
              times.map((t) => t.cpu),
              0.5,
            ) <= kmesh.cpu &&
            percentile(
              times.map((t) => t.peakMb),
              0.5,
            ) <= kmesh.rssMb,
        }),
      },
    ];
  } finally {
    await istiod.close();
  }
}

export async function benchXds(): Promise<Line[]> {
  const root = join(cgroupMount(), `km-xds-${process.pid}`);
  await makeCgroup(root);
  try {
    const lines: Line[] = [];
    for (const size of sizes) lines.push(...(await firstLoads(root, size)));
    lines.push(...(await changes(root, { services: 10_000, workloads: 100_000 })));
    const missing = istiodMissing();
    if (missing === undefined) for (const size of sizes) lines.push(...(await fromIstiod(root, size)));
    else lines.push({ what: 'istiod', figure: `not measured: ${missing}` });
    return report('Under a control plane (delta xDS)', lines);
  } finally {
    await removeCgroupTree(root);
  }
}
