// SPDX-License-Identifier: Apache-2.0
// Entries by name while they are compiled: each source replaces what it emitted before, and what really differs is the delta.
import type { Steps } from '../mesh/steps.ts';
import type { Table, TableEditor } from '../mesh/table.ts';

/** One kind of wanted entry while it is compiled: what emitters gave before, and what they give now. */
export interface Emitted<T> {
  /** Takes what `source` emits now; `list`: of which sources it is one. True when its names are others than before. */
  replace(source: string, entries: readonly T[], list?: number): Steps<boolean>;
  has(name: string): boolean;
  readonly delta: ReadonlyMap<string, T | undefined>;
  close(): Closing<T>;
}

type Closing<T> = Steps<{ readonly entries: Table<T>; readonly of: readonly Table<readonly string[]>[] }>;

const none: readonly string[] = [];

/** Whether a name is in a list: most lists are too short for a Set to pay. */
function membership(names: readonly string[]): (name: string) => boolean {
  if (names.length <= 8) return (name) => names.includes(name);
  const all = new Set(names);
  return (name) => all.has(name);
}

export function emit<T>(
  before: Table<T>,
  beforeOf: readonly Table<readonly string[]>[],
  name: (entry: T) => string,
  same: (a: T, b: T) => boolean,
): Emitted<T> {
  const entries = before.edit();
  const lists = beforeOf.map((of) => of.edit());
  const delta = new Map<string, T | undefined>();
  const editing = { entries, delta, name, same };
  return {
    delta,
    has: (key) => entries.has(key),
    replace: (source, now, list = 0) => replacing(editing, lists[list] as TableEditor<readonly string[]>, source, now),
    close: () => closing(entries, lists),
  };
}

interface Editing<T> {
  readonly entries: TableEditor<T>;
  readonly delta: Map<string, T | undefined>;
  readonly name: (entry: T) => string;
  readonly same: (a: T, b: T) => boolean;
}

/** Entries between two pauses: most sources have fewer. */
const entriesAStep = 64;

function* replacing<T>(
  { entries, delta, name, same }: Editing<T>,
  of: TableEditor<readonly string[]>,
  source: string,
  now: readonly T[],
): Steps<boolean> {
  const old = of.get(source) ?? none;
  const names = now.map(name);
  const [was, is] = [membership(old), membership(names)];
  let seen = 0;
  for (const key of old) {
    if (++seen % entriesAStep === 0) yield;
    if (is(key)) continue;
    entries.delete(key);
    delta.set(key, undefined);
  }
  for (let i = 0; i < now.length; i++) {
    if (++seen % entriesAStep === 0) yield;
    const entry = now[i] as T;
    const key = names[i] as string;
    // Only what this source emitted can be held already.
    const held = was(key) ? entries.get(key) : undefined;
    if (held !== undefined && same(held, entry)) continue;
    entries.set(key, entry);
    delta.set(key, entry);
  }
  const renamed = old.length !== names.length || old.some((key, i) => key !== names[i]);
  if (names.length === 0) of.delete(source);
  else if (renamed) of.set(source, names);
  return renamed;
}

function* closing<T>(entries: TableEditor<T>, lists: readonly TableEditor<readonly string[]>[]): Closing<T> {
  const of: Table<readonly string[]>[] = [];
  for (const list of lists) of.push(yield* list.close());
  return { entries: yield* entries.close(), of };
}
