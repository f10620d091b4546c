// SPDX-License-Identifier: Apache-2.0
// Requests from two sides in short turns, so that both see the same machine: direct, the other, the other, direct. What each took, and the
// CPU time that it cost all together, threads of the kernel among them: what a closed connection leaves is put away by those.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import type { Pod } from '../src/demo/lab.ts';
import { runCommand } from '../src/demo/process.ts';
import type { Line } from './report.ts';
import { percentile, spread } from './statistics.ts';

const atOnce = 32;
/** A grace period and more: until then the kernel frees what was closed. */
const settleMs = 50;

export interface Side {
  readonly pod: Pod;
  readonly address: string;
  readonly port: number;
  /** What comes before the first request of each connection, written with it. */
  readonly first?: Buffer;
}

export interface Load {
  /** So many requests; the seconds that they took. */
  run(requests: number): Promise<number>;
  stop(): Promise<unknown>;
}

export type StartLoad = (side: Side, keep: boolean, host: string) => Load;

/** Builds the generator. */
export async function loadTool(folder: string): Promise<StartLoad> {
  const tool = join(folder, 'http-load');
  await runCommand('KM_IO', 'cc', ['-O2', '-o', tool, 'bench/http-load.c']);
  let files = 0;
  const file = (content: string | Buffer): string => {
    const path = join(folder, `load-${files++}`);
    writeFileSync(path, content);
    return path;
  };
  return ({ pod, address, port, first }, keep, host) => {
    const request = `GET / HTTP/1.1\r\nHost: ${host}\r\n${keep ? '' : 'Connection: close\r\n'}\r\n`;
    const words = [
      address,
      `${port}`,
      `${atOnce}`,
      keep ? 'keep' : 'close',
      file(request),
      ...(first ? [file(first)] : []),
    ];
    const run = pod.start(tool, words);
    let said = '';
    run.child.stderr?.on('data', (chunk) => {
      said += chunk;
    });
    if (!run.child.stdout) throw new Error('the generator has no output');
    const lines = createInterface({ input: run.child.stdout })[Symbol.asyncIterator]();
    return {
      async run(requests) {
        run.child.stdin?.write(`${requests}\n`);
        const { value, done } = await lines.next();
        if (done) throw new Error(`requests of ${pod.name} to ${address}:${port} failed: ${said}`);
        return Number(value);
      },
      stop: () => run.stop(),
    };
  };
}

/** CPU microseconds of all threads of the kernel; those that have ended count no more. */
function kernelThreads(): number {
  let ns = 0;
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const parent = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1];
      if (parent === '2') ns += Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // It has ended.
    }
  }
  return ns / 1000;
}

export interface Turn {
  readonly seconds: number;
  readonly cpu: number;
}

/** One round: direct, the other, the other, direct. */
export type Round = readonly [Turn, Turn, Turn, Turn];

/** `podsUsed`: CPU microseconds of everybody who takes part. */
export async function inTurns(
  direct: Load,
  other: Load,
  { rounds, requests, podsUsed }: { readonly rounds: number; readonly requests: number; podsUsed(): number },
): Promise<Round[]> {
  const turn = async (load: Load): Promise<Turn> => {
    const before = podsUsed() + kernelThreads();
    const seconds = await load.run(requests);
    await pause(settleMs);
    return { seconds, cpu: (podsUsed() + kernelThreads() - before) / requests };
  };
  const all: Round[] = [];
  for (let round = -1; round < rounds; round++) {
    const one: Round = [await turn(direct), await turn(other), await turn(other), await turn(direct)];
    if (round >= 0) all.push(one);
  }
  return all;
}

const median = (values: readonly number[]): number => spread(values).median;
const ratioText = (values: readonly number[]): string =>
  `${median(values).toFixed(3)} [${percentile(values, 0.25).toFixed(3)}..${percentile(values, 0.75).toFixed(3)}]`;

/** Medians and the middle half of the ratios of rounds, and the ratio of the medians of all turns. */
export function turnLines(what: string, limit: number | undefined, rounds: readonly Round[]): Line[] {
  const line = (name: string, of: (turn: Turn) => number, faster: boolean): Line & { readonly ratio: number } => {
    const ratio = (other: number, direct: number) => (faster ? direct / other : other / direct);
    const ratios = rounds.map(([a, b, c, d]) => ratio(of(b) + of(c), of(a) + of(d)));
    const same = rounds.map(([a, , , d]) => ratio(of(d), of(a)));
    const direct = median(rounds.flatMap(([a, , , d]) => [of(a), of(d)]));
    const other = median(rounds.flatMap(([, b, c]) => [of(b), of(c)]));
    return {
      what: name,
      figure: `${ratioText(ratios)}x, of medians ${ratio(other, direct).toFixed(3)}x; direct against direct ${ratioText(same)}x`,
      ratio: median(ratios),
    };
  };
  const { ratio, ...rate } = line(`${what}, service against direct`, ({ seconds }) => seconds, true);
  const { ratio: _, ...cpu } = line(`${what}, CPU a request`, ({ cpu }) => cpu, false);
  const spent = median(rounds.flatMap(([a, , , d]) => [a.cpu, d.cpu]));
  return [
    { ...rate, ...(limit !== undefined && { limit: `at least ${limit}x`, met: ratio >= limit }) },
    { ...cpu, figure: `${cpu.figure}; direct ${spent.toFixed(0)} us` },
  ];
}
