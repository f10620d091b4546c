// SPDX-License-Identifier: Apache-2.0
// How long a changed pod takes from the model to the kernel, alone and while a push of 10,000 is under way, and how long the event loop
// is held up meanwhile: at 10,000 services and 100,000 workloads.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { openReconciler } from '../src/agent/reconciler.ts';
import type { Reconciler } from '../src/agent/reconciler-api.ts';
import { makeCgroup, removeCgroupTree } from '../src/demo/cgroup-tree.ts';
import { cgroupMount } from '../src/kernel/cgroup.ts';
import type { Change } from '../src/mesh/model.ts';
import { openInstance } from '../test/support/instance.ts';
import { meshChanges, meshWorkload, firstNode as view } from './model.ts';
import { type Line, report } from './report.ts';
import { percentile } from './statistics.ts';

const size = { services: 10_000, workloads: 100_000 };
const pushed = 10_000;
const pushes = 5;
const alone = 500;

/** Milliseconds that the main thread waited for a CPU so far: others' doing. */
const waited = () => Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e6;

/** The longest time for which a timer of 1 ms was not served, without the time that the thread waited for a CPU. */
function openBlockMeter() {
  let last = performance.now();
  let lastWaited = waited();
  let longest = 0;
  const timer = setInterval(() => {
    const [now, wait] = [performance.now(), waited()];
    longest = Math.max(longest, now - last - (wait - lastWaited) - 1);
    [last, lastWaited] = [now, wait];
  }, 1);
  return {
    close(): number {
      clearInterval(timer);
      return longest;
    },
  };
}

async function submit(reconciler: Reconciler, changes: readonly Change[]): Promise<number> {
  const begun = performance.now();
  const { error, operations, refused } = await reconciler.submit(changes);
  if (error) throw error;
  if (refused.length > 0) throw new Error(`refused: ${refused[0]?.reason}`);
  if (operations === 0) throw new Error('a change wrote nothing');
  return performance.now() - begun;
}

/** Pod `n` gets another address; pod `n` goes, and comes back untimed. */
async function onePod(reconciler: Reconciler, n: number, round: number, changed: number[], removed: number[]) {
  const workload = meshWorkload(n, size);
  const addresses = [`11.${round}.${(n >>> 8) & 255}.${n & 255}`];
  changed.push(await submit(reconciler, [{ kind: 'put-workload', workload: { ...workload, addresses } }]));
  removed.push(await submit(reconciler, [{ kind: 'remove-workload', uid: workload.uid }]));
  await submit(reconciler, [{ kind: 'put-workload', workload }]);
}

function latency(what: string, times: readonly number[]): Line {
  const p50 = percentile(times, 0.5);
  const p99 = percentile(times, 0.99);
  return {
    what,
    figure: `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms (${times.length} changes)`,
    limit: 'p50 at most 2 ms, p99 at most 10 ms',
    met: p50 <= 2 && p99 <= 10,
  };
}

function block(what: string, ms: number): Line {
  return { what, figure: `${ms.toFixed(1)} ms`, limit: 'at most 20 ms', met: ms <= 20 };
}

async function measure(root: string): Promise<Line[]> {
  const all = [...meshChanges(size)];
  const instance = await openInstance(root);
  const reconciler = openReconciler({ plane: instance.plane, view });
  try {
    const load = openBlockMeter();
    const { error } = await reconciler.replaceAll(all);
    if (error) throw error;
    await reconciler.idle();
    const loadBlock = load.close();

    const single = { changed: [] as number[], removed: [] as number[] };
    for (let n = 0; n < alone; n++) {
      await onePod(reconciler, 20_000 + n * 7, 0, single.changed, single.removed);
      // As they come: not one right after the other.
      if (n % 10 === 0) await pause(5);
    }

    const during = { changed: [] as number[], removed: [] as number[] };
    const took: number[] = [];
    let pushBlock = 0;
    for (let round = 1; round <= pushes; round++) {
      // One pod of each service, and the pods that are timed are of the same services.
      const push = Array.from({ length: pushed }, (_, n): Change => {
        return { kind: 'put-workload', workload: meshWorkload(n, size, round) };
      });
      for (let n = 0; n < pushed; n++) {
        push.push({ kind: 'remove-workload', uid: meshWorkload(n, size, round - 1).uid });
      }
      const meter = openBlockMeter();
      let under = true;
      const whole = submit(reconciler, push).finally(() => {
        under = false;
      });
      for (let n = 0; under; n++) {
        await pause(1);
        await onePod(reconciler, 30_000 + n * 7, round, during.changed, during.removed);
      }
      took.push(await whole);
      await reconciler.idle();
      pushBlock = Math.max(pushBlock, meter.close());
    }

    const hundred = Array.from({ length: 100 }, (_, n): Change => {
      return { kind: 'remove-workload', uid: meshWorkload(50_000 + n * 97, size).uid };
    });
    const gone = await submit(reconciler, hundred);
    return [
      block('longest block of the event loop, first load', loadBlock),
      block(`longest block of the event loop, pushes of ${pushed} pods replaced`, pushBlock),
      { what: `a push of ${pushed} pods replaced`, figure: `${percentile(took, 0.5).toFixed(0)} ms` },
      latency('one changed pod', single.changed),
      latency('one removed', single.removed),
      latency('one changed pod during a push', during.changed),
      latency('one removed during a push', during.removed),
      { what: '100 pods removed', figure: `${gone.toFixed(1)} ms`, limit: 'at most 50 ms', met: gone <= 50 },
    ];
  } finally {
    await reconciler.close();
    await instance.close();
  }
}

export async function benchLatency(): Promise<Line[]> {
  const root = join(cgroupMount(), `km-latency-${process.pid}`);
  await makeCgroup(root);
  try {
    return report(`Latency, ${size.services} services and ${size.workloads} workloads`, await measure(root));
  } finally {
    await removeCgroupTree(root);
  }
}
