// SPDX-License-Identifier: Apache-2.0
// Plans carried out one operation at a time, with a look at what a reader sees after each.
import { type Image, settle } from '../../src/compile/image.ts';
import type { Operation } from '../../src/compile/operation.ts';
import type { Plan } from '../../src/compile/plan.ts';
import { idleIds, planRelease } from '../../src/compile/plan-release.ts';
import type { DataPlane, MapHandle } from '../../src/kernel/dataplane.ts';
import { finish } from '../../src/mesh/steps.ts';

/** One operation, as an agent that is killed right after it would have left it. */
export function step(plane: DataPlane, op: Operation): void {
  if (op.kind === 'grace') return;
  const map = plane.map(op.map) as unknown as MapHandle<'frontend'>;
  if (op.kind === 'put') map.put([[op.key, op.value] as never]);
  else map.delete([op.key as never]);
}

/** The whole plan, its commit, and what it frees. `after` sees each operation when it is done. */
export function carryOut(plane: DataPlane, image: Image, plan: Plan, after: (op: Operation) => void = () => {}): void {
  for (const op of plan.ops) {
    step(plane, op);
    after(op);
  }
  finish(settle(image, finish(plan.commit())));
}

/** Frees every idle id, as if no socket named any. */
export function releaseAll(plane: DataPlane, image: Image): number {
  const ids = idleIds(image, { workloads: new Set(), backends: new Set(), services: new Set() });
  const plan = planRelease(image, ids);
  for (const op of plan.ops) step(plane, op);
  plan.commit();
  return ids.length;
}
