// SPDX-License-Identifier: Apache-2.0
// Alias table (Walker 1977, built as Vose 1991): one draw in proportion to weights costs one random number and one comparison.

export interface AliasTable {
  /** Slot i is taken as it is when a random u32 is below threshold[i]: the probability in units of 2^-32, at most 0xffffffff. */
  readonly threshold: Uint32Array;
  /** Who gets the rest of slot i; a full slot names itself. */
  readonly alias: Uint32Array;
}

const one = 2 ** 32;

/**
 * The table for positive integer weights (at most 2^32-1 each). All arithmetic is on integers, so that only the thresholds are rounded:
 * what the slots give index i differs from weight/sum by at most half of 2^-32 for each slot that names i.
 * @throws RangeError when weights times their number does not fit into 53 bits.
 */
export function aliasTable(weights: readonly number[]): AliasTable {
  const n = weights.length;
  const threshold = new Uint32Array(n).fill(one - 1);
  const alias = Uint32Array.from({ length: n }, (_, i) => i);
  const sum = weights.reduce((a, b) => a + b, 0);
  if (!Number.isSafeInteger(sum * n)) throw new RangeError(`the sum ${sum} of ${n} weights is too large`);
  // Slot i holds `sum`; index i has weight * n to place, so that all slots together are filled exactly.
  const left = weights.map((w) => w * n);
  const small: number[] = [];
  const large: number[] = [];
  for (let i = 0; i < n; i++) {
    if ((left[i] as number) < sum) small.push(i);
    else if ((left[i] as number) > sum) large.push(i);
  }
  while (small.length > 0) {
    const s = small.pop() as number;
    const l = large[large.length - 1] as number;
    threshold[s] = Math.min(one - 1, Math.round((left[s] as number) * (one / sum)));
    alias[s] = l;
    const rest = (left[l] as number) - (sum - (left[s] as number));
    left[l] = rest;
    if (rest > sum) continue;
    large.pop();
    if (rest < sum) small.push(l);
  }
  return { threshold, alias };
}
