// SPDX-License-Identifier: Apache-2.0
// The client's half of incremental aggregated discovery as a state machine: no input or output, no clock. Long work is a generator.
import type { Change } from '../../mesh/model.ts';
import { nackMessage, type Refusal } from './nack.ts';
import { type Check, type Effect, openSubscription, type Subscription } from './subscription.ts';
import { type NodeIdentity, type Request, type Response, type TypeName, type TypeStatus, typeUrls } from './types.ts';
import { openWanted, type Step } from './wanted.ts';

export interface SessionOptions {
  readonly node: NodeIdentity;
  /** Addresses are asked for one by one instead of all. */
  readonly onDemand: boolean;
  /** Bytes of versions in one request at most (default 3.5 MiB: servers take 4 MiB). */
  readonly maxVersionBytes?: number;
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
}

/** An ACK or NACK that waits for its turn. */
export interface Answer {
  readonly request: Request;
  readonly stream: number;
  due: boolean;
}

export interface Session {
  /** A stream was begun: the first request of each type. */
  open(): Generator<undefined, readonly Request[]>;
  /** The stream is over: nothing is sent until the next one. */
  close(): void;
  /** @param at when its bytes came, in milliseconds since the epoch */
  take(
    response: Response,
    facts: { readonly at: number; readonly bytes: number },
    check: Check,
  ): Generator<undefined, Taken>;
  /** What was taken in is applied. @returns what may be sent now: answers go out in the order of the responses */
  answer(answer: Answer): readonly Request[];
  /** On demand: asks for names that were not asked for yet. Those wanted before the first stream must be answered before anything is told. */
  want(names: Iterable<string>): Asked;
  /** Asks again for names that were asked for before: servers do not tell when an absent name comes to be. */
  again(names: Iterable<string>): Asked;
  unwant(names: Iterable<string>): readonly Request[];
  /** Names that are not answered yet delay the first news no longer. @returns the whole state, if that is due now */
  stopWaiting(): readonly Change[] | undefined;
  /** Both types were taken up whole, and what was wanted from the beginning is answered. */
  readonly complete: boolean;
  readonly held: number;
  readonly refused: Iterable<Refusal & { readonly kept: boolean }>;
  readonly demanded: number;
  readonly absent: number;
  status(): readonly TypeStatus[];
}

interface Asked {
  readonly requests: readonly Request[];
  /** Known already. */
  readonly present: readonly string[];
}

const defaultMaxVersionBytes = 3.5 * 1024 * 1024;
/** google.rpc.Code INVALID_ARGUMENT. */
const invalidArgument = 3;
const wildcard = '*';
const walkSize = 1000;

export function openSession({ node, onDemand, maxVersionBytes = defaultMaxVersionBytes }: SessionOptions): Session {
  const address = openSubscription('address');
  const authorization = openSubscription('authorization');
  const subscriptions: readonly Subscription[] = [address, authorization];
  const wanted = openWanted();
  /** Until both types have answered: what is to be told first. */
  let waiting: Map<TypeName, Effect[]> | undefined = new Map(subscriptions.map((s) => [s.type, []]));
  /** Names wanted before the first stream that are not answered yet. */
  const awaited = new Set<string>();
  /** Number of the stream; 0: none. */
  let stream = 0;
  let streams = 0;
  let answers: Answer[] = [];

  const heldName = (name: string) => address.held.has(name);
  const spontaneous = ({ subscribe, unsubscribe }: Step): Request => ({
    type: 'address',
    ...(subscribe.length > 0 && { subscribe }),
    ...(unsubscribe.length > 0 && { unsubscribe }),
  });

  const asked = ({ steps, present }: ReturnType<typeof wanted.want>) => ({ requests: steps.map(spontaneous), present });

  /** Everything that waits, once nothing else is waited for. */
  function* release(): Generator<undefined, Change[] | undefined> {
    if (!waiting || awaited.size > 0 || !subscriptions.every(({ counts }) => counts.complete)) return undefined;
    const effects = [...waiting.values()];
    waiting = undefined;
    const all: Change[] = [];
    for (const list of effects) for (const change of yield* fold(list)) all.push(change);
    return all;
  }

  /** @returns names that the server has nothing for, or not any more */
  const settleWanted = ({ resources, removed }: Response): string[] => {
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
      for (const subscription of subscriptions) {
        const versions = yield* subscription.open(maxVersionBytes);
        const demand = onDemand && subscription.type === 'address';
        const names = demand ? wanted.open() : [];
        if (stream === 1) for (const name of names) awaited.add(name);
        requests.push({
          type: subscription.type,
          node,
          // Asking for everything and taking that back is how a server is told that nothing but what is named is meant.
          subscribe: demand ? [wildcard, ...names] : [],
          ...(demand && { unsubscribe: [wildcard] }),
          ...(versions.size > 0 && { initialVersions: versions }),
        });
      }
      return requests;
    },

    close() {
      stream = 0;
      answers = [];
      wanted.close();
    },

    *take(response, { at, bytes }, check) {
      const subscription = subscriptions.find(({ type }) => typeUrls[type] === response.typeUrl);
      if (!subscription) return nothing;
      const { counts, type } = subscription;
      const mine = stream;
      const effect = yield* subscription.take(response, check);
      counts.complete = true;
      counts.lastResponseAt = at;
      counts.systemVersion = response.systemVersion;
      counts.responses++;
      counts.bytes += bytes;

      const demand = onDemand && type === 'address';
      const absent = demand ? settleWanted(response) : [];
      const first = waiting !== undefined;
      waiting?.get(type)?.push(effect);
      const changes = first ? yield* release() : [...effect.puts, ...effect.removals];
      const { refusals } = effect;
      let answer: Answer | undefined;
      // Without a nonce there is nothing that an answer could name: the server would take it for another request.
      if (response.nonce !== '' && mine === stream && mine !== 0) {
        const error = refusals.length > 0 && { error: { code: invalidArgument, message: nackMessage(refusals) } };
        answer = { request: { type, nonce: response.nonce, ...error }, stream: mine, due: false };
        answers.push(answer);
      }
      return {
        type,
        changes,
        first: first && changes !== undefined,
        refusals,
        present: demand ? namesOf(response.resources) : [],
        absent,
        answer,
      };
    },

    answer(answer) {
      if (answer.stream !== stream) return [];
      answer.due = true;
      const due = answers.findIndex((a) => !a.due);
      const out = answers.splice(0, due === -1 ? answers.length : due).map(({ request }) => request);
      for (const { type, error } of out) {
        const { counts } = type === 'address' ? address : authorization;
        if (error) counts.nacks++;
        else counts.acks++;
      }
      return out;
    },

    want: (names) => asked(wanted.want(names, heldName)),
    again: (names) => asked(wanted.again(names, heldName)),
    unwant: (names) => wanted.unwant(names, heldName).map(spontaneous),

    stopWaiting() {
      awaited.clear();
      // In one go: a response taken in meanwhile would be told before this. On demand there is not much yet.
      const steps = release();
      let step = steps.next();
      while (!step.done) step = steps.next();
      return step.value;
    },
    get complete() {
      return waiting === undefined;
    },
    get held() {
      return address.held.size + authorization.held.size;
    },
    get refused() {
      return subscriptions.flatMap(({ refused }) => [...refused.values()]);
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

/** What is there after several effects, by puts alone. */
function* fold(effects: readonly Effect[]): Generator<undefined, Iterable<Change>> {
  const [only, ...more] = effects;
  if (only !== undefined && more.length === 0) return only.puts;
  const folded = new Map<string, Change>();
  let seen = 0;
  for (const { puts, put, removed } of effects) {
    for (const name of removed) folded.delete(name);
    for (const [i, name] of put.entries()) {
      folded.set(name, puts[i] as Change);
      if (++seen % walkSize === 0) yield;
    }
  }
  return folded.values();
}

const nothing: Taken = {
  type: undefined,
  changes: undefined,
  first: false,
  refusals: [],
  present: [],
  absent: [],
  answer: undefined,
};

function* namesOf(resources: Response['resources']): Iterable<string> {
  for (const { name, aliases } of resources) {
    yield name;
    yield* aliases;
  }
}
