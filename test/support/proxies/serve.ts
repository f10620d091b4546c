// SPDX-License-Identifier: Apache-2.0
// The inside of a program that carries out what it is asked for: a JSON line in, a JSON line out. Ends with its stdin.
import { createInterface } from 'node:readline';

/** What can be asked for, by name; each takes and gives what JSON can hold. */
// biome-ignore lint/suspicious/noExplicitAny: each has arguments of its own.
export type Calls = Readonly<Record<string, (args: any) => unknown>>;

export interface Call {
  readonly id: number;
  readonly name: string;
  readonly args: unknown;
}

export interface Outcome {
  readonly id: number;
  readonly out?: unknown;
  readonly error?: string;
}

export function serve(calls: Calls): void {
  const answer = (outcome: Outcome) => process.stdout.write(`${JSON.stringify(outcome)}\n`);
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const { id, name, args } = JSON.parse(line) as Call;
    Promise.resolve()
      .then(() => calls[name]?.(args))
      .then(
        (out) => answer({ id, out }),
        (error: unknown) => answer({ id, error: String(error instanceof Error ? error.stack : error) }),
      );
  });
  lines.on('close', () => process.exit());
}

/** Settles as `work` does, or fails: nothing is waited for without end. */
export async function within<T>(work: Promise<T>, what: string, ms = 60_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error(`${what}: nothing came`), { code: 'HANG' })), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
