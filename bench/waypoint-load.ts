// SPDX-License-Identifier: Apache-2.0
// Requests from two sides in short turns, so that both see the same machine. What each took, and the CPU time that it cost all together,
// threads of the kernel among them: what a closed connection leaves is put away by those.
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
  /** So many requests, or megabytes; the seconds that they took. */
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

interface Turn {
  readonly seconds: number;
  readonly cpu: number;
}

type Turns = readonly [Turn, Turn];

export interface Round {
  readonly direct: Turns;
  readonly other: Turns;
}

export interface Plan {
  /** Each with generators of its own: which processor a process stays on makes more of a difference than what is measured. */
  readonly blocks: number;
  /** Of a block. */
  readonly rounds: number;
  /** Of a turn. */
  readonly requests: number;
  /** CPU microseconds of everybody who takes part. */
  podsUsed(): number;
}

/** Rounds of direct, the other, the other, direct; every second one the other way round, and so the order in which the two are started. */
export async function inTurns(direct: () => Load, other: () => Load, plan: Plan): Promise<Round[]> {
  const turn = async (load: Load): Promise<Turn> => {
    const before = plan.podsUsed() + kernelThreads();
    const seconds = await load.run(plan.requests);
    await pause(settleMs);
    return { seconds, cpu: (plan.podsUsed() + kernelThreads() - before) / plan.requests };
  };
  /** Turns of the first around those of the second. */
  const round = async (first: Load, second: Load): Promise<[Turns, Turns]> => {
    const before = await turn(first);
    const inner: Turns = [await turn(second), await turn(second)];
    return [[before, await turn(first)], inner];
  };
  const all: Round[] = [];
  for (let block = 0; block < plan.blocks; block++) {
    const swapped = block % 2 === 1;
    const first = (swapped ? other : direct)();
    const second = (swapped ? direct : other)();
    for (let i = -1; i < plan.rounds; i++) {
      const turned = i % 2 !== 0;
      const [outer, inner] = turned ? await round(second, first) : await round(first, second);
      // The first of all warms up.
      if (i >= 0) all.push(turned === swapped ? { direct: outer, other: inner } : { direct: inner, other: outer });
    }
    await first.stop();
    await second.stop();
  }
  return all;
}

const median = (values: readonly number[]): number => spread(values).median;
const ratioText = (values: readonly number[]): string =>
  `${median(values).toFixed(3)} [${percentile(values, 0.25).toFixed(3)}..${percentile(values, 0.75).toFixed(3)}]`;

/** Medians and the middle half of the ratios of rounds, and the ratio of the medians of all turns. */
export function turnLines(what: string, unit: string, limit: number | undefined, rounds: readonly Round[]): Line[] {
  const line = (name: string, of: (turn: Turn) => number, faster: boolean): Line & { readonly ratio: number } => {
    const ratio = (other: number, direct: number) => (faster ? direct / other : other / direct);
    const sum = ([a, b]: Turns) => of(a) + of(b);
    const ratios = rounds.map((round) => ratio(sum(round.other), sum(round.direct)));
    const same = rounds.map(({ direct: [a, b] }) => ratio(of(b), of(a)));
    const direct = median(rounds.flatMap((round) => round.direct.map(of)));
    const other = median(rounds.flatMap((round) => round.other.map(of)));
    return {
      what: name,
      figure: `${ratioText(ratios)}x, of medians ${ratio(other, direct).toFixed(3)}x; direct against direct ${ratioText(same)}x`,
      ratio: median(ratios),
    };
  };
  const { ratio, ...rate } = line(`${what}, service against direct`, ({ seconds }) => seconds, true);
  const { ratio: _, ...cpu } = line(`${what}, CPU ${unit}`, ({ cpu }) => cpu, false);
  const spent = median(rounds.flatMap(({ direct }) => direct.map((turn) => turn.cpu)));
  return [
    { ...rate, ...(limit !== undefined && { limit: `at least ${limit}x`, met: ratio >= limit }) },
    { ...cpu, figure: `${cpu.figure}; direct ${spent.toFixed(0)} us` },
  ];
}
