// SPDX-License-Identifier: Apache-2.0
// An authorization policy of layer 4. Field meanings follow istio.security.Authorization.
import type { Address } from '../net/address.ts';

/** How a text is compared. 'presence': any text that is not empty. */
export type StringMatch =
  | { readonly kind: 'exact' | 'prefix' | 'suffix'; readonly value: string }
  | { readonly kind: 'presence' };

/** A range of addresses: `length` bits of the address's own family. */
export interface AddressMatch {
  readonly address: Address;
  readonly length: number;
}

export interface ServiceAccountMatch {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/**
 * One match: each kind that has values must hold (any of the values), and no value of a `not` kind may. One without any value never holds.
 * Principals are without "spiffe://": "cluster.local/ns/shop/sa/cart".
 */
export interface Match {
  readonly namespaces: readonly StringMatch[];
  readonly notNamespaces: readonly StringMatch[];
  readonly principals: readonly StringMatch[];
  readonly notPrincipals: readonly StringMatch[];
  readonly serviceAccounts: readonly ServiceAccountMatch[];
  readonly notServiceAccounts: readonly ServiceAccountMatch[];
  readonly sourceIps: readonly AddressMatch[];
  readonly notSourceIps: readonly AddressMatch[];
  readonly destinationIps: readonly AddressMatch[];
  readonly notDestinationIps: readonly AddressMatch[];
  readonly destinationPorts: readonly number[];
  readonly notDestinationPorts: readonly number[];
}

/** Any match of a clause; all clauses of a rule; any rule of a policy. */
export type Clause = readonly Match[];
export type Rule = readonly Clause[];

/**
 * Why a policy is not what its author wrote last. 'refused': it never was good, and stands here as a DENY of everything.
 * 'stale': a later version was refused, this is the last good one.
 */
export interface PolicyFault {
  readonly kind: 'refused' | 'stale';
  readonly reason: string;
}

export interface Policy {
  readonly name: string;
  readonly namespace: string;
  /** 'selector': only for workloads that name it. */
  readonly scope: 'global' | 'namespace' | 'selector';
  readonly action: 'allow' | 'deny';
  readonly rules: readonly Rule[];
  /** The number of each rule where it was written; absent: none was left out. */
  readonly written?: readonly number[];
  /** Counted and logged, never enforced. */
  readonly dryRun: boolean;
  readonly fault?: PolicyFault;
}

/** What the rule at a place is called: its number where it was written. */
export const ruleNumber = ({ written }: Policy, rule: number): number => written?.[rule] ?? rule;

/** Key of a policy in the model: "namespace/name". */
export function policyKey(p: { readonly namespace: string; readonly name: string }): string {
  return `${p.namespace}/${p.name}`;
}

/** Stands for a policy that was refused before it ever was in force: whatever it may hold for is closed. A rule without clauses holds always. */
export function refusedPolicy(of: Pick<Policy, 'name' | 'namespace' | 'scope'>, reason: string): Policy {
  const { name, namespace, scope } = of;
  return { name, namespace, scope, action: 'deny', rules: [[]], dryRun: false, fault: { kind: 'refused', reason } };
}

/** A match without any value: never holds. */
export const emptyMatch: Match = {
  namespaces: [],
  notNamespaces: [],
  principals: [],
  notPrincipals: [],
  serviceAccounts: [],
  notServiceAccounts: [],
  sourceIps: [],
  notSourceIps: [],
  destinationIps: [],
  notDestinationIps: [],
  destinationPorts: [],
  notDestinationPorts: [],
};

const kindsOfMatch = Object.keys(emptyMatch) as (keyof Match)[];

export function isEmptyMatch(match: Match): boolean {
  return kindsOfMatch.every((kind) => match[kind].length === 0);
}
