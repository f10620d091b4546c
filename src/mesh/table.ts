// SPDX-License-Identifier: Apache-2.0
// Persistent tables: a change makes a new table and leaves the old one as it was. The newest version owns a plain Map; an older one keeps
// only what differs and asks its successor for the rest (Baker, "Shallow binding makes functional arrays fast", 1991). So the one that is
// used costs what a Map costs, and no key is hashed in JavaScript.

export interface Table<V> extends ReadonlyMap<string, V> {
  /** Changes to be made in one step. */
  edit(): TableEditor<V>;
}

export interface TableEditor<V> {
  /** What the table will hold. */
  get(key: string): V | undefined;
  has(key: string): boolean;
  set(key: string, value: V): void;
  delete(key: string): void;
  /** The table with the changes: the same one when there are none. The editor is spent. */
  close(): Table<V>;
}

type State<V> =
  | { readonly kind: 'newest'; readonly map: Map<string, V> }
  /** `undo`: what the successor changed, as it was here; undefined: was not there. */
  | { readonly kind: 'older'; readonly undo: ReadonlyMap<string, V | undefined>; readonly next: Version<V> };

class Version<V> implements Table<V> {
  readonly size: number;
  #state: State<V>;

  constructor(map: Map<string, V>) {
    this.size = map.size;
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
    const changes = new Map<string, V | undefined>();
    const get = (key: string) => (changes.has(key) ? changes.get(key) : this.get(key));
    return {
      get,
      has: (key) => get(key) !== undefined,
      set: (key, value) => void changes.set(key, value),
      delete: (key) => void changes.set(key, undefined),
      close: () => (changes.size === 0 ? this : this.#with(changes)),
    };
  }

  /** Everything as one Map, not to be changed. Older versions make a copy. */
  #whole(): ReadonlyMap<string, V> {
    const steps: ReadonlyMap<string, V | undefined>[] = [];
    let state = this.#state;
    for (; state.kind === 'older'; state = state.next.#state) steps.push(state.undo);
    if (steps.length === 0) return state.map;
    const map = new Map(state.map);
    for (const undo of steps.reverse()) for (const [key, value] of undo) assign(map, key, value);
    return map;
  }

  #with(changes: Map<string, V | undefined>): Table<V> {
    // An empty table may be anybody's start: what comes after it stays apart.
    if (this.size === 0) return new Version(present(changes));
    const state = this.#state;
    if (state.kind === 'older') {
      const map = new Map(this.#whole());
      for (const [key, value] of changes) assign(map, key, value);
      return new Version(map);
    }
    const undo = new Map<string, V | undefined>();
    for (const [key, value] of changes) {
      undo.set(key, state.map.get(key));
      assign(state.map, key, value);
    }
    const next = new Version(state.map);
    this.#state = { kind: 'older', undo, next };
    return next;
  }
}

/** The same Map without what is undefined. */
function present<V>(changes: Map<string, V | undefined>): Map<string, V> {
  for (const [key, value] of changes) if (value === undefined) changes.delete(key);
  return changes as Map<string, V>;
}

function assign<V>(map: Map<string, V>, key: string, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

/** A table that holds nothing. */
export function emptyTable<V>(): Table<V> {
  return new Version<V>(new Map());
}
