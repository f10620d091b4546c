// SPDX-License-Identifier: Apache-2.0
// Why a connection is allowed or denied: what matched, or the rules that came nearest, from the same vectors that make the verdict.
import { type Dimension, dimensions } from '../../mesh/conjunction.ts';
import type { Policy } from '../../mesh/policy.ts';
import { addressBytes } from '../../net/address.ts';
import { type Found, type Judgement, judge, type Question, type Stack, vectorsOf } from './judge.ts';
import { type Part, type PolicySet, partOf } from './set.ts';
import { wordOf } from './vector.ts';

/** A rule that did not match, and the values of the connection on account of which it did not. */
export interface Miss {
  readonly policy: Policy;
  readonly rule: number;
  readonly because: readonly Dimension[];
}

export interface Explanation {
  readonly judgement: Judgement;
  /** Of a connection that no ALLOW policy matches: the rules that fail by the fewest values, at most `maxMisses`. */
  readonly nearest: readonly Miss[];
  /** Policies that hold for the destination, in the order in which they are asked. */
  readonly policies: readonly Policy[];
}

const maxMisses = 3;

export function explain(stack: Stack, question: Question): Explanation {
  const judgement = judge(stack, question);
  const bytes = addressBytes(question.source);
  const nearest =
    judgement.why === 'no-match'
      ? fewest(stack.sets.flatMap((entry) => misses(entry.set, vectorsOf(entry, question, bytes), 'allow')))
      : [];
  return { judgement, nearest, policies: [...new Set(stack.sets.flatMap(({ set }) => set.policies))] };
}

function misses(set: PolicySet, vectors: readonly Found[], part: Part): Miss[] {
  const out: Miss[] = [];
  set.members.forEach((member, bit) => {
    if (member === undefined || partOf(member.policy) !== part) return;
    const because = dimensions.filter((_, i) => !hasBit(vectors[i] as Found, bit));
    out.push({ policy: member.policy, rule: member.rule, because });
  });
  return out;
}

function hasBit({ vector, usual }: Found, bit: number): boolean {
  const half = wordOf(vector, usual, bit >>> 6)[(bit >>> 5) & 1] as number;
  return (half & (1 << (bit & 31))) !== 0;
}

/** Those with the fewest reasons, one for each rule. */
function fewest(all: readonly Miss[]): Miss[] {
  const least = all.reduce((n, { because }) => Math.min(n, because.length), Number.POSITIVE_INFINITY);
  const out: Miss[] = [];
  for (const miss of all) {
    if (miss.because.length > least || out.length === maxMisses) continue;
    if (!out.some(({ policy, rule }) => policy === miss.policy && rule === miss.rule)) out.push(miss);
  }
  return out;
}
