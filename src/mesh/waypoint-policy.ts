// SPDX-License-Identifier: Apache-2.0
// An authorization policy aimed at a service or a gateway, with all that HTTP tells. Field meanings follow istio.security.v1beta1.
import type { AddressMatch, ServiceAccountMatch, StringMatch } from './policy.ts';

export interface PolicyTarget {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
}

/** Values that must hold (any; none given: all) and those that must not. */
export interface Values<T> {
  readonly any: readonly T[];
  readonly none: readonly T[];
}

export interface HttpSource {
  readonly principals: Values<StringMatch>;
  readonly namespaces: Values<StringMatch>;
  readonly serviceAccounts: Values<ServiceAccountMatch>;
  readonly requestPrincipals: Values<StringMatch>;
  readonly ips: Values<AddressMatch>;
  readonly remoteIps: Values<AddressMatch>;
}

export interface HttpOperation {
  readonly hosts: Values<StringMatch>;
  readonly ports: Values<number>;
  readonly methods: Values<StringMatch>;
  /** As written: Istio's forms with one '*' at an end, and templates such as "/a/{*}/b/{**}". */
  readonly paths: Values<string>;
}

/** One that asks for a header, or for a server name, or for what is never known here: a claim of a token. */
export type HttpCondition =
  | { readonly kind: 'header'; readonly name: string; readonly values: Values<StringMatch> }
  | { readonly kind: 'sni'; readonly values: Values<StringMatch> }
  | { readonly kind: 'source'; readonly source: Partial<HttpSource> }
  | { readonly kind: 'destination-ip'; readonly values: Values<AddressMatch> }
  | { readonly kind: 'destination-port'; readonly values: Values<number> }
  | { readonly kind: 'token'; readonly values: Values<StringMatch> };

/** Any of `from`, any of `to` (none given: all), and all of `when`. */
export interface HttpPolicyRule {
  readonly from: readonly HttpSource[];
  readonly to: readonly HttpOperation[];
  readonly when: readonly HttpCondition[];
}

export interface WaypointPolicy {
  readonly kind: 'AuthorizationPolicy';
  readonly namespace: string;
  readonly name: string;
  readonly created?: number;
  readonly targets: readonly PolicyTarget[];
  readonly action: 'allow' | 'deny';
  readonly rules: readonly HttpPolicyRule[];
  readonly dryRun: boolean;
  /** Why it denies everything: it was refused, and no good version of it is known. */
  readonly refused?: string;
}
