// SPDX-License-Identifier: Apache-2.0
// Names by key: who has an address, which identities a namespace has. Nearly always it is one name, so that is what costs least.
import type { Steps } from '../../mesh/steps.ts';
import { emptyTable, type Table } from '../../mesh/table.ts';

/** Key -> the one name, or all of them. */
export type Bags = Table<string | readonly string[]>;

export const noBags: Bags = emptyTable();

const nothing: readonly string[] = [];

export function inBag(bags: Bags, key: string): readonly string[] {
  const held = bags.get(key);
  return held === undefined ? nothing : typeof held === 'string' ? [held] : held;
}

export interface BagsEditor {
  add(key: string, name: string): void;
  remove(key: string, name: string): void;
  /** The one name, or all of them; undefined: none. */
  of(key: string): string | ReadonlySet<string> | undefined;
  /** Keys that names were added to or removed from. */
  touched(): Iterable<string>;
  close(): Steps<Bags>;
}

/** Keys between two pauses. */
const keysAStep = 64;

export function editBags(before: Bags): BagsEditor {
  // Sets only for keys with several names: there may be a hundred thousand keys.
  const open = new Map<string, string | Set<string> | undefined>();
  const held = (key: string): string | Set<string> | undefined => {
    if (open.has(key)) return open.get(key);
    const was = before.get(key);
    return was === undefined || typeof was === 'string' ? was : new Set(was);
  };
  return {
    of: held,
    touched: () => open.keys(),
    add(key, name) {
      const now = held(key);
      if (now instanceof Set) open.set(key, now.add(name));
      else open.set(key, now === undefined || now === name ? name : new Set([now, name]));
    },
    remove(key, name) {
      const now = held(key);
      if (now instanceof Set) {
        now.delete(name);
        const [only] = now;
        open.set(key, now.size === 1 ? only : now);
      } else if (now === name) open.set(key, undefined);
    },
    close: () => closing(before, open),
  };
}

function* closing(before: Bags, open: ReadonlyMap<string, string | Set<string> | undefined>): Steps<Bags> {
  const next = before.edit();
  let seen = 0;
  for (const [key, now] of open) {
    if (now === undefined) next.delete(key);
    else next.set(key, typeof now === 'string' ? now : [...now]);
    if (++seen % keysAStep === 0) yield;
  }
  return yield* next.close();
}
