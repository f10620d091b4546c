// SPDX-License-Identifier: Apache-2.0
// A part of what waits: changes with all that belongs to them, so that nobody ever sees half of it.
import type { Change, Model } from '../mesh/model.ts';
import { addressText, type Service } from '../mesh/service.ts';
import type { Steps } from '../mesh/steps.ts';
import { keyOf, kindOf } from '../mesh/subject.ts';
import type { Ledger, Ticket } from './waiting-ledger.ts';
import { type Named, policiesNamed } from './waiting-names.ts';

/** Changes that go together, and whose they are. */
export interface Part {
  readonly changes: Change[];
  /** How many are of each submission. */
  readonly tickets: Map<Ticket, number>;
  /** Changes, and endpoints of the services that they touch. */
  work: number;
}

export interface Gathering {
  readonly part: Part;
  /** Keys of services that it touches, and of policies that it names. */
  readonly services: ReadonlySet<string>;
  readonly policies: ReadonlySet<string>;
  /** Takes what waits under a name, with all that belongs to it. */
  add(name: Named): Steps<void>;
  /** Once more, for what was sorted in since. */
  again(): Steps<void>;
}

/** Begins to gather from `ledger`, as `model` has it. `aStep`: names looked at between two pauses. */
export function gather(ledger: Ledger, model: Model, aStep: number): Gathering {
  const part: Part = { changes: [], tickets: new Map(), work: 0 };
  const services = new Set<string>();
  const policies = new Set<string>();
  const addresses = new Set<string>();
  /** Services whose members are not looked at yet. */
  const left: string[] = [];

  const take = (name: Named): Change | undefined => {
    const taken = ledger.take(name);
    if (!taken) return undefined;
    const { change, ticket } = taken;
    part.changes.push(change);
    part.work++;
    if (ticket) part.tickets.set(ticket, (part.tickets.get(ticket) ?? 0) + 1);
    return change;
  };
  const touch = (key: string): void => {
    if (services.has(key)) return;
    services.add(key);
    left.push(key);
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
      const keys = [...(model.owners.get(text) ?? [])];
      for (const put of ledger.claiming(text)) if (put) keys.push(keyOf(put));
      for (const key of keys) if (ledger.has({ kind: 'service', key })) touch(key);
    }
  };

  /** Takes a service; uids of its members. */
  const members = (key: string): readonly string[] => {
    const change = take({ kind: 'service', key });
    if (change) claims(model.services.get(key));
    if (change?.kind === 'put-service') claims(change.service);
    const uids = model.members.get(key) ?? [];
    part.work += uids.length;
    return uids;
  };
  const closing = (): Steps<void> => close(ledger, left, { members, workload }, aStep);
  const add = ({ kind, key }: Named): Steps<void> => {
    if (kind === 'workload') workload(key);
    else if (kind === 'service') touch(key);
    else take({ kind, key });
    return closing();
  };

  return {
    part,
    services,
    policies,
    add,
    again() {
      addresses.clear();
      return repeat(part.changes.slice(), add, () => {
        for (const key of services) left.push(key);
        for (const key of policies) take({ kind: 'policy', key });
        return closing();
      });
    },
  };
}

/** Takes all that belongs to the services in `left`, and to those that come to it meanwhile. */
function* close(
  ledger: Ledger,
  left: string[],
  take: { members(service: string): readonly string[]; workload(uid: string): void },
  aStep: number,
): Steps<void> {
  let seen = 0;
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const members = take.members(next);
    for (const uid of ledger.count('workload') > 0 ? members : []) {
      take.workload(uid);
      if (++seen % aStep === 0) yield;
    }
    for (const put of ledger.joining(next)) {
      if (put) take.workload(keyOf(put));
      if (++seen % aStep === 0) yield;
    }
  }
}

function* repeat(changes: readonly Change[], add: (name: Named) => Steps<void>, then: () => Steps<void>): Steps<void> {
  for (const change of changes) yield* add({ kind: kindOf(change), key: keyOf(change) });
  yield* then();
}
