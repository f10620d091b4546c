// SPDX-License-Identifier: Apache-2.0
// Names and the numbers the kernel knows them by: lowest free id first, and none is used again before it is released.
import type { NameKind } from '../abi/structs.ts';
import type { Steps } from '../mesh/steps.ts';
import { WideMap } from '../mesh/wide-map.ts';

/** name <-> id of one kind. An id is bound (named), and either referred to, or idle: nothing uses it, but it is not free yet. */
export interface IdTable {
  readonly kind: NameKind;
  /** Ids are 1..limit - 1. */
  readonly limit: number;
  /** Ids that are not free. */
  readonly size: number;
  /** Ids that a draft could still hand out. */
  readonly free: number;
  idOf(name: string): number | undefined;
  nameOf(id: number): string | undefined;
  names(): IterableIterator<[string, number]>;
  /** Binds a free id; false when the id or the name is taken, or the id out of bounds. */
  bind(name: string, id: number): boolean;
  /** Keeps a nameless id from being handed out: something in the kernel still says it. */
  reserve(id: number): void;
  /** One more user. */
  refer(id: number): void;
  /** One user less; true when that was the last. */
  drop(id: number): boolean;
  used(id: number): boolean;
  /** How often the id came into use so far. */
  turn(id: number): number;
  /** Says that no program can meet the id any more, unless it came into use again since `turn` (default: is in use). */
  retire(id: number, turn?: number): void;
  /** Retired ids that nothing uses. */
  idle(): number[];
  readonly idleCount: number;
  /** Makes an idle id free. */
  release(id: number): void;
  draft(): IdDraft;
}

/** A plan's view of a table: new ids become bound with commit(). The table must not change while a draft is open. */
export interface IdDraft {
  /** The name's id, a new one if it has none; undefined when ids are used up. `fresh` is called for a new one. */
  claim(name: string, fresh: (id: number) => void): number | undefined;
  idOf(name: string): number | undefined;
  mark(): number;
  /** What was claimed and is new. */
  fresh(): Iterable<readonly [name: string, id: number]>;
  /** Forgets the ids claimed since `mark`. */
  rollback(mark: number): void;
  commit(): Steps<void>;
}

/** Names between two pauses. */
const namesAStep = 64;

/** Which ids are taken, one bit each, so that the lowest free one is found 32 at a time. Id 0 is always taken. */
function idBits() {
  let words = new Uint32Array(64);
  words[0] = 1;
  return {
    has: (id: number) => ((words[id >>> 5] ?? 0) & (1 << (id & 31))) !== 0,
    set(id: number) {
      const at = id >>> 5;
      if (at >= words.length) {
        const grown = new Uint32Array(Math.max(at + 1, 2 * words.length));
        grown.set(words);
        words = grown;
      }
      words[at] = (words[at] as number) | (1 << (id & 31));
    },
    clear(id: number) {
      words[id >>> 5] = (words[id >>> 5] as number) & ~(1 << (id & 31));
    },
    /** The lowest free id that is not below `from`. */
    lowest(from: number): number {
      let id = from;
      for (;;) {
        const word = words[id >>> 5] ?? 0;
        if (word === 0xffffffff) id = ((id >>> 5) + 1) * 32;
        else if (word & (1 << (id & 31))) id++;
        else return id;
      }
    },
  };
}

type Named = readonly [name: string, id: number];

function* claimedIn(claimed: readonly string[], ids: ReadonlyMap<string, number>): Generator<Named> {
  for (const name of claimed) yield [name, ids.get(name) as number];
}

function* eachInSteps(named: Iterable<Named>, bind: (name: string, id: number) => void): Steps<void> {
  let seen = 0;
  for (const [name, id] of named) {
    bind(name, id);
    if (++seen % namesAStep === 0) yield;
  }
}

/** A table without names; ids stay below `limit`. */
export function idTable(kind: NameKind, limit: number): IdTable {
  let byName = new WideMap<number>();
  const byId: (string | undefined)[] = [];
  const users: number[] = [];
  const turns: number[] = [];
  const taken = idBits();
  let size = 0;
  const retired = new Set<number>();
  // No id below this one is free.
  let lowest = 1;

  const turnOf = (id: number): number => turns[id] ?? 0;

  const take = (id: number): void => {
    taken.set(id);
    size++;
    users[id] = 0;
    lowest = taken.lowest(lowest);
  };

  return {
    kind,
    limit,
    get size() {
      return size;
    },
    get free() {
      return Math.max(0, limit - 1 - size);
    },
    idOf: (name) => byName.get(name),
    nameOf: (id) => byId[id],
    names: () => byName.entries(),
    bind(name, id) {
      if (id < 1 || id >= limit || taken.has(id) || byName.has(name)) return false;
      byName.set(name, id);
      byId[id] = name;
      take(id);
      return true;
    },
    reserve(id) {
      if (id < 1 || id >= limit) return;
      if (!taken.has(id)) take(id);
      retired.add(id);
    },
    refer(id) {
      const before = users[id] ?? 0;
      users[id] = before + 1;
      if (before > 0) return;
      turns[id] = turnOf(id) + 1;
      // Whoever comes to know it now has not been waited for.
      retired.delete(id);
    },
    drop(id) {
      const left = (users[id] ?? 0) - 1;
      if (left < 0) throw new RangeError(`${kind} id ${id} has no user to drop`);
      users[id] = left;
      return left === 0;
    },
    used: (id) => (users[id] ?? 0) > 0,
    turn: turnOf,
    retire(id, turn = turnOf(id)) {
      if (taken.has(id) && !users[id] && turn === turnOf(id)) retired.add(id);
    },
    idle: () => [...retired],
    get idleCount() {
      return retired.size;
    },
    release(id) {
      if (!retired.delete(id) || users[id]) throw new RangeError(`${kind} id ${id} is in use`);
      const name = byId[id];
      if (name !== undefined) byName.delete(name);
      byId[id] = undefined;
      taken.clear(id);
      size--;
      lowest = Math.min(lowest, id);
    },
    draft() {
      const own = new WideMap<number>();
      const claimed: string[] = [];
      const fresh = { [Symbol.iterator]: () => claimedIn(claimed, own) };
      let next = lowest;
      return {
        idOf: (name) => byName.get(name) ?? own.get(name),
        claim(name, onFresh) {
          const known = byName.get(name) ?? own.get(name);
          if (known !== undefined) return known;
          next = taken.lowest(next);
          if (next >= limit) return undefined;
          const id = next++;
          own.set(name, id);
          claimed.push(name);
          onFresh(id);
          return id;
        },
        fresh: () => fresh,
        mark: () => claimed.length,
        rollback(mark) {
          while (claimed.length > mark) {
            const name = claimed.pop() as string;
            // Claimed in ascending order, so what is left below `next` is in use or was never free.
            next = own.get(name) as number;
            own.delete(name);
          }
        },
        commit() {
          // The first plan names everything there is: what it made is the table.
          const first = byName.size === 0;
          if (first) byName = own;
          // In the order of ids: lists with gaps would be slow ones.
          return eachInSteps(fresh, (name, id) => {
            if (!first) byName.set(name, id);
            byId[id] = name;
            take(id);
          });
        },
      };
    },
  };
}
