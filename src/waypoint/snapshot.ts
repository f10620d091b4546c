// SPDX-License-Identifier: Apache-2.0
// Resources as bytes with versions, and what is known of how good they are.
import { createHash } from 'node:crypto';
import type { Resources } from '../compile/l7/compile.ts';
import { cluster, listener, loadAssignment, routeConfiguration } from './envoy-wire.ts';
import type { Resource } from './messages.ts';
import { type TypeName, typeNames } from './types.ts';
import { bytesOf, type Message } from './wire.ts';

export type Snapshot = Readonly<Record<TypeName, ReadonlyMap<string, Resource>>>;

export const emptySnapshot: Snapshot = {
  clusters: new Map(),
  endpoints: new Map(),
  listeners: new Map(),
  routes: new Map(),
};

const encoders: { readonly [K in TypeName]: Message<never> } = {
  clusters: cluster,
  endpoints: loadAssignment,
  listeners: listener,
  routes: routeConfiguration,
};

/** Encodes what it has not encoded before: equal objects are the same object. */
export function openEncoder(): (resources: Resources) => Snapshot {
  const known = new WeakMap<object, Resource>();
  const encoded = (type: TypeName, name: string, value: object): Resource => {
    const before = known.get(value);
    if (before) return before;
    const bytes = bytesOf(encoders[type] as Message<unknown>, value);
    const version = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
    const made = { name, version, bytes };
    known.set(value, made);
    return made;
  };
  return (resources) => {
    const table = (type: TypeName) =>
      new Map([...resources[type]].map(([name, value]) => [name, encoded(type, name, value)] as const));
    return {
      clusters: table('clusters'),
      endpoints: table('endpoints'),
      listeners: table('listeners'),
      routes: table('routes'),
    };
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
      if (refused.size === 0) return snapshot;
      const table = (type: TypeName) =>
        new Map(
          [...snapshot[type]].map(([name, resource]) => {
            const key = keyOf(type, name);
            const isBad = refused.get(key)?.version === resource.version;
            return [name, isBad ? (best.get(key) ?? resource) : resource] as const;
          }),
        );
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
