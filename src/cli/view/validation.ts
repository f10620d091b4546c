// SPDX-License-Identifier: Apache-2.0
// What the agent would say of files, one line for each finding.

import { counted } from '../../errors.ts';
import type { validateConfig } from '../../tasks/validate.ts';
import type { Block, Tone } from '../spec.ts';

type Report = Awaited<ReturnType<typeof validateConfig>>;

/** A line for each finding, with its place. */
export function* findingLines(word: string, tone: Tone, list: Report['faults']): Generator<Block> {
  for (const { file, line, column, resource, field, reason, closes, closesNothing } of list) {
    const place = line === 0 ? file : `${file}:${line}:${column}`;
    const text = [place, word, resource, field, reason].filter((part) => part !== '').join(': ');
    const nothing = closesNothing ? ' (NOTHING IS CLOSED: no target of it can be read)' : '';
    yield { kind: 'line', text: `${text}${closes ? ' (all that it may hold for is closed)' : nothing}`, tone };
  }
}

export function* viewValidation({ files, objects, faults, warnings, ignored }: Report): Generator<Block> {
  yield* findingLines('fault', 'bad', faults);
  yield* findingLines('warning', 'warn', warnings);
  for (const { what, count, first } of ignored) {
    const text = `ignored: ${what} (${count}, first at ${first.file}:${first.line}:${first.column})`;
    yield { kind: 'line', text, tone: 'dim' };
  }
  const summary = [
    counted(files, 'file'),
    counted(objects, 'object'),
    counted(faults.length, 'fault'),
    counted(warnings.length, 'warning'),
  ];
  yield { kind: 'line', text: summary.join(', '), tone: faults.length === 0 ? 'good' : 'bad' };
}
