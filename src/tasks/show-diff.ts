// SPDX-License-Identifier: Apache-2.0
// What the agent wants against what the kernel holds.
import { adminClient } from '../admin/client.ts';
import type { Difference } from '../admin/types.ts';
import type { Env, Place } from '../env.ts';

export interface DiffResult {
  /** 0: the kernel holds what the agent wants. */
  readonly count: number;
  /** At most as many as asked for. */
  readonly differences: readonly Difference[];
}

/** Asks the agent to compare. Fails with KM_AGENT_UNREACHABLE without one. */
export async function showDiff(
  _env: Env,
  { place, limit }: { readonly place: Place; readonly limit?: number },
): Promise<DiffResult> {
  const differences: Difference[] = [];
  let count = 0;
  for await (const difference of adminClient(place.runDir).diff({})) {
    count++;
    if (limit === undefined || differences.length < limit) differences.push(difference);
  }
  return { count, differences };
}
