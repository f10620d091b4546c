// SPDX-License-Identifier: Apache-2.0
// An index from one key to several values.

export interface Bags<V> {
  add(key: string, value: V): void;
  remove(key: string, value: V): void;
  get(key: string): ReadonlySet<V>;
  keys(): IterableIterator<string>;
}

export function openBags<V>(): Bags<V> {
  const bags = new Map<string, Set<V>>();
  const empty: ReadonlySet<V> = new Set();
  return {
    add(key, value) {
      const bag = bags.get(key);
      if (bag) bag.add(value);
      else bags.set(key, new Set([value]));
    },
    remove(key, value) {
      const bag = bags.get(key);
      if (bag?.delete(value) && bag.size === 0) bags.delete(key);
    },
    get: (key) => bags.get(key) ?? empty,
    keys: () => bags.keys(),
  };
}
