// SPDX-License-Identifier: Apache-2.0
// A policy set: policies compiled into bit vectors, to be asked together. It says nothing of whom it holds for, so that those with the same
// policies share it.
import { type Conjunction, type Dimension, makingConjunctions } from '../../mesh/conjunction.ts';
import { type Identity, principalOf } from '../../mesh/identity.ts';
import type { Policy } from '../../mesh/policy.ts';
import type { Steps } from '../../mesh/steps.ts';
import { type Address, addressBytes } from '../../net/address.ts';
import { buildDimension, type DimensionTable, type Placed } from './dimension.ts';
import { makingRangeEntries, openRangeLookup, type RangeEntry, rangeEntries } from './ranges.ts';
import { maxWords, openVectorPool, type Vector, wordBits } from './vector.ts';

/** So many small things make a step. */
export const stepSize = 64;

/** What a matching conjunction means. Vectors hold them in this order, each part beginning with a new word. */
export const parts = ['deny', 'allow', 'dry-deny', 'dry-allow'] as const;
export type Part = (typeof parts)[number];

function partOf({ action, dryRun }: Policy): Part {
  return dryRun ? `dry-${action}` : action;
}

/** A conjunction of a policy. */
export interface Member {
  readonly policy: Policy;
  /** Which of its rules, from 0. */
  readonly rule: number;
  readonly conjunction: Conjunction;
}

type SetDimension = Pick<DimensionTable, 'used' | 'usual' | 'base'>;

export interface PolicySet {
  /** The policies it was made of, in order; those without conjunctions too. */
  readonly policies: readonly Policy[];
  /** By bit; undefined fills a part's last word. */
  readonly members: readonly (Member | undefined)[];
  /** Where each part ends, in words. */
  readonly ends: readonly [deny: number, allow: number, dryDeny: number, dryAllow: number];
  /** By number. More may come when vectors are asked for; none changes or goes. */
  readonly vectors: readonly Vector[];
  /** What each value that is looked up leads to. Values that have no entry have the `base`. */
  readonly identity: SetDimension & {
    readonly anonymous: number;
    /** Texts that are named whole, each with its attribute: "n=shop", "p=cluster.local/ns/shop/sa/cart", "a=shop/cart". */
    readonly exact: readonly string[];
    /** Others are compared with a part: any identity may have a vector of its own. */
    readonly compares: boolean;
  };
  readonly source: SetDimension & { readonly entries: readonly (RangeEntry & { readonly value: number })[] };
  readonly destination: SetDimension;
  readonly port: SetDimension & { readonly entries: ReadonlyMap<number, number> };
  /** Vector of an identity; `base` unless an atom names it. */
  identityVector(identity: Identity): number;
  /** Vector of a destination address: looked up when the destination is written, not by programs. */
  destinationVector(address: Address): number;
  /** As programs look them up. */
  sourceVector(bytes: Uint8Array): number;
  portVector(port: number): number;
}

/** Words that members take, by part. */
function wordsOf(counts: Readonly<Record<Part, number>>): number {
  return parts.reduce((sum, part) => sum + Math.ceil(counts[part] / wordBits), 0);
}

/** The members of policies, cut into lists that fit into a set each. Policies without conjunctions are in none. */
export function* packingMembers(policies: readonly Policy[]): Steps<Member[][]> {
  const out: Member[][] = [];
  const none = { deny: 0, allow: 0, 'dry-deny': 0, 'dry-allow': 0 };
  let list: Member[] = [];
  let counts = { ...none };
  for (const policy of policies) {
    const part = partOf(policy);
    const rules = (yield* makingConjunctions(policy)) ?? [];
    for (const [rule, conjunctions] of rules.entries()) {
      for (const conjunction of conjunctions) {
        const opens = counts[part] % wordBits === 0;
        counts[part]++;
        if (opens && wordsOf(counts) > maxWords) {
          out.push(list);
          list = [];
          counts = { ...none, [part]: 1 };
        }
        list.push({ policy, rule, conjunction });
      }
    }
    yield;
  }
  if (list.length > 0) out.push(list);
  return out;
}

/** @param members at most what `packingMembers` puts into one list */
export function* compilingSet(members: readonly Member[]): Steps<PolicySet> {
  const pool = openVectorPool();
  const byBit: (Member | undefined)[] = [];
  const placed: Placed[] = [];
  const ends: number[] = [];
  for (const part of parts) {
    for (const member of members) {
      if (partOf(member.policy) !== part) continue;
      placed.push({ bit: byBit.length, conjunction: member.conjunction });
      byBit.push(member);
    }
    while (byBit.length % wordBits !== 0) byBit.push(undefined);
    ends.push(byBit.length / wordBits);
  }
  const words = byBit.length / wordBits;
  const build = (dimension: Dimension, usual: readonly string[] = []) =>
    buildDimension(dimension, placed, words, pool, usual);

  const identity = build('identity', presence);
  const atomsOf = identityAtoms(identity);
  yield;
  const source = build('source');
  yield;
  const entries: (RangeEntry & { readonly value: number })[] = [];
  for (const entry of yield* makingRangeEntries(source.atoms())) {
    entries.push({ ...entry, value: source.vectorOf(entry.chain) });
    if (entries.length % stepSize === 0) yield;
  }
  const lookup = lazily(() => openRangeLookup(entries));
  const destination = build('destination');
  yield;
  const around = lazily(() =>
    openRangeLookup(rangeEntries(destination.atoms()).map((entry) => ({ ...entry, value: entry.chain }))),
  );
  const port = build('port');
  const ports = new Map([...port.atoms()].map((atom) => [Number(atom), port.vectorOf([atom])]));

  return {
    policies: [...new Set(members.map((member) => member.policy))],
    members: byBit,
    ends: ends as unknown as PolicySet['ends'],
    vectors: pool.vectors,
    identity: {
      ...sizesOf(identity),
      anonymous: identity.vectorOf(atomsOf(undefined)),
      exact: [...identity.atoms()].filter((atom) => atom[1] === '='),
      compares: comparing(identity).length > 0,
    },
    source: { ...sizesOf(source), entries },
    destination: sizesOf(destination),
    port: { ...sizesOf(port), entries: ports },
    identityVector: (of) => identity.vectorOf(atomsOf(of)),
    destinationVector: (address) => destination.vectorOf(around().find(addressBytes(address)) ?? []),
    sourceVector: (bytes) => lookup().find(bytes) ?? source.base,
    portVector: (number) => ports.get(number) ?? port.base,
  };
}

const sizesOf = ({ used, usual, base }: DimensionTable): SetDimension => ({ used, usual, base });

/** True for every identity; those for which nothing else is have the base vector. */
const presence = ['n+', 'p+'];

/** Atoms that hold for texts with a beginning or an end. */
function comparing(table: DimensionTable): string[] {
  return [...table.atoms()].filter((atom) => atom[1] === '^' || atom[1] === '$');
}

/** The atoms that are true for an identity, or for a source that has none: its namespace is empty, and it has no principal. */
function identityAtoms(table: DimensionTable): (identity: Identity | undefined) => Iterable<string> {
  const compared = comparing(table);
  return (identity) => {
    const namespace = identity?.namespace ?? '';
    const principal = identity && principalOf(identity);
    const out = [`n=${namespace}`];
    if (namespace !== '') out.push('n+');
    if (identity !== undefined) out.push('p+', `p=${principal}`, `a=${namespace}/${identity.serviceAccount}`);
    for (const atom of compared) {
      const text = atom[0] === 'n' ? namespace : principal;
      const value = atom.slice(2);
      if (text !== undefined && (atom[1] === '^' ? text.startsWith(value) : text.endsWith(value))) out.push(atom);
    }
    return out;
  };
}

function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
