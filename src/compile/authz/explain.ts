// SPDX-License-Identifier: Apache-2.0
// Why a connection is allowed or denied: what matched, or the rules that came nearest, from the same vectors that make the verdict.
import { type Dimension, dimensions } from '../../mesh/conjunction.ts';
import type { Policy } from '../../mesh/policy.ts';
import {
  type Allows,
  type Asked,
  asked,
  type Found,
  type Judgement,
  judgeAsked,
  type Question,
  type Stack,
} from './judge.ts';
import { type Part, parts } from './set.ts';
import { wordOf } from './vector.ts';

/** A rule that did not match, and the values of the connection on account of which it did not. */
export interface Miss<P = Policy> {
  readonly policy: P;
  readonly rule: number;
  readonly because: readonly Dimension[];
}

export interface Explanation<P = Policy> {
  readonly judgement: Judgement<P>;
  /** Of a connection that no ALLOW policy matches: the rules that fail by the fewest values, at most `maxMisses`. */
  readonly nearest: readonly Miss<P>[];
  /** Policies that hold for the destination, in the order in which they are asked. */
  readonly policies: readonly P[];
}

const maxMisses = 3;

export function explain(stack: Stack, question: Question): Explanation {
  return explainAsked(asked(stack, question), stack);
}

/** The same for sets whose values are found already. */
export function explainAsked<P>(sets: readonly Asked<P>[], allows: Allows): Explanation<P> {
  const judgement = judgeAsked(sets, allows);
  const nearest = judgement.why === 'no-match' ? fewest(sets.flatMap((set) => misses(set, 'allow'))) : [];
  return { judgement, nearest, policies: [...new Set(sets.flatMap(({ policies }) => policies))] };
}

function misses<P>({ ends, vectors, memberAt }: Asked<P>, part: Part): Miss<P>[] {
  const out: Miss<P>[] = [];
  const at = parts.indexOf(part);
  for (let bit = 64 * (ends[at - 1] ?? 0); bit < 64 * (ends[at] as number); bit++) {
    const member = memberAt(bit);
    if (member === undefined) continue;
    const because = dimensions.filter((_, i) => !hasBit(vectors[i] as Found, bit));
    out.push({ policy: member.policy, rule: member.rule, because });
  }
  return out;
}

function hasBit({ vector, usual }: Found, bit: number): boolean {
  const half = wordOf(vector, usual, bit >>> 6)[(bit >>> 5) & 1] as number;
  return (half & (1 << (bit & 31))) !== 0;
}

/** Those with the fewest reasons, one for each rule. */
function fewest<P>(all: readonly Miss<P>[]): Miss<P>[] {
  const least = all.reduce((n, { because }) => Math.min(n, because.length), Number.POSITIVE_INFINITY);
  const out: Miss<P>[] = [];
  for (const miss of all) {
    if (miss.because.length > least || out.length === maxMisses) continue;
    if (!out.some(({ policy, rule }) => policy === miss.policy && rule === miss.rule)) out.push(miss);
  }
  return out;
}
