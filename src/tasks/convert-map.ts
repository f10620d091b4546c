// SPDX-License-Identifier: Apache-2.0
// Contents of a map of another layout: read by the old map's BTF, written by our table. Members are matched by name.
import { type KeyOf, type MapName, maps } from '../abi/maps.ts';
import { backendHeader } from '../abi/structs.ts';
import type { BtfValue } from '../kernel/btf-value.ts';
import type { DataPlane, WritableValue } from '../kernel/dataplane.ts';
import { openPinnedMap } from '../kernel/pinned-map.ts';

const entriesAStep = 4096;

/** A struct with every member: those that the old layout did not have are zero. Scalars as they are. */
function completed(zero: unknown, value: BtfValue): unknown {
  if (typeof zero !== 'object' || zero === null || value instanceof Uint8Array || Array.isArray(value)) return value;
  const known = Object.entries(value as object).filter(([member]) => member in zero);
  return { ...zero, ...Object.fromEntries(known) };
}

/** Copies what is pinned as `name` under `bpffs` into the staged map of the same name. How many entries. */
export function convertMap<M extends MapName>(bpffs: string, name: M, staged: DataPlane, cpus: number): number {
  const layout = maps[name];
  const zeroKey = layout.key.decode(new Uint8Array(layout.key.size));
  const zeroValue = layout.value.decode(new Uint8Array(layout.value.size));
  const zeroHeader = backendHeader.decode(new Uint8Array(backendHeader.size));
  const old = openPinnedMap(bpffs, name, cpus);
  const target = staged.map(name);
  let batch: [KeyOf<M>, WritableValue<M>][] = [];
  let count = 0;
  const flush = () => {
    target.put(batch);
    count += batch.length;
    batch = [];
  };
  try {
    if (!old.walkable) return 0;
    for (const { key, value } of old.entries()) {
      const isHeader = name === 'endpoint' && typeof value === 'object' && 'generation' in value;
      batch.push([
        completed(zeroKey, key) as KeyOf<M>,
        completed(isHeader ? zeroHeader : zeroValue, value) as WritableValue<M>,
      ]);
      if (batch.length === entriesAStep) flush();
    }
    flush();
    return count;
  } finally {
    old.close();
  }
}
