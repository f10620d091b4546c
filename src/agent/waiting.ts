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

interface Entry {
  readonly change: Change;
  readonly ticket: Ticket | undefined;
}

interface Submission {
  readonly changes: readonly Change[];
  readonly ticket: Ticket | undefined;
}

type Kind = 'workload' | 'service' | 'policy';

interface Named {
  readonly kind: Kind;
  readonly key: string;
}

function nameOf(change: Change): Named {
  switch (change.kind) {
    case 'put-workload':
      return { kind: 'workload', key: change.workload.uid };
    case 'remove-workload':
      return { kind: 'workload', key: change.uid };
    case 'put-service':
      return { kind: 'service', key: serviceKey(change.service) };
    case 'remove-service':
      return { kind: 'service', key: change.key };
    case 'put-policy':
      return { kind: 'policy', key: policyKey(change.policy) };
    case 'remove-policy':
      return { kind: 'policy', key: change.key };
  }
}

function addTo(index: Map<string, string[]>, key: string, value: string): void {
  const list = index.get(key);
  if (list) list.push(value);
  else index.set(key, [value]);
}

/** `superseded` is told of submissions none of whose changes wait any more, because later ones took their place. */
export function openWaiting(superseded: (ticket: Ticket) => void, mostSmall = smallSubmission): Waiting {
  let submissions: Submission[] = [];
  const entries: Readonly<Record<Kind, Map<string, Entry>>> = {
    workload: new Map(),
    service: new Map(),
    policy: new Map(),
  };
  /** Service key -> uids of workloads that some waiting change puts there; address text -> keys of services. May name some that wait no more. */
  const joining = new Map<string, string[]>();
  const claiming = new Map<string, string[]>();
  let urgent: Named[] = [];

  const count = (): number => entries.workload.size + entries.service.size + entries.policy.size;
  const isEmpty = (): boolean => submissions.length === 0 && count() === 0;
  const isSmall = ({ changes }: Submission): boolean => changes.length <= mostSmall;

  const enter = (change: Change, ticket: Ticket | undefined): Named => {
    const name = nameOf(change);
    const held = entries[name.kind];
    const older = held.get(name.key)?.ticket;
    held.set(name.key, { change, ticket });
    if (older && --older.left === 0) superseded(older);
    if (change.kind === 'put-workload') {
      for (const key of change.workload.services.keys()) addTo(joining, key, name.key);
    } else if (change.kind === 'put-service') {
      for (const address of change.service.addresses) addTo(claiming, addressText(address), name.key);
    }
    return name;
  };

  /** Sorts in what was submitted. */
  function* sort(): Steps<void> {
    let seen = 0;
    for (let next = submissions[0]; next; next = submissions[0]) {
      const { changes, ticket } = next;
      const small = isSmall(next);
      for (const change of changes) {
        const name = enter(change, ticket);
        if (small) urgent.push(name);
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
    const open: Named[] = [];

    const take = ({ kind, key }: Named): Change | undefined => {
      const entry = entries[kind].get(key);
      if (!entry) return undefined;
      entries[kind].delete(key);
      const { change, ticket } = entry;
      part.changes.push(change);
      part.work++;
      if (ticket) part.tickets.set(ticket, (part.tickets.get(ticket) ?? 0) + 1);
      return change;
    };
    const touch = (key: string): void => {
      if (services.has(key)) return;
      services.add(key);
      open.push({ kind: 'service', key });
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
        for (const key of claiming.get(text) ?? []) if (entries.service.has(key)) touch(key);
        claiming.delete(text);
      }
    };

    return {
      part,
      *add(name: Named): Steps<void> {
        if (name.kind === 'workload') workload(name.key);
        else if (name.kind === 'service') touch(name.key);
        else take(name);
        let seen = 0;
        for (let next = open.pop(); next; next = open.pop()) {
          const change = take(next);
          if (change) claims(model.services.get(next.key));
          if (change?.kind === 'put-service') claims(change.service);
          const members = model.members.get(next.key) ?? [];
          part.work += members.length;
          for (const uid of entries.workload.size > 0 ? members : []) {
            workload(uid);
            if (++seen % changesAStep === 0) yield;
          }
          for (const uid of joining.get(next.key) ?? []) {
            workload(uid);
            if (++seen % changesAStep === 0) yield;
          }
          joining.delete(next.key);
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
      if (lane === 'urgent') return part;
      while (lane === 'all' || part.work < most) {
        const name = oldest();
        if (!name) break;
        yield* add(name);
        yield;
      }
      if (isEmpty()) {
        joining.clear();
        claiming.clear();
        urgent = [];
      }
      return part;
    },
    putBack(part) {
      // What was submitted since is sorted in later, and takes their place.
      for (const change of part.changes) enter(change, undefined);
    },
    clear() {
      submissions = [];
      for (const held of Object.values(entries)) held.clear();
      joining.clear();
      claiming.clear();
      urgent = [];
    },
  };
}
