// SPDX-License-Identifier: Apache-2.0
// Host names that endpoints have, resolved and resolved again as their records age. Answers arrive when they arrive; nobody waits for them.
import { messageOf } from '../errors.ts';
import type { Address } from '../net/address.ts';
import { isV4 } from '../net/address.ts';
import type { Timers } from './timers.ts';

export interface Answer {
  readonly addresses: readonly Address[];
  /** Seconds for which the records hold. */
  readonly ttl: number;
  /** Family whose records could not be asked for, though the other's could: what was known of it stays. */
  readonly unanswered?: 4 | 6;
}

/** Asks for A and AAAA records. Throws when the name has none or nobody answers. */
export type Resolver = (hostname: string, signal: AbortSignal) => Promise<Answer>;

export interface Resolution {
  /** Replaces the set of names that are wanted. */
  want(hostnames: ReadonlySet<string>): void;
  close(): void;
}

interface Options {
  readonly resolver: Resolver;
  readonly timers: Timers;
  /** Addresses in a steady order; undefined when the name is not wanted any more. `fault`: why the last try failed, when it did. */
  readonly onAnswer: (hostname: string, addresses: readonly Address[] | undefined, fault: string | undefined) => void;
}

const minSeconds = 5;
const maxSeconds = 300;
/** Names asked for at the same time. */
export const maxAsking = 16;

interface Name {
  addresses: readonly Address[];
  fault: string | undefined;
  /** Failures in a row. */
  failures: number;
  known: boolean;
  cancel: () => void;
}

export function openResolution({ resolver, timers, onAnswer }: Options): Resolution {
  const names = new Map<string, Name>();
  const waiting = new Set<string>();
  const abort = new AbortController();
  let asking = 0;

  const pump = () => {
    for (const hostname of waiting) {
      if (asking >= maxAsking) return;
      waiting.delete(hostname);
      const name = names.get(hostname);
      if (name) void ask(hostname, name);
    }
  };

  const ask = async (hostname: string, name: Name) => {
    asking++;
    let seconds: number;
    let next: { addresses: readonly Address[]; fault: string | undefined };
    try {
      const answer = await resolver(hostname, abort.signal);
      if (answer.addresses.length === 0) throw new Error('it has no address');
      name.failures = 0;
      seconds = Math.min(Math.max(answer.ttl, minSeconds), maxSeconds);
      const stay = answer.unanswered && name.addresses.filter((a) => isV4(a) === (answer.unanswered === 4));
      next = { addresses: steady([...answer.addresses, ...(stay ?? [])]), fault: undefined };
    } catch (error) {
      // What was known stays: a name server that is away must not take the endpoints with it.
      seconds = Math.min(minSeconds * 2 ** name.failures, maxSeconds);
      name.failures++;
      next = { addresses: name.addresses, fault: messageOf(error) };
    }
    asking--;
    if (names.get(hostname) === name && !abort.signal.aborted) {
      name.cancel = timers.after(seconds * 1000, () => {
        waiting.add(hostname);
        pump();
      });
      const same = name.known && next.fault === name.fault && next.addresses.join() === name.addresses.join();
      Object.assign(name, next, { known: true });
      if (!same) onAnswer(hostname, name.addresses, name.fault);
    }
    pump();
  };

  return {
    want(hostnames) {
      for (const [hostname, name] of [...names]) {
        if (hostnames.has(hostname)) continue;
        name.cancel();
        names.delete(hostname);
        waiting.delete(hostname);
        onAnswer(hostname, undefined, undefined);
      }
      for (const hostname of hostnames) {
        if (names.has(hostname)) continue;
        names.set(hostname, { addresses: [], fault: undefined, failures: 0, known: false, cancel: () => {} });
        waiting.add(hostname);
      }
      pump();
    },
    close() {
      abort.abort();
      for (const name of names.values()) name.cancel();
      names.clear();
      waiting.clear();
    },
  };
}

/** IPv4 first, each family in order of its text, none twice: servers turn the order of their answers. */
function steady(addresses: readonly Address[]): Address[] {
  const order = (a: Address, b: Address) => (isV4(a) === isV4(b) ? (a < b ? -1 : a > b ? 1 : 0) : isV4(a) ? -1 : 1);
  return [...new Set(addresses)].sort(order);
}
