// SPDX-License-Identifier: Apache-2.0
// A result in the format asked for, written piece by piece. Libraries are loaded by the format that needs them.
import type { Writable } from 'node:stream';
import { toPlain } from './plain.ts';
import type { Command } from './spec.ts';

export const formats = ['table', 'json', 'yaml'] as const;

const isStream = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value;

async function* json(result: unknown): AsyncGenerator<string> {
  if (!isStream(result)) {
    yield `${JSON.stringify(toPlain(result) ?? null, null, 2)}\n`;
    return;
  }
  let lead = '[\n';
  for await (const item of result) {
    yield `${lead}${JSON.stringify(toPlain(item) ?? null)}`;
    lead = ',\n';
  }
  yield lead === '[\n' ? '[]\n' : '\n]\n';
}

async function* yaml(result: unknown): AsyncGenerator<string> {
  const { stringify } = await import('yaml');
  if (!isStream(result)) {
    yield stringify(toPlain(result) ?? null);
    return;
  }
  let empty = true;
  for await (const item of result) {
    yield stringify([toPlain(item) ?? null]);
    empty = false;
  }
  if (empty) yield '[]\n';
}

async function* table(command: Command, result: unknown, colour: boolean): AsyncGenerator<string> {
  const { drawBlocks } = await import('./table.ts');
  yield* drawBlocks(command.view(result), colour);
}

/** The text of `result` in `format`, which the command knows. */
export function render(command: Command, result: unknown, format: string, colour: boolean): AsyncIterable<string> {
  const own = command.formats?.[format];
  if (own !== undefined)
    return (async function* () {
      yield own(result);
    })();
  if (format === 'json') return json(result);
  return format === 'yaml' ? yaml(result) : table(command, result, colour);
}

/** Writes every piece and waits for a slow reader. A reader that went away ends it early without a fault (`… | head`). */
export async function writeAll(out: Writable, pieces: AsyncIterable<string>): Promise<void> {
  for await (const piece of pieces) {
    if (!(await write(out, piece))) return;
  }
}

/** False when nobody reads any more. */
function write(out: Writable, piece: string): Promise<boolean> {
  if (out.destroyed || out.errored) return Promise.resolve(false);
  return new Promise((resolve, reject) => {
    out.write(piece, (fault) => {
      const code = (fault as NodeJS.ErrnoException | null | undefined)?.code;
      if (fault === null || fault === undefined) resolve(true);
      else if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') resolve(false);
      else reject(fault);
    });
  });
}
