// SPDX-License-Identifier: Apache-2.0
// Names of the ids that the kernel's maps hold, from the pinned id table.
import { type NameKind, nameKind } from '../../abi/structs.ts';
import { joinName, partCount } from '../../compile/names.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';

export interface HeldNames {
  /** The name, or "#7" for an id that has none (0: ''). */
  nameOf(kind: NameKind, id: number): string;
  /** All ids of one kind. */
  all(kind: NameKind): ReadonlyMap<number, string>;
}

const kinds = Object.entries(nameKind) as [NameKind, number][];

/** Reads the whole id table at once. */
export function readNames(plane: DataPlane): HeldNames {
  const parts = new Map<string, Parameters<typeof joinName>[0][number][]>();
  const found = new Map<number, Map<number, string>>(kinds.map(([, code]) => [code, new Map()]));
  for (const [key, part] of plane.map('name').entries()) {
    if (key.part === 0 && partCount(part.length) === 1) {
      found.get(key.kind)?.set(key.id, joinName([part]) as string);
      continue;
    }
    const at = `${key.kind}/${key.id}`;
    const held = parts.get(at) ?? [];
    held[key.part] = part;
    parts.set(at, held);
  }
  for (const [at, held] of parts) {
    const [kind, id] = at.split('/').map(Number) as [number, number];
    const name = joinName(held);
    if (name !== undefined) found.get(kind)?.set(id, name);
  }
  return {
    nameOf: (kind, id) => (id === 0 ? '' : (found.get(nameKind[kind])?.get(id) ?? `#${id}`)),
    all: (kind) => found.get(nameKind[kind]) ?? new Map(),
  };
}

/** One name, without reading the table. */
export function readName(plane: DataPlane, kind: NameKind, id: number): string {
  if (id === 0) return '';
  const map = plane.map('name');
  const part = (n: number) => map.get({ id, kind: nameKind[kind], part: n });
  const first = part(0);
  if (!first) return `#${id}`;
  const parts = [first, ...Array.from({ length: partCount(first.length) - 1 }, (_, i) => part(i + 1))];
  return joinName(parts) ?? `#${id}`;
}
