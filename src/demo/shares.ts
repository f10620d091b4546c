// SPDX-License-Identifier: Apache-2.0
// Whether who answered fits the weights: each count against the binomial distribution its weight gives.

export interface Share {
  readonly name: string;
  readonly count: number;
  /** Part of the calls that its weight asks for, 0 to 1. */
  readonly expected: number;
  /** Distance from that in standard deviations; Infinity where chance has no part (weight 0, or the only one). */
  readonly sigmas: number;
}

export interface Judgement {
  readonly shares: readonly Share[];
  readonly total: number;
  /** Names that answered although no weight names them. */
  readonly strangers: readonly string[];
  /** The largest distance of all shares. */
  readonly worst: number;
}

/** Compares who answered how often with the weights they should answer by. */
export function judgeShares(
  counts: Readonly<Record<string, number>>,
  weights: Readonly<Record<string, number>>,
): Judgement {
  const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
  const all = Object.values(weights).reduce((sum, n) => sum + n, 0);
  const shares = Object.entries(weights).map(([name, weight]): Share => {
    const expected = all === 0 ? 0 : weight / all;
    const count = counts[name] ?? 0;
    const off = Math.abs(count - total * expected);
    const deviation = Math.sqrt(total * expected * (1 - expected));
    return { name, count, expected, sigmas: off === 0 ? 0 : off / deviation };
  });
  return {
    shares,
    total,
    strangers: Object.keys(counts).filter((name) => !(name in weights)),
    worst: Math.max(0, ...shares.map((s) => s.sigmas)),
  };
}

/** One sample in 370 of a right share lies further off by chance. */
export const mostSigmas = 3;
