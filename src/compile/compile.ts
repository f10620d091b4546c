// SPDX-License-Identifier: Apache-2.0
// model -> wanted entries, whole or only what a batch of changes touched. Both go through the same steps.
import type { Model, NodeView, Touched } from '../mesh/model.ts';
import { addressText } from '../mesh/service.ts';
import { finish, type Steps } from '../mesh/steps.ts';
import { emptyTable, type Table } from '../mesh/table.ts';
import type { Workload } from '../mesh/workload.ts';
import { isV4 } from '../net/address.ts';
import type { Cidr } from '../net/cidr.ts';
import { backendsOf, sameBackend } from './backend.ts';
import { coverOf, isRange, rangeOf } from './cover.ts';
import { allV4, frontendsOf, sameFrontend, takesInV4 } from './frontend.ts';
import { readerOf } from './reader.ts';
import type { Wanted, WantedBackend, WantedClient, WantedDelta, WantedFrontend } from './wanted.ts';

/** All that was emitted so far, and by whom, so that what vanishes can be named. Persistent: an older index stays valid. */
export interface CompileIndex {
  readonly backends: Table<WantedBackend>;
  readonly frontends: Table<WantedFrontend>;
  readonly clients: Table<WantedClient>;
  /** Service key -> names of its backends. */
  readonly backendsOf: Table<readonly string[]>;
  /** Address text -> keys of its frontends. */
  readonly frontendsOf: Table<readonly string[]>;
  /** Texts of the ranges among the model's owners. */
  readonly ranges: Table<Cidr>;
}

/** Nothing was emitted yet. */
export const emptyIndex: CompileIndex = {
  backends: emptyTable(),
  frontends: emptyTable(),
  clients: emptyTable(),
  backendsOf: emptyTable(),
  frontendsOf: emptyTable(),
  ranges: emptyTable(),
};

/** One kind of wanted entry while it is compiled: what emitters gave before, and what they give now. */
interface Emitted<T> {
  /** Takes what `source` emits now. True when its names are others than before. */
  replace(source: string, entries: readonly T[]): boolean;
  has(name: string): boolean;
  readonly delta: ReadonlyMap<string, T | undefined>;
  close(): Steps<{ readonly entries: Table<T>; readonly of: Table<readonly string[]> }>;
}

const none: readonly string[] = [];

/** Whether a name is in a list: most lists are too short for a Set to pay. */
function membership(names: readonly string[]): (name: string) => boolean {
  if (names.length <= 8) return (name) => names.includes(name);
  const all = new Set(names);
  return (name) => all.has(name);
}

function emit<T>(
  before: Table<T>,
  beforeOf: Table<readonly string[]>,
  name: (entry: T) => string,
  same: (a: T, b: T) => boolean,
): Emitted<T> {
  const entries = before.edit();
  const of = beforeOf.edit();
  const delta = new Map<string, T | undefined>();
  return {
    delta,
    has: (key) => entries.has(key),
    replace(source, now) {
      const old = of.get(source) ?? none;
      const names = now.map(name);
      const [was, is] = [membership(old), membership(names)];
      for (const key of old) {
        if (is(key)) continue;
        entries.delete(key);
        delta.set(key, undefined);
      }
      for (let i = 0; i < now.length; i++) {
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
    },
    *close() {
      return { entries: yield* entries.close(), of: yield* of.close() };
    },
  };
}

function clientOf(workload: Workload | undefined, view: NodeView): WantedClient | undefined {
  if (!workload || workload.node === '' || workload.node !== view.node) return undefined;
  return {
    workload: workload.uid,
    namespace: workload.namespace,
    address4: workload.addresses.find(isV4) ?? '',
    address6: workload.addresses.find((a) => !isV4(a)) ?? '',
  };
}

function sameClient(a: WantedClient, b: WantedClient): boolean {
  return a.namespace === b.namespace && a.address4 === b.address4 && a.address6 === b.address6;
}

/** What is compiled again: of each kind every key once. */
interface Work {
  readonly services: Iterable<string>;
  readonly addresses: Iterable<string>;
  readonly workloads: Iterable<string>;
}

/** The keys of both, once each. */
function* keysOf(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): Generator<string> {
  yield* b.keys();
  for (const key of a.keys()) if (!b.has(key)) yield key;
}

/** Items between two pauses. */
const itemsAStep = 8;
/** The same where an item is next to nothing. */
const quickItemsAStep = 64;

/** Everything that the model holds or the index emitted; of the workloads those that are clients or were. */
function* everything(index: CompileIndex, model: Model, view: NodeView): Steps<Work> {
  const clients = new Set(index.clients.keys());
  let seen = 0;
  for (const { node, uid } of model.workloads.values()) {
    if (node === view.node) clients.add(uid);
    if (++seen % quickItemsAStep === 0) yield;
  }
  return {
    services: keysOf(index.backendsOf, model.services),
    addresses: keysOf(index.frontendsOf, model.owners),
    workloads: clients,
  };
}

/**
 * The address texts whose frontends may come out differently when those of `touched` change: themselves, and all that lie in a touched
 * range. One that has no frontends has no owner that serves anything here, which a range around it does not change.
 */
function* withCovered(touched: ReadonlySet<string>, index: CompileIndex): Steps<ReadonlySet<string>> {
  const ranges = new Map<string, Cidr>();
  for (const text of touched) if (isRange(text)) ranges.set(text, rangeOf(text));
  if (ranges.size === 0) return touched;
  const cover = coverOf(ranges);
  const all = new Set(touched);
  let seen = 0;
  for (const text of index.frontendsOf.keys()) {
    if (!all.has(text) && cover(rangeOf(text)).length > 0) all.add(text);
    if (++seen % quickItemsAStep === 0) yield;
  }
  for (const text of ranges.keys()) if (takesInV4(text)) all.add(allV4);
  return all;
}

/** What compiling gives. */
export interface Compiled {
  readonly delta: WantedDelta;
  readonly index: CompileIndex;
}

/**
 * Compiles again what was touched. `touched` 'everything': all of it (another view of the node, or the first time).
 * The delta names only what really differs from what `index` holds; undefined: not wanted any more.
 */
export function* compiling(
  index: CompileIndex,
  model: Model,
  view: NodeView,
  touched: Touched | 'everything',
): Steps<Compiled> {
  const work: Work = touched === 'everything' ? yield* everything(index, model, view) : touched;
  const reader = readerOf(model);
  const backends = emit<WantedBackend>(index.backends, index.backendsOf, (b) => b.name, sameBackend);
  const frontends = emit<WantedFrontend>(index.frontends, index.frontendsOf, (f) => f.key, sameFrontend);
  const clients = index.clients.edit();
  const clientDelta = new Map<string, WantedClient | undefined>();
  let seen = 0;

  const addresses = new Set<string>();
  const edited = index.ranges.edit();
  const add = (text: string): void => {
    if (addresses.has(text)) return;
    addresses.add(text);
    if (!isRange(text)) return;
    if (model.owners.has(text)) edited.set(text, rangeOf(text));
    else edited.delete(text);
  };
  for (const text of work.addresses) {
    add(text);
    if (++seen % quickItemsAStep === 0) yield;
  }
  for (const key of work.services) {
    const renamed = backends.replace(key, backendsOf(reader, view, key));
    // UDP parting from TCP gives a service another backend: its frontends must name it.
    if (renamed) for (const a of reader.service(key)?.addresses ?? []) add(addressText(a));
    if (++seen % itemsAStep === 0) yield;
  }

  const ranges = yield* edited.close();
  if (addresses.size > 0) {
    const context = {
      cover: coverOf(ranges),
      mapped: () => [...ranges.keys()].filter(takesInV4),
      hasBackend: backends.has,
    };
    for (const text of yield* withCovered(addresses, index)) {
      frontends.replace(text, frontendsOf(reader, view, text, context));
      if (++seen % itemsAStep === 0) yield;
    }
  }

  for (const uid of work.workloads) {
    if (++seen % quickItemsAStep === 0) yield;
    const before = clients.get(uid);
    const now = clientOf(model.workloads.get(uid), view);
    if (now === undefined) {
      if (before === undefined) continue;
      clients.delete(uid);
    } else {
      if (before !== undefined && sameClient(before, now)) continue;
      clients.set(uid, now);
    }
    clientDelta.set(uid, now);
  }

  const b = yield* backends.close();
  const f = yield* frontends.close();
  return {
    delta: { backends: backends.delta, frontends: frontends.delta, clients: clientDelta },
    index: {
      backends: b.entries,
      frontends: f.entries,
      clients: yield* clients.close(),
      backendsOf: b.of,
      frontendsOf: f.of,
      ranges,
    },
  };
}

/** The same at once. */
export function compileTouched(
  index: CompileIndex,
  model: Model,
  view: NodeView,
  touched: Touched | 'everything',
): Compiled {
  return finish(compiling(index, model, view, touched));
}

/** What an index holds, as a whole (no copy). */
export function wantedOf(index: CompileIndex): Wanted {
  return { backends: index.backends, frontends: index.frontends, clients: index.clients };
}

/** All that this node should have in its kernel. */
export function compileAll(model: Model, view: NodeView): Wanted {
  return wantedOf(compileTouched(emptyIndex, model, view, 'everything').index);
}
