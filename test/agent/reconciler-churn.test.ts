// SPDX-License-Identifier: Apache-2.0
// Pods come and go, 100 a second: ids, names and slots stay within what the mesh needs.
import { describe, expect, it } from 'vitest';
import type { Change } from '../../src/mesh/model.ts';
import { normalise } from '../support/normalise.ts';
import { mesh, open, replacePod, scratch, usedIn } from '../support/small-mesh.ts';

const size = { services: 40, workloads: 400, perNode: 20 };
/** A batch every 100 ms of simulated time, five minutes of it (test/compile/plan-churn.test.ts has the whole hour, without model and compiling). */
const batches = 3000;
const podsABatch = 10;
/** The agent asks for ids back every few seconds. */
const reclaimEvery = 50;

describe('100 pod changes a second', () => {
  it('leak no id, no name and no slot', async () => {
    // Room for the mesh, for what is replaced within five seconds, and no more.
    const sizes = { active: 1024, name: 1400, endpoint: 1024, backend: 64, robin: 64, frontend: 64, client: 32 };
    const { plane, reconciler } = open(sizes);
    await reconciler.replaceAll(mesh(size));
    const versions = new Uint32Array(size.workloads);
    let refused = 0;
    for (let batch = 0; batch < batches; batch++) {
      const changes: Change[] = [];
      for (let i = 0; i < podsABatch; i++) {
        const pod = (batch * podsABatch + i * 37) % size.workloads;
        const version = (versions[pod] as number) + 1;
        versions[pod] = version;
        changes.push(...replacePod(pod, version, size));
      }
      const outcome = await reconciler.submit(changes);
      refused += outcome.refused.length;
      if (outcome.error) throw outcome.error;
      if (batch % reclaimEvery === 0) await reconciler.reclaim();
    }
    await reconciler.idle();
    await reconciler.reclaim();
    expect(refused).toBe(0);
    expect(await reconciler.compare()).toEqual([]);

    const changes = [
      ...mesh(size),
      ...[...versions].flatMap((version, pod) => [
        replacePod(pod, 1, size)[0] as Change,
        ...replacePod(pod, version, size),
      ]),
    ];
    const target = await scratch(changes, sizes);
    expect(normalise(plane)).toEqual(normalise(target));
    expect(usedIn(plane)).toEqual(usedIn(target));
    // Where ranges lie in the end is chance; there is always room for several of the largest service's.
    const range = 1 + size.workloads / size.services;
    expect(reconciler.fill()?.endpoint.largestFree).toBeGreaterThan(4 * range);
  }, 120_000);
});
