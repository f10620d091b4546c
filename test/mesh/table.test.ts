// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { finish } from '../../src/mesh/steps.ts';
import { emptyTable, type Table } from '../../src/mesh/table.ts';

type Edit = readonly (readonly [string, number | undefined])[];

function edited(table: Table<number>, edit: Edit): Table<number> {
  const editor = table.edit();
  for (const [key, value] of edit) {
    if (value === undefined) editor.delete(key);
    else editor.set(key, value);
  }
  return finish(editor.close());
}

function editedMap(map: ReadonlyMap<string, number>, edit: Edit): Map<string, number> {
  const next = new Map(map);
  for (const [key, value] of edit) {
    if (value === undefined) next.delete(key);
    else next.set(key, value);
  }
  return next;
}

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', '__proto__', 'constructor');
const anyEdit = fc.array(fc.tuple(key, fc.option(fc.nat(9), { nil: undefined })), { maxLength: 6 });
/** Which earlier version each edit starts from, counted from the latest. */
const anySteps = fc.array(fc.record({ back: fc.nat(4), edit: anyEdit }), { maxLength: 12 });

describe('table', () => {
  test('every version of any history, branches too, holds what a Map copied at each step holds', () => {
    fc.assert(
      fc.property(anySteps, (steps) => {
        const tables: Table<number>[] = [emptyTable<number>()];
        const maps: Map<string, number>[] = [new Map()];
        for (const { back, edit } of steps) {
          const from = Math.max(0, tables.length - 1 - back);
          tables.push(edited(tables[from] as Table<number>, edit));
          maps.push(editedMap(maps[from] as Map<string, number>, edit));
        }
        tables.forEach((table, i) => {
          const map = maps[i] as Map<string, number>;
          expect(new Map(table)).toEqual(map);
          expect(table.size).toBe(map.size);
          for (const k of ['a', 'b', 'c', 'd', 'e', '__proto__', 'constructor', 'z']) {
            expect([table.get(k), table.has(k)]).toEqual([map.get(k), map.has(k)]);
          }
          expect([...table.keys()].sort()).toEqual([...map.keys()].sort());
          expect([...table.values()].sort()).toEqual([...map.values()].sort());
        });
      }),
    );
  });

  test('what changed between any two versions is among what they tell, and nothing when they are the same', () => {
    fc.assert(
      fc.property(anySteps, fc.nat(12), fc.nat(12), (steps, a, b) => {
        const tables: Table<number>[] = [emptyTable<number>()];
        for (const { back, edit } of steps) {
          tables.push(edited(tables[Math.max(0, tables.length - 1 - back)] as Table<number>, edit));
        }
        const [before, now] = [a, b].map((i) => tables[i % tables.length]) as [Table<number>, Table<number>];
        const told = now.changedSince(before);
        for (const k of ['a', 'b', 'c', 'd', 'e', '__proto__', 'constructor']) {
          if (before.get(k) !== now.get(k)) expect(told).toContain(k);
        }
        if (before === now) expect(told.size).toBe(0);
      }),
    );
  });

  test('what an edit changed is told without a look at the rest', () => {
    const table = edited(emptyTable<number>(), [
      ['a', 1],
      ['b', 2],
    ]);
    const next = edited(edited(table, [['b', 3]]), [['c', 4]]);
    expect([...next.changedSince(table)].sort()).toEqual(['b', 'c']);
  });

  test('an editor reads what it will make; the table stays as it is until then, and after', () => {
    const table = edited(emptyTable<number>(), [['a', 1]]);
    const editor = table.edit();
    editor.set('b', 2);
    editor.delete('a');
    expect([editor.get('a'), editor.get('b'), editor.has('a')]).toEqual([undefined, 2, false]);
    expect([...table]).toEqual([['a', 1]]);
    expect([...finish(editor.close())]).toEqual([['b', 2]]);
    expect([...table]).toEqual([['a', 1]]);
  });

  test('no change gives the same table', () => {
    const table = edited(emptyTable<number>(), [['a', 1]]);
    expect(finish(table.edit().close())).toBe(table);
  });

  test('forEach visits value, key and table', () => {
    const table = edited(emptyTable<number>(), [['a', 1]]);
    const seen: unknown[] = [];
    table.forEach((...all) => void seen.push(all));
    expect(seen).toEqual([[1, 'a', table]]);
  });
});
