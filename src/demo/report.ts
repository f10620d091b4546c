// SPDX-License-Identifier: Apache-2.0
// The demo's tables: who answered, what is in the maps.
import type { Status } from '../tasks/status.ts';
import type { Progress } from './progress.ts';
import type { CallResult } from './traffic.ts';

const percent = (part: number): string => `${Math.round(100 * part)} %`;
const count = (n: number | bigint): string => n.toLocaleString('en-US');

/** "cart-1 301 (75 %)   cart-2 99 (25 %)", and what the weights ask for where a share is not as it should be. */
function answered(progress: Progress, result: CallResult): string {
  const { paint } = progress;
  const all = Object.values(result.answers).reduce((sum, n) => sum + n, 0);
  const names = new Set([...Object.keys(result.expected), ...Object.keys(result.answers)]);
  const one = (name: string): string => {
    const n = result.answers[name] ?? 0;
    const wanted = result.expected[name];
    const text = `${name} ${count(n)} (${percent(all === 0 ? 0 : n / all)})`;
    if (wanted === undefined) return paint.red(text);
    return n === 0 && wanted === 0 ? paint.dim(text) : text;
  };
  return [...names].map(one).join('   ');
}

/** One row an address. */
export function printCalls(progress: Progress, results: readonly CallResult[]): void {
  const { paint } = progress;
  const row = (result: CallResult): string[] => [
    paint.bold(result.service),
    `${result.protocol}://${result.address}`,
    count(result.calls),
    result.lost === 0 ? paint.green('0') : paint.red(count(result.lost)),
    answered(progress, result),
    `${count(result.median)} µs`,
  ];
  progress.table(['service', 'address', 'calls', 'lost', 'who answered', 'median'], results.map(row), [2, 3, 5]);
}

/** Fill of the maps that hold something, and what the programs counted. */
export function printMaps(progress: Progress, status: Status): void {
  const maps = status.maps.filter((map) => map.used > 0);
  progress.table(
    ['map', 'entries', 'room for'],
    maps.map((map) => [map.name, count(map.used), count(map.size)]),
    [1, 2],
  );
  progress.table(
    ['counted by the programs', 'times'],
    status.reasons.map(({ reason, count: n }) => [reason.replaceAll('_', ' '), count(n)]),
    [1],
  );
}
