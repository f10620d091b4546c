// SPDX-License-Identifier: Apache-2.0
// One subscribed type: what of it is held and what is refused.
import type { Change } from '../../mesh/model.ts';
import type { Policy } from '../../mesh/policy.ts';
import { WideMap } from '../../mesh/wide-map.ts';
import { reasonOf } from './closing.ts';
import type { Refusal } from './nack.ts';
import { openRefusedList, type RefusedList } from './refused-list.ts';
import type { Checked, RawResource, Response, TypeName, TypeStatus } from './types.ts';

export type Check = (type: TypeName, raw: RawResource) => Checked;

/** What one response does. */
export interface Effect {
  /** First all that is put, then all that is removed. */
  readonly puts: readonly Change[];
  readonly removals: readonly Change[];
  /** Names of `puts`, and of `removals`, in their order. */
  readonly put: readonly string[];
  readonly removed: readonly string[];
  readonly refusals: readonly Refusal[];
}

export interface Subscription {
  readonly type: TypeName;
  /** Name -> version last accepted. */
  readonly held: ReadonlyMap<string, string>;
  readonly refused: RefusedList;
  /** What a new stream reports as held, within `maxBytes`. */
  open(maxBytes: number): Generator<undefined, ReadonlyMap<string, string>>;
  /** @param later names that a response which came later has told of already: nothing that this one says of them counts */
  take(
    response: Response,
    checked: readonly Checked[],
    later?: ReadonlySet<string>,
    names?: Names,
  ): Generator<undefined, Effect>;
  /** On this stream. */
  readonly answered: boolean;
  /** Something that was there before this stream was neither told again nor taken back. */
  readonly unsettled: boolean;
  /** The server has told all that it has: what is unsettled is gone. */
  settle(): Generator<undefined, Effect>;
  /** What came of a response was not taken up: none of it counts as held before it has come again. */
  lose(effect: Effect): void;
  /** As at the beginning. */
  reset(): void;
  /** Counters for status. */
  readonly counts: Counts;
  status(): TypeStatus;
}

export interface Counts {
  complete: boolean;
  lastResponseAt: number | undefined;
  systemVersion: string;
  responses: number;
  bytes: number;
  acks: number;
  nacks: number;
  rejected: number;
}

/** Names between two places to pause at. */
const walkSize = 250;
const noNames: ReadonlySet<string> = new Set();
/** Bytes that a name and its version take in a request besides their own, at most. */
const entryBytes = 16;

export function openSubscription(type: TypeName): Subscription {
  const held = new WideMap<string>();
  /** Which of `held` are services; all others of type address are workloads. */
  const services = new Set<string>();
  /** The policies of `held`. */
  const policies = new Map<string, Policy>();
  const refused = openRefusedList();
  /** Policies that are refused: not held and closing, or held and told as stale. */
  const closing = new Set<string>();
  const stale = new Set<string>();
  /** Held, but what came last was not taken up. */
  const lost = new Set<string>();
  /** Held, and not said to be on this stream: the server tells those again that it has. */
  let unreported = new Set<string>();
  /** Refused on an earlier stream: the server tells those again, but for those that it has no more in the version that is refused. */
  let doubtful = new Set<string>();
  let answered = false;
  const counts: Counts = {
    complete: false,
    lastResponseAt: undefined,
    systemVersion: '',
    responses: 0,
    bytes: 0,
    acks: 0,
    nacks: 0,
    rejected: 0,
  };

  /** @param isService of what goes */
  const removal = (name: string, isService: boolean): Change => {
    if (type === 'authorization') return { kind: 'remove-policy', key: policyKeyOf(name) };
    return isService ? { kind: 'remove-service', key: name } : { kind: 'remove-workload', uid: name };
  };

  const drop = (name: string) => {
    held.delete(name);
    services.delete(name);
    policies.delete(name);
    lost.delete(name);
  };
  const forgive = (name: string) => {
    refused.delete(name);
    closing.delete(name);
    stale.delete(name);
  };

  /** What a policy that is refused comes to: its last good version, marked; if there is none it closes. */
  const insteadOf = (name: string, faults: readonly string[], closes: Policy | undefined): Change | undefined => {
    const good = policies.get(name);
    if (good === undefined) {
      if (closes === undefined) return undefined;
      closing.add(name);
      return { kind: 'put-policy', policy: closes };
    }
    stale.add(name);
    return { kind: 'put-policy', policy: { ...good, fault: { kind: 'stale', reason: reasonOf(faults) } } };
  };

  /** Takes names back. */
  function* remove(names: Iterable<string>, removals: Change[], gone: string[]): Generator<undefined, void> {
    let seen = 0;
    for (const name of names) {
      if (++seen % walkSize === 0) yield;
      unreported.delete(name);
      doubtful.delete(name);
      const inEffect = held.has(name) || closing.has(name);
      forgive(name);
      if (!inEffect) continue;
      removals.push(removal(name, services.has(name)));
      gone.push(name);
      // Nobody knows as which it is there.
      if (type === 'address' && lost.has(name)) {
        removals.push(removal(name, !services.has(name)));
        gone.push(name);
      }
      drop(name);
    }
  }

  /** The same as any other, where nothing is held yet and everything is good and comes once, as it does as a rule: undefined where it does not. */
  function* takeFirst(
    resources: readonly RawResource[],
    checked: readonly Checked[],
  ): Generator<undefined, Effect | undefined> {
    const puts: Change[] = [];
    const put: string[] = [];
    for (let i = 0; i < resources.length; i++) {
      if ((i + 1) % walkSize === 0) yield;
      const { name, version } = resources[i] as RawResource;
      const outcome = checked[i] as Checked;
      held.set(name, version);
      if (!outcome.ok || held.size === i) {
        for (const names of [held, services, policies]) names.clear();
        return undefined;
      }
      const { change } = outcome;
      if (change.kind === 'put-service') services.add(name);
      else if (change.kind === 'put-policy') policies.set(name, change.policy);
      puts.push(change);
      put.push(name);
    }
    return { puts, removals: [], put, removed: [], refusals: [] };
  }

  return {
    type,
    held,
    refused,
    counts,

    *open(maxBytes) {
      answered = false;
      refused.recount();
      doubtful = new Set(refused.names());
      for (const names of [closing, stale]) for (const name of names) doubtful.add(name);
      unreported = new Set(lost);
      let left = maxBytes;
      let seen = 0;
      for (const [name, version] of held) {
        if (++seen % walkSize === 0) yield;
        if (lost.has(name)) continue;
        left -= Buffer.byteLength(name) + Buffer.byteLength(version) + entryBytes;
        if (left < 0) unreported.add(name);
      }
      if (unreported.size === 0) return held;
      const reported = new WideMap<string>();
      for (const [name, version] of held) {
        if (!unreported.has(name)) reported.set(name, version);
        if (++seen % walkSize === 0) yield;
      }
      return reported;
    },

    *take(response, checked, later = noNames, names = undefined) {
      const { resources } = response;
      const known = held.size + refused.size + later.size + lost.size + response.removed.length;
      const whole = known === 0 ? yield* takeFirst(resources, checked) : undefined;
      if (whole) {
        answered = true;
        return whole;
      }
      // The last of several with one name counts, and a removal before any of them.
      const { last, removed } = names ?? (yield* namesOf(response));

      const puts: Change[] = [];
      const put: string[] = [];
      const removals: Change[] = [];
      const gone: string[] = [];
      const refusals: Refusal[] = [];
      let seen = 0;
      for (const [name, i] of last) {
        if (++seen % walkSize === 0) yield;
        const outcome = checked[i];
        if (outcome === undefined || removed.has(name)) continue;
        if (later.has(name)) {
          if (!outcome.ok) refusals.push({ name, faults: outcome.faults });
          continue;
        }
        unreported.delete(name);
        doubtful.delete(name);
        if (!outcome.ok) {
          const { faults } = outcome;
          refusals.push({ name, faults });
          refused.add({ name, faults, kept: held.has(name) });
          const instead = insteadOf(name, faults, outcome.closing);
          if (instead) {
            puts.push(instead);
            put.push(name);
          }
          continue;
        }
        forgive(name);
        const { change } = outcome;
        const isService = change.kind === 'put-service';
        const changesKind = held.has(name) && (services.has(name) !== isService || lost.has(name));
        if (changesKind && type === 'address') {
          removals.push(removal(name, !isService));
          gone.push(name);
        }
        lost.delete(name);
        held.set(name, resources[i]?.version ?? '');
        if (isService) services.add(name);
        else services.delete(name);
        if (change.kind === 'put-policy') policies.set(name, change.policy);
        puts.push(change);
        put.push(name);
      }
      const goes = later.size === 0 ? removed : [...removed].filter((name) => !later.has(name));
      yield* remove(goes, removals, gone);
      answered = true;
      counts.rejected += refusals.length;
      return { puts, removals, put, removed: gone, refusals };
    },

    get answered() {
      return answered;
    },
    get unsettled() {
      return answered && unreported.size + doubtful.size > 0;
    },

    *settle() {
      const puts: Change[] = [];
      const put: string[] = [];
      const removals: Change[] = [];
      const gone: string[] = [];
      const good = [...doubtful].filter((name) => !unreported.has(name) && held.has(name));
      const closed = [...doubtful].filter((name) => !held.has(name));
      // Of what was said to be held the server has that very version: it would have told another one.
      for (const name of good) {
        const policy = stale.has(name) ? policies.get(name) : undefined;
        forgive(name);
        if (policy === undefined) continue;
        puts.push({ kind: 'put-policy', policy });
        put.push(name);
      }
      yield* remove([...closed, ...unreported], removals, gone);
      doubtful = new Set();
      return { puts, removals, put, removed: gone, refusals: [] };
    },

    lose({ put, removals, removed }) {
      for (const name of put) if (held.has(name)) lost.add(name);
      // What was to go is there still.
      for (const [i, name] of removed.entries()) {
        if (!held.has(name)) {
          held.set(name, '');
          if (removals[i]?.kind === 'remove-service') services.add(name);
        }
        lost.add(name);
      }
    },

    reset() {
      for (const names of [held, services, policies, closing, stale, lost, unreported, doubtful]) names.clear();
      refused.clear();
      counts.complete = false;
    },

    status: () => ({ type, held: held.size, ...counts, refusedNow: refused.size, refused: refused.listed() }),
  };
}

/** As a policy of that name has it, which closes where the name is none. */
const policyKeyOf = (name: string): string => (name.includes('/') ? name : `/${name}`);

/** What a response is about. */
export interface Names {
  /** Name -> index of the last resource of it. */
  readonly last: ReadonlyMap<string, number>;
  readonly removed: ReadonlySet<string>;
}

export function* namesOf({ resources, removed }: Response): Generator<undefined, Names> {
  const last = new WideMap<number>();
  for (let i = 0; i < resources.length; i++) {
    last.set((resources[i] as RawResource).name, i);
    if ((i + 1) % walkSize === 0) yield;
  }
  return { last, removed: new Set(removed) };
}
