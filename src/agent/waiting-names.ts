// SPDX-License-Identifier: Apache-2.0
// What waiting changes are known by.
import type { Change } from '../mesh/model.ts';
import { policyKey } from '../mesh/policy.ts';
import { serviceKey } from '../mesh/service.ts';
import type { Ticket } from './waiting.ts';

export type Kind = 'workload' | 'service' | 'policy';

/** What a change is about. */
export interface Named {
  readonly kind: Kind;
  readonly key: string;
}

export function kindOf(change: Change): Kind {
  if (change.kind === 'put-workload' || change.kind === 'remove-workload') return 'workload';
  return change.kind === 'put-service' || change.kind === 'remove-service' ? 'service' : 'policy';
}

export function keyOf(change: Change): string {
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

/** Policies that a workload names from now on. */
export const policiesNamed = (change: Change): readonly string[] =>
  change.kind === 'put-workload' ? change.workload.authorizationPolicies : [];

export interface Submission {
  readonly changes: readonly Change[];
  readonly ticket: Ticket | undefined;
}

/** A submission that was sorted in: its changes are known by numbers from `base` on, which costs no object for each of many thousands. */
export interface Sorted extends Submission {
  readonly base: number;
}

export interface Head {
  readonly base: number;
  /** Indexes of changes that were taken out of turn. */
  readonly pulled: Set<number>;
  /** Key -> index of the last change of it that was taken out of turn; infinity: one of a later submission was. */
  readonly latest: Readonly<Record<Kind, Map<string, number>>>;
}

/** Keys of each kind. */
type Keys = Readonly<Record<Kind, Set<string>>>;
export const noKeys = (): Keys => ({ workload: new Set(), service: new Set(), policy: new Set() });

/** Numbers by text, several each, without a list for each text. */
export function numberLists() {
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
