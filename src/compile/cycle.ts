// SPDX-License-Identifier: Apache-2.0
// The order in which weighted round robin goes round: spread evenly, so that a heavy endpoint never gets a burst.
import { reduceWeights } from './weights.ts';

/** Longest cycle: what the Maglev array takes for one backend. */
export const maxCycle = 16381;

/** Weights (at most `most` of them) whose sum is at most `most`, in proportion as far as integers of at least 1 allow. */
function fitWeights(weights: readonly number[], most: number): readonly number[] {
  const reduced = reduceWeights(weights);
  if (sumOf(reduced) <= most) return reduced;
  // Who would get less than 1 gets 1; the others share what is left, until nobody more falls below.
  const fitted = new Array<number>(reduced.length).fill(1);
  let sharing = reduced.map((weight, index) => ({ weight, index, rest: 0 }));
  let room = most;
  let quota = 0;
  for (;;) {
    quota = room / sharing.reduce((sum, s) => sum + s.weight, 0);
    const more = sharing.filter((s) => s.weight * quota >= 1);
    if (more.length === sharing.length) break;
    room -= sharing.length - more.length;
    sharing = more;
  }
  for (const s of sharing) {
    const whole = Math.floor(s.weight * quota);
    fitted[s.index] = whole;
    s.rest = s.weight * quota - whole;
  }
  // Largest remainders get what is left over.
  sharing.sort((a, b) => b.rest - a.rest || a.index - b.index);
  const spare = most - sumOf(fitted);
  for (const s of sharing.slice(0, spare)) fitted[s.index] = (fitted[s.index] as number) + 1;
  return reduceWeights(fitted);
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

/** Endpoints of one weight: their deficits differ by their turns only, so they take theirs in order. */
interface Group {
  readonly weight: number;
  readonly of: number[];
  /** Next in `of`. */
  at: number;
  /** How far the next one is behind its share, in units of 1/sum. */
  credit: number;
  /** Full rounds through `of`, that is turns that the next one has had. */
  rounds: number;
}

/**
 * Smooth weighted round robin as nginx does it: each step adds its weight to everyone's credit, the richest goes and pays the sum.
 * @returns indexes into `weights`, each as often as its weight (divided by the common divisor, scaled to at most 16381 in all). Empty
 * when the weights are equal (plain turns say the same) or more than 16381 (no cycle can name them all).
 */
export function weightedCycle(weights: readonly number[]): Uint16Array {
  if (weights.length > maxCycle || weights.every((w) => w === weights[0])) return new Uint16Array(0);
  const fitted = fitWeights(weights, maxCycle);
  const sum = sumOf(fitted);
  const groups = new Map<number, Group>();
  fitted.forEach((weight, i) => {
    const group = groups.get(weight);
    if (group) group.of.push(i);
    else groups.set(weight, { weight, of: [i], at: 0, credit: 0, rounds: 0 });
  });
  const list = [...groups.values()];
  const cycle = new Uint16Array(sum);
  for (let step = 0; step < sum; step++) {
    let best: Group | undefined;
    for (const group of list) {
      group.credit = (step + 1) * group.weight - group.rounds * sum;
      const ahead = best ? group.credit - best.credit : 1;
      if (ahead > 0 || (ahead === 0 && next(group) < next(best as Group))) best = group;
    }
    const chosen = best as Group;
    cycle[step] = next(chosen);
    chosen.at++;
    if (chosen.at === chosen.of.length) {
      chosen.at = 0;
      chosen.rounds++;
    }
  }
  return cycle;
}

function next(group: Group): number {
  return group.of[group.at] as number;
}
