// SPDX-License-Identifier: Apache-2.0
// The model as JSON, one service or workload at a time.
import type { ConfigQuery } from '../admin/routes.ts';
import type { ConfigItem, ConfigKind, Json } from '../admin/types.ts';
import type { Model } from '../mesh/model.ts';

/** Maps become objects, sets lists, u64 text; what is undefined is left out. */
export function jsonOf(value: unknown): Json {
  if (value === null || value === undefined) return null;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return value.map(jsonOf);
  if (value instanceof Map) return objectOf(value as ReadonlyMap<string, unknown>);
  if (value instanceof Set) return [...value].map(jsonOf);
  return objectOf(Object.entries(value));
}

function objectOf(entries: Iterable<readonly [string, unknown]>): { readonly [key: string]: Json } {
  const out: Record<string, Json> = {};
  for (const [key, value] of entries) if (value !== undefined) out[key] = jsonOf(value);
  return out;
}

/** The model's services, then its workloads, each sorted by name. Reads one snapshot however long it takes. */
export function* configItems(model: Model, query: ConfigQuery): Generator<ConfigItem, void, undefined> {
  let left = query.limit ?? Number.POSITIVE_INFINITY;
  const tables: readonly (readonly [ConfigKind, Pick<Model['services'], 'keys'>, (name: string) => unknown])[] = [
    ['service', model.services, (name) => model.services.get(name)],
    ['workload', model.workloads, (name) => model.workloads.get(name)],
  ];
  for (const [kind, table, get] of tables) {
    if (query.kind !== undefined && query.kind !== kind) continue;
    const names = [...table.keys()].filter((name) => query.filter === undefined || name.includes(query.filter));
    for (const name of names.sort()) {
      if (left-- <= 0) return;
      yield { kind, name, fields: objectOf(Object.entries(get(name) as object)) };
    }
  }
}
