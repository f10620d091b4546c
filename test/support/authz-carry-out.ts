// SPDX-License-Identifier: Apache-2.0
// Plans of what connections are judged by, carried out one operation at a time over any data plane.
import type { AuthzLeft } from '../../src/compile/authz/commit.ts';
import type { AuthzPlan } from '../../src/compile/authz/plan.ts';
import { releasingAuthz } from '../../src/compile/authz/release.ts';
import type { Image } from '../../src/compile/image.ts';
import type { AuthzOperation } from '../../src/compile/operation.ts';
import type { DataPlane } from '../../src/kernel/dataplane.ts';
import { finish } from '../../src/mesh/steps.ts';
import { step } from './carry-out.ts';

export type After = (op: AuthzOperation) => void;

export function stepAuthz(plane: DataPlane, op: AuthzOperation): void {
  if (op.kind === 'stamp') {
    const before = plane.map('authz_state').get(0)?.changed_ns ?? 0n;
    plane.map('authz_state').put([[0, { changed_ns: before + 1n, flags: 0 }]]);
  } else step(plane, op);
}

/** The plan and its commit. */
export function carryOutAuthz(plane: DataPlane, plan: AuthzPlan, after: After = () => {}): AuthzLeft {
  for (const op of plan.ops) {
    stepAuthz(plane, op);
    after(op);
  }
  return finish(plan.commit());
}

/** What a plan left, as after its grace period. */
export function releaseLeft(plane: DataPlane, image: Image, left: AuthzLeft, after: After = () => {}): void {
  const release = finish(releasingAuthz(image, left));
  for (const op of release.ops) {
    stepAuthz(plane, op);
    after(op);
  }
  finish(release.commit());
}
