// SPDX-License-Identifier: Apache-2.0
// First loads under a control plane: CPU and memory, and the longest time that the agent's event loop was held up.
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { makeCgroup, removeCgroupTree } from '../src/demo/cgroup-tree.ts';
import { cgroupMount } from '../src/kernel/cgroup.ts';
import { istiodMissing, startIstiod } from '../test/support/istiod.ts';
import { type AgentProcess, type Metered, withAgent } from './agent-process.ts';
import { openMeshServer, resourcesOf } from './mesh-server.ts';
import { type MeshSize, meshChanges } from './model.ts';
import { type Line, report } from './report.ts';
import { percentile, spreadText } from './statistics.ts';

const sizes: readonly MeshSize[] = [
  { services: 1_000, workloads: 10_000 },
  { services: 5_000, workloads: 100_000 },
  { services: 10_000, workloads: 100_000 },
];
const rounds = 3;
/** By then the agent has given back what the first load needed. */
const settledMs = 12_000;
/** What another agent took on such a machine for 5,000/100,000, the most that it can. */
const kmesh = { cpu: 3.7, rssMb: 415 };
/** CPU time and memory are those of an agent without the meter, which is no part of it. */
const plain = { metered: false };
const nameOf = ({ services, workloads }: MeshSize): string => `${services}/${workloads}`;
/** The limit is on what the agent does, not on what it waits for because others have the CPU. */
function heldUp(what: string, runs: readonly Metered[]): Line {
  const of = (pick: (run: Metered) => number) => spreadText(runs.map(pick), 1);
  const own = percentile(
    runs.map((run) => run.own),
    0.5,
  );
  return {
    what: `${what}: event loop held up`,
    figure: `${of((r) => r.own)} ms at most, ${of((r) => r.busy)} ms of it on a CPU; ${of((r) => r.longest)} ms with waiting for a CPU`,
    limit: 'at most 20 ms',
    met: own <= 20,
  };
}

/** First loads: CPU and time from the agent's first request. */
async function firstLoads(root: string, size: MeshSize): Promise<Line[]> {
  const resources = resourcesOf(meshChanges(size));
  const runs: {
    cpu: number;
    ms: number;
    peakMb: number;
    rssMb: number;
    emptyMb: number;
  }[] = [];
  const held: Metered[] = [];
  const empty = await openMeshServer([]);
  const bare = await withAgent(
    root,
    empty.port,
    async (agent) => {
      await agent.ready();
      await pause(settledMs);
      return agent.usage();
    },
    plain,
  ).finally(() => empty.close());
  for (let i = 0; i < 2 * rounds; i++) {
    const metered = i % 2 === 1;
    let running: AgentProcess | undefined;
    // Loading programs is one call of libbpf's: what counts begins with the stream.
    let before = 0;
    const server = await openMeshServer(resources, async () => {
      before ||= running?.usage().cpu ?? 0;
      if (metered) await running?.meter();
    });
    const work = async (agent: AgentProcess): Promise<void> => {
      running = agent;
      const { lastApply } = await agent.ready();
      if (metered) {
        held.push(await agent.meter());
        return;
      }
      const { cpu, peakMb } = agent.usage();
      await pause(settledMs);
      const ms = (lastApply?.at ?? 0) - server.askedAt;
      runs.push({ cpu: cpu - before, peakMb, ms, rssMb: agent.usage().rssMb, emptyMb: bare.rssMb });
    };
    try {
      await withAgent(root, server.port, work, { metered });
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
    heldUp(nameOf(size), held),
  ];
}

/** What an agent has used by the time that it asks. */
async function startCpu(root: string): Promise<number> {
  let running: AgentProcess | undefined;
  let cpu = 0;
  const server = await openMeshServer([], async () => {
    cpu ||= running?.usage().cpu ?? 0;
  });
  try {
    return await withAgent(
      root,
      server.port,
      async (agent) => {
        running = agent;
        await agent.ready();
        return cpu;
      },
      plain,
    );
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
    const held: Metered[] = [];
    for (let i = 0; i < rounds; i++) {
      const began = Date.now();
      await withAgent(
        root,
        istiod.ads,
        async (agent) => {
          await agent.answers();
          const { lastApply } = await agent.ready();
          const { cpu, peakMb } = agent.usage();
          times.push({ cpu: cpu - before, peakMb, s: ((lastApply?.at ?? 0) - began) / 1000 });
        },
        plain,
      );
      await withAgent(root, istiod.ads, async (agent) => {
        await agent.answers();
        await agent.meter();
        await agent.ready();
        held.push(await agent.meter());
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
      heldUp(`istiod, ${nameOf(size)}`, held),
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
    const missing = istiodMissing();
    if (missing === undefined) for (const size of sizes) lines.push(...(await fromIstiod(root, size)));
    else lines.push({ what: 'istiod', figure: `not measured: ${missing}` });
    return report('First loads under a control plane (delta xDS)', lines);
  } finally {
    await removeCgroupTree(root);
  }
}
