// SPDX-License-Identifier: Apache-2.0
// Resources as bytes with versions.
import { createHash } from 'node:crypto';
import type { Resources } from '../compile/l7/compile.ts';
import { finish } from '../mesh/steps.ts';
import { emptyTable, type Table } from '../mesh/table.ts';
import { cluster, listener, loadAssignment, routeConfiguration } from './envoy-wire.ts';
import type { Resource } from './messages.ts';
import type { TypeName } from './types.ts';
import { bytesOf, type Message } from './wire.ts';

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

function encoded(type: TypeName, name: string, value: object): Resource {
  const bytes = bytesOf(encoders[type] as Message<unknown>, value);
  return { name, version: createHash('sha256').update(bytes).digest('hex').slice(0, 16), bytes };
}

/** Encodes what is another object than it was the time before. */
export function openEncoder(): (resources: Resources) => Snapshot {
  let before: Resources | undefined;
  let snapshot = nothing;
  return (resources) => {
    const table = (type: TypeName): Table<Resource> => {
      const [now, old]: readonly (Table<object> | undefined)[] = [resources[type], before?.[type]];
      const edit = snapshot[type].edit();
      for (const name of old ? (now as Table<object>).changedSince(old) : (now as Table<object>).keys()) {
        const value = now?.get(name);
        if (value === undefined) edit.delete(name);
        else if (value !== old?.get(name)) edit.set(name, encoded(type, name, value));
      }
      return finish(edit.close());
    };
    snapshot = {
      clusters: table('clusters'),
      endpoints: table('endpoints'),
      listeners: table('listeners'),
      routes: table('routes'),
    };
    before = resources;
    return snapshot;
  };
}
