// SPDX-License-Identifier: Apache-2.0
import type { DiffResult } from '../../tasks/show-diff.ts';
import type { Block } from '../spec.ts';

/** Nothing at all when the kernel is as wanted. */
export function* viewDiff({ count, differences }: DiffResult): Generator<Block> {
  if (count === 0) return;
  yield {
    kind: 'table',
    head: ['MAP', 'ENTRY', 'ABOUT'],
    rows: differences.map(({ map, kind, about }) => [map, { text: kind, tone: 'bad' }, about]),
  };
  if (differences.length < count) yield { kind: 'line', text: `${count - differences.length} more`, tone: 'dim' };
}
