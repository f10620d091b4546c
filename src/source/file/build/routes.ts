// SPDX-License-Identifier: Apache-2.0
// Routes, grants and aimed policies of the model from their objects, and what of them differs.
import { type RouteObject, routeKey } from '../../../mesh/route.ts';
import type { AuthorizationPolicyObject, RouteDocument } from '../objects.ts';
import { replaceChanged } from './replace-changed.ts';

type Document = RouteDocument | AuthorizationPolicyObject;

export interface RouteBook {
  add(object: Document): void;
  remove(object: Document): void;
  /** What differs since this was asked last, by key (undefined: gone). */
  changes(): Map<string, RouteObject | undefined>;
  /** As of the last `changes`. */
  readonly routes: ReadonlyMap<string, RouteObject>;
}

export function openRouteBook(): RouteBook {
  const objects = new Map<string, Document>();
  const routes = new Map<string, RouteObject>();
  const touched = new Set<string>();
  return {
    routes,
    add(object) {
      objects.set(routeKey(object), object);
      touched.add(routeKey(object));
    },
    remove(object) {
      objects.delete(routeKey(object));
      touched.add(routeKey(object));
    },
    changes() {
      const changes = new Map<string, RouteObject | undefined>();
      for (const key of touched) {
        const object = objects.get(key);
        const next = object && routeOf(object);
        if (replaceChanged(routes, key, next)) changes.set(key, next);
      }
      touched.clear();
      return changes;
    },
  };
}

function routeOf(object: Document): RouteObject | undefined {
  if (object.kind === 'AuthorizationPolicy') return object.aimed;
  const { place: _, ...route } = object;
  return route;
}
