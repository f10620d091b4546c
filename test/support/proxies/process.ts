// SPDX-License-Identifier: Apache-2.0
// The processes of one proxy, one after the other: what they say, and that they end.
import { setTimeout as pause } from 'node:timers/promises';
import type { Pod } from '../../../src/demo/lab.ts';
import type { Running } from '../../../src/demo/process.ts';

const patienceMs = 90_000;

export interface Processes {
  /** The one that was started last. */
  readonly pid: number;
  start(words: readonly string[]): void;
  /** Sends a signal to the one that was started last. */
  signal(name: NodeJS.Signals): void;
  /** Resolves when all, or all but the last, have ended. */
  ended(but?: 'last'): Promise<void>;
  said(): string;
  /** Fails after long, and when the one that was started last has ended, unless it may. */
  until(check: () => Promise<boolean> | boolean, what: string, mayEnd?: true): Promise<void>;
}

export function openProcesses(pod: Pod): Processes {
  const all: Running[] = [];
  const over = new Set<Running>();
  let said = '';
  const last = (): Running => {
    const running = all.at(-1);
    if (!running) throw new Error('nothing was started');
    return running;
  };
  const until: Processes['until'] = async (check, what, mayEnd) => {
    for (const end = performance.now() + patienceMs; ; await pause(20)) {
      let fault: unknown;
      try {
        if (await check()) return;
      } catch (error) {
        fault = error;
      }
      const late = performance.now() > end;
      if (late || (!mayEnd && over.has(last()))) {
        throw new Error(`${late ? 'not in time' : 'it ended'}, ${what}; it said:\n${said}`, { cause: fault });
      }
    }
  };
  return {
    get pid() {
      return last().child.pid as number;
    },
    start([command = '', ...words]) {
      const running = pod.start(command, words);
      for (const stream of [running.child.stdout, running.child.stderr]) {
        stream?.on('data', (part: Buffer) => {
          said += part.toString();
        });
      }
      all.push(running);
      void running.ended.then(() => over.add(running));
    },
    signal: (name) => void last().child.kill(name),
    async ended(but) {
      const which = but === 'last' ? all.slice(0, -1) : all;
      const end = performance.now() + patienceMs;
      while (which.some((running) => !over.has(running))) {
        if (performance.now() > end) throw new Error(`it does not end; it said:\n${said}`);
        await pause(20);
      }
    },
    said: () => said,
    until,
  };
}
