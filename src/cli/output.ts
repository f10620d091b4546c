// SPDX-License-Identifier: Apache-2.0
// A result in the format asked for, written piece by piece. Libraries are loaded by the format that needs them.
import type { Writable } from 'node:stream';
import { isStream, jsonPieces } from './json.ts';
import type { Command } from './spec.ts';

export const formats = ['table', 'json', 'yaml'] as const;

async function* json(result: unknown): AsyncGenerator<string> {
  yield* jsonPieces(result, isStream(result) ? 0 : 2);
  yield '\n';
}

async function* yaml(result: unknown): AsyncGenerator<string> {
  const { yamlPieces } = await import('./yaml.ts');
  yield* yamlPieces(result);
}

async function* table(command: Command, result: unknown, colour: boolean): AsyncGenerator<string> {
  const { drawBlocks } = await import('./table.ts');
  yield* drawBlocks(command.view(result), colour);
}

async function* own(text: Promise<string>): AsyncGenerator<string> {
  yield await text;
}

/** The text of `result` in `format`, which the command knows. */
export function render(command: Command, result: unknown, format: string, colour: boolean): AsyncIterable<string> {
  const further = command.formats?.[format];
  if (further !== undefined) return own(further(result));
  if (format === 'json') return json(result);
  return format === 'yaml' ? yaml(result) : table(command, result, colour);
}

/** Characters that are handed on at once: a system call for each row would cost more than the row. */
const pieceSize = 65_536;

/** Writes every piece and waits for a slow reader. A reader that went away ends it early without a fault (`… | head`). */
export async function writeAll(out: Writable, pieces: AsyncIterable<string>): Promise<void> {
  let held = '';
  for await (const piece of pieces) {
    held += piece;
    if (held.length < pieceSize) continue;
    if (!(await write(out, held))) return;
    held = '';
  }
  if (held !== '') await write(out, held);
}

/** False when nobody reads any more. */
function write(out: Writable, piece: string): Promise<boolean> {
  if (out.destroyed || out.errored) return Promise.resolve(false);
  // The fault of a write is told to its callback; without a listener it would end the process as well.
  if (out.listenerCount('error') === 0) out.on('error', () => {});
  return new Promise((resolve, reject) => {
    out.write(piece, (fault) => {
      const code = (fault as NodeJS.ErrnoException | null | undefined)?.code;
      if (fault === null || fault === undefined) resolve(true);
      else if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') resolve(false);
      else reject(fault);
    });
  });
}
