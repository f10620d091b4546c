// SPDX-License-Identifier: Apache-2.0
// Counts of open connections against what sockets say.
import { describe, expect, it } from 'vitest';
import { sockFlag } from '../../src/abi/structs.ts';
import { correctActive, measuringDrift } from '../../src/agent/active.ts';
import type { DataPlane } from '../../src/kernel/dataplane.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import { finish } from '../../src/mesh/steps.ts';

const socket = (peer: number, flags: number = sockFlag.translated | sockFlag.counted) => ({
  cookie: 1n,
  workload_id: 1,
  flags,
  backend_id: 1,
  peer_workload_id: peer,
  service_id: 0,
});

function planeWith(active: Record<number, bigint>, peers: readonly number[]) {
  const plane = openMemory();
  plane.map('active').put(Object.entries(active).map(([id, connections]) => [Number(id), { connections }]));
  plane.setSockets([...peers.map((p) => socket(p)), socket(9, sockFlag.translated)]);
  return plane;
}
const activeDrift = (plane: DataPlane, below: number) => finish(measuringDrift(plane, below));
const counts = (plane: ReturnType<typeof openMemory>) =>
  Object.fromEntries([...plane.map('active').entries()].map(([id, v]) => [id, Number(v.connections)]));

describe('active connections', () => {
  it('finds nothing to do when both agree; sockets that are not counted do not count', () => {
    const plane = planeWith({ 3: 2n, 4: 1n }, [3, 3, 4]);
    expect(activeDrift(plane, 100).size).toBe(0);
    expect([...activeDrift(planeWith({ 3: 1n, 4: 1n }, []), 4)]).toEqual([[3, 1n]]);
  });

  it('takes off only what two looks agree on, by the difference', () => {
    const plane = planeWith({ 3: 5n, 4: 1n, 5: -1n }, [3, 3]);
    const first = activeDrift(plane, 100);
    expect([...first]).toEqual([
      [3, 3n],
      [4, 1n],
      [5, -1n],
    ]);
    // A connection to 4 is there at the second look: it was only being counted. One more to 3 opens meanwhile.
    plane.setSockets([socket(3), socket(3), socket(3), socket(4)]);
    plane.map('active').put([[3, { connections: 6n }]]);
    const second = activeDrift(plane, 100);
    plane.map('active').put([[3, { connections: 7n }]]);
    expect(correctActive(plane, first, second)).toBe(2);
    expect(counts(plane)).toEqual({ 3: 4, 4: 1 });
  });
});
