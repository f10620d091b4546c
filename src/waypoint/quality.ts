// SPDX-License-Identifier: Apache-2.0
// What proxies of one waypoint said of its resources: the last version of each that one of them took.
import type { Resource } from './messages.ts';
import { type TypeName, typeNames } from './types.ts';

export interface Quality {
  good(type: TypeName, resource: Resource): void;
  /** The last version that was taken. A proxy that refuses a later one, and never had it, gets it in its place. */
  best(type: TypeName, name: string): Resource | undefined;
  /** Forgets what is not in `now`, once that are more than `slack`. */
  prune(type: TypeName, now: ReadonlyMap<string, unknown>, slack: number): void;
}

export function openQuality(): Quality {
  const best = Object.fromEntries(typeNames.map((type) => [type, new Map()])) as Readonly<
    Record<TypeName, Map<string, Resource>>
  >;
  return {
    good(type, resource) {
      best[type].set(resource.name, resource);
    },
    best: (type, name) => best[type].get(name),
    prune(type, now, slack) {
      if (best[type].size <= now.size + slack) return;
      for (const name of best[type].keys()) if (!now.has(name)) best[type].delete(name);
    },
  };
}
