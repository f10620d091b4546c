// SPDX-License-Identifier: Apache-2.0
// One subscribed type: what of it is held and what is refused.
import type { Change } from '../../mesh/model.ts';
import type { Refusal } from './nack.ts';
import type { Checked, RawResource, Response, TypeName, TypeStatus } from './types.ts';

export type Check = (type: TypeName, raw: RawResource) => Checked;

/** What one response does. */
export interface Effect {
  /** First all that is put, then all that is removed. No name is in a list twice. */
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
  readonly refused: ReadonlyMap<string, Held>;
  /** What a new stream reports as held, within `maxBytes`. */
  open(maxBytes: number): Generator<undefined, ReadonlyMap<string, string>>;
  take(response: Response, check: Check): Generator<undefined, Effect>;
  /** Counters for status. */
  readonly counts: Counts;
  status(): TypeStatus;
}

type Held = TypeStatus['refused'][number];

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

/** Resources between two places to pause at. */
const stepSize = 32;
/** Maps are quicker to walk than resources to check. */
const walkSize = 1000;
/** Bytes that a name and its version take in a request besides their own, at most. */
const entryBytes = 12;

export function openSubscription(type: TypeName): Subscription {
  const held = new Map<string, string>();
  /** Which of `held` are services; all others of type address are workloads. */
  const services = new Set<string>();
  const refused = new Map<string, Held>();
  /** Held, but there was no room to say so on this stream; the first response decides about them. */
  let unreported = new Set<string>();
  /** Refused on an earlier stream: if its first response does not bring them again, the server has something else or nothing. */
  let doubtful = new Set<string>();
  let first = true;
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

  const removal = (name: string): Change => {
    if (type === 'authorization') return { kind: 'remove-policy', key: name };
    return services.has(name) ? { kind: 'remove-service', key: name } : { kind: 'remove-workload', uid: name };
  };

  const drop = (name: string) => {
    held.delete(name);
    services.delete(name);
  };

  return {
    type,
    held,
    refused,
    counts,

    *open(maxBytes) {
      first = true;
      unreported = new Set();
      doubtful = new Set(refused.keys());
      let left = maxBytes;
      let seen = 0;
      for (const [name, version] of held) {
        // Three bytes a UTF-16 unit at most, but names are ASCII.
        left -= name.length + version.length + entryBytes;
        if (left < 0) unreported.add(name);
        if (++seen % walkSize === 0) yield;
      }
      if (unreported.size === 0) return held;
      const reported = new Map<string, string>();
      for (const [name, version] of held) {
        if (!unreported.has(name)) reported.set(name, version);
        if (++seen % walkSize === 0) yield;
      }
      return reported;
    },

    *take(response, check) {
      // The last of several with one name counts, and a removal before any of them.
      const { resources } = response;
      const checked: Checked[] = [];
      const last = new Map<string, number>();
      for (const [i, raw] of resources.entries()) {
        checked.push(check(type, raw));
        last.set(raw.name, i);
        if (i % stepSize === stepSize - 1) yield;
      }
      const removed = new Set(response.removed);

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
        unreported.delete(name);
        doubtful.delete(name);
        if (!outcome.ok) {
          refusals.push({ name, faults: outcome.faults });
          refused.set(name, { name, faults: outcome.faults, kept: held.has(name) });
          continue;
        }
        refused.delete(name);
        const isService = outcome.change.kind === 'put-service';
        if (held.has(name) && services.has(name) !== isService) {
          removals.push(removal(name));
          gone.push(name);
        }
        held.set(name, resources[i]?.version ?? '');
        if (isService) services.add(name);
        else services.delete(name);
        puts.push(outcome.change);
        put.push(name);
      }
      if (first) {
        // A name that was not reported and did not come is gone; one that was refused before and did not come is refused no more.
        for (const name of unreported) removed.add(name);
        for (const name of doubtful) refused.delete(name);
        unreported = new Set();
        doubtful = new Set();
        first = false;
      }
      for (const name of removed) {
        if (++seen % walkSize === 0) yield;
        refused.delete(name);
        if (!held.has(name)) continue;
        removals.push(removal(name));
        gone.push(name);
        drop(name);
      }
      counts.rejected += refusals.length;
      return { puts, removals, put, removed: gone, refusals };
    },

    status: () => ({ type, held: held.size, ...counts, refused: [...refused.values()] }),
  };
}
