// SPDX-License-Identifier: Apache-2.0
// Carries out planned operations: in order, in batches, without holding the event loop for long.
import type { KeyOf } from '../abi/maps.ts';
import type { AuthzOperation, DeleteOperation, Operation, PlannedMap, PutOperation } from '../compile/operation.ts';
import type { DataPlane, MapHandle, WritableValue } from '../kernel/dataplane.ts';
import { breath, sliceIsOver } from './slices.ts';

/** Entries written at once: less than half a millisecond of encoding and of the kernel's time. */
const entriesABatch = 256;

export interface ExecuteOptions {
  /** Stops before the next batch. */
  readonly signal?: AbortSignal;
  /** Entries written at once. */
  readonly batch?: number;
  /** Asked between two batches: whether others should have their turn. */
  readonly pause?: () => boolean;
  /** Leave a grace operation at the very end to the caller, who has other things to do meanwhile. */
  readonly skipLastGrace?: boolean;
}

export interface Executed {
  /** Operations that were carried out. */
  readonly done: number;
  /** False: cancelled before the end. */
  readonly complete: boolean;
}

/** Consecutive operations of one kind on one map. */
type Batch =
  | { readonly kind: 'put'; readonly map: PlannedMap; readonly entries: (readonly [KeyOf<PlannedMap>, unknown])[] }
  | { readonly kind: 'delete'; readonly map: PlannedMap; readonly keys: KeyOf<PlannedMap>[] };

function write(plane: DataPlane, batch: Batch): void {
  // Keys and values come from operations on this very map; the type system cannot follow that through a variable.
  const map = plane.map(batch.map) as unknown as MapHandle<PlannedMap>;
  if (batch.kind === 'put') map.put(batch.entries as (readonly [KeyOf<PlannedMap>, WritableValue<PlannedMap>])[]);
  else map.delete(batch.keys);
}

/** The programs' own clock. */
function stamp(plane: DataPlane): void {
  plane.map('authz_state').put([[0, { changed_ns: process.hrtime.bigint(), flags: 0 }]]);
}

function begin(op: PutOperation | DeleteOperation): Batch {
  return op.kind === 'put' ? { kind: 'put', map: op.map, entries: [] } : { kind: 'delete', map: op.map, keys: [] };
}

/**
 * Carries out `ops` in order; consecutive ones of the same kind and map go in one batch.
 * Throws the map's error (KM_MAP, KM_MAP_FULL): what came before it is written then, and part of its batch may be.
 */
export async function execute(
  plane: DataPlane,
  ops: Iterable<Operation | AuthzOperation>,
  { signal, batch: most = entriesABatch, pause = sliceIsOver, skipLastGrace = false }: ExecuteOptions = {},
): Promise<Executed> {
  let done = 0;
  let batch: Batch | undefined;
  let size = 0;
  let graceDue = false;

  const flush = (): void => {
    if (batch) write(plane, batch);
    done += size;
    batch = undefined;
    size = 0;
  };
  const grace = async (): Promise<void> => {
    graceDue = false;
    await plane.grace();
    done++;
  };

  for (const op of ops) {
    if (op.kind === 'grace') {
      flush();
      if (graceDue) await grace();
      graceDue = true;
      continue;
    }
    if (op.kind === 'stamp') {
      flush();
      if (graceDue) await grace();
      stamp(plane);
      done++;
      continue;
    }
    if (!batch || batch.kind !== op.kind || batch.map !== op.map || size >= most) {
      flush();
      if (graceDue) await grace();
      if (pause()) await breath();
      if (signal?.aborted) return { done, complete: false };
      batch = begin(op);
    }
    if (batch.kind === 'put') batch.entries.push([op.key, (op as Extract<Operation, { kind: 'put' }>).value]);
    else batch.keys.push(op.key);
    size++;
  }
  flush();
  if (graceDue && !skipLastGrace) await grace();
  return { done, complete: true };
}
