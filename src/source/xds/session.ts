// SPDX-License-Identifier: Apache-2.0
// The client's half of incremental aggregated discovery as a state machine: no input or output, no clock. Long work is a generator.
import type { Change } from '../../mesh/model.ts';
import { WideMap } from '../../mesh/wide-map.ts';
import { nackMessage, type Refusal } from './nack.ts';
import { type Effect, type Names, openSubscription, type Subscription } from './subscription.ts';
import {
  type Checked,
  type NodeIdentity,
  type Request,
  type Response,
  type TypeName,
  type TypeStatus,
  typeUrls,
} from './types.ts';
import { openWanted, type Step } from './wanted.ts';

export interface SessionOptions {
  readonly node: NodeIdentity;
  /** Addresses are asked for one by one instead of all. */
  readonly onDemand: boolean;
  /** Bytes of one request at most (default 3.5 MiB: servers take 4 MiB). */
  readonly maxRequestBytes?: number;
}

/** One response taken in. */
export interface Taken {
  /** Undefined: of a type that was not asked for; nothing came of it. */
  readonly type: TypeName | undefined;
  /** What is to be told; undefined: nothing, as long as the other type has not said anything. */
  readonly changes: readonly Change[] | undefined;
  /** The changes are the whole state of both types. */
  readonly first: boolean;
  readonly refusals: readonly Refusal[];
  /** On demand: what came, other names included; and names asked for that the server has nothing for. */
  readonly present: Iterable<string>;
  readonly absent: readonly string[];
  /** To be given to answer() once the changes are applied. */
  readonly answer: Answer | undefined;
  readonly effect: Effect | undefined;
}

/** An ACK or NACK that waits for its turn. */
export interface Answer {
  /** Undefined until the response is taken in, and of one that cannot be answered. */
  request: Request | undefined;
  readonly stream: number;
  /** Its place among the responses. */
  readonly number: number;
  due: boolean;
}

/** What there is to know about a response. */
export interface Facts {
  /** When its bytes came, in milliseconds since the epoch. */
  readonly at: number;
  readonly bytes: number;
  /** As `expect` gave it when they came. */
  readonly place: Answer;
  /** Names that responses which came later and were taken in before have told of. */
  readonly later?: ReadonlySet<string>;
  /** Where they are known already. */
  readonly names?: Names | undefined;
}

export interface Session {
  /** A stream was begun: the first request of each type, and what had no room in it. */
  open(): Generator<undefined, readonly Request[]>;
  /** The stream is over: nothing is sent until the next one. */
  close(): void;
  /** A response has come: the place for its answer. */
  expect(): Answer;
  take(response: Response, facts: Facts, checked: readonly Checked[]): Generator<undefined, Taken>;
  /** Types of which something that was there before this stream was neither told again nor taken back. */
  readonly unsettled: readonly TypeName[];
  /** The server has told all that it has of this type: what is unsettled is gone. */
  settle(type: TypeName): Generator<undefined, Taken>;
  /** The changes could not be told: they count as not held, so that they come again with the next stream, which is to be begun. */
  lose(taken: Taken): void;
  /** The same of workloads that were told again for another reason. */
  loseWorkloads(uids: readonly string[]): void;
  /** What was taken in is applied. @returns what may be sent now: answers go out in the order of the responses */
  answer(answer: Answer): readonly Request[];
  /** On demand: asks for names that were not asked for yet. Those wanted before the first stream must be answered before anything is told. */
  want(names: Iterable<string>): Asked;
  /** Asks again for names that were asked for before: servers do not tell when an absent name comes to be. */
  again(names: Iterable<string>): Asked;
  unwant(names: Iterable<string>): readonly Request[];
  /** Names that are not answered yet delay the first news no longer. @returns the whole state, if that is due now */
  stopWaiting(): Generator<undefined, readonly Change[] | undefined>;
  /** Both types were taken up whole, and what was wanted from the beginning is answered. */
  readonly complete: boolean;
  /** Both types have answered on this stream, for all there is: from here on what comes are changes, and those of different names may change places. */
  readonly following: boolean;
  readonly held: number;
  readonly demanded: number;
  readonly absent: number;
  status(): readonly TypeStatus[];
}

interface Asked {
  readonly requests: readonly Request[];
  /** Known already. */
  readonly present: readonly string[];
}

const defaultMaxRequestBytes = 3.5 * 1024 * 1024;
/** Bytes of a name in a request besides its own, at most. */
const nameBytes = 8;
/** google.rpc.Code INVALID_ARGUMENT. */
const invalidArgument = 3;
const wildcard = '*';
/** Characters of a version that are shown. */
const mostVersion = 200;
const walkSize = 250;

export function openSession({ node, onDemand, maxRequestBytes = defaultMaxRequestBytes }: SessionOptions): Session {
  const address = openSubscription('address');
  const authorization = openSubscription('authorization');
  const subscriptions: readonly Subscription[] = [address, authorization];
  const wanted = openWanted();
  /** Until both types have answered: what is to be told first, put together as it comes. */
  let waiting: Map<TypeName, Gathered> | undefined = new Map();
  /** Names wanted before the first stream that are not answered yet. */
  const awaited = new Set<string>();
  let isFirst = true;
  /** Number of the stream; 0: none. */
  let stream = 0;
  let streams = 0;
  let answers: Answer[] = [];
  let arrivals = 0;
  /** The response of each type that says how it stands: the last that came. */
  const newest: Record<TypeName, number> = { address: 0, authorization: 0 };

  const nodeBytes = 2 * Buffer.byteLength(JSON.stringify(node));
  const subscriptionOf = (type: TypeName) => (type === 'address' ? address : authorization);
  const heldName = (name: string) => address.held.has(name);
  const spontaneous = ({ subscribe, unsubscribe }: Step): Request => ({
    type: 'address',
    ...(subscribe.length > 0 && { subscribe }),
    ...(unsubscribe.length > 0 && { unsubscribe }),
  });

  const ofSteps = (steps: readonly Step[]) => steps.flatMap((step) => inParts(step, maxRequestBytes)).map(spontaneous);
  const asked = ({ steps, present }: ReturnType<typeof wanted.want>) => ({ requests: ofSteps(steps), present });

  /** Everything that waits, once nothing else is waited for. */
  function* release(): Generator<undefined, Change[] | undefined> {
    if (!waiting || awaited.size > 0 || !subscriptions.every(({ counts }) => counts.complete)) return undefined;
    const all: Change[] = [];
    let seen = 0;
    for (const gathered of waiting.values()) {
      for (const change of gathered instanceof WideMap ? gathered.values() : gathered.puts) {
        all.push(change);
        if (++seen % walkSize === 0) yield;
      }
    }
    waiting = undefined;
    return all;
  }

  /** @returns what is to be told now */
  function* pass(type: TypeName, effect: Effect): Generator<undefined, readonly Change[] | undefined> {
    if (!waiting) return [...effect.puts, ...effect.removals];
    waiting.set(type, yield* gather(waiting.get(type), effect));
    return yield* release();
  }

  /** @returns names that the server has nothing for, or not any more */
  const settleWanted = ({ resources, removed }: Pick<Response, 'resources' | 'removed'>): string[] => {
    const lost = new Set<string>();
    for (const { name, aliases } of resources) for (const alias of wanted.accept(name, aliases)) lost.add(alias);
    for (const name of removed) {
      lost.add(name);
      for (const text of wanted.lose(name)) lost.add(text);
    }
    for (const { name, aliases } of resources) for (const text of [name, ...aliases]) awaited.delete(text);
    for (const text of lost) awaited.delete(text);
    return [...lost].filter((text) => !wanted.isPresent(text));
  };

  return {
    *open() {
      stream = ++streams;
      answers = [];
      const requests: Request[] = [];
      const more: Request[] = [];
      for (const subscription of subscriptions) {
        const demand = onDemand && subscription.type === 'address';
        const all = demand ? wanted.open() : [];
        if (isFirst) for (const name of all) awaited.add(name);
        const room = Math.max(0, maxRequestBytes - nodeBytes);
        const [names = [], ...rest] = cut(all, room);
        for (const subscribe of rest) more.push(spontaneous({ subscribe, unsubscribe: [] }));
        const versions = yield* subscription.open(room - sizeOf(names));
        requests.push({
          type: subscription.type,
          node,
          // Asking for everything and taking that back is how a server is told that nothing but what is named is meant.
          subscribe: demand ? [wildcard, ...names] : [],
          ...(demand && { unsubscribe: [wildcard] }),
          ...(versions.size > 0 && { initialVersions: versions }),
        });
      }
      isFirst = false;
      return [...requests, ...more];
    },

    close() {
      stream = 0;
      answers = [];
      wanted.close();
    },

    expect() {
      const answer: Answer = { request: undefined, stream, number: ++arrivals, due: false };
      answers.push(answer);
      return answer;
    },

    *take(response, { at, bytes, place, later, names }, checked) {
      const subscription = subscriptions.find(({ type }) => typeUrls[type] === response.typeUrl);
      if (!subscription) return nothing;
      const { counts, type } = subscription;
      const effect = yield* subscription.take(response, checked, later, names);
      counts.complete = true;
      if (place.number > newest[type]) {
        newest[type] = place.number;
        counts.lastResponseAt = at;
        counts.systemVersion = response.systemVersion.slice(0, mostVersion);
      }
      counts.responses++;
      counts.bytes += bytes;

      const demand = onDemand && type === 'address';
      const absent = demand ? settleWanted(response) : [];
      const first = waiting !== undefined;
      const changes = yield* pass(type, effect);
      const { refusals } = effect;
      // Without a nonce there is nothing that an answer could name: the server would take it for another request.
      const answerable = response.nonce !== '' && place.stream === stream && stream !== 0;
      if (answerable) {
        const error = refusals.length > 0 && { error: { code: invalidArgument, message: nackMessage(refusals) } };
        place.request = { type, nonce: response.nonce, ...error };
      }
      return {
        type,
        changes,
        first: first && changes !== undefined,
        refusals,
        present: demand ? namesOf(response.resources) : [],
        absent,
        answer: answerable ? place : undefined,
        effect,
      };
    },

    get unsettled() {
      return subscriptions.filter((s) => s.unsettled).map((s) => s.type);
    },
    *settle(type) {
      const effect = yield* subscriptionOf(type).settle();
      const absent = onDemand && type === 'address' ? settleWanted({ resources: [], removed: effect.removed }) : [];
      const first = waiting !== undefined;
      const changes = yield* pass(type, effect);
      return { ...nothing, type, changes, first: first && changes !== undefined, absent, effect };
    },

    lose({ type, first, effect }) {
      if (first) {
        // Nothing was told yet.
        for (const subscription of subscriptions) subscription.reset();
        waiting = new Map();
        isFirst = true;
      } else if (type && effect) subscriptionOf(type).lose(effect);
    },
    loseWorkloads(uids) {
      address.lose({ puts: [], put: uids, removals: [], removed: [], refusals: [] });
    },

    answer(answer) {
      if (answer.stream !== stream) return [];
      answer.due = true;
      const due = answers.findIndex((a) => !a.due);
      const done = answers.splice(0, due === -1 ? answers.length : due);
      const out = done.flatMap(({ request }) => request ?? []);
      for (const { type, error } of out) {
        const { counts } = subscriptionOf(type);
        if (error) counts.nacks++;
        else counts.acks++;
      }
      return out;
    },

    want: (names) => asked(wanted.want(names, heldName)),
    again: (names) => asked(wanted.again(names, heldName)),
    unwant: (names) => ofSteps(wanted.unwant(names, heldName)),

    *stopWaiting() {
      awaited.clear();
      return yield* release();
    },
    get complete() {
      return waiting === undefined;
    },
    get following() {
      return !onDemand && stream !== 0 && waiting === undefined && subscriptions.every((s) => s.answered);
    },
    get held() {
      return address.held.size + authorization.held.size;
    },
    get demanded() {
      return wanted.size;
    },
    get absent() {
      return wanted.absent;
    },
    status: () => subscriptions.map((s) => s.status()),
  };
}

/** What is there after all that came of a type; no more than that, however long the other type says nothing. */
type Gathered = Effect | WideMap<Change>;

function* gather(before: Gathered | undefined, effect: Effect): Generator<undefined, Gathered> {
  // As a rule there is one response, and nothing to put together.
  if (before === undefined) return effect;
  let seen = 0;
  let folded: WideMap<Change>;
  if (before instanceof WideMap) folded = before;
  else {
    folded = new WideMap();
    for (const [i, name] of before.put.entries()) {
      folded.set(name, before.puts[i] as Change);
      if (++seen % walkSize === 0) yield;
    }
  }
  for (const name of effect.removed) folded.delete(name);
  for (const [i, name] of effect.put.entries()) {
    folded.set(name, effect.puts[i] as Change);
    if (++seen % walkSize === 0) yield;
  }
  return folded;
}

/** Of what was not asked for. */
export const nothing: Taken = {
  type: undefined,
  changes: undefined,
  first: false,
  refusals: [],
  present: [],
  absent: [],
  answer: undefined,
  effect: undefined,
};

function* namesOf(resources: Response['resources']): Iterable<string> {
  for (const { name, aliases } of resources) {
    yield name;
    yield* aliases;
  }
}

const sizeOf = (names: readonly string[]): number =>
  names.reduce((sum, name) => sum + Buffer.byteLength(name) + nameBytes, 0);

/** Lists of not more than `room` bytes each in a request. */
function cut(names: readonly string[], room: number): (readonly string[])[] {
  const lists: string[][] = [];
  let left = 0;
  for (const name of names) {
    const size = Buffer.byteLength(name) + nameBytes;
    if (lists.length === 0 || size > left) {
      lists.push([]);
      left = room;
    }
    lists.at(-1)?.push(name);
    left -= size;
  }
  return lists;
}

/** The same in steps that fit into a request each. */
function inParts({ subscribe, unsubscribe }: Step, room: number): Step[] {
  return [
    ...cut(unsubscribe, room).map((names) => ({ subscribe: [], unsubscribe: names })),
    ...cut(subscribe, room).map((names) => ({ subscribe: names, unsubscribe: [] })),
  ];
}
