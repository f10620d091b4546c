// SPDX-License-Identifier: Apache-2.0
// Five minutes of a hundred pods replaced a second, told by a control plane: memory stays, nothing drifts.
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { makeCgroup, removeCgroupTree } from '../src/demo/cgroup-tree.ts';
import { cgroupMount } from '../src/kernel/cgroup.ts';
import { unload } from '../src/kernel/load.ts';
import { openPlace } from '../test/support/instance.ts';
import { startAgent } from './agent-process.ts';
import { openMeshServer, resourcesOf, workloadOf } from './mesh-server.ts';
import { meshChanges, meshWorkload } from './model.ts';
import { type Line, report } from './report.ts';
import { percentile } from './statistics.ts';

const size = { services: 1_000, workloads: 10_000 };
const seconds = 300;
const aSecond = 100;
/** The first minute fills what is kept for later. */
const warmUp = 60;

async function churn(root: string): Promise<Line[]> {
  const server = await openMeshServer(resourcesOf(meshChanges(size)));
  const { place, close } = await openPlace(root);
  const agent = startAgent(place, ['--xds', `127.0.0.1:${server.port}`, '--xds-plaintext']);
  try {
    await agent.ready();
    const times: number[] = [];
    const memory: number[] = [];
    const pending = new Set<Promise<void>>();
    const cpu = agent.usage().cpu;
    const began = performance.now();
    for (let i = 0; i < seconds * aSecond; i++) {
      const place = i % size.workloads;
      const version = Math.floor(i / size.workloads);
      const [was, now] = [meshWorkload(place, size, version), meshWorkload(place, size, version + 1)];
      const sent = server
        .push([workloadOf(now)], [was.uid])
        .send()
        .then((ms) => void times.push(ms))
        .finally(() => pending.delete(sent));
      pending.add(sent);
      if (i % (10 * aSecond) === 0 && i >= warmUp * aSecond) memory.push(agent.usage().rssMb);
      await pause(Math.max(0, ((i + 1) * 1000) / aSecond - (performance.now() - began)));
    }
    await Promise.all(pending);
    const share = (agent.usage().cpu - cpu) / ((performance.now() - began) / 1000);
    memory.push(agent.usage().rssMb);
    let drift = 0;
    for await (const _ of agent.client.diff({})) drift++;
    const { heal } = await agent.client.status({});
    const half = memory.length >> 1;
    const [first, second] = [percentile(memory.slice(0, half), 0.5), percentile(memory.slice(half), 0.5)];
    return [
      {
        what: `${aSecond} pods replaced a second for ${seconds} s`,
        figure: `p50 ${percentile(times, 0.5).toFixed(2)} ms, p99 ${percentile(times, 0.99).toFixed(2)} ms, ${(share * 100).toFixed(1)} % of a core`,
      },
      {
        what: 'memory, first half and second half after the first minute',
        figure: `${first.toFixed(0)} MB, ${second.toFixed(0)} MB`,
        limit: 'at most 5 % more',
        met: second <= first * 1.05,
      },
      {
        what: 'what differs in the kernel afterwards, and what had to be repaired meanwhile',
        figure: `${drift}, ${heal.repairedEntries}`,
        limit: 'nothing',
        met: drift + heal.repairedEntries === 0,
      },
    ];
  } finally {
    await agent.stop();
    unload(place.bpffs);
    await close();
    await server.close();
  }
}

export async function benchChurn(): Promise<Line[]> {
  const root = join(cgroupMount(), `km-churn-${process.pid}`);
  await makeCgroup(root);
  try {
    return report('Churn under a control plane', await churn(root));
  } finally {
    await removeCgroupTree(root);
  }
}
