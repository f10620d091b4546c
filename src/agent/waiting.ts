// SPDX-License-Identifier: Apache-2.0
// Changes that wait for their turn: the last of each name only, handed out in parts that belong together.
import type { Change, Model } from '../mesh/model.ts';
import { addressText, type Service } from '../mesh/service.ts';
import type { Steps } from '../mesh/steps.ts';
import {
  byKind,
  type Head,
  type Kind,
  keyOf,
  kindOf,
  kinds,
  type Named,
  noKeys,
  numberLists,
  policiesNamed,
  type Sorted,
  type Submission,
} from './waiting-names.ts';

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
   * that touch a service that it touches: nobody ever sees half of a service's new endpoints, or none between the old and the new. With a
   * workload come the policies that it names: one that nobody knows would close it.
   */
  take(model: Model, lane: 'urgent' | 'bulk' | 'all', most: number): Steps<Part>;
  /** A part that could not be carried out waits again, without anybody to tell. To be called before anything else is taken. */
  putBack(part: Part): void;
  /** Forgets all changes. */
  clear(): void;
}

export interface WaitingSizes {
  /** A submission of so many changes or fewer goes before larger ones. */
  readonly mostSmall: number;
  /** Changes looked at between two pauses. */
  readonly aStep: number;
  /** Changes of a large submission that are sorted in before a small one may overtake. */
  readonly ahead: number;
}

const usualSizes: WaitingSizes = { mostSmall: 256, aStep: 16, ahead: 1024 };

/** `superseded` is told of submissions none of whose changes wait any more, because later ones took their place. */
export function openWaiting(superseded: (ticket: Ticket) => void, { mostSmall, aStep, ahead } = usualSizes): Waiting {
  let submissions: Submission[] = [];
  let sorted: Sorted[] = [];
  /** Of the first submission, once it is being sorted in: what was pulled out of its rest, and how far it has come. */
  let head: Head | undefined;
  let at = 0;
  let numbered = 0;
  /** What is submitted after a clear() is not for a part that was begun before it. */
  let clears = 0;
  /** Key -> number of the change. */
  const entries: Readonly<Record<Kind, Map<string, number>>> = byKind(() => new Map());
  /** Service key -> puts of workloads there; address text -> puts of services. Some may wait no more. */
  const joining = numberLists();
  const claiming = numberLists();
  let urgent: Named[] = [];

  const count = (): number => kinds.reduce((sum, kind) => sum + entries[kind].size, 0);
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
    held.set(key, number);
    if (older !== undefined) giveWay(submissionOf(older));
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
  /** The first submission, begun to be sorted in. */
  const opened = (): Head => {
    if (!head) {
      head = {
        base: open(submissions[0] as Submission),
        pulled: new Set(),
        latest: byKind(() => new Map()),
      };
      at = 0;
    }
    return head;
  };
  /** A change of `submission` that a later one made needless. */
  const giveWay = ({ ticket }: Submission): void => {
    if (ticket && --ticket.left === 0) superseded(ticket);
  };
  /** A short submission waits behind a long one. */
  const isOvertaken = (): boolean => {
    const [first, second] = submissions;
    return first !== undefined && second !== undefined && !isSmall(first) && isSmall(second);
  };
  const forget = (): void => {
    sorted = [];
    numbered = 0;
    joining.clear();
    claiming.clear();
    urgent = [];
  };

  /** Sorts in the first submission. Stops half-way once a short one waits behind it, if `yielding`. */
  function* sortFirst(yielding: boolean): Steps<void> {
    const first = submissions[0];
    if (!first) return;
    const { base, pulled, latest } = opened();
    const small = isSmall(first);
    while (at < first.changes.length) {
      const change = first.changes[at] as Change;
      const [kind, key] = [kindOf(change), keyOf(change)];
      if (!pulled.has(at)) {
        if (at < (latest[kind].get(key) ?? 0)) giveWay(first);
        else enter(change, base + at);
        if (small) urgent.push({ kind, key });
      }
      if (++at % aStep !== 0) continue;
      yield;
      // Forgotten meanwhile.
      if (submissions[0] !== first) return;
      if (yielding && at % ahead === 0 && isOvertaken()) return;
    }
    submissions.shift();
    head = undefined;
  }

  function* sort(yielding: boolean): Steps<void> {
    const before = clears;
    // At least some of it each time, or a stream of short ones would keep a long one waiting for ever.
    do yield* sortFirst(yielding);
    while (clears === before && submissions.length > 0 && !(yielding && isOvertaken()));
  }

  /** The short submissions behind the long one that is being sorted in, with all that belongs to them: of its rest, too. */
  function* overtake(model: Model): Steps<Part> {
    const { part, services, policies, add, again } = gather(model);
    const first = submissions[0] as Submission;
    const { base, pulled, latest } = opened();
    for (let next = submissions[1]; next && isSmall(next); next = submissions[1]) {
      submissions.splice(1, 1);
      const number = open(next);
      for (let i = 0; i < next.changes.length; i++) {
        const change = next.changes[i] as Change;
        const name = { kind: kindOf(change), key: keyOf(change) };
        enter(change, number + i);
        latest[name.kind].set(name.key, Number.POSITIVE_INFINITY);
        urgent.push(name);
      }
    }
    const names = urgent;
    urgent = [];
    for (const name of names) yield* add(name);

    for (let known = -1; submissions[0] === first && known < services.size + policies.size; ) {
      known = services.size + policies.size;
      const related = noKeys();
      for (const change of part.changes) related[kindOf(change)].add(keyOf(change));
      for (const key of policies) related.policy.add(key);
      for (const key of services) {
        related.service.add(key);
        for (const uid of model.members.get(key) ?? []) related.workload.add(uid);
      }
      const movesService = part.changes.some((change) => kindOf(change) === 'service');
      for (let i = at; i < first.changes.length; i++) {
        const change = first.changes[i] as Change;
        const [kind, key] = [kindOf(change), keyOf(change)];
        let isRelated = related[kind].has(key) || (kind === 'service' && movesService);
        if (change.kind === 'put-workload' && !isRelated) {
          for (const service of change.workload.services.keys()) isRelated ||= services.has(service);
        }
        if (isRelated && !pulled.has(i)) {
          pulled.add(i);
          related[kind].add(key);
          if (i < (latest[kind].get(key) ?? 0)) giveWay(first);
          else {
            enter(change, base + i);
            latest[kind].set(key, i);
          }
        }
        if (i % aStep !== 0) continue;
        yield;
        // Forgotten meanwhile.
        if (submissions[0] !== first) return part;
      }
      yield* again();
    }
    return part;
  }

  /** Gathers changes with all that belongs to them. */
  function gather(model: Model) {
    const part: Part = { changes: [], tickets: new Map(), work: 0 };
    const services = new Set<string>();
    const policies = new Set<string>();
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
      for (const key of policiesNamed(change)) {
        policies.add(key);
        take({ kind: 'policy', key });
      }
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

    function* close(): Steps<void> {
      let seen = 0;
      for (let next = left.pop(); next; next = left.pop()) {
        const change = take(next);
        if (change) claims(model.services.get(next.key));
        if (change?.kind === 'put-service') claims(change.service);
        const members = model.members.get(next.key) ?? [];
        part.work += members.length;
        for (const uid of entries.workload.size > 0 ? members : []) {
          workload(uid);
          if (++seen % aStep === 0) yield;
        }
        for (const number of joining.take(next.key)) {
          const put = changeAt(number);
          if (put) workload(keyOf(put));
          if (++seen % aStep === 0) yield;
        }
      }
    }
    function* add({ kind, key }: Named): Steps<void> {
      if (kind === 'workload') workload(key);
      else if (kind === 'service') touch(key);
      else take({ kind, key });
      yield* close();
    }

    return {
      part,
      services: services as ReadonlySet<string>,
      policies: policies as ReadonlySet<string>,
      add,
      /** Once more, for what was sorted in since. */
      *again(): Steps<void> {
        addresses.clear();
        for (const change of part.changes.slice()) yield* add({ kind: kindOf(change), key: keyOf(change) });
        for (const key of services) left.push({ kind: 'service', key });
        for (const key of policies) take({ kind: 'policy', key });
        yield* close();
      },
    };
  }

  // Each goes on where it stopped: what was taken leaves holes in a Map, and to step over them all again for each name would take for ever.
  const walks: Record<Kind, MapIterator<string>> = byKind((kind) => entries[kind].keys());
  /** The name that has waited for longest; it has to be taken. */
  const oldest = (): Named | undefined => {
    for (const kind of kinds) {
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
      const before = clears;
      if (lane === 'urgent') {
        if (isOvertaken()) return yield* overtake(model);
        while (clears === before && submissions[0] && isSmall(submissions[0])) yield* sortFirst(false);
        // Behind more than one long one: in order, then.
        if (clears === before && urgent.length === 0) yield* sort(false);
      } else {
        yield* sort(lane === 'bulk');
      }
      const { part, add } = gather(model);
      if (clears !== before || (lane === 'bulk' && isOvertaken())) return part;
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
      clears++;
      submissions = [];
      head = undefined;
      for (const held of Object.values(entries)) held.clear();
      forget();
    },
  };
}
