// SPDX-License-Identifier: Apache-2.0
// Python processes in pods: it has the socket options and protocols that Node lacks.
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Pod, StartOptions } from '../../src/demo/lab.ts';

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** The system's own: a shim in front of it costs more than the test. */
const PYTHON = 'python3';

/** A piece of code failed: `message` is "ERRNO: text" with the errno's name. */
export class PythonError extends Error {
  override readonly name = 'PythonError';
  /** Name of the errno, "timeout", or the exception's class. */
  readonly code: string;
  constructor(code: string, text: string) {
    super(`${code}: ${text}`);
    this.code = code;
  }
}

export interface Python {
  readonly pid: number;
  /** Runs code (test/support/remote.py lists what it may use); its answer is what it leaves in `out`. @throws PythonError */
  run<T = unknown>(code: string, args?: Readonly<Record<string, unknown>>): Promise<T>;
  /** Kills it with SIGKILL, its sockets left to the kernel. */
  kill(): Promise<void>;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** Starts an interpreter in a pod. It goes with the lab. */
export async function startPython(pod: Pod, options: StartOptions = {}): Promise<Python> {
  const running = pod.start(PYTHON, ['-u', script('remote.py')], options);
  const { child } = running;
  const waiting: Waiting[] = [];
  let said = '';
  child.stderr?.on('data', (part) => {
    said += part;
  });
  // A kill closes the pipe while something may still be written.
  child.stdin?.on('error', () => undefined);
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    const answer = JSON.parse(line) as { out?: unknown; error?: string; text?: string };
    const next = waiting.shift();
    if (answer.error === undefined) next?.resolve(answer.out);
    else next?.reject(new PythonError(answer.error, answer.text ?? ''));
  });
  let over = false;
  const ended = () => new Error(`python in pod ${pod.name} ended: ${said.trim()}`);
  void running.ended.then(() => {
    over = true;
    for (const w of waiting.splice(0)) w.reject(ended());
  });
  const python: Python = {
    pid: child.pid as number,
    run: <T>(code: string, args?: Readonly<Record<string, unknown>>) =>
      new Promise<T>((resolve, reject) => {
        if (over) return reject(ended());
        waiting.push({ resolve: resolve as (value: unknown) => void, reject });
        child.stdin?.write(`${JSON.stringify({ code, args })}\n`);
      }),
    async kill() {
      child.kill('SIGKILL');
      await running.ended;
    },
  };
  await python.run('out = 1');
  return python;
}

/** Starts test/support/server.py in a pod and waits until it listens. It goes with the lab. */
export async function startServer(pod: Pod, ...specs: readonly string[]): Promise<{ stop(): Promise<void> }> {
  const running = pod.start(PYTHON, ['-u', script('server.py'), pod.name, ...specs]);
  let said = '';
  running.child.stderr?.on('data', (part) => {
    said += part;
  });
  await new Promise<void>((resolve, reject) => {
    running.child.stdout?.once('data', () => resolve());
    void running.ended.then(() => reject(new Error(`server in pod ${pod.name} ended: ${said.trim()}`)));
  });
  return {
    async stop() {
      await running.stop();
    },
  };
}
