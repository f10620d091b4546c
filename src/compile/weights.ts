// SPDX-License-Identifier: Apache-2.0
// Integer weights: common divisors, and fractions brought to a common scale.

/** Largest weight an endpoint can have: it stands in a u32. */
export const maxWeight = 0xffffffff;

function gcd(a: number, b: number): number {
  let x = a;
  let y = b;
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

/** The weights divided by what divides them all. */
export function reduceWeights(weights: readonly number[]): readonly number[] {
  let divisor = 0;
  for (const w of weights) {
    divisor = gcd(w, divisor);
    if (divisor === 1) return weights;
  }
  return divisor === 0 ? weights : weights.map((w) => w / divisor);
}

/**
 * Integer weights (1..2^32-1) in proportion to times/per (both positive integers).
 * Exact where a common scale fits into 32 bits, else rounded to 31 bits of the largest.
 */
export function integerShares(parts: readonly { readonly times: number; readonly per: number }[]): readonly number[] {
  let scale = 1;
  for (const per of new Set(parts.map((p) => p.per))) {
    scale = (scale / gcd(scale, per)) * per;
    if (scale > maxWeight) break;
  }
  const exact = scale <= maxWeight ? parts.map((p) => p.times * (scale / p.per)) : [];
  if (exact.length > 0 && exact.every(Number.isSafeInteger)) {
    const reduced = reduceWeights(exact);
    if (reduced.every((w) => w <= maxWeight)) return reduced;
  }
  const largest = parts.reduce((max, p) => Math.max(max, p.times / p.per), 0);
  return reduceWeights(parts.map((p) => Math.max(1, Math.round((p.times / p.per / largest) * 0x7fffffff))));
}
