// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openAddressBook, sequence4 } from '../../../src/source/file/build/address-book.ts';
import { isAutomatic } from './automatic.ts';

const free = () => false;
const given = (book: ReturnType<typeof openAddressBook>, keys: readonly string[]) =>
  Object.fromEntries(keys.map((key) => [key, book.get(key)]));

/** Two keys whose first choice is the same address. */
function rivals(): [string, string, string] {
  const seen = new Map<string, string>();
  for (let i = 0; ; i++) {
    const key = `shop/h${i}.example.com`;
    const [first] = sequence4(key);
    const other = seen.get(first as string);
    if (other !== undefined) return [other, key, first as string];
    seen.set(first as string, key);
  }
}

test('depends on the set of keys only, whatever their order', () => {
  const keys = Array.from({ length: 2000 }, (_, i) => `ns/h${i}`);
  const [a, b] = [openAddressBook(), openAddressBook()];
  a.assign(keys, free);
  b.assign([...keys].reverse(), free);
  expect(given(a, keys)).toEqual(given(b, keys));
  const all = keys.flatMap((key) => Object.values(a.get(key) ?? {}));
  expect(new Set(all).size).toBe(4000);
  expect(all.every(isAutomatic)).toBe(true);
});

test('nobody is moved: of two that want the same, the later one gives way, also when sorted before', () => {
  const [first, second, wanted] = rivals();
  const book = openAddressBook();
  book.assign([second], free);
  expect(book.get(second)?.v4).toBe(wanted);
  book.assign([first, second], free);
  expect(book.get(second)?.v4).toBe(wanted);
  expect(book.get(first)?.v4).not.toBe(wanted);

  // A restart that reads what was kept gives the same; one that does not goes by the set.
  const again = openAddressBook(book.entries());
  again.assign([first, second], free);
  expect(given(again, [first, second])).toEqual(given(book, [first, second]));
});

test('who goes and comes back has its addresses again; others take them only when they must', () => {
  const [first, second, wanted] = rivals();
  const book = openAddressBook();
  book.assign([first], free);
  book.release(first);
  expect(book.get(first)).toBeUndefined();
  book.assign([second], free);
  expect(book.get(second)?.v4).not.toBe(wanted);
  book.assign([first], free);
  expect(book.get(first)?.v4).toBe(wanted);
});

test('addresses that services name themselves are left to them', () => {
  const [taken] = sequence4('ns/h');
  const book = openAddressBook();
  book.assign(['ns/h'], (address) => address === taken);
  expect(book.get('ns/h')?.v4).toBe([...sequence4('ns/h')][1]);
});

test('when all are taken there is none', () => {
  const book = openAddressBook();
  book.assign(['ns/h'], () => true);
  expect(book.get('ns/h')).toBeUndefined();
  expect(new Set(sequence4('ns/h')).size).toBe(65_521);
});

test('no two keys ever share an address, and nobody who stays is moved', () => {
  const key = fc.nat({ max: 400 }).map((n) => `ns/h${n}`);
  const step = fc.record({ add: fc.array(key, { maxLength: 20 }), remove: fc.array(key, { maxLength: 10 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 10 }), (steps) => {
      const book = openAddressBook();
      const held = new Map<string, string>();
      for (const { add, remove } of steps) {
        for (const k of remove) {
          book.release(k);
          held.delete(k);
        }
        book.assign(add, free);
        for (const k of add) if (!held.has(k)) held.set(k, book.get(k)?.v4 as string);
        for (const [k, address] of held) expect(book.get(k)?.v4).toBe(address);
        expect(new Set(held.values()).size).toBe(held.size);
      }
    }),
    { numRuns: 50 },
  );
});
