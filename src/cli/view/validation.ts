// SPDX-License-Identifier: Apache-2.0
// What the agent would say of files, one line for each finding.
import type { Block, Tone } from '../spec.ts';

interface Finding {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly resource: string;
  readonly field: string;
  readonly reason: string;
}

export interface Validation {
  readonly files: number;
  readonly objects: number;
  readonly faults: readonly Finding[];
  readonly warnings: readonly Finding[];
  readonly ignored: readonly { readonly what: string; readonly count: number }[];
}

function* findings(word: string, tone: Tone, list: readonly Finding[]): Generator<Block> {
  for (const { file, line, column, resource, field, reason } of list) {
    const place = line === 0 ? file : `${file}:${line}:${column}`;
    yield { kind: 'line', text: [place, word, resource, field, reason].filter((part) => part !== '').join(': '), tone };
  }
}

export function* viewValidation({ files, objects, faults, warnings, ignored }: Validation): Generator<Block> {
  yield* findings('fault', 'bad', faults);
  yield* findings('warning', 'warn', warnings);
  for (const { what, count } of ignored) yield { kind: 'line', text: `ignored: ${what} (${count})`, tone: 'dim' };
  const summary = `${files} files, ${objects} objects, ${faults.length} faults, ${warnings.length} warnings`;
  yield { kind: 'line', text: summary, tone: faults.length === 0 ? 'good' : 'bad' };
}
