// SPDX-License-Identifier: Apache-2.0
// What waits by name: the last change of each, and which submission it is of.
import type { Change } from '../mesh/model.ts';
import { addressText } from '../mesh/service.ts';
import { keyOf, kindOf, type ObjectKind } from '../mesh/subject.ts';
import { byKind, kinds, type Named } from './waiting-names.ts';

/** Whoever is told once all changes of a submission were carried out, or gave way to later ones of the same name. */
export interface Ticket {
  /** Changes that still wait. */
  left: number;
}

export interface Submission {
  readonly changes: readonly Change[];
  /** Undefined: nobody is to be told. */
  readonly ticket: Ticket | undefined;
}

/** A submission whose changes are known by numbers from `base` on, which costs no object for each of many thousands. */
interface Numbered extends Submission {
  readonly base: number;
}

export interface Ledger {
  /** Gives numbers to the changes of a submission. @returns that of the first */
  open(submission: Submission): number;
  /** A change waits from now on; what waited under its name gives way. */
  enter(change: Change, number: number): void;
  /** A change of `submission` gives way to a later one. */
  giveWay(submission: Submission): void;
  has(name: Named): boolean;
  /** Names of a kind that wait; without one, of all. */
  count(kind?: ObjectKind): number;
  /** Takes out what waits under a name. */
  take(name: Named): { readonly change: Change; readonly ticket: Ticket | undefined } | undefined;
  /**
   * Puts of workloads into a service, and of services with an address, which are not told of again. Some may wait no more, or in another
   * version; undefined: all was forgotten meanwhile.
   */
  joining(service: string): Iterable<Change | undefined>;
  claiming(address: string): Iterable<Change | undefined>;
  /** The name that has waited for longest; it has to be taken. */
  oldest(): Named | undefined;
  /** Forgets numbers: only when nothing waits. */
  restart(): void;
  clear(): void;
}

/** `superseded` is told of submissions none of whose changes wait any more, because later ones took their place. */
export function openLedger(superseded: (ticket: Ticket) => void): Ledger {
  let submissions: Numbered[] = [];
  let numbered = 0;
  /** Key -> number of the change. */
  const entries: Readonly<Record<ObjectKind, Map<string, number>>> = byKind(() => new Map());
  /** Service key -> puts of workloads there; address text -> puts of services. */
  const joining = numberLists();
  const claiming = numberLists();

  const submissionOf = (number: number): Numbered | undefined => {
    let low = 0;
    for (let high = submissions.length; high - low > 1; ) {
      const middle = (low + high) >>> 1;
      if ((submissions[middle] as Numbered).base <= number) low = middle;
      else high = middle;
    }
    return submissions[low];
  };
  /** Undefined when all was forgotten meanwhile. */
  const changeAt = (number: number): Change | undefined => {
    const submission = submissionOf(number);
    return submission?.changes[number - submission.base];
  };
  function* changesOf(numbers: Iterable<number>): Generator<Change | undefined> {
    for (const number of numbers) yield changeAt(number);
  }
  const giveWay = ({ ticket }: Submission): void => {
    if (ticket && --ticket.left === 0) superseded(ticket);
  };
  const restart = (): void => {
    submissions = [];
    numbered = 0;
    joining.clear();
    claiming.clear();
  };
  // Each goes on where it stopped: what was taken leaves holes in a Map, and to step over them all again for each name would take for ever.
  const walks: Record<ObjectKind, MapIterator<string>> = byKind((kind) => entries[kind].keys());

  return {
    open({ changes, ticket }) {
      const base = numbered;
      submissions.push({ base, changes, ticket });
      numbered += changes.length;
      return base;
    },
    enter(change, number) {
      const held = entries[kindOf(change)];
      const key = keyOf(change);
      const older = held.get(key);
      held.set(key, number);
      if (older !== undefined) giveWay(submissionOf(older) as Numbered);
      if (change.kind === 'put-workload') {
        for (const service of change.workload.services.keys()) joining.add(service, number);
      } else if (change.kind === 'put-service') {
        for (const address of change.service.addresses) claiming.add(addressText(address), number);
      }
    },
    giveWay,
    has: ({ kind, key }) => entries[kind].has(key),
    count: (kind) => (kind ? entries[kind].size : kinds.reduce((sum, each) => sum + entries[each].size, 0)),
    take({ kind, key }) {
      const number = entries[kind].get(key);
      if (number === undefined) return undefined;
      entries[kind].delete(key);
      const { base, changes, ticket } = submissionOf(number) as Numbered;
      return { change: changes[number - base] as Change, ticket };
    },
    joining: (service) => changesOf(joining.take(service)),
    claiming: (address) => changesOf(claiming.take(address)),
    oldest() {
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
    },
    restart,
    clear() {
      for (const held of Object.values(entries)) held.clear();
      restart();
    },
  };
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
