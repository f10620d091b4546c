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

export interface Policy {
  readonly name: string;
  readonly namespace: string;
  /** 'selector': only for workloads that name it. */
  readonly scope: 'global' | 'namespace' | 'selector';
  readonly action: 'allow' | 'deny';
  readonly rules: readonly Rule[];
  /** Counted and logged, never enforced. */
  readonly dryRun: boolean;
}

/** Key of a policy in the model: "namespace/name". */
export function policyKey(p: { readonly namespace: string; readonly name: string }): string {
  return `${p.namespace}/${p.name}`;
}
