// SPDX-License-Identifier: Apache-2.0
// Changes that wait for their turn: the last of each name only, handed out in parts that belong together.
import type { Change, Model } from '../mesh/model.ts';
import type { Steps } from '../mesh/steps.ts';
import { keyOf, kindOf, type ObjectKind } from '../mesh/subject.ts';
import { openLedger, type Submission, type Ticket } from './waiting-ledger.ts';
import { byKind, type Named, noKeys } from './waiting-names.ts';
import { gather, type Part } from './waiting-part.ts';

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

/** How far sorting in the first submission has come. */
interface Head {
  /** Number of its first change. */
  readonly base: number;
  /** Index of the change that is next. */
  at: number;
  /** Indexes of changes that were taken out of turn. */
  readonly pulled: Set<number>;
  /** Key -> index of the last change of it that was taken out of turn; infinity: one of a later submission was. */
  readonly latest: Readonly<Record<ObjectKind, Map<string, number>>>;
}

/** `superseded` is told of submissions none of whose changes wait any more, because later ones took their place. */
export function openWaiting(superseded: (ticket: Ticket) => void, { mostSmall, aStep, ahead } = usualSizes): Waiting {
  const ledger = openLedger(superseded);
  /** Not sorted in yet, or not wholly. */
  let submissions: Submission[] = [];
  /** Of the first one, once it is being sorted in. */
  let head: Head | undefined;
  /** What is submitted after a clear() is not for a part that was begun before it. */
  let clears = 0;
  let urgent: Named[] = [];

  const isEmpty = (): boolean => submissions.length === 0 && ledger.count() === 0;
  const isSmall = ({ changes }: Submission): boolean => changes.length <= mostSmall;

  /** The first submission, begun to be sorted in. */
  const opened = (): Head => {
    head ??= {
      base: ledger.open(submissions[0] as Submission),
      at: 0,
      pulled: new Set(),
      latest: byKind(() => new Map()),
    };
    return head;
  };
  /** A short submission waits behind a long one. */
  const isOvertaken = (): boolean => {
    const [first, second] = submissions;
    return first !== undefined && second !== undefined && !isSmall(first) && isSmall(second);
  };
  const forgetNumbers = (): void => {
    ledger.restart();
    urgent = [];
  };

  /** Sorts in the first submission. Stops half-way once a short one waits behind it, if `yielding`. */
  function* sortFirst(yielding: boolean): Steps<void> {
    const first = submissions[0];
    if (!first) return;
    const progress = opened();
    const { base, pulled, latest } = progress;
    const small = isSmall(first);
    while (progress.at < first.changes.length) {
      const i = progress.at++;
      const change = first.changes[i] as Change;
      const [kind, key] = [kindOf(change), keyOf(change)];
      if (!pulled.has(i)) {
        if (i < (latest[kind].get(key) ?? 0)) ledger.giveWay(first);
        else ledger.enter(change, base + i);
        if (small) urgent.push({ kind, key });
      }
      if (progress.at % aStep !== 0) continue;
      yield;
      // Forgotten meanwhile.
      if (submissions[0] !== first) return;
      if (yielding && progress.at % ahead === 0 && isOvertaken()) return;
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
    const { part, services, policies, add, again } = gather(ledger, model, aStep);
    const first = submissions[0] as Submission;
    const { base, at, pulled, latest } = opened();
    for (let next = submissions[1]; next && isSmall(next); next = submissions[1]) {
      submissions.splice(1, 1);
      const number = ledger.open(next);
      for (let i = 0; i < next.changes.length; i++) {
        const change = next.changes[i] as Change;
        const name = { kind: kindOf(change), key: keyOf(change) };
        ledger.enter(change, number + i);
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
          if (i < (latest[kind].get(key) ?? 0)) ledger.giveWay(first);
          else {
            ledger.enter(change, base + i);
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

  return {
    get empty() {
      return isEmpty();
    },
    get urgent() {
      return urgent.length > 0 || submissions.some(isSmall);
    },
    get bulk() {
      return ledger.count() > urgent.length || !submissions.every(isSmall);
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
      const { part, add } = gather(ledger, model, aStep);
      if (clears !== before || (lane === 'bulk' && isOvertaken())) return part;
      if (lane !== 'bulk') {
        const names = urgent;
        urgent = [];
        for (const name of names) yield* add(name);
      }
      if (lane === 'urgent') {
        if (isEmpty()) forgetNumbers();
        return part;
      }
      while (lane === 'all' || part.work < most) {
        const name = ledger.oldest();
        if (!name) break;
        yield* add(name);
        yield;
      }
      if (isEmpty()) forgetNumbers();
      return part;
    },
    putBack(part) {
      // What was submitted since is sorted in later, and takes their place.
      const base = ledger.open({ changes: part.changes, ticket: undefined });
      for (let i = 0; i < part.changes.length; i++) ledger.enter(part.changes[i] as Change, base + i);
    },
    clear() {
      clears++;
      submissions = [];
      head = undefined;
      urgent = [];
      ledger.clear();
    },
  };
}
