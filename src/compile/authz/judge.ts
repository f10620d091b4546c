// SPDX-License-Identifier: Apache-2.0
// The verdict on a connection, from compiled sets only and lookup by lookup as the program in the kernel finds it.
import type { Identity } from '../../mesh/identity.ts';
import type { Policy } from '../../mesh/policy.ts';
import { type Address, addressBytes } from '../../net/address.ts';
import { type Member, type Part, type PolicySet, parts } from './set.ts';
import { type Bits, type Vector, wordOf } from './vector.ts';

/** The policy sets that hold for one destination address, and the number of its destination vector in each. */
export interface Stack {
  readonly sets: readonly { readonly set: PolicySet; readonly destination: number }[];
  /** Some ALLOW policy holds, even one that nothing can match. */
  readonly allows: boolean;
  /** The same, dry runs counted too. */
  readonly dryAllows: boolean;
}

export interface Question {
  /** Of the workload that owns the source address; undefined: nobody does. */
  readonly identity: Identity | undefined;
  readonly source: Address;
  readonly port: number;
}

/** 'deny' and 'allow': a policy matched; 'no-allow-policy' allows; 'no-match' denies, as none of the ALLOW policies matched. */
export interface Verdict {
  readonly allowed: boolean;
  readonly why: 'deny' | 'allow' | 'no-allow-policy' | 'no-match';
  /** What matched. */
  readonly by?: Match;
}

export interface Match {
  readonly policy: Policy;
  readonly rule: number;
}

export interface Judgement extends Verdict {
  /** What the verdict would be if dry runs were enforced; absent when they do not matter. */
  readonly dryRun?: Verdict;
}

/** A vector that a value of a connection led to, with the usual words of its dimension. */
export interface Found {
  readonly vector: Vector;
  readonly usual: Bits;
}

/** The vectors that a connection's values lead to in one set, in the order of `dimensions`. */
export function vectorsOf(stack: Stack['sets'][number], question: Question, bytes: Uint8Array): Found[] {
  const { set, destination } = stack;
  const { identity } = question;
  const found = (number: number, { usual }: { readonly usual: Bits }): Found => ({
    vector: set.vectors[number] as Vector,
    usual,
  });
  return [
    found(identity === undefined ? set.identity.anonymous : set.identityVector(identity), set.identity),
    found(set.sourceVector(bytes), set.source),
    found(destination, set.destination),
    found(set.portVector(question.port), set.port),
  ];
}

/** The first bit of each part that all vectors have. */
function firstMatches(set: PolicySet, vectors: readonly Found[]): Partial<Record<Part, number>> {
  const found: Partial<Record<Part, number>> = {};
  const both = (half: 0 | 1) => vectors.reduce((bits, { vector }) => bits & vector.summary[half], -1);
  const summary = [both(0), both(1)] as const;
  for (let word = 0; word < set.ends[3]; word++) {
    if (((summary[word >>> 5 ? 1 : 0] as number) & (1 << (word & 31))) === 0) continue;
    const part = parts[set.ends.findIndex((end) => word < end)] as Part;
    if (found[part] !== undefined) continue;
    for (const half of [0, 1] as const) {
      const bits = vectors.reduce((all, { vector, usual }) => all & wordOf(vector, usual, word)[half], -1);
      if (bits === 0 || found[part] !== undefined) continue;
      found[part] = 64 * word + 32 * half + 31 - Math.clz32(bits & -bits);
    }
  }
  return found;
}

export function judge(stack: Stack, question: Question): Judgement {
  const bytes = addressBytes(question.source);
  const first: Partial<Record<Part, Match>> = {};
  for (const entry of stack.sets) {
    const bits = firstMatches(entry.set, vectorsOf(entry, question, bytes));
    for (const part of parts) {
      const bit = bits[part];
      if (bit === undefined || first[part] !== undefined) continue;
      const { policy, rule } = entry.set.members[bit] as Member;
      first[part] = { policy, rule };
    }
  }
  const verdict = settle(first.deny, first.allow, stack.allows);
  const dryRun = settle(first.deny ?? first['dry-deny'], first.allow ?? first['dry-allow'], stack.dryAllows);
  return dryRun.allowed === verdict.allowed && !dryRun.by?.policy.dryRun ? verdict : { ...verdict, dryRun };
}

/** Any DENY that matches denies; then no ALLOW policy allows; any ALLOW that matches allows; else it is denied. */
function settle(deny: Match | undefined, allow: Match | undefined, allows: boolean): Verdict {
  if (deny) return { allowed: false, why: 'deny', by: deny };
  if (!allows) return { allowed: true, why: 'no-allow-policy' };
  return allow ? { allowed: true, why: 'allow', by: allow } : { allowed: false, why: 'no-match' };
}
