// SPDX-License-Identifier: Apache-2.0
// Maps that programs write while a swap goes on: what the old programs still wrote after the copy is carried over.
import type { MapName } from '../abi/maps.ts';
import { copyMap, type MapEnd } from './copy-map.ts';
import type { MapHandle } from './dataplane.ts';
import { kernelMap, newScratch } from './map.ts';

/** Written by programs for themselves: an entry that the new programs made already is the better one. */
export const remembered: ReadonlySet<MapName> = new Set(['affinity', 'udp_flow', 'udp_reverse', 'miss', 'sent']);

/** Copies one map. The answer is to be called once no old program runs any more. */
export function copyAndSettle(name: MapName, from: MapEnd, to: MapEnd): () => void {
  if (name === 'active') return copyCounts(from, to);
  copyMap(name, from, to);
  return () => {
    if (remembered.has(name)) copyMap(name, from, to, true);
  };
}

/** Open connections must stay right: what was counted in the old map after it was read is added to the new one. */
function copyCounts(from: MapEnd, to: MapEnd): () => void {
  const scratch = newScratch();
  const open = (end: MapEnd): MapHandle<'active'> => kernelMap('active', end.fd, end.info.maxEntries, scratch);
  const old = open(from);
  const fresh = open(to);
  const copied = new Map([...old.entries()].map(([id, value]) => [id, value.connections]));
  fresh.put([...copied].map(([id, connections]) => [id, { connections }]));
  return () => {
    const last = new Map([...old.entries()].map(([id, value]) => [id, value.connections]));
    for (const id of new Set([...copied.keys(), ...last.keys()])) {
      const late = (last.get(id) ?? 0n) - (copied.get(id) ?? 0n);
      if (late !== 0n) fresh.put([[id, { connections: (fresh.get(id)?.connections ?? 0n) + late }]]);
    }
  };
}
