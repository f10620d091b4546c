// SPDX-License-Identifier: Apache-2.0
// Maps entry by entry.
import type { DumpedMap, DumpedValue, NamedId } from '../../tasks/dump-maps.ts';
import type { Block, Cell } from '../spec.ts';

const isNamedId = (value: DumpedValue): value is NamedId =>
  typeof value === 'object' && Object.keys(value).join() === 'id,name';

/** {addr: "10.0.0.1", port: 80} as addr=10.0.0.1 port=80; lists in brackets; ids as 7 (shop/cart). */
function valueText(value: DumpedValue): string {
  if (typeof value !== 'object') return String(value);
  if (isNamedId(value)) return `${value.id} (${value.name})`;
  if (Array.isArray(value)) return `[${value.map(memberText).join(' ')}]`;
  return Object.entries(value)
    .map(([member, one]) => `${member}=${memberText(one)}`)
    .join(' ');
}

/** What stands inside of something else: braces say where it ends. */
const memberText = (value: DumpedValue): string =>
  typeof value === 'object' && !Array.isArray(value) && !isNamedId(value) ? `{${valueText(value)}}` : valueText(value);

function* rows(entries: DumpedMap['entries']): Generator<readonly Cell[]> {
  for (const { key, value } of entries) yield [valueText(key), valueText(value)];
}

export async function* viewMaps(maps: AsyncIterable<DumpedMap>): AsyncGenerator<Block> {
  let any = false;
  for await (const { name, type, maxEntries, entries } of maps) {
    any = true;
    yield {
      kind: 'table',
      title: `${name} (${type}, room for ${maxEntries})`,
      head: ['KEY', 'VALUE'],
      rows: rows(entries),
      none: 'nothing to show',
    };
  }
  if (!any) yield { kind: 'line', text: 'nothing to show' };
}
