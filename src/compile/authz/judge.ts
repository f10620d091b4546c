// SPDX-License-Identifier: Apache-2.0
// The verdict on a connection, from compiled sets only and lookup by lookup as the program in the kernel finds it.
import type { Identity } from '../../mesh/identity.ts';
import type { Policy } from '../../mesh/policy.ts';
import { type Address, addressBytes } from '../../net/address.ts';
import { type Part, type PolicySet, parts } from './set.ts';
import { type Bits, type Vector, wordOf } from './vector.ts';

/** The policy sets that hold for one destination address, and the number of its destination vector in each. */
export interface Stack {
  readonly sets: readonly { readonly set: PolicySet; readonly destination: number }[];
  /** Some ALLOW policy holds, even one that nothing can match. */
  readonly allows: boolean;
  /** The same, dry runs counted too. */
  readonly dryAllows: boolean;
  /** Some dry run holds. */
  readonly dry: boolean;
}

export interface Question {
  /** Of the workload that owns the source address; undefined: nobody does. */
  readonly identity: Identity | undefined;
  readonly source: Address;
  readonly port: number;
}

/**
 * 'deny' and 'allow': a policy matched; 'no-allow-policy' allows; 'no-match' denies, as none of the ALLOW policies matched.
 * P: a policy, or what else is known of it.
 */
export interface Verdict<P = Policy> {
  readonly allowed: boolean;
  readonly why: 'deny' | 'allow' | 'no-allow-policy' | 'no-match';
  /** What matched. */
  readonly by?: Match<P>;
}

export interface Match<P = Policy> {
  readonly policy: P;
  /** Which of its rules, from 0. */
  readonly rule: number;
}

export interface Judgement<P = Policy> extends Verdict<P> {
  /** What the verdict would be if dry runs were enforced; absent when they do not matter. */
  readonly dryRun?: Verdict<P>;
}

/** A vector that a value of a connection led to, with the usual words of its dimension. */
export interface Found {
  readonly vector: Vector;
  readonly usual: Bits;
}

/** A set and what the values of one connection lead to in it: compiled, or as the kernel holds it. */
export interface Asked<P = Policy> {
  readonly ends: PolicySet['ends'];
  /** In the order of `dimensions`. */
  readonly vectors: readonly Found[];
  readonly policies: readonly P[];
  memberAt(bit: number): Match<P> | undefined;
}

/** Whether ALLOW policies hold. */
export type Allows = Pick<Stack, 'allows' | 'dryAllows'>;

export function asked(stack: Stack, question: Question): Asked[] {
  const bytes = addressBytes(question.source);
  const { identity, port } = question;
  return stack.sets.map(({ set, destination }) => {
    const found = (number: number, { usual }: { readonly usual: Bits }): Found => ({
      vector: set.vectors[number] as Vector,
      usual,
    });
    return {
      ends: set.ends,
      policies: set.policies,
      memberAt: (bit) => set.members[bit],
      vectors: [
        found(identity === undefined ? set.identity.anonymous : set.identityVector(identity), set.identity),
        found(set.sourceVector(bytes), set.source),
        found(destination, set.destination),
        found(set.portVector(port), set.port),
      ],
    };
  });
}

/** The first bit of each part that all vectors have. */
function firstMatches({ ends, vectors }: Asked<unknown>): Partial<Record<Part, number>> {
  const found: Partial<Record<Part, number>> = {};
  const both = (half: 0 | 1) => vectors.reduce((bits, { vector }) => bits & vector.summary[half], -1);
  const summary = [both(0), both(1)] as const;
  for (let word = 0; word < ends[3]; word++) {
    if (((summary[word >>> 5 ? 1 : 0] as number) & (1 << (word & 31))) === 0) continue;
    const part = parts[ends.findIndex((end) => word < end)] as Part;
    if (found[part] !== undefined) continue;
    for (const half of [0, 1] as const) {
      const bits = vectors.reduce((all, { vector, usual }) => all & wordOf(vector, usual, word)[half], -1);
      if (bits === 0 || found[part] !== undefined) continue;
      found[part] = 64 * word + 32 * half + 31 - Math.clz32(bits & -bits);
    }
  }
  return found;
}

/** The verdict of all sets of a stack together. */
export function judgeAsked<P>(sets: readonly Asked<P>[], { allows, dryAllows }: Allows): Judgement<P> {
  const first: Partial<Record<Part, Match<P>>> = {};
  for (const set of sets) {
    const bits = firstMatches(set);
    for (const part of parts) {
      const bit = bits[part];
      if (bit === undefined || first[part] !== undefined) continue;
      const { policy, rule } = set.memberAt(bit) as Match<P>;
      first[part] = { policy, rule };
    }
  }
  const verdict = settle(first.deny, first.allow, allows);
  const [deny, allow] = [first['dry-deny'], first['dry-allow']];
  const dryRun = settle(first.deny ?? deny, first.allow ?? allow, dryAllows);
  const byDryRun = dryRun.by !== undefined && (dryRun.by === deny || dryRun.by === allow);
  return dryRun.allowed === verdict.allowed && !byDryRun ? verdict : { ...verdict, dryRun };
}

export function judge(stack: Stack, question: Question): Judgement {
  return judgeAsked(asked(stack, question), stack);
}

/** Any DENY that matches denies; then no ALLOW policy allows; any ALLOW that matches allows; else it is denied. */
function settle<P>(deny: Match<P> | undefined, allow: Match<P> | undefined, allows: boolean): Verdict<P> {
  if (deny) return { allowed: false, why: 'deny', by: deny };
  if (!allows) return { allowed: true, why: 'no-allow-policy' };
  return allow ? { allowed: true, why: 'allow', by: allow } : { allowed: false, why: 'no-match' };
}
