// SPDX-License-Identifier: Apache-2.0
// One stream of an Envoy, without the network: what it asked for, what it was told, and what it said of that.
import type { Request, Resource, Response, Way } from './messages.ts';
import { emptySnapshot, type Quality, type Snapshot } from './snapshot.ts';
import { type TypeName, typeNames, typeOf, wholeTypes } from './types.ts';

interface Subscription {
  /** Everything is wanted. */
  whole: boolean;
  readonly names: Set<string>;
  /** Name -> version that the client was told last; '': that there is none. */
  readonly told: Map<string, string>;
  /** Nonce -> what it told, until it is answered. */
  readonly open: Map<string, readonly Resource[]>;
  lastNonce: string;
  /** The last answer refused. */
  refused: boolean;
}

export interface Session {
  take(request: Request): void;
  update(snapshot: Snapshot): void;
  /** Answers that are awaited. */
  readonly awaited: number;
}

export interface SessionOptions {
  readonly way: Way;
  readonly quality: Quality;
  send(response: Response): void;
}

const nothing = '';

export function openSession({ way, quality, send }: SessionOptions): Session {
  const subscriptions = new Map<TypeName, Subscription>();
  let snapshot = emptySnapshot;
  /** Clusters that are gone, until nothing that the client uses can name them. */
  let held = { clusters: new Map<string, Resource>(), endpoints: new Map<string, Resource>() };
  let count = 0;

  const current = (type: TypeName): ReadonlyMap<string, Resource> => {
    if (type !== 'clusters' && type !== 'endpoints') return snapshot[type];
    return held[type].size === 0 ? snapshot[type] : new Map([...held[type], ...snapshot[type]]);
  };

  const tell = (type: TypeName, of: Subscription, resources: readonly Resource[], removed: readonly string[]) => {
    const nonce = String(++count);
    const now = current(type);
    for (const { name, version } of resources) of.told.set(name, version);
    for (const name of removed) of.told.set(name, nothing);
    of.open.set(nonce, resources);
    of.lastNonce = nonce;
    const version = [...resources.map((r) => r.version)].at(-1) ?? String(now.size);
    send({ type, version: way === 'world' ? `${nonce}-${version}` : version, nonce, resources, removed });
  };

  /** Tells what differs from what the client knows. `asked`: to be told in any case; `first`: also when there is nothing. */
  const push = (type: TypeName, asked: Iterable<string> = [], first = false): void => {
    const of = subscriptions.get(type);
    if (!of) return;
    const now = current(type);
    const wanted = of.whole ? new Set([...now.keys(), ...of.told.keys(), ...of.names]) : of.names;
    const must = new Set(asked);
    const changed: Resource[] = [];
    const removed: string[] = [];
    for (const name of wanted) {
      const resource = now.get(name);
      if (resource) {
        if (of.told.get(name) !== resource.version || must.has(name)) changed.push(resource);
      } else if (must.has(name) || (of.told.has(name) && of.told.get(name) !== nothing)) removed.push(name);
    }
    if (changed.length + removed.length === 0 && !first) return;
    if (way === 'delta') tell(type, of, changed, removed);
    else {
      // Listeners and clusters that are not told are gone; of the others there is nothing to tell until they are there.
      const all = [...wanted].flatMap((name) => now.get(name) ?? []);
      if (all.length > 0 || wholeTypes.has(type)) tell(type, of, all, removed);
    }
  };

  /** Lets go of what is held once the client has taken in what no longer names it. */
  const release = (): void => {
    if (held.clusters.size + held.endpoints.size === 0) return;
    for (const type of ['listeners', 'routes'] as const) {
      const of = subscriptions.get(type);
      if (of && (of.open.size > 0 || of.refused)) return;
    }
    held = { clusters: new Map(), endpoints: new Map() };
    push('clusters');
    push('endpoints');
  };

  const answer = (type: TypeName, of: Subscription, { nonce, error }: Request): void => {
    const told = of.open.get(nonce);
    if (!told) return;
    of.open.delete(nonce);
    of.refused = error !== undefined;
    if (error === undefined) {
      for (const resource of told) quality.good(type, resource);
      return;
    }
    const mentioned = told.filter(({ name }) => error.includes(name));
    // A name may be the begin of another one.
    const named = mentioned.filter(
      ({ name }) => !mentioned.some((other) => other.name !== name && other.name.includes(name)),
    );
    const blamed = named.length > 0 ? named : told;
    if (blamed.length === 1 || named.length > 0 || way === 'world') {
      for (const resource of blamed) quality.bad(type, resource, error);
      return;
    }
    // It does not say which: each is told by itself.
    for (const resource of told) tell(type, of, [resource], []);
  };

  return {
    take(request) {
      const type = typeOf(request.typeUrl);
      if (type === undefined) return;
      let of = subscriptions.get(type);
      const isNew = of === undefined;
      of ??= { whole: false, names: new Set(), told: new Map(), open: new Map(), lastNonce: '', refused: false };
      subscriptions.set(type, of);
      if (request.nonce !== '') answer(type, of, request);
      if (way === 'world') {
        // An answer to what is no longer the last that was told says nothing of what is wanted.
        if (!isNew && request.nonce !== of.lastNonce) return;
        const before = new Set(of.names);
        of.names.clear();
        for (const name of request.names) if (name !== '*') of.names.add(name);
        of.whole = wholeTypes.has(type) && request.names.every((name) => name === '*');
        const added = [...of.names].filter((name) => !before.has(name));
        push(type, added, isNew);
      } else {
        if (isNew) {
          for (const [name, version] of request.held) of.told.set(name, version);
          of.whole = wholeTypes.has(type) && request.names.length === 0;
        }
        const asked = request.names.filter((name) => name !== '*');
        if (request.names.includes('*')) of.whole = true;
        if (request.unsubscribe.includes('*')) of.whole = false;
        for (const name of asked) of.names.add(name);
        for (const name of request.unsubscribe) {
          of.names.delete(name);
          if (!of.whole) of.told.delete(name);
        }
        push(type, asked, isNew && of.whole);
      }
      release();
    },
    update(next) {
      for (const type of ['clusters', 'endpoints'] as const) {
        for (const [name, resource] of current(type)) if (!next[type].has(name)) held[type].set(name, resource);
        for (const name of [...held[type].keys()]) if (next[type].has(name)) held[type].delete(name);
      }
      snapshot = next;
      for (const type of typeNames) push(type);
      release();
    },
    get awaited() {
      return [...subscriptions.values()].reduce((sum, { open }) => sum + open.size, 0);
    },
  };
}
