// SPDX-License-Identifier: Apache-2.0
// The verdict of authorization policies, written from their meaning alone and as plainly as it goes: what everything else is compared with.
import type { Identity } from '../../src/mesh/identity.ts';
import { type AddressMatch, type Match, type Policy, policyKey, type StringMatch } from '../../src/mesh/policy.ts';
import { cidrContains, maskAddress } from '../../src/net/cidr.ts';

export interface Connection {
  /** Undefined: nobody owns the source address. */
  readonly identity: Identity | undefined;
  readonly source: string;
  readonly destination: string;
  readonly port: number;
}

export interface Destination {
  readonly namespace: string;
  readonly authorizationPolicies: readonly string[];
}

export interface ReferenceVerdict {
  readonly allowed: boolean;
  readonly why: 'deny' | 'allow' | 'no-allow-policy' | 'no-match';
  /** Every policy with a rule that matches and made the verdict, as "namespace/name#rule". */
  readonly by: ReadonlySet<string>;
}

/** Policies that hold for a destination. One that it names and nobody knows denies everything. */
export function policiesFor(policies: readonly Policy[], of: Destination): Policy[] {
  const held = policies.filter((p) => {
    if (p.scope === 'global') return true;
    if (p.scope === 'namespace') return p.namespace === of.namespace;
    return of.authorizationPolicies.includes(policyKey(p));
  });
  for (const name of new Set(of.authorizationPolicies)) {
    if (policies.some((p) => policyKey(p) === name)) continue;
    const [namespace = '', key = ''] = name.split('/');
    held.push({ namespace, name: key, scope: 'selector', action: 'deny', rules: [[]], dryRun: false });
  }
  return held;
}

/** @param dry counts dry runs as if they were enforced */
export function referenceVerdict(held: readonly Policy[], connection: Connection, dry = false): ReferenceVerdict {
  const enforced = held.filter((p) => dry || !p.dryRun);
  const matching = (action: Policy['action']) =>
    new Set(
      enforced
        .filter((p) => p.action === action)
        .flatMap((p) => p.rules.flatMap((rule, i) => (ruleHolds(rule, connection) ? `${policyKey(p)}#${i}` : []))),
    );
  const deny = matching('deny');
  if (deny.size > 0) return { allowed: false, why: 'deny', by: deny };
  if (!enforced.some((p) => p.action === 'allow')) return { allowed: true, why: 'no-allow-policy', by: new Set() };
  const allow = matching('allow');
  if (allow.size > 0) return { allowed: true, why: 'allow', by: allow };
  return { allowed: false, why: 'no-match', by: new Set() };
}

/** All clauses; a rule without any holds. */
function ruleHolds(rule: Policy['rules'][number], connection: Connection): boolean {
  return rule.every((clause) => clause.length === 0 || clause.some((match) => matchHolds(match, connection)));
}

function matchHolds(m: Match, { identity, source, destination, port }: Connection): boolean {
  if (Object.values(m).every((list) => list.length === 0)) return false;
  const namespace = identity?.namespace ?? '';
  const spiffe = identity
    ? `spiffe://${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}`
    : '';
  return (
    kind(m.namespaces, m.notNamespaces, (s) => textHolds(s, namespace)) &&
    kind(m.principals, m.notPrincipals, (s) => {
      return spiffe.startsWith('spiffe://') && textHolds(s, spiffe.slice('spiffe://'.length));
    }) &&
    kind(m.serviceAccounts, m.notServiceAccounts, (a) => {
      return identity !== undefined && a.namespace === namespace && a.serviceAccount === identity.serviceAccount;
    }) &&
    kind(m.sourceIps, m.notSourceIps, (range) => rangeHolds(range, source)) &&
    kind(m.destinationIps, m.notDestinationIps, (range) => rangeHolds(range, destination)) &&
    kind(m.destinationPorts, m.notDestinationPorts, (p) => p === port)
  );
}

/** Of the positive values any, if there are any; of the negative ones none. */
function kind<T>(positive: readonly T[], negative: readonly T[], holds: (value: T) => boolean): boolean {
  return (positive.length === 0 || positive.some(holds)) && !negative.some(holds);
}

function textHolds(match: StringMatch, text: string): boolean {
  switch (match.kind) {
    case 'exact':
      return text === match.value;
    case 'prefix':
      return text.startsWith(match.value);
    case 'suffix':
      return text.endsWith(match.value);
    case 'presence':
      return text !== '';
  }
}

function rangeHolds({ address, length }: AddressMatch, of: string): boolean {
  return cidrContains({ address: maskAddress(address, length), length }, of);
}
