// SPDX-License-Identifier: Apache-2.0
// One stream of an Envoy, without the network: what it asked for, what it was told, and what it said of that.
import type { Request, Resource, Response, Way } from './messages.ts';
import { openNarrowing, type RefusedPart } from './narrowing.ts';
import type { Quality } from './quality.ts';
import { changedNames, emptySnapshot, type Snapshot } from './snapshot.ts';
import {
  costOfName,
  forget,
  namedIn,
  newSubscription,
  nothing,
  renew,
  type Subscription,
  standing,
  stateOf,
  type Told,
  wholeOf,
} from './subscription.ts';
import { type TypeName, typeNames, typeOf, wholeTypes } from './types.ts';

/** A resource that the client refuses. */
export interface Refused {
  readonly type: TypeName;
  readonly name: string;
  readonly version: string;
  readonly reason: string;
  /** Version that the client uses in its place; '': none. */
  readonly stands: string;
  /** Parts of it that are refused, when that is known: all others are in use. */
  readonly parts: readonly RefusedPart[];
}

export interface TypeState {
  readonly type: TypeName;
  /** Of the last answer. */
  readonly version: string;
  /** Resources in use. */
  readonly taken: number;
  readonly responses: number;
  readonly acks: number;
  readonly nacks: number;
  readonly awaited: number;
}

export interface Session {
  /** Gives why the stream is to be ended; undefined: it is not. */
  take(request: Request): string | undefined;
  /** `ready`: what is made so far; who asks for anything else waits for it. */
  update(snapshot: Snapshot, ready?: ReadonlySet<TypeName>): void;
  refused(): Refused[];
  types(): TypeState[];
  /** True for an answer that asks which part of a resource is refused. */
  isTrial(typeUrl: string, nonce: string): boolean;
  /** About as many as remembering the names takes that are asked for. */
  nameBytes(): number;
  /** Sorts of resources asked for that there are none of here. */
  readonly unknown: ReadonlySet<string>;
}

export interface SessionOptions {
  readonly way: Way;
  readonly quality: Quality;
  send(response: Response): void;
}

/** Answers that may be on their way to a client at once, and bytes of them beyond the first: who reads slowly is told later, and only what holds then. */
const mostAwaited = 16;
const mostBytes = 1 << 20;
/** Clusters that are gone and kept for a client. */
const mostHeld = 1000;
/** Bytes of names that a client may ask for, and sorts of resources that are remembered as unknown. */
const mostNames = 32 << 20;
const mostUnknown = 16;
/** Characters of a refusal that are looked at, and kept of it. */
const readError = 16_384;
const keptError = 1000;

export function openSession({ way, quality, send }: SessionOptions): Session {
  const subscriptions = new Map<TypeName, Subscription>();
  const unknown = new Set<string>();
  let snapshot = emptySnapshot;
  let ready: ReadonlySet<TypeName> = new Set();
  /** What holds once the client has answered. */
  let next: { readonly snapshot: Snapshot; readonly ready: ReadonlySet<TypeName> } | undefined;
  /** Clusters whose endpoints are to be told anew. */
  const warming = new Set<string>();
  /** Clusters that are gone, until nothing that the client uses can name them. */
  const held = { clusters: new Map<string, Resource>(), endpoints: new Map<string, Resource>() };
  let [count, awaited] = [0, 0];
  let awaitedBytes = 0;
  let nameBytes = 0;

  const isBusy = () => awaited >= mostAwaited || awaitedBytes >= mostBytes;
  const current = (type: TypeName, name: string): Resource | undefined =>
    snapshot[type].get(name) ?? (type === 'clusters' || type === 'endpoints' ? held[type].get(name) : undefined);
  const heldNames = (type: TypeName): Iterable<string> =>
    type === 'clusters' || type === 'endpoints' ? held[type].keys() : [];
  const want = (of: Subscription, name: string): void => {
    if (!of.names.has(name)) nameBytes += costOfName(name);
    of.names.add(name);
  };
  const unwant = (of: Subscription, name: string): void => {
    if (of.names.delete(name)) nameBytes -= costOfName(name);
    if (!of.whole) forget(of, name);
  };
  const standingOf = (type: TypeName, of: Subscription, name: string) => {
    const now = current(type, name);
    return now && standing(of, now, quality.best(type, name));
  };
  /** All that the client is to have. */
  const wanted = (type: TypeName, of: Subscription): Resource[] => {
    const names = of.whole ? new Set([...snapshot[type].keys(), ...heldNames(type), ...of.names]) : of.names;
    return Array.from(names, (name) => standingOf(type, of, name)).filter((one) => typeof one === 'object');
  };

  const tell = (type: TypeName, of: Subscription, resources: readonly Resource[], removed: readonly string[]) => {
    const nonce = String(++count);
    let bytes = 0;
    for (const resource of resources) {
      bytes += resource.bytes.length;
      of.told.set(resource.name, resource.version);
    }
    for (const name of removed) {
      of.doubtful.delete(name);
      if (of.names.has(name)) of.told.set(name, nothing);
      else of.told.delete(name);
    }
    of.version = way === 'world' ? stateOf(of) : (resources.at(-1)?.version ?? of.version);
    of.open.set(nonce, { resources, removed, bytes });
    of.lastNonce = nonce;
    of.owed = false;
    of.responses++;
    awaited++;
    awaitedBytes += bytes;
    send({ type, version: of.version, nonce, resources, removed: way === 'delta' ? removed : [] });
  };

  /** Tells of `names` what differs from what the client knows; of `asked` in any case. Later, when too much is on its way. */
  const push = (type: TypeName, names: Iterable<string>, asked: ReadonlySet<string> = none): void => {
    const of = subscriptions.get(type);
    if (!of) return;
    const due = (name: string, always: boolean): void => {
      if (of.whole || of.names.has(name)) of.due.set(name, always || of.due.get(name) === true);
    };
    for (const name of names) due(name, asked.has(name));
    if (type === 'endpoints') {
      for (const name of warming) due(name, true);
      warming.clear();
    }
    if (isBusy() || !ready.has(type)) return;
    const changed: Resource[] = [];
    const removed: string[] = [];
    for (const [name, always] of of.due) {
      const told = of.told.get(name);
      const now = standingOf(type, of, name);
      if (now === 'kept') continue;
      if (now) {
        if (told !== now.version || always) changed.push(now);
        // A cluster that changes is ready when its endpoints are told anew.
        if (type === 'clusters' && told && told !== now.version) warming.add(name);
      } else if (always || (told ?? nothing) !== nothing || (of.doubtful.has(name) && !current(type, name))) {
        removed.push(name);
      }
    }
    of.due.clear();
    if (changed.length + removed.length === 0 && !of.owed) return;
    if (way === 'delta') tell(type, of, changed, removed);
    // Listeners and clusters that are not told are gone; of the others there is nothing to tell until they are there.
    else if (wholeTypes.has(type)) tell(type, of, wanted(type, of), removed);
    else if (changed.length > 0) tell(type, of, changed, removed);
  };

  /** Lets go of what is held once the client has taken in what no longer names it. */
  const release = (): void => {
    const names = new Set([...held.clusters.keys(), ...held.endpoints.keys()]);
    if (names.size === 0 || next || isBusy()) return;
    for (const type of ['listeners', 'routes'] as const) {
      const of = subscriptions.get(type);
      if (of && (of.open.size > 0 || of.due.size > 0 || of.refused.size > 0)) return;
    }
    held.clusters.clear();
    held.endpoints.clear();
    push('clusters', names);
    push('endpoints', names);
  };

  /** Finds out which part of it is refused: the next question, or the first. */
  const narrow = (type: TypeName, of: Subscription, name: string, version: string, error: string): void => {
    const [parts, now] = [of.narrowed.get(name), current(type, name)];
    const reason = error.slice(0, keptError);
    if (parts?.stands?.version === version) parts.refuses(version, reason);
    if (now?.version !== version || parts?.of === version) return;
    const before = wholeOf(of, name) ?? quality.best(type, name);
    const made = openNarrowing(type, now, reason, { before, heldVersion: of.taken.get(name)?.version });
    if (made) of.narrowed.set(name, made);
  };

  const refuse = (type: TypeName, of: Subscription, { resources, removed }: Told, error: string): void => {
    const fresh = resources.filter(({ name, version }) => of.taken.get(name)?.version !== version);
    for (const { name } of fresh) of.doubtful.add(name);
    const named = namedIn(error.slice(0, readError), fresh);
    if (named.length === 0 && fresh.length > 1 && (way === 'delta' || !wholeTypes.has(type))) {
      // It does not say which: each half by itself, as long as it still holds.
      const half = Math.ceil(fresh.length / 2);
      for (const part of [fresh.slice(0, half), fresh.slice(half)]) {
        const still = part.filter(({ name, version }) => {
          const now = standingOf(type, of, name);
          return typeof now === 'object' && now.version === version;
        });
        const gone = part[0] === fresh[0] ? removed.filter((name) => !current(type, name)) : [];
        if (still.length + gone.length > 0) tell(type, of, still, gone);
      }
      return;
    }
    const bad = named.length > 0 ? named : fresh;
    for (const { name, version } of bad) {
      const known = [current(type, name), of.taken.get(name), quality.best(type, name)];
      if (known.some((one) => one?.version === version)) {
        const versions = of.refused.get(name) ?? new Map<string, string>();
        of.refused.set(name, versions.set(version, error.slice(0, keptError)));
      }
      if (of.told.get(name) !== version) continue;
      const before = of.taken.get(name)?.version;
      if (before === undefined) of.told.delete(name);
      else of.told.set(name, before);
      narrow(type, of, name, version, error);
    }
    if (fresh.length === 0) return;
    // The client may have given up at the first that it refused.
    const rest = new Set([...fresh.filter((one) => !bad.includes(one)).map(({ name }) => name), ...removed]);
    push(type, [...rest, ...bad.map(({ name }) => name)], rest);
  };

  const answer = (type: TypeName, of: Subscription, { nonce, error }: Request): void => {
    const told = of.open.get(nonce);
    // Of an earlier stream, or answered before.
    if (!told) return;
    of.open.delete(nonce);
    awaited--;
    awaitedBytes -= told.bytes;
    if (error !== undefined) {
      of.nacks++;
      refuse(type, of, told, error);
      return;
    }
    of.acks++;
    for (const resource of told.resources) {
      of.taken.set(resource.name, resource);
      of.doubtful.delete(resource.name);
      if (current(type, resource.name)?.version === resource.version) of.refused.delete(resource.name);
      else of.refused.get(resource.name)?.delete(resource.version);
      quality.good(type, resource);
      of.narrowed.get(resource.name)?.took(resource.version);
      // The next question, if there is one.
      if (of.narrowed.has(resource.name)) of.due.set(resource.name, false);
    }
    for (const name of told.removed) of.taken.delete(name);
  };

  const takeDelta = (type: TypeName, of: Subscription, request: Request, isNew: boolean): void => {
    const asked = new Set(request.names.filter((name) => name !== '*'));
    const look = new Set(asked);
    const wasWhole = of.whole;
    if (isNew) of.whole = wholeTypes.has(type) && request.names.length === 0;
    if (request.names.length > 0) of.named = true;
    if (request.names.includes('*')) of.whole = true;
    for (const name of asked) want(of, name);
    if (isNew) {
      for (const [name, version] of request.held) {
        if (!of.whole && !of.names.has(name)) continue;
        const now = current(type, name);
        nameBytes += costOfName(name);
        of.told.set(name, version);
        if (now?.version === version) quality.good(type, now);
        of.taken.set(name, now?.version === version ? now : { name, version });
        look.add(name);
        // Whoever held it needs it only when it is another one now.
        asked.delete(name);
      }
    }
    if (request.unsubscribe.includes('*')) {
      of.whole = false;
      for (const name of [...of.told.keys()]) if (!of.names.has(name)) forget(of, name);
    }
    for (const name of request.unsubscribe) unwant(of, name);
    if (of.whole && !wasWhole) {
      for (const name of snapshot[type].keys()) look.add(name);
      of.owed = of.taken.size === 0;
    }
    if (look.size > 0 || of.owed) push(type, look, asked);
  };

  const takeWorld = (type: TypeName, of: Subscription, request: Request, isNew: boolean): void => {
    // An answer to what is no longer the last that was told says nothing of what is wanted. Whoever comes back is told
    // everything: the version that it says is the last that it took whole, and of a later one it may have taken a part.
    if (!isNew && request.nonce !== of.lastNonce) return;
    const names = new Set(request.names.filter((name) => name !== '*'));
    const added = new Set([...names].filter((name) => !of.names.has(name)));
    const wasWhole = of.whole;
    if (request.names.length > 0) of.named = true;
    of.whole = request.names.includes('*') || (wholeTypes.has(type) && !of.named);
    for (const name of [...of.names]) if (!names.has(name)) unwant(of, name);
    for (const name of names) want(of, name);
    if (!of.whole && wasWhole) for (const name of [...of.told.keys()]) if (!names.has(name)) forget(of, name);
    const look = of.whole && !wasWhole ? new Set([...snapshot[type].keys(), ...added]) : added;
    if (of.whole && !wasWhole) of.owed = true;
    if (look.size > 0 || of.owed) push(type, look, added);
  };

  const follow = (latest: Snapshot, made: ReadonlySet<TypeName>): void => {
    const changes = typeNames.map((type) => [type, changedNames(snapshot[type], latest[type])] as const);
    for (const [type, names] of changes) {
      const of = subscriptions.get(type);
      for (const name of names) {
        const now = latest[type].get(name);
        const before = of && standingOf(type, of, name);
        if (of && now?.version !== current(type, name)?.version) renew(of, name, now);
        if (type !== 'clusters' && type !== 'endpoints') continue;
        if (now) held[type].delete(name);
        else if (typeof before === 'object' && of?.told.get(name)) held[type].set(name, before);
      }
    }
    for (const table of [held.clusters, held.endpoints]) {
      for (const name of table.keys()) if (table.size > mostHeld) table.delete(name);
    }
    snapshot = latest;
    ready = made;
    for (const [type, names] of changes) push(type, names);
    release();
  };

  /** Goes on with what had to wait. */
  const goOn = (): void => {
    for (const type of typeNames) {
      const of = subscriptions.get(type);
      if (of && (of.due.size > 0 || of.owed || (type === 'endpoints' && warming.size > 0))) push(type, none);
    }
    if (!next || isBusy()) return;
    const latest = next;
    next = undefined;
    follow(latest.snapshot, latest.ready);
  };

  return {
    take(request) {
      const type = typeOf(request.typeUrl);
      if (type === undefined) {
        if (unknown.size < mostUnknown) unknown.add(request.typeUrl.slice(0, 200));
        return undefined;
      }
      const known = subscriptions.get(type);
      const of = known ?? newSubscription();
      subscriptions.set(type, of);
      if (request.nonce !== '') answer(type, of, request);
      if (way === 'world') takeWorld(type, of, request, !known);
      else takeDelta(type, of, request, !known);
      if (nameBytes > mostNames) return 'too many names are asked for';
      goOn();
      release();
      return undefined;
    },
    update(latest, made = everything) {
      if (isBusy()) next = { snapshot: latest, ready: made };
      else follow(latest, made);
    },
    refused() {
      const out: Refused[] = [];
      for (const [type, of] of subscriptions) {
        for (const [name, versions] of of.refused) {
          const version = current(type, name)?.version ?? '';
          const reason = versions.get(version);
          const now = standingOf(type, of, name);
          if (reason === undefined) continue;
          const stands = now === 'kept' ? (of.taken.get(name)?.version ?? '') : (now?.version ?? '');
          out.push({ type, name, version, reason, stands, parts: of.narrowed.get(name)?.refused ?? [] });
        }
      }
      return out;
    },
    types: () =>
      Array.from(subscriptions, ([type, { version, taken, responses, acks, nacks, open }]) => ({
        ...{ type, version, responses, acks, nacks },
        ...{ taken: taken.size, awaited: open.size },
      })),
    isTrial(typeUrl, nonce) {
      const of = subscriptions.get(typeOf(typeUrl) as TypeName);
      const told = of?.open.get(nonce)?.resources ?? [];
      return told.some(({ name, version }) => {
        const parts = of?.narrowed.get(name);
        return parts?.isOver === false && parts.stands?.version === version;
      });
    },
    nameBytes: () => nameBytes,
    unknown,
  };
}

const none: ReadonlySet<string> = new Set();
const everything: ReadonlySet<TypeName> = new Set(typeNames);
