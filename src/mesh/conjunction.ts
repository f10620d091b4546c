// SPDX-License-Identifier: Apache-2.0
// A policy as conjunctions: it matches a connection when one of them does, and one does when all its literals hold. A literal asks one thing
// about one of four values of the connection, so that each value can be looked up by itself.
import type { Address } from '../net/address.ts';
import { cidrText } from '../net/cidr.ts';
import type { AddressMatch, Clause, Match, Policy, Rule, StringMatch } from './policy.ts';

/** The values of a connection that policies ask for. */
export const dimensions = ['identity', 'source', 'destination', 'port'] as const;
export type Dimension = (typeof dimensions)[number];

/**
 * Holds when one of the atoms does, or with `not` when none does. Atoms are texts, so that equal ones are one: a range ("10.0.0.0/8", or an address), a
 * port ("80"), or for identities the attribute (n namespace, p principal, a service account), how it is compared (= exact, ^ prefix,
 * $ suffix, + presence) and the value: "n=shop", "p^cluster.local/ns/shop/", "a=shop/cart".
 */
export interface Literal {
  readonly dimension: Dimension;
  readonly not: boolean;
  /** Sorted, each once, at least one. */
  readonly atoms: readonly string[];
}

/** All of its literals; none: always. */
export type Conjunction = readonly Literal[];

/** More than this of one policy is refused. */
export const maxConjunctions = 16_384;

const marks = { exact: '=', prefix: '^', suffix: '$', presence: '+' } as const;

const textAtom = (attribute: 'n' | 'p') => (match: StringMatch) =>
  `${attribute}${marks[match.kind]}${match.kind === 'presence' ? '' : match.value}`;
const rangeAtom = ({ address, length }: AddressMatch): string => cidrText(address satisfies Address, length);
const portAtom = (port: number): string => String(port);

/** The kinds of values of a match, each with its opposite. */
const kinds: readonly {
  readonly dimension: Dimension;
  readonly is: (match: Match) => readonly string[];
  readonly not: (match: Match) => readonly string[];
}[] = [
  {
    dimension: 'identity',
    is: (m) => m.namespaces.map(textAtom('n')),
    not: (m) => m.notNamespaces.map(textAtom('n')),
  },
  {
    dimension: 'identity',
    is: (m) => m.principals.map(textAtom('p')),
    not: (m) => m.notPrincipals.map(textAtom('p')),
  },
  {
    dimension: 'identity',
    is: (m) => m.serviceAccounts.map((a) => `a=${a.namespace}/${a.serviceAccount}`),
    not: (m) => m.notServiceAccounts.map((a) => `a=${a.namespace}/${a.serviceAccount}`),
  },
  { dimension: 'source', is: (m) => m.sourceIps.map(rangeAtom), not: (m) => m.notSourceIps.map(rangeAtom) },
  {
    dimension: 'destination',
    is: (m) => m.destinationIps.map(rangeAtom),
    not: (m) => m.notDestinationIps.map(rangeAtom),
  },
  {
    dimension: 'port',
    is: (m) => m.destinationPorts.map(portAtom),
    not: (m) => m.notDestinationPorts.map(portAtom),
  },
];

function literal(dimension: Dimension, not: boolean, atoms: Iterable<string>): Literal {
  return { dimension, not, atoms: [...new Set(atoms)].sort() };
}

function literalsOf(match: Match): Literal[] {
  const out: Literal[] = [];
  for (const { dimension, is, not } of kinds) {
    const positive = is(match);
    const negative = not(match);
    if (positive.length > 0) out.push(literal(dimension, false, positive));
    if (negative.length > 0) out.push(literal(dimension, true, negative));
  }
  return out;
}

/**
 * The ways in which a clause can hold. Matches that ask one positive thing are joined by dimension: a rule with 10,000 ranges, one an
 * entry, is one conjunction. A match that holds no value never holds.
 */
function alternativesOf(clause: Clause): Conjunction[] {
  if (clause.length === 0) return [[]];
  const joined = new Map<Dimension, string[]>();
  const out: Conjunction[] = [];
  for (const match of clause) {
    const literals = literalsOf(match);
    const [only] = literals;
    if (only === undefined) continue;
    if (literals.length > 1 || only.not) out.push(literals);
    else {
      const atoms = joined.get(only.dimension) ?? [];
      for (const atom of only.atoms) atoms.push(atom);
      joined.set(only.dimension, atoms);
    }
  }
  for (const [dimension, atoms] of joined) out.push([literal(dimension, false, atoms)]);
  return out;
}

function product(clauses: readonly Conjunction[][]): Conjunction[] {
  let out: Conjunction[] = [[]];
  for (const alternatives of clauses) out = out.flatMap((start) => alternatives.map((more) => [...start, ...more]));
  return out;
}

const sizeOf = (clauses: readonly Conjunction[][]) => clauses.reduce((size, list) => size * list.length, 1);

/** The conjunctions of each rule, or undefined when there would be more than `maxConjunctions`. */
export function conjunctionsOf(policy: Policy): Conjunction[][] | undefined {
  const rules = policy.rules.map((rule: Rule) => rule.map(alternativesOf));
  if (rules.reduce((sum, clauses) => sum + sizeOf(clauses), 0) > maxConjunctions) return undefined;
  return rules.map(product);
}
