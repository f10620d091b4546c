// SPDX-License-Identifier: Apache-2.0
// What the demo tells a person while it runs: a line for each step, tables in between.
import { Chalk, type ChalkInstance } from 'chalk';
import CliTable from 'cli-table3';
import type { Env } from '../env.ts';

export interface Progress {
  readonly paint: ChalkInstance;
  /** Runs one step and writes its line: what it was, what `work` says of it, how long it took; or that it failed. */
  step<T>(title: string, work: (say: (detail: string) => void) => Promise<T>): Promise<T>;
  heading(text: string): void;
  line(text?: string): void;
  /** Cells may hold colours. Columns named in `right` are set to the right. */
  table(head: readonly string[], rows: readonly (readonly string[])[], right?: readonly number[]): void;
}

const borders = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ left: '  ', 'left-mid': '', mid: '', 'mid-mid': '' },
  ...{ right: '', 'right-mid': '', middle: '   ' },
} as const;

const duration = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

/** Writes to `env.stderr`, so that a result in JSON has stdout to itself. Colours on a terminal, unless NO_COLOR is set. */
export function openProgress(env: Env): Progress {
  const out = env.stderr;
  const colour = out.isTTY === true && !env.getenv('NO_COLOR');
  const paint = new Chalk({ level: colour ? 1 : 0 });
  const line = (text = '') => out.write(`${text}\n`);
  // A line that is written over needs a terminal; a log gets finished lines only.
  const live = out.isTTY === true;
  const again = live ? '\r\x1b[K' : '';
  return {
    paint,
    line,
    heading: (text) => line(`\n${paint.bold(text)}`),
    async step(title, work) {
      const start = env.now();
      let detail = '';
      if (live) out.write(`  ${paint.cyan('·')} ${title} …`);
      const close = (mark: string) => {
        const rest = [detail, duration(env.now() - start)].filter(Boolean).join(', ');
        line(`${again}  ${mark} ${title} ${paint.dim(`(${rest})`)}`);
      };
      try {
        const value = await work((text) => {
          detail = text;
        });
        close(paint.green('✓'));
        return value;
      } catch (error) {
        close(paint.red('✗'));
        throw error;
      }
    },
    table(head, rows, right = []) {
      const table = new CliTable({
        head: head.map((h) => paint.dim(h)),
        chars: borders,
        style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
        colAligns: head.map((_, i) => (right.includes(i) ? 'right' : 'left')),
      });
      for (const row of rows) table.push([...row]);
      line(`\n${table.toString().replaceAll(/ +$/gm, '')}`);
    },
  };
}
