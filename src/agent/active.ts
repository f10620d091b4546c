// SPDX-License-Identifier: Apache-2.0
// Open-connection counts set right: what sockets say against what the map holds. Programs go on counting meanwhile.
import { sockFlag } from '../abi/structs.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import type { Steps } from '../mesh/steps.ts';

/** Workload id -> how much the map's count is above (below: negative) what the sockets say; only where it differs. */
export type ActiveDrift = ReadonlyMap<number, bigint>;

/**
 * Compares once, ids less than `below` (reading all of a large array costs more than all else here), in steps. The plane must stay open.
 * An id whose count changes meanwhile is left out; a connection that opens and one that closes together may still show up as a difference.
 */
export function* measuringDrift(plane: DataPlane, below: number): Steps<ActiveDrift> {
  const active = plane.map('active');
  const before = new Map<number, bigint>();
  for (const part of active.parts(below)) {
    yield;
    for (const [id, { connections }] of part) before.set(id, connections);
  }
  const drift = new Map(before);
  for (const { flags, peer_workload_id: id } of plane.sockets()) {
    if ((flags & sockFlag.counted) !== 0 && id < below) drift.set(id, (drift.get(id) ?? 0n) - 1n);
  }
  yield;
  for (const [id, difference] of drift) {
    if (difference === 0n) drift.delete(id);
    else {
      if ((active.get(id)?.connections ?? 0n) !== (before.get(id) ?? 0n)) drift.delete(id);
      yield;
    }
  }
  return drift;
}

/**
 * Takes off what two comparisons, some time apart, agree on.
 * @returns how many counts were corrected.
 */
export function correctActive(plane: DataPlane, first: ActiveDrift, second: ActiveDrift): number {
  const map = plane.map('active');
  let corrected = 0;
  for (const [id, difference] of second) {
    if (first.get(id) !== difference) continue;
    // Read again right before the write: only connections of the microseconds between are miscounted, until the next time.
    map.put([[id, { connections: (map.get(id)?.connections ?? 0n) - difference }]]);
    corrected++;
  }
  return corrected;
}
