// SPDX-License-Identifier: Apache-2.0
// A policy as conjunctions: it matches a connection when one of them does, and one does when all its literals hold. A literal asks one thing
// about one of four values of the connection, so that each value can be looked up by itself.
import { cidrText } from '../net/cidr.ts';
import type { AddressMatch, Clause, Match, Policy, ServiceAccountMatch, StringMatch } from './policy.ts';
import { finish, type Steps } from './steps.ts';

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
const rangeAtom = ({ address, length }: AddressMatch): string => cidrText(address, length);
const portAtom = (port: number): string => String(port);

const accountAtom = (a: ServiceAccountMatch): string => `a=${a.namespace}/${a.serviceAccount}`;

interface Kind {
  readonly list: keyof Match;
  readonly dimension: Dimension;
  readonly not: boolean;
  atoms(match: Match): readonly string[];
}

/** The lists of a match, each with its opposite. */
const kinds: readonly Kind[] = (
  [
    ['namespaces', 'identity', (m) => m.namespaces.map(textAtom('n'))],
    ['notNamespaces', 'identity', (m) => m.notNamespaces.map(textAtom('n'))],
    ['principals', 'identity', (m) => m.principals.map(textAtom('p'))],
    ['notPrincipals', 'identity', (m) => m.notPrincipals.map(textAtom('p'))],
    ['serviceAccounts', 'identity', (m) => m.serviceAccounts.map(accountAtom)],
    ['notServiceAccounts', 'identity', (m) => m.notServiceAccounts.map(accountAtom)],
    ['sourceIps', 'source', (m) => m.sourceIps.map(rangeAtom)],
    ['notSourceIps', 'source', (m) => m.notSourceIps.map(rangeAtom)],
    ['destinationIps', 'destination', (m) => m.destinationIps.map(rangeAtom)],
    ['notDestinationIps', 'destination', (m) => m.notDestinationIps.map(rangeAtom)],
    ['destinationPorts', 'port', (m) => m.destinationPorts.map(portAtom)],
    ['notDestinationPorts', 'port', (m) => m.notDestinationPorts.map(portAtom)],
  ] satisfies [keyof Match, Dimension, Kind['atoms']][]
).map(([list, dimension, atoms]) => ({ list, dimension, not: list.startsWith('not'), atoms }));

function literal(dimension: Dimension, not: boolean, atoms: Iterable<string>): Literal {
  return { dimension, not, atoms: [...new Set(atoms)].sort() };
}

function literalsOf(match: Match): Literal[] {
  const out: Literal[] = [];
  for (const { list, dimension, not, atoms } of kinds) {
    if (match[list].length > 0) out.push(literal(dimension, not, atoms(match)));
  }
  return out;
}

const matchesAStep = 256;

/**
 * The ways in which a clause can hold. Matches that ask one positive thing are joined by dimension: a rule with 10,000 ranges, one an
 * entry, is one conjunction. A match that holds no value never holds.
 */
function* alternativesOf(clause: Clause): Steps<Conjunction[]> {
  if (clause.length === 0) return [[]];
  const joined = new Map<Dimension, string[]>();
  const out: Conjunction[] = [];
  let seen = 0;
  for (const match of clause) {
    if (++seen % matchesAStep === 0) yield;
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
  for (const [dimension, atoms] of joined) {
    yield;
    out.push([literal(dimension, false, atoms)]);
  }
  return out;
}

function product(clauses: readonly Conjunction[][]): Conjunction[] {
  let out: Conjunction[] = [[]];
  for (const alternatives of clauses) out = out.flatMap((start) => alternatives.map((more) => [...start, ...more]));
  return out;
}

/** How many conjunctions a policy makes, without making them. */
export function conjunctionCount(policy: Policy): number {
  return policy.rules.reduce((sum, rule) => sum + rule.reduce((size, clause) => size * alternativeCount(clause), 1), 0);
}

function alternativeCount(clause: Clause): number {
  if (clause.length === 0) return 1;
  const joined = new Set<Dimension>();
  let count = 0;
  for (const match of clause) {
    const given = kinds.filter(({ list }) => match[list].length > 0);
    const [only] = given;
    if (only === undefined) continue;
    if (given.length === 1 && !only.not) joined.add(only.dimension);
    else count++;
  }
  return count + joined.size;
}

/** More than `maxConjunctions`. */
export function isTooWide(policy: Policy): boolean {
  // Nearly always the matches are so few that they need not be looked at.
  const most = policy.rules.reduce(
    (sum, rule) => sum + rule.reduce((n, clause) => n * Math.max(1, clause.length), 1),
    0,
  );
  return most > maxConjunctions && conjunctionCount(policy) > maxConjunctions;
}

/** The conjunctions of each rule, or undefined when there would be more than `maxConjunctions`. */
export function* makingConjunctions(policy: Policy): Steps<Conjunction[][] | undefined> {
  if (isTooWide(policy)) return undefined;
  const out: Conjunction[][] = [];
  for (const rule of policy.rules) {
    const clauses: Conjunction[][] = [];
    for (const clause of rule) clauses.push(yield* alternativesOf(clause));
    out.push(product(clauses));
  }
  return out;
}

/** makingConjunctions() at once. */
export function conjunctionsOf(policy: Policy): Conjunction[][] | undefined {
  return finish(makingConjunctions(policy));
}
