// SPDX-License-Identifier: Apache-2.0
// A data plane whose owner is killed after so many entries: the rest of a batch is not written, and nothing works any more.
import type { MapName } from '../../src/abi/maps.ts';
import type { DataPlane, MapHandle } from '../../src/kernel/dataplane.ts';

export interface MortalPlane extends DataPlane {
  /** Entries written or deleted so far. */
  readonly written: number;
  /** put() and delete() calls so far. */
  readonly calls: number;
}

/** `plane` as a process sees it that is killed after `life` entries. What it wrote stays in `plane`. */
export function mortal(plane: DataPlane, life = Number.POSITIVE_INFINITY): MortalPlane {
  let written = 0;
  let calls = 0;
  const spend = <T>(items: readonly T[], write: (items: readonly T[]) => void): void => {
    const left = Math.max(0, life - written);
    calls++;
    if (left > 0) write(items.slice(0, left));
    written += Math.min(items.length, left);
    if (items.length > left) throw new Error('killed');
  };
  return {
    ...plane,
    map<M extends MapName>(name: M): MapHandle<M> {
      const map = plane.map(name);
      return {
        ...map,
        put: (entries) => spend(entries, (some) => map.put(some)),
        delete: (keys) => spend(keys, (some) => map.delete(some)),
      };
    },
    get written() {
      return written;
    },
    get calls() {
      return calls;
    },
  };
}
