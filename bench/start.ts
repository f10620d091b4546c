// SPDX-License-Identifier: Apache-2.0
// How long the command line takes to start, against node with nothing to do. In turn; user and system CPU time of whole processes.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type Line, report } from './report.ts';
import { spread, spreadText } from './statistics.ts';

const rounds = 15;
const program = join(import.meta.dirname, '..', 'bin', 'kmeshctl.js');

/** Wall milliseconds of one run. */
function run(args: readonly string[]): number {
  const started = performance.now();
  const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}`);
  return performance.now() - started;
}

export async function benchStart(): Promise<Line[]> {
  const nothing: number[] = [];
  const help: number[] = [];
  const version: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const one = [run(['-e', '0']), run([program, '--help']), run([program, 'version', '--client'])] as const;
    if (round < 0) continue;
    nothing.push(one[0]);
    help.push(one[1]);
    version.push(one[2]);
  }
  const line = (what: string, times: readonly number[]): Line => {
    const ratios = times.map((ms, i) => ms / (nothing[i] as number));
    return {
      what,
      figure: `${spreadText(ratios)}x node -e 0; ${spreadText(times, 0)} ms`,
      limit: 'at most 1.5x',
      met: spread(ratios).median <= 1.5,
    };
  };
  return report('Start', [
    { what: 'node -e 0', figure: `${spreadText(nothing, 0)} ms` },
    line('kmeshctl --help', help),
    line('kmeshctl version --client', version),
  ]);
}
