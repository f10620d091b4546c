// SPDX-License-Identifier: Apache-2.0
// Resources that are refused now: how many, and what is wrong with the first of them. A control plane may refuse all there is, at any length.
import type { TypeStatus } from './types.ts';

export type RefusedResource = TypeStatus['refused'][number];

export interface RefusedList {
  /** All of them; beyond `most.names` those are counted too that became good meanwhile, until the next stream. */
  readonly size: number;
  add(resource: RefusedResource): void;
  /** It is good, or gone. */
  delete(name: string): void;
  names(): Iterable<string>;
  /** Those that are told with their faults. */
  listed(): readonly RefusedResource[];
  /** Forgets those that are only counted: what is refused still comes again. */
  recount(): void;
  clear(): void;
}

/** Names kept; resources kept with their faults; faults of each; characters of a fault. */
export const most = { names: 100_000, listed: 100, faults: 10, characters: 300 };

export function openRefusedList(): RefusedList {
  const names = new Set<string>();
  const listed = new Map<string, RefusedResource>();
  let counted = 0;
  return {
    get size() {
      return names.size + counted;
    },
    add(resource) {
      const { name } = resource;
      if (!names.has(name) && names.size >= most.names) {
        counted++;
        return;
      }
      names.add(name);
      if (listed.has(name) || listed.size < most.listed)
        listed.set(name, { ...resource, faults: short(resource.faults) });
    },
    delete(name) {
      names.delete(name);
      listed.delete(name);
    },
    names: () => names,
    listed: () => [...listed.values()],
    recount() {
      counted = 0;
    },
    clear() {
      names.clear();
      listed.clear();
      counted = 0;
    },
  };
}

function short(faults: readonly string[]): readonly string[] {
  const cut = (text: string) => (text.length > most.characters ? `${text.slice(0, most.characters)}…` : text);
  const named = faults.slice(0, most.faults).map(cut);
  return faults.length > most.faults ? [...named, `and ${faults.length - most.faults} more`] : named;
}
