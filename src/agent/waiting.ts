// SPDX-License-Identifier: Apache-2.0
// Changes that wait for their turn: the last of each name only, handed out in parts that belong together.
import type { Change, Model } from '../mesh/model.ts';
import { policyKey } from '../mesh/policy.ts';
import { addressText, type Service, serviceKey } from '../mesh/service.ts';
import type { Steps } from '../mesh/steps.ts';

/** Whoever is told once all changes of a submission were carried out, or gave way to later ones of the same name. */
export interface Ticket {
  /** Changes that still wait. */
  left: number;
}

/** Changes that go together, and whose they are. */
export interface Part {
  readonly changes: Change[];
  /** How many are of each submission. */
  readonly tickets: Map<Ticket, number>;
  /** Changes, and endpoints of the services that they touch. */
  work: number;
}

export interface Waiting {
  /** The changes of one submission, in order. */
  add(changes: readonly Change[], ticket: Ticket): void;
  readonly empty: boolean;
  /** A small submission waits, or part of it. */
  readonly urgent: boolean;
  /** Something else waits. */
  readonly bulk: boolean;
  /**
   * What comes next of the small submissions, or of the large ones until `most` work is gathered; 'all': everything. With each change come all
   * that touch a service that it touches: nobody ever sees half of a service's new endpoints, or none between the old and the new.
   */
  take(model: Model, lane: 'urgent' | 'bulk' | 'all', most: number): Steps<Part>;
  /** A part that could not be carried out waits again, without anybody to tell. To be called before anything else is taken. */
  putBack(part: Part): void;
  /** Forgets all changes. */
  clear(): void;
}

/** A submission of so many changes or fewer goes before larger ones. */
const smallSubmission = 256;
/** Changes looked at between two pauses. */
const changesAStep = 16;

interface Submission {
  readonly changes: readonly Change[];
  readonly ticket: Ticket | undefined;
}

/** A submission that was sorted in: its changes are known by numbers from `base` on, which costs no object for each of many thousands. */
interface Sorted extends Submission {
  readonly base: number;
}

type Kind = 'workload' | 'service' | 'policy';

interface Named {
  readonly kind: Kind;
  readonly key: string;
}

function kindOf(change: Change): Kind {
  if (change.kind === 'put-workload' || change.kind === 'remove-workload') return 'workload';
  return change.kind === 'put-service' || change.kind === 'remove-service' ? 'service' : 'policy';
}

function keyOf(change: Change): string {
  switch (change.kind) {
    case 'put-workload':
      return change.workload.uid;
    case 'remove-workload':
      return change.uid;
    case 'put-service':
      return serviceKey(change.service);
    case 'put-policy':
      return policyKey(change.policy);
    default:
      return change.key;
  }
}

/** Numbers by text, several each, without a list for each text. */
function numberLists() {
  const heads = new Map<string, number>();
  let values: number[] = [];
  let nexts: number[] = [];
  return {
    add(key: string, value: number): void {
      nexts.push(heads.get(key) ?? -1);
      heads.set(key, values.push(value) - 1);
    },
    /** The numbers of `key`, which are forgotten. */
    *take(key: string): Generator<number> {
      const [of, next] = [values, nexts];
      let at = heads.get(key) ?? -1;
      heads.delete(key);
      for (; at >= 0; at = next[at] as number) yield of[at] as number;
    },
    clear(): void {
      heads.clear();
      values = [];
      nexts = [];
    },
  };
}

/** `superseded` is told of submissions none of whose changes wait any more, because later ones took their place. */
export function openWaiting(superseded: (ticket: Ticket) => void, mostSmall = smallSubmission): Waiting {
  let submissions: Submission[] = [];
  let sorted: Sorted[] = [];
  let numbered = 0;
  /** Key -> number of the change. */
  const entries: Readonly<Record<Kind, Map<string, number>>> = {
    workload: new Map(),
    service: new Map(),
    policy: new Map(),
  };
  /** Service key -> puts of workloads there; address text -> puts of services. Some may wait no more. */
  const joining = numberLists();
  const claiming = numberLists();
  let urgent: Named[] = [];

  const count = (): number => entries.workload.size + entries.service.size + entries.policy.size;
  const isEmpty = (): boolean => submissions.length === 0 && count() === 0;
  const isSmall = ({ changes }: Submission): boolean => changes.length <= mostSmall;

  const submissionOf = (number: number): Sorted => {
    let low = 0;
    for (let high = sorted.length; high - low > 1; ) {
      const middle = (low + high) >>> 1;
      if ((sorted[middle] as Sorted).base <= number) low = middle;
      else high = middle;
    }
    return sorted[low] as Sorted;
  };
  /** Undefined when all was forgotten meanwhile. */
  const changeAt = (number: number): Change | undefined => {
    const submission = submissionOf(number) as Sorted | undefined;
    return submission?.changes[number - submission.base];
  };

  const enter = (change: Change, number: number): void => {
    const held = entries[kindOf(change)];
    const key = keyOf(change);
    const older = held.get(key);
    const ticket = older === undefined ? undefined : submissionOf(older).ticket;
    held.set(key, number);
    if (ticket && --ticket.left === 0) superseded(ticket);
    if (change.kind === 'put-workload') {
      for (const service of change.workload.services.keys()) joining.add(service, number);
    } else if (change.kind === 'put-service') {
      for (const address of change.service.addresses) claiming.add(addressText(address), number);
    }
  };
  const open = ({ changes, ticket }: Submission): number => {
    const base = numbered;
    sorted.push({ base, changes, ticket });
    numbered += changes.length;
    return base;
  };
  const forget = (): void => {
    sorted = [];
    numbered = 0;
    joining.clear();
    claiming.clear();
    urgent = [];
  };

  /** Sorts in what was submitted. */
  function* sort(): Steps<void> {
    let seen = 0;
    for (let next = submissions[0]; next; next = submissions[0]) {
      const base = open(next);
      const small = isSmall(next);
      for (let i = 0; i < next.changes.length; i++) {
        const change = next.changes[i] as Change;
        enter(change, base + i);
        if (small) urgent.push({ kind: kindOf(change), key: keyOf(change) });
        if (++seen % changesAStep === 0) yield;
        // Forgotten meanwhile.
        if (submissions[0] !== next) return;
      }
      submissions.shift();
    }
  }

  /** Gathers changes with all that belongs to them. */
  function gather(model: Model) {
    const part: Part = { changes: [], tickets: new Map(), work: 0 };
    const services = new Set<string>();
    const addresses = new Set<string>();
    const left: Named[] = [];

    const take = ({ kind, key }: Named): Change | undefined => {
      const number = entries[kind].get(key);
      if (number === undefined) return undefined;
      entries[kind].delete(key);
      const { base, changes, ticket } = submissionOf(number);
      const change = changes[number - base] as Change;
      part.changes.push(change);
      part.work++;
      if (ticket) part.tickets.set(ticket, (part.tickets.get(ticket) ?? 0) + 1);
      return change;
    };
    const touch = (key: string): void => {
      if (services.has(key)) return;
      services.add(key);
      left.push({ kind: 'service', key });
    };
    const workload = (uid: string): void => {
      const change = take({ kind: 'workload', key: uid });
      if (!change) return;
      for (const key of model.workloads.get(uid)?.services.keys() ?? []) touch(key);
      if (change.kind === 'put-workload') for (const key of change.workload.services.keys()) touch(key);
    };
    /** Who else has or gets one of its addresses goes along: an address never belongs to nobody on its way from one to another. */
    const claims = (service: Service | undefined): void => {
      for (const address of service?.addresses ?? []) {
        const text = addressText(address);
        if (addresses.has(text)) continue;
        addresses.add(text);
        for (const key of model.owners.get(text) ?? []) if (entries.service.has(key)) touch(key);
        for (const number of claiming.take(text)) {
          const change = changeAt(number);
          if (change && entries.service.has(keyOf(change))) touch(keyOf(change));
        }
      }
    };

    return {
      part,
      *add(name: Named): Steps<void> {
        if (name.kind === 'workload') workload(name.key);
        else if (name.kind === 'service') touch(name.key);
        else take(name);
        let seen = 0;
        for (let next = left.pop(); next; next = left.pop()) {
          const change = take(next);
          if (change) claims(model.services.get(next.key));
          if (change?.kind === 'put-service') claims(change.service);
          const members = model.members.get(next.key) ?? [];
          part.work += members.length;
          for (const uid of entries.workload.size > 0 ? members : []) {
            workload(uid);
            if (++seen % changesAStep === 0) yield;
          }
          for (const number of joining.take(next.key)) {
            const put = changeAt(number);
            if (put) workload(keyOf(put));
            if (++seen % changesAStep === 0) yield;
          }
        }
      },
    };
  }

  // Each goes on where it stopped: what was taken leaves holes in a Map, and to step over them all again for each name would take for ever.
  const walks: Record<Kind, MapIterator<string>> = {
    workload: entries.workload.keys(),
    service: entries.service.keys(),
    policy: entries.policy.keys(),
  };
  /** The name that has waited for longest; it has to be taken. */
  const oldest = (): Named | undefined => {
    for (const kind of ['workload', 'service', 'policy'] as const) {
      if (entries[kind].size === 0) continue;
      let next = walks[kind].next();
      if (next.done) {
        walks[kind] = entries[kind].keys();
        next = walks[kind].next();
      }
      if (!next.done) return { kind, key: next.value };
    }
    return undefined;
  };

  return {
    get empty() {
      return isEmpty();
    },
    get urgent() {
      return urgent.length > 0 || submissions.some(isSmall);
    },
    get bulk() {
      return count() > urgent.length || !submissions.every(isSmall);
    },
    add(changes, ticket) {
      submissions.push({ changes, ticket });
    },
    *take(model, lane, most) {
      yield* sort();
      const { part, add } = gather(model);
      if (lane !== 'bulk') {
        const names = urgent;
        urgent = [];
        for (const name of names) yield* add(name);
      }
      if (lane === 'urgent') {
        if (isEmpty()) forget();
        return part;
      }
      while (lane === 'all' || part.work < most) {
        const name = oldest();
        if (!name) break;
        yield* add(name);
        yield;
      }
      if (isEmpty()) forget();
      return part;
    },
    putBack(part) {
      // What was submitted since is sorted in later, and takes their place.
      const base = open({ changes: part.changes, ticket: undefined });
      for (let i = 0; i < part.changes.length; i++) enter(part.changes[i] as Change, base + i);
    },
    clear() {
      submissions = [];
      for (const held of Object.values(entries)) held.clear();
      forget();
    },
  };
}
