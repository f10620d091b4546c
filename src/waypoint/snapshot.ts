// SPDX-License-Identifier: Apache-2.0
// Resources as bytes with versions.
import { createHash } from 'node:crypto';
import { type Divisible, policiesIn } from '../compile/l7/parts.ts';
import { finish, type Steps } from '../mesh/steps.ts';
import { emptyTable, type Table } from '../mesh/table.ts';
import { cluster, listener, loadAssignment, routeConfiguration } from './envoy-wire.ts';
import type { Resource } from './messages.ts';
import type { TypeName } from './types.ts';
import { bytesOf, type Message } from './wire.ts';
import { Writer } from './writer.ts';

export type Snapshot = Readonly<Record<TypeName, ReadonlyMap<string, Resource>>>;
type Tables = Readonly<Record<TypeName, Table<Resource>>>;

const nothing: Tables = {
  clusters: emptyTable(),
  endpoints: emptyTable(),
  listeners: emptyTable(),
  routes: emptyTable(),
};
export const emptySnapshot: Snapshot = nothing;

const encoders: { readonly [K in TypeName]: Message<never> } = {
  clusters: cluster,
  endpoints: loadAssignment,
  listeners: listener,
  routes: routeConfiguration,
};

const hashOf = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex').slice(0, 16);

/** What the version of a resource ends with: another one where its policies are others. */
export function policyVersion(type: TypeName, value: object): string {
  const policies = type === 'listeners' || type === 'routes' ? policiesIn(value as Divisible) : undefined;
  return policies ? `.${hashOf(JSON.stringify(policies))}` : '';
}

export function encoded(
  type: TypeName,
  name: string,
  value: object,
  end = policyVersion(type, value),
  writer?: Writer,
): Resource {
  const bytes = bytesOf(encoders[type] as Message<unknown>, value, writer);
  return { name, version: hashOf(bytes) + end, bytes, value };
}

/** Resources between two pauses. */
const aStep = 16;

/** Encodes, of one sort after the other, what is another object than it was the time before. */
export type Encoder = (type: TypeName, now: Table<object>) => Steps<Table<Resource>>;

export function openEncoder(): Encoder {
  const before: Partial<Record<TypeName, Table<object>>> = {};
  let made = nothing;
  const writer = new Writer();
  return function* (type, now) {
    const old = before[type];
    const edit = made[type].edit();
    let seen = 0;
    for (const name of old ? now.changedSince(old) : now.keys()) {
      const value = now.get(name);
      if (value === undefined) edit.delete(name);
      else if (value !== old?.get(name)) edit.set(name, encoded(type, name, value, undefined, writer));
      if (++seen % aStep === 0) yield;
    }
    const table = finish(edit.close());
    before[type] = now;
    made = { ...made, [type]: table };
    return table;
  };
}

type Versions<V> = ReadonlyMap<string, V> | Table<V>;

/** Names under which the tables may hold something else. */
export function changedNames<V>(before: Versions<V>, now: Versions<V>): ReadonlySet<string> {
  if (before === now) return new Set();
  if ('changedSince' in now && 'changedSince' in before) return now.changedSince(before);
  const changed = new Set<string>();
  for (const [name, value] of now) if (before.get(name) !== value) changed.add(name);
  for (const name of before.keys()) if (!now.has(name)) changed.add(name);
  return changed;
}
