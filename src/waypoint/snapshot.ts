// SPDX-License-Identifier: Apache-2.0
// Resources as bytes with versions, and what is known of how good they are.
import { createHash } from 'node:crypto';
import type { Resources } from '../compile/l7/compile.ts';
import { finish } from '../mesh/steps.ts';
import { emptyTable, type Table } from '../mesh/table.ts';
import { cluster, listener, loadAssignment, routeConfiguration } from './envoy-wire.ts';
import type { Resource } from './messages.ts';
import { type TypeName, typeNames } from './types.ts';
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

/** A resource that an Envoy refused. */
export interface Refused {
  readonly type: TypeName;
  readonly name: string;
  readonly version: string;
  readonly reason: string;
  /** A version that was good before stands in for it. */
  readonly stands: boolean;
}

/** What Envoys of one waypoint said of resources: the last good version of each, and those that were refused. */
export interface Quality {
  good(type: TypeName, resource: Resource): void;
  bad(type: TypeName, resource: Resource, reason: string): void;
  /** `snapshot` with the last good version in place of what is known to be refused. */
  usable(snapshot: Snapshot): Snapshot;
  /** Of those in `snapshot`. */
  refused(snapshot: Snapshot): Refused[];
}

export function openQuality(): Quality {
  const best = new Map<string, Resource>();
  const refused = new Map<string, { readonly version: string; readonly reason: string }>();
  const keyOf = (type: TypeName, name: string) => `${type} ${name}`;
  return {
    good(type, resource) {
      const key = keyOf(type, resource.name);
      best.set(key, resource);
      if (refused.get(key)?.version === resource.version) refused.delete(key);
    },
    bad(type, resource, reason) {
      refused.set(keyOf(type, resource.name), { version: resource.version, reason });
    },
    usable(snapshot) {
      const table = (type: TypeName): ReadonlyMap<string, Resource> => {
        const usual = snapshot[type];
        const changed = new Map<string, Resource>();
        for (const [key, { version }] of refused) {
          const name = key.slice(type.length + 1);
          const good = key === keyOf(type, name) ? best.get(key) : undefined;
          if (good && usual.get(name)?.version === version) changed.set(name, good);
        }
        return changed.size === 0 ? usual : new Map([...usual, ...changed]);
      };
      if (refused.size === 0) return snapshot;
      return {
        clusters: table('clusters'),
        endpoints: table('endpoints'),
        listeners: table('listeners'),
        routes: table('routes'),
      };
    },
    refused(snapshot) {
      const out: Refused[] = [];
      for (const type of typeNames) {
        for (const [name, { version }] of snapshot[type]) {
          const key = keyOf(type, name);
          const known = refused.get(key);
          if (known?.version !== version) continue;
          out.push({ type, name, version, reason: known.reason, stands: best.has(key) });
        }
      }
      return out;
    },
  };
}
