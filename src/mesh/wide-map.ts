// SPDX-License-Identifier: Apache-2.0
// A Map from names for a hundred thousand entries and more. A Map of that size that grows is moved as a whole: 5 to 17 ms in one go. This one
// becomes many small Maps before it is long, each of which grows by itself. Few entries cost what a Map costs.

/** Entries of the one Map before it is parted. */
const usuallyInOne = 16_384;
/** A power of two. */
export const parts = 64;
/**
 * By some of its characters: hashing all of them costs more than the look-up itself. Names of pods differ at the end, those of services at the front
 * and the middle.
 */
export function partOf(key: string): number {
  const { length } = key;
  let hash = length;
  for (let i = 1; i <= 4; i++) hash = Math.imul(hash ^ key.charCodeAt(length - i), 0x01000193);
  for (let i = 3; i <= 10; i++) hash = Math.imul(hash ^ key.charCodeAt((length * i) >> 4), 0x01000193);
  return (hash ^ (hash >>> 16)) & (parts - 1);
}

/** Entries come in the order in which they were set while they are few, else in some order that depends on the names alone and on theirs. */
export class WideMap<V> implements ReadonlyMap<string, V> {
  #size = 0;
  #one: Map<string, V> | undefined = new Map();
  #parts: readonly Map<string, V>[] = [];
  readonly #mostInOne: number;

  constructor(entries: Iterable<readonly [string, V]> = [], mostInOne = usuallyInOne) {
    this.#mostInOne = mostInOne;
    for (const [key, value] of entries) this.set(key, value);
  }

  get size(): number {
    return this.#size;
  }

  #mapOf(key: string): Map<string, V> {
    return this.#one ?? (this.#parts[partOf(key)] as Map<string, V>);
  }

  get(key: string): V | undefined {
    return this.#mapOf(key).get(key);
  }

  has(key: string): boolean {
    return this.#mapOf(key).has(key);
  }

  set(key: string, value: V): this {
    const map = this.#mapOf(key);
    const before = map.size;
    map.set(key, value);
    this.#size += map.size - before;
    if (map === this.#one && before >= this.#mostInOne) this.#part(map);
    return this;
  }

  delete(key: string): boolean {
    const gone = this.#mapOf(key).delete(key);
    if (gone) this.#size--;
    return gone;
  }

  clear(): void {
    this.#size = 0;
    this.#one = new Map();
    this.#parts = [];
  }

  #part(whole: Map<string, V>): void {
    this.#parts = Array.from({ length: parts }, () => new Map());
    this.#one = undefined;
    for (const [key, value] of whole) this.#mapOf(key).set(key, value);
  }

  keys(): MapIterator<string> {
    return this.#one?.keys() ?? each(this.#parts, (part) => part.keys());
  }

  values(): MapIterator<V> {
    return this.#one?.values() ?? each(this.#parts, (part) => part.values());
  }

  entries(): MapIterator<[string, V]> {
    return this.#one?.entries() ?? each(this.#parts, (part) => part.entries());
  }

  [Symbol.iterator](): MapIterator<[string, V]> {
    return this.entries();
  }

  forEach(visit: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this) visit(value, key, this);
  }
}

/** One part after the other. No generator: whoever goes through all entries would wait four times as long. */
function each<V, T>(parts: readonly Map<string, V>[], of: (part: Map<string, V>) => MapIterator<T>): MapIterator<T> {
  let at = 0;
  let inner = of(parts[0] as Map<string, V>);
  const iterator = {
    next(): IteratorResult<T, undefined> {
      for (;;) {
        const result = inner.next();
        if (!result.done || at === parts.length - 1) return result;
        inner = of(parts[++at] as Map<string, V>);
      }
    },
    [Symbol.iterator]: () => iterator,
  };
  return iterator as MapIterator<T>;
}
