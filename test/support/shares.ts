// SPDX-License-Identifier: Apache-2.0
// Shares of random choices, measured so that chance alone does not fail a test.
import { type Judgement, judgeShares, mostSigmas } from '../../src/demo/shares.ts';

/**
 * Takes a sample and judges it. A share that is off is measured once more, four times as long, so that chance alone
 * does not decide; a wrong share is off in the second sample, too.
 *
 * @param sample takes `n` calls and returns who answered how often.
 */
export async function measureShares(
  sample: (n: number) => Promise<Readonly<Record<string, number>>>,
  n: number,
  weights: Readonly<Record<string, number>>,
): Promise<Judgement> {
  const first = judgeShares(await sample(n), weights);
  if (first.strangers.length > 0 || first.worst <= mostSigmas || first.worst === Number.POSITIVE_INFINITY) return first;
  return judgeShares(await sample(4 * n), weights);
}
