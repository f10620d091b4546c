// SPDX-License-Identifier: Apache-2.0
// Programs of ours that run in pods (serve.ts), bundled for the moment, and asked for what they can do.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import type { Pod } from '../../../src/demo/lab.ts';
import type { Call, Calls, Outcome } from './serve.ts';

export type Remote<C extends Calls> = {
  readonly [K in keyof C]: (...args: Parameters<C[K]>) => Promise<Awaited<ReturnType<C[K]>>>;
};

export interface Programs {
  /** Starts one in a pod; it goes with the lab. */
  start<C extends Calls>(pod: Pod, name: 'client' | 'backend', ...words: readonly string[]): Promise<Remote<C>>;
  close(): void;
}

/** Node 20 runs no TypeScript. */
export async function openPrograms(): Promise<Programs> {
  const folder = mkdtempSync(join(tmpdir(), 'km-programs-'));
  const source = (name: string) => join(import.meta.dirname, `${name}.ts`);
  try {
    await build({
      entryPoints: [source('client'), source('backend')],
      outdir: folder,
      outExtension: { '.js': '.cjs' },
      bundle: true,
      format: 'cjs',
      platform: 'node',
      target: 'node20',
      logLevel: 'warning',
    });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    start: (pod, name, ...words) => start(pod, join(folder, `${name}.cjs`), words),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

async function start<C extends Calls>(pod: Pod, file: string, words: readonly string[]): Promise<Remote<C>> {
  const { child, ended } = pod.start(process.execPath, [file, ...words]);
  const waiting = new Map<number, Waiting>();
  let last = 0;
  let said = '';
  let over: Error | undefined;
  child.stderr?.on('data', (part: Buffer) => {
    said = (said + part.toString()).slice(-4000);
  });
  child.stdin?.on('error', () => undefined);
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    const { id, out, error } = JSON.parse(line) as Outcome;
    const one = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) one?.resolve(out);
    else one?.reject(new Error(`${pod.name}: ${error}`));
  });
  void ended.then(() => {
    over = new Error(`the program in pod ${pod.name} ended: ${said.trim()}`);
    for (const { reject } of waiting.values()) reject(over);
  });
  const ask = (name: string, args: unknown) =>
    new Promise((resolve, reject) => {
      if (over) return reject(over);
      const id = ++last;
      waiting.set(id, { resolve, reject });
      child.stdin?.write(`${JSON.stringify({ id, name, args } satisfies Call)}\n`);
    });
  const remote = new Proxy(
    {},
    { get: (_, name) => (name === 'then' ? undefined : (args: unknown) => ask(String(name), args)) },
  );
  await ask('ready', {});
  return remote as Remote<C>;
}
