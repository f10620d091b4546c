// SPDX-License-Identifier: Apache-2.0
// A small program and an Env of its own, for tests of the framework.
import { Readable } from 'node:stream';
import { runCommandLine } from '../../src/cli/run.ts';
import type { Program } from '../../src/cli/spec.ts';
import type { Env } from '../../src/env.ts';
import { sink } from '../support/sink.ts';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Options {
  readonly env?: Readonly<Record<string, string>>;
  readonly root?: boolean;
  readonly tty?: boolean;
  readonly listen?: () => void;
}

export function testEnv(options: Options = {}): Env & { text(): { stdout: string; stderr: string } } {
  const stdout = sink();
  const stderr = sink();
  const tty = { isTTY: options.tty ?? false, columns: 100 };
  return {
    stdin: Readable.from([]),
    stdout: Object.assign(stdout, tty),
    stderr: Object.assign(stderr, tty),
    getenv: (name) => options.env?.[name],
    environ: () => options.env ?? {},
    now: () => 0,
    hostname: () => 'node1',
    cwd: () => '/',
    isRoot: () => options.root ?? true,
    signal: new AbortController().signal,
    text: () => ({ stdout: stdout.text(), stderr: stderr.text() }),
  };
}

/** Runs one command line against `program`. */
export async function runLine(program: Program, line: readonly string[], options: Options = {}): Promise<Ran> {
  const env = testEnv(options);
  const code = await runCommandLine(program, line, env, options.listen);
  return { code, ...env.text() };
}
