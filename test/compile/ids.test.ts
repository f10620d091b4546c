// SPDX-License-Identifier: Apache-2.0
// Ids: lowest first, none twice, none again before it is released.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idTable } from '../../src/compile/ids.ts';
import { finish } from '../../src/mesh/steps.ts';

const claimAll = (table: ReturnType<typeof idTable>, ...names: string[]) => {
  const draft = table.draft();
  const ids = names.map((name) => draft.claim(name, () => {}));
  finish(draft.commit());
  return ids;
};

describe('ids', () => {
  it('begin with 1 and are the lowest that are free', () => {
    const table = idTable('workload', 100);
    expect(claimAll(table, 'a', 'b', 'c', 'a')).toEqual([1, 2, 3, 1]);
    expect(table.nameOf(2)).toBe('b');
    expect(table.idOf('c')).toBe(3);
    table.retire(1);
    table.retire(2);
    table.release(2);
    table.release(1);
    expect(claimAll(table, 'd', 'e', 'f')).toEqual([1, 2, 4]);
  });

  it('are not handed out again while they are idle, and come back with their name', () => {
    const table = idTable('workload', 100);
    claimAll(table, 'a');
    table.refer(1);
    expect(table.drop(1)).toBe(true);
    table.retire(1);
    expect(table.idle()).toEqual([1]);
    expect(claimAll(table, 'b', 'a')).toEqual([2, 1]);
    table.refer(1);
    expect(table.idle()).toEqual([]);
    expect(() => table.release(1)).toThrow(RangeError);
  });

  it('are not retired while something refers to them', () => {
    const table = idTable('service', 100);
    claimAll(table, 'a');
    table.refer(1);
    table.retire(1);
    expect(table.idle()).toEqual([]);
    expect(table.drop(1)).toBe(true);
    expect(() => table.drop(1)).toThrow(RangeError);
  });

  it('are not retired for an earlier use while the last one is still waited for', () => {
    const table = idTable('backend', 100);
    claimAll(table, 'a');
    const use = () => {
      table.refer(1);
      table.drop(1);
      return table.turn(1);
    };
    const first = use();
    const second = use();
    table.retire(1, first);
    expect(table.idle()).toEqual([]);
    table.retire(1, second);
    expect(table.idle()).toEqual([1]);
    // In use again, and left again: idle only once that was waited for too.
    const third = use();
    expect([table.idle(), table.idleCount]).toEqual([[], 0]);
    table.retire(1, third);
    expect(table.idle()).toEqual([1]);
  });

  it('end before the limit', () => {
    const table = idTable('backend', 3);
    expect(table.free).toBe(2);
    expect(claimAll(table, 'a', 'b', 'c')).toEqual([1, 2, undefined]);
    expect(table.free).toBe(0);
    expect(table.bind('d', 3)).toBe(false);
  });

  it('that are reserved belong to nobody', () => {
    const table = idTable('backend', 10);
    table.reserve(1);
    table.reserve(4_000_000_000);
    expect(claimAll(table, 'a')).toEqual([2]);
    expect(table.idle()).toEqual([1]);
    table.release(1);
    expect(claimAll(table, 'b')).toEqual([1]);
  });

  it('binds a name and an id once', () => {
    const table = idTable('backend', 10);
    expect(table.bind('a', 5)).toBe(true);
    expect(table.bind('a', 6)).toBe(false);
    expect(table.bind('b', 5)).toBe(false);
    expect(table.bind('b', 0)).toBe(false);
    expect([...table.names()]).toEqual([['a', 5]]);
  });

  it('calls back for new names only, and forgets what is rolled back', () => {
    const table = idTable('namespace', 100);
    claimAll(table, 'a');
    const draft = table.draft();
    const fresh: number[] = [];
    const claim = (name: string) => draft.claim(name, (id) => fresh.push(id));
    claim('a');
    claim('b');
    const mark = draft.mark();
    claim('c');
    claim('d');
    draft.rollback(mark);
    expect(draft.idOf('c')).toBeUndefined();
    expect(claim('e')).toBe(3);
    expect(fresh).toEqual([2, 3, 4, 3]);
    expect(table.idOf('b')).toBeUndefined();
    finish(draft.commit());
    expect([...table.names()]).toEqual([
      ['a', 1],
      ['b', 2],
      ['e', 3],
    ]);
  });

  it('agree with a plain table over random claims and releases', () => {
    const steps = fc.array(
      fc.record({ release: fc.boolean(), name: fc.integer({ min: 0, max: 60 }).map((n) => `n${n}`) }),
      { maxLength: 120 },
    );
    fc.assert(
      fc.property(steps, (list) => {
        const table = idTable('workload', 45);
        const plain = new Map<string, number>();
        for (const { release, name } of list) {
          const id = plain.get(name);
          if (release) {
            if (id === undefined) continue;
            table.retire(id);
            table.release(id);
            plain.delete(name);
            continue;
          }
          const used = new Set(plain.values());
          let lowest = 1;
          while (used.has(lowest)) lowest++;
          const expected = id ?? (lowest < 45 ? lowest : undefined);
          expect(claimAll(table, name)).toEqual([expected]);
          if (expected !== undefined) plain.set(name, expected);
        }
        expect(new Map(table.names())).toEqual(plain);
        expect(table.size).toBe(plain.size);
      }),
    );
  });
});
