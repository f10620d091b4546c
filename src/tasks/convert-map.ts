// SPDX-License-Identifier: Apache-2.0
// Contents of a map of another layout: read by the old map's BTF, written by our table. Members are matched by name.
import { type KeyOf, type MapName, maps, type ValueOfMap } from '../abi/maps.ts';
import { backendHeader, backendVia, viaPorts } from '../abi/structs.ts';
import type { BtfValue } from '../kernel/btf-value.ts';
import type { DataPlane, MapHandle, WritableValue } from '../kernel/dataplane.ts';
import { openPinnedMap } from '../kernel/pinned-map.ts';
import { remembered } from '../kernel/program-state.ts';

const entriesAStep = 4096;

/** A struct with every member: those that the old layout did not have are zero. Scalars as they are. */
function completed(zero: unknown, value: BtfValue): unknown {
  if (typeof zero !== 'object' || zero === null || value instanceof Uint8Array || Array.isArray(value)) return value;
  const known = Object.entries(value as object).filter(([member]) => member in zero);
  return { ...zero, ...Object.fromEntries(known.map(([member, held]) => [member, flat(held)])) };
}

/** Our tables have arrays of structs as their numbers in a row. */
function flat(value: BtfValue): unknown {
  if (!Array.isArray(value)) return value;
  return value.flatMap((part) => (typeof part === 'object' ? Object.values(part) : [part]));
}

/** Of what a slot of `endpoint` holds, where that is no endpoint. */
function zeroSlot(value: BtfValue): object | undefined {
  if (typeof value !== 'object') return undefined;
  if ('ports' in value) return viaPorts.decode(new Uint8Array(viaPorts.size));
  if (!('backend_id' in value)) return undefined;
  const layout = 'generation' in value ? backendHeader : backendVia;
  return layout.decode(new Uint8Array(layout.size));
}

type Entry<M extends MapName> = [KeyOf<M>, WritableValue<M>];

/** What is pinned as `name` under `bpffs`, as entries of today. */
function* converted<M extends MapName>(bpffs: string, name: M): Generator<Entry<M>> {
  const layout = maps[name];
  const zeroKey = layout.key.decode(new Uint8Array(layout.key.size));
  const zeroValue = layout.value.decode(new Uint8Array(layout.value.size));
  const old = openPinnedMap(bpffs, name);
  try {
    if (!old.walkable) return;
    for (const { key, value } of old.entries()) {
      const zero = (name === 'endpoint' && zeroSlot(value)) || zeroValue;
      yield [completed(zeroKey, key) as KeyOf<M>, completed(zero, value) as WritableValue<M>];
    }
  } finally {
    old.close();
  }
}

function writeAll<M extends MapName>(target: MapHandle<M>, entries: Iterable<Entry<M>>): void {
  let batch: Entry<M>[] = [];
  for (const entry of entries) {
    batch.push(entry);
    if (batch.length < entriesAStep) continue;
    target.put(batch);
    batch = [];
  }
  target.put(batch);
}

/** Counts of open connections as they stand now. */
function openConnections(bpffs: string): Map<number, bigint> {
  const entries = [...converted(bpffs, 'active')];
  return new Map(entries.map(([id, value]) => [id, (value as ValueOfMap<'active'>).connections]));
}

/** Open connections must stay right: what the old programs count after the copy is added. */
function convertCounts(bpffs: string, target: MapHandle<'active'>): () => void {
  const { value: layout } = maps.active;
  const zero = layout.decode(new Uint8Array(layout.size));
  const copied = openConnections(bpffs);
  target.put([...copied].map(([id, connections]) => [id, { ...zero, connections }]));
  return () => {
    const last = openConnections(bpffs);
    for (const id of new Set([...copied.keys(), ...last.keys()])) {
      const late = (last.get(id) ?? 0n) - (copied.get(id) ?? 0n);
      const held = target.get(id) ?? zero;
      if (late !== 0n) target.put([[id, { ...held, connections: held.connections + late }]]);
    }
  };
}

/**
 * Copies what is pinned as `name` under `bpffs` into the staged map of the same name. The answer, to be called once no old program
 * runs any more and before the folders change names, carries over what those wrote after the copy.
 */
export function convertMap(bpffs: string, name: MapName, staged: DataPlane): () => void {
  if (name === 'active') return convertCounts(bpffs, staged.map('active'));
  writeAll(staged.map(name), converted(bpffs, name));
  return () => {
    if (remembered.has(name)) writeMissing(bpffs, name as 'affinity', staged);
  };
}

/** What the new programs wrote already is the better one. */
function writeMissing<M extends MapName>(bpffs: string, name: M, staged: DataPlane): void {
  const target = staged.map(name);
  for (const entry of converted(bpffs, name)) if (target.get(entry[0]) === undefined) target.put([entry]);
}
