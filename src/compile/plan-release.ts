// SPDX-License-Identifier: Apache-2.0
// Ids that nothing names any more become free, and their names leave the kernel.
import { type NameKind, nameKind } from '../abi/structs.ts';
import { type Image, nameKinds } from './image.ts';
import { partCountOf } from './names.ts';
import type { DeleteOperation } from './operation.ts';

/** Ids that something outside the planned maps still says: sockets, enrolled cgroups. */
export interface IdsInUse {
  readonly workloads: ReadonlySet<number>;
  readonly backends: ReadonlySet<number>;
}

export interface ReleasePlan {
  readonly ops: readonly DeleteOperation[];
  /** How many ids become free. */
  readonly ids: number;
  /** Makes them free. To be called once all `ops` were carried out, before the next plan. */
  commit(): void;
}

/** The release of every idle id that is not in use. Does not change `image`. */
export function planRelease(image: Image, inUse: IdsInUse): ReleasePlan {
  const ops: DeleteOperation[] = [];
  const released: [NameKind, number][] = [];
  let entries = 0;
  // Ids of strays are idle too, but the strays are still there.
  for (const kind of image.stray.length > 0 ? [] : nameKinds) {
    const table = image.ids[kind];
    for (const id of table.idle()) {
      if (kind === 'workload' && inUse.workloads.has(id)) continue;
      if (kind === 'backend' && inUse.backends.has(id)) continue;
      released.push([kind, id]);
      const name = table.nameOf(id);
      const about = name === undefined ? `${kind} id ${id}` : `${kind} "${name}"`;
      // Before the name: a count that was left over must not be the next workload's.
      if (kind === 'workload') ops.push({ kind: 'delete', map: 'active', key: id, about });
      if (name === undefined) continue;
      const parts = partCountOf(name);
      entries += parts;
      // Part 0 first: without it the rest counts as no name.
      for (let part = 0; part < parts; part++) {
        ops.push({ kind: 'delete', map: 'name', key: { id, kind: nameKind[kind], part }, about });
      }
    }
  }
  return {
    // By map, so that each goes in one batch.
    ops: [...ops.filter((op) => op.map === 'active'), ...ops.filter((op) => op.map === 'name')],
    ids: released.length,
    commit() {
      for (const [kind, id] of released) image.ids[kind].release(id);
      image.counts.name -= entries;
    },
  };
}
