// SPDX-License-Identifier: Apache-2.0
// The model to the kernel at 10,000 services and 100,000 workloads: all of it, then one endpoint changed, one removed. Then from YAML
// by the agent as a process of its own: start, an edit of one file, memory, and what it costs when nothing happens.
import { join } from 'node:path';
import { openReconciler } from '../src/agent/reconciler.ts';
import { makeCgroup, removeCgroupTree } from '../src/demo/cgroup-tree.ts';
import { cgroupMount } from '../src/kernel/cgroup.ts';
import type { Change } from '../src/mesh/model.ts';
import { openInstance } from '../test/support/instance.ts';
import { meshChanges, meshWorkload, firstNode as view } from './model.ts';
import { type Line, report } from './report.ts';
import { percentile } from './statistics.ts';

const size = { services: 10_000, workloads: 100_000 };
const fills = 3;
const changes = 500;

const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Best of `fills` whole fills of an empty kernel, and single changes on the last. */
async function modelToKernel(root: string): Promise<Line[]> {
  const fillCpu: number[] = [];
  const changed: number[] = [];
  const removed: number[] = [];
  const all = [...meshChanges(size)];
  for (let i = 0; i < fills; i++) {
    const instance = await openInstance(root);
    const reconciler = openReconciler({ plane: instance.plane, view });
    try {
      const before = cpuSeconds();
      const outcome = await reconciler.replaceAll(all);
      fillCpu.push(cpuSeconds() - before);
      if (outcome.error) throw outcome.error;
      if (outcome.refused.length > 0) throw new Error(`refused: ${outcome.refused[0]?.reason}`);
      if (i < fills - 1) continue;
      const timed = async (list: readonly Change[], into: number[]) => {
        const started = performance.now();
        const one = await reconciler.submit(list);
        into.push(performance.now() - started);
        if (one.error || one.operations === 0) throw one.error ?? new Error('a change wrote nothing');
      };
      for (let n = 0; n < changes; n++) {
        const was = meshWorkload(n * 7, size);
        const now = meshWorkload(n * 7, size, 1);
        await timed(
          [
            { kind: 'remove-workload', uid: was.uid },
            { kind: 'put-workload', workload: now },
          ],
          changed,
        );
        await timed([{ kind: 'remove-workload', uid: now.uid }], removed);
      }
    } finally {
      await reconciler.close();
      await instance.close();
    }
  }
  const latency = (what: string, times: readonly number[]): Line => {
    const p50 = percentile(times, 0.5);
    const p99 = percentile(times, 0.99);
    return {
      what,
      figure: `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms (${times.length} changes)`,
      limit: 'p50 at most 2 ms, p99 at most 10 ms',
      met: p50 <= 2 && p99 <= 10,
    };
  };
  return report(`Model to kernel, ${size.services} services and ${size.workloads} workloads`, [
    {
      what: 'everything',
      figure: `${Math.min(...fillCpu).toFixed(2)} CPU-s (best of ${fills}: ${fillCpu.map((s) => s.toFixed(2)).join(', ')})`,
      limit: 'at most 2 CPU-s',
      met: Math.min(...fillCpu) <= 2,
    },
    latency('one changed endpoint', changed),
    latency('one removed', removed),
  ]);
}

export async function benchScale(): Promise<Line[]> {
  const root = join(cgroupMount(), `km-scale-${process.pid}`);
  await makeCgroup(root);
  try {
    return await modelToKernel(root);
  } finally {
    await removeCgroupTree(root);
  }
}
