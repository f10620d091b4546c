// SPDX-License-Identifier: Apache-2.0
// Blocks to text for a terminal: borderless tables, colours where wanted.
import { harmless } from '../errors.ts';
import { type Paint, painter } from './paint.ts';
import type { Block, Blocks, Cell, Tone } from './spec.ts';

/** Rows that are looked at for the widths of the columns; a large map is printed as it comes and never held whole. */
const rowsAPage = 200;
/** Characters of later rows that are printed at once. */
const pieceSize = 65_536;

const bare = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

const cellText = (cell: Cell): string => {
  const value = typeof cell === 'object' ? cell.text : cell;
  if (value === undefined) return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return harmless(String(value));
};

const cellTone = (cell: Cell): Tone | undefined => (typeof cell === 'object' ? cell.tone : undefined);

/** The first page of a table, which settles the widths of its columns. */
async function firstPage(rows: readonly (readonly Cell[])[], widths: number[], paint: Paint): Promise<string> {
  // Loaded for tables only: most commands that start often print none.
  const { default: Table } = await import('cli-table3');
  const table = new Table({ chars: bare, style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] } });
  for (const row of rows) {
    table.push(row.map((cell) => paint(cellText(cell), cellTone(cell))));
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cellText(cell).length);
    });
  }
  const lines = table.toString().split('\n');
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

/** A row on its own: in line with `widths` as far as they reach, and a hundred times cheaper than a table. */
function plainRow(row: readonly Cell[], widths: readonly number[], paint: Paint): string {
  const cells = row.map((cell, column) => {
    const text = cellText(cell);
    const gap = column === row.length - 1 ? 0 : Math.max(0, (widths[column] ?? 0) - text.length);
    return paint(text, cellTone(cell)) + ' '.repeat(gap);
  });
  return `${cells.join('  ').trimEnd()}\n`;
}

/** Text of all blocks, piece by piece. */
export async function* drawBlocks(blocks: Blocks, colour: boolean): AsyncGenerator<string> {
  const paint = await painter(colour);
  let first = true;
  for await (const block of blocks) {
    const title = 'title' in block ? block.title : undefined;
    if (title !== undefined) yield `${first ? '' : '\n'}${paint(harmless(title), 'strong')}\n`;
    first = false;
    yield* drawBlock(block, paint);
  }
}

async function* drawBlock(block: Block, paint: Paint): AsyncGenerator<string> {
  if (block.kind === 'raw') {
    yield block.text;
    return;
  }
  if (block.kind === 'line') {
    yield `${paint(harmless(block.text), block.tone)}\n`;
    return;
  }
  if (block.kind === 'facts') {
    const rows = [...block.rows];
    const width = Math.max(0, ...rows.map(([name]) => name.length));
    for (const [name, cell] of rows) yield plainRow([{ text: name, tone: 'dim' }, cell], [width], paint);
    return;
  }
  const widths: number[] = [];
  const first: (readonly Cell[])[] = [block.head.map((text): Cell => ({ text, tone: 'dim' }))];
  let later = '';
  let seen = 0;
  for await (const row of block.rows) {
    seen += 1;
    if (seen < rowsAPage) first.push(row);
    else if (seen === rowsAPage) yield await firstPage([...first, row], widths, paint);
    else later += plainRow(row, widths, paint);
    if (later.length >= pieceSize) {
      yield later;
      later = '';
    }
  }
  if (seen === 0) yield `${paint(block.none ?? 'none', 'dim')}\n`;
  else if (seen < rowsAPage) yield await firstPage(first, widths, paint);
  else if (later !== '') yield later;
}
