// SPDX-License-Identifier: Apache-2.0
// The reconciler over the real maps comes to what it comes to over maps in memory, also when it is killed on the way.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openReconciler } from '../../src/agent/reconciler.ts';
import { makeCgroup, removeCgroupTree } from '../../src/demo/cgroup-tree.ts';
import { cgroupMount } from '../../src/kernel/cgroup.ts';
import { type Instance, openInstance } from '../support/instance.ts';
import { mortal } from '../support/mortal-plane.ts';
import { normalise } from '../support/normalise.ts';
import {
  addService,
  mesh,
  removePod,
  removeService,
  replacePod,
  scratch,
  udpService,
  view,
} from '../support/small-mesh.ts';

const size = { services: 50, workloads: 500, perNode: 25, dualStack: true };
const first = mesh(size);
const update = [
  ...Array.from({ length: 60 }, (_, n) => replacePod(n, 1, size)).flat(),
  removePod(70),
  removeService(7),
  addService(80),
  udpService(3),
];

let root: string;
let instance: Instance;
beforeAll(async () => {
  root = join(cgroupMount(), `km-plan-${process.pid}`);
  await makeCgroup(root);
  instance = await openInstance(root);
});
afterAll(async () => {
  await instance?.close();
  await removeCgroupTree(root);
});

describe('reconciler on the kernel', () => {
  it('brings the same contents as in memory, from whatever one that was killed has left', async () => {
    const contents = normalise(await scratch([...first, ...update]));
    for (const life of [0, 7, 400, 1500, 2300]) {
      const dying = openReconciler({ plane: mortal(instance.plane, life), view });
      await dying.replaceAll(first);
      await dying.submit(update);
      await dying.close();

      const next = openReconciler({ plane: instance.plane, view });
      expect((await next.replaceAll([...first, ...update])).error).toBeUndefined();
      await next.idle();
      await next.reclaim();
      expect(await next.compare()).toEqual([]);
      expect(normalise(instance.plane)).toEqual(contents);

      // And away again, so that each round has all the writes before it.
      await next.replaceAll([]);
      await next.idle();
      await next.reclaim();
      expect(Object.values(normalise(instance.plane).names).flat()).toEqual([]);
      await next.close();
    }
  });
});
