// SPDX-License-Identifier: Apache-2.0
// Policies that are not in force as their authors wrote them last: told when that begins and ends, and kept for whoever asks.
import { type AuthzOptions, deadRules, enforcedPolicy } from '../compile/authz/holding.ts';
import type { Model } from '../mesh/model.ts';
import type { Policy } from '../mesh/policy.ts';
import type { Log } from './log.ts';

/** Policy -> why. One may be in several. */
export interface PolicyFaults {
  /** Closes what it holds for. */
  readonly refused: ReadonlyMap<string, string>;
  /** An older version is in force. */
  readonly stale: ReadonlyMap<string, string>;
  /** A DENY policy that rests on HTTP attributes: it denies less than it says, or nothing. */
  readonly deniesLess: ReadonlyMap<string, string>;
}

export interface PolicyWatch {
  /** The model may be another one. */
  look(model: Model): void;
  readonly faults: PolicyFaults;
  close(): void;
}

type Kind = keyof PolicyFaults;
type Fault = readonly [kind: Kind, reason: string];

/** A long list of changes comes in parts: it is looked at once a while only. */
const usualGatherMs = 50;
/** So many are told one by one. */
const mostTold = 20;

/** As events of the log name them, and the metrics. */
const eventOf = {
  refused: 'policy_refused',
  stale: 'policy_stale',
  deniesLess: 'policy_denies_less',
} as const satisfies Record<Kind, string>;

const began = {
  refused: 'policy refused: what it holds for is closed',
  stale: 'policy refused: its last good version stays in force',
  deniesLess: 'DENY POLICY DENIES LESS THAN IT SAYS: it rests on HTTP attributes, which are not judged here',
} as const satisfies Record<Kind, string>;

function faultsOf(policy: Policy, options: AuthzOptions): readonly Fault[] {
  const out: Fault[] = [];
  const { fault } = enforcedPolicy(policy, options);
  if (fault) out.push([fault.kind, fault.reason]);
  const dead = deadRules(policy);
  if (dead.length > 0 && fault?.kind !== 'refused')
    out.push(['deniesLess', dead.map((rule) => `spec.rules[${rule}]`).join(', ')]);
  return out;
}

export function watchPolicies(options: AuthzOptions, log: Log, gatherMs = usualGatherMs): PolicyWatch {
  let known: Model['policies'] | undefined;
  let latest: Model | undefined;
  let timer: NodeJS.Timeout | undefined;
  let faults: Record<Kind, ReadonlyMap<string, string>> = {
    refused: new Map(),
    stale: new Map(),
    deniesLess: new Map(),
  };
  const found = new WeakMap<Policy, readonly Fault[]>();

  const tell = (kind: Kind, before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): void => {
    const come = [...now].filter(([policy, reason]) => before.get(policy) !== reason);
    const gone = [...before.keys()].filter((policy) => !now.has(policy));
    for (const [policy, reason] of come.slice(0, mostTold)) {
      log.warn({ event: eventOf[kind], policy, reason }, began[kind]);
    }
    if (come.length > mostTold) log.warn({ event: eventOf[kind], more: come.length - mostTold }, began[kind]);
    for (const policy of gone.slice(0, mostTold))
      log.info({ event: `${eventOf[kind]}_over`, policy }, 'policy is as written');
  };
  const read = (): void => {
    timer = undefined;
    if (!latest || latest.policies === known) return;
    known = latest.policies;
    const now: Record<Kind, Map<string, string>> = { refused: new Map(), stale: new Map(), deniesLess: new Map() };
    for (const [key, policy] of known) {
      let of = found.get(policy);
      if (!of) {
        of = faultsOf(policy, options);
        found.set(policy, of);
      }
      for (const [kind, reason] of of) now[kind].set(key, reason);
    }
    for (const kind of Object.keys(now) as Kind[]) tell(kind, faults[kind], now[kind]);
    faults = now;
  };

  return {
    look(model) {
      latest = model;
      if (model.policies !== known) timer ??= setTimeout(read, gatherMs).unref();
    },
    get faults() {
      return faults;
    },
    close: () => clearTimeout(timer),
  };
}
