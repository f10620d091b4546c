// SPDX-License-Identifier: Apache-2.0
// Persistent tables: a change makes a new table and leaves the old one as it was. The newest version owns one map; an older one keeps
// only what differs and asks its successor for the rest (Baker, "Shallow binding makes functional arrays fast", 1991). So the one that is
// used costs what a map costs.
import type { Steps } from './steps.ts';
import { WideMap } from './wide-map.ts';

export interface Table<V> extends ReadonlyMap<string, V> {
  /** Changes to be made in one step. */
  edit(): TableEditor<V>;
  /** Keys under which this may hold something else than `before`. It costs what changed, when this came from it by edits. */
  changedSince(before: Table<V>): ReadonlySet<string>;
}

export interface TableEditor<V> {
  /** What the table will hold. */
  get(key: string): V | undefined;
  has(key: string): boolean;
  set(key: string, value: V): void;
  delete(key: string): void;
  /** The table with the changes: the same one when there are none. The editor is spent; the table it began with stays what it was. */
  close(): Steps<Table<V>>;
}

/** Entries between two pauses. */
const entriesAStep = 64;

type State<V> =
  | { readonly kind: 'newest'; readonly map: WideMap<V> }
  /** `undo`: what the successor changed, as it was here; undefined: was not there. */
  | { readonly kind: 'older'; readonly undo: ReadonlyMap<string, V | undefined>; readonly next: Version<V> };

class Version<V> implements Table<V> {
  readonly size: number;
  #state: State<V>;

  constructor(map: WideMap<V>, size = map.size) {
    this.size = size;
    this.#state = { kind: 'newest', map };
  }

  get(key: string): V | undefined {
    let state = this.#state;
    while (state.kind === 'older') {
      if (state.undo.has(key)) return state.undo.get(key);
      state = state.next.#state;
    }
    return state.map.get(key);
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  keys(): MapIterator<string> {
    return this.#whole().keys();
  }

  values(): MapIterator<V> {
    return this.#whole().values();
  }

  entries(): MapIterator<[string, V]> {
    return this.#whole().entries();
  }

  [Symbol.iterator](): MapIterator<[string, V]> {
    return this.entries();
  }

  forEach(visit: (value: V, key: string, table: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this.#whole()) visit(value, key, this);
  }

  edit(): TableEditor<V> {
    const changes = new WideMap<V | undefined>();
    // An empty table may be anybody's start: what comes after it stays apart, and the changes themselves are what it holds.
    if (this.size === 0) {
      return {
        get: (key) => changes.get(key),
        has: (key) => changes.has(key),
        set: (key, value) => void changes.set(key, value),
        delete: (key) => void changes.delete(key),
        close: () => this.#first(changes as WideMap<V>),
      };
    }
    const get = (key: string) => changes.get(key) ?? (changes.has(key) ? undefined : this.get(key));
    return {
      get,
      has: (key) => get(key) !== undefined,
      set: (key, value) => void changes.set(key, value),
      delete: (key) => void changes.set(key, undefined),
      close: () => this.#with(changes),
    };
  }

  changedSince(before: Table<V>): ReadonlySet<string> {
    const changed = new Set<string>();
    let at: Table<V> = before;
    while (at !== this && at instanceof Version && at.#state.kind === 'older') {
      for (const key of at.#state.undo.keys()) changed.add(key);
      at = at.#state.next;
    }
    if (at === this) return changed;
    if (before.size === 0) return new Set(this.keys());
    changed.clear();
    for (const [key, value] of this) if (before.get(key) !== value) changed.add(key);
    for (const key of before.keys()) if (!this.has(key)) changed.add(key);
    return changed;
  }

  /** Everything as one Map, not to be changed. Older versions make a copy. */
  #whole(): ReadonlyMap<string, V> {
    const steps: ReadonlyMap<string, V | undefined>[] = [];
    let state = this.#state;
    for (; state.kind === 'older'; state = state.next.#state) steps.push(state.undo);
    if (steps.length === 0) return state.map;
    const map = new WideMap(state.map);
    for (const undo of steps.reverse()) for (const [key, value] of undo) assign(map, key, value);
    return map;
  }

  // biome-ignore lint/correctness/useYield: nothing to pause for
  *#first(map: WideMap<V>): Steps<Table<V>> {
    return map.size === 0 ? this : new Version(map);
  }

  *#with(changes: ReadonlyMap<string, V | undefined>): Steps<Table<V>> {
    if (changes.size === 0) return this;
    const state = this.#state;
    if (state.kind === 'older') {
      const map = new WideMap(this.#whole());
      for (const [key, value] of changes) assign(map, key, value);
      return new Version(map);
    }
    const { map } = state;
    const undo = new WideMap<V | undefined>();
    let size = this.size;
    let seen = 0;
    for (const [key, value] of changes) {
      const before = map.get(key);
      undo.set(key, before);
      size += Number(value !== undefined) - Number(before !== undefined);
      if (++seen % entriesAStep === 0) yield;
    }
    const next = new Version(map, size);
    // From here on this version asks `undo` first: it stays what it was while the map changes under it.
    this.#state = { kind: 'older', undo, next };
    for (const [key, value] of changes) {
      assign(map, key, value);
      if (++seen % entriesAStep === 0) yield;
    }
    return next;
  }
}

function assign<V>(map: WideMap<V>, key: string, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

/** A table that holds nothing. */
export function emptyTable<V>(): Table<V> {
  return new Version<V>(new WideMap());
}
