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
  readonly services: ReadonlySet<number>;
}

export type NumberedId = readonly [kind: NameKind, id: number];

export interface ReleasePlan {
  readonly ops: readonly DeleteOperation[];
  /** Makes the ids free. To be called once all `ops` were carried out, before the next plan. */
  commit(): void;
}

/** Every idle id that is not in use. */
export function idleIds(image: Image, inUse: IdsInUse): NumberedId[] {
  const found: NumberedId[] = [];
  // Ids of strays are idle too, but the strays are still there.
  if (image.stray.length + image.authz.stray.length > 0) return found;
  for (const kind of nameKinds) {
    for (const id of image.ids[kind].idle()) {
      if (kind === 'workload' && inUse.workloads.has(id)) continue;
      if (kind === 'backend' && inUse.backends.has(id)) continue;
      if (kind === 'service' && inUse.services.has(id)) continue;
      found.push([kind, id]);
    }
  }
  return found;
}

/** The release of these idle ids. Does not change `image`. */
export function planRelease(image: Image, ids: readonly NumberedId[]): ReleasePlan {
  const counts: DeleteOperation[] = [];
  const limits: DeleteOperation[] = [];
  const names: DeleteOperation[] = [];
  for (const [kind, id] of ids) {
    const name = image.ids[kind].nameOf(id);
    const about = name === undefined ? `${kind} id ${id}` : `${kind} "${name}"`;
    // Before the name: a count that was left over must not be the next workload's.
    if (kind === 'workload') counts.push({ kind: 'delete', map: 'active', key: id, about });
    if (kind === 'policy' && id < image.sizes.authz_hit) {
      counts.push({ kind: 'delete', map: 'authz_hit', key: id, about });
      limits.push({ kind: 'delete', map: 'denial_limit', key: id, about });
    }
    if (name === undefined) continue;
    const parts = partCountOf(name);
    // Part 0 first: without it the rest counts as no name.
    for (let part = 0; part < parts; part++) {
      names.push({ kind: 'delete', map: 'name', key: { id, kind: nameKind[kind], part }, about });
    }
  }
  return {
    // By map, so that each goes in one batch.
    ops: [...counts, ...limits, ...names],
    commit() {
      for (const [kind, id] of ids) image.ids[kind].release(id);
      image.counts.name -= names.length;
    },
  };
}
