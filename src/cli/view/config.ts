// SPDX-License-Identifier: Apache-2.0
// The agent's model: one line for each item, its fields in short.
import { toPlain } from '../plain.ts';
import type { Block, Cell } from '../spec.ts';

/** Characters of the fields that fit on a line; -o yaml shows them whole. */
const width = 100;

interface Item {
  readonly kind: string;
  readonly name: string;
  readonly fields: object;
}

function fieldsText(fields: object): string {
  const text = Object.entries(fields)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(toPlain(value))}`)
    .join(' ');
  return text.length > width ? `${text.slice(0, width)}…` : text;
}

async function* rows(items: AsyncIterable<Item>): AsyncGenerator<readonly Cell[]> {
  for await (const { kind, name, fields } of items) yield [kind, name, fieldsText(fields)];
}

export const viewConfig = (items: AsyncIterable<Item>): Block[] => [
  { kind: 'table', head: ['KIND', 'NAME', 'FIELDS'], rows: rows(items), none: 'nothing configured' },
];
