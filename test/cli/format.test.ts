// SPDX-License-Identifier: Apache-2.0
// Results as tables, JSON and YAML.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { faultText } from '../../src/cli/fault.ts';
import { jsonPieces } from '../../src/cli/json.ts';
import { toPlain } from '../../src/cli/plain.ts';
import type { Block } from '../../src/cli/spec.ts';
import { drawBlocks } from '../../src/cli/table.ts';
import { yamlPieces } from '../../src/cli/yaml.ts';
import { KmeshError } from '../../src/errors.ts';

async function joined(pieces: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

const draw = (...blocks: Block[]) => joined(drawBlocks(blocks, false));

function* numbers(count: number): Generator<number> {
  for (let n = 0; n < count; n++) yield n;
}

test.each([
  [5n, 5],
  [2n ** 53n, '9007199254740992'],
  [-(2n ** 53n), '-9007199254740992'],
  [
    new Map<unknown, unknown>([
      ['a', 1n],
      [7, [2n]],
    ]),
    { a: 1, '7': [2] },
  ],
  [new Set([1n, 2n]), [1, 2]],
  [Uint8Array.of(0, 255), '00ff'],
  [{ a: undefined, b: null, c: () => 1 }, { b: null }],
  [
    [undefined, 1],
    [null, 1],
  ],
  [new Date(0), '1970-01-01T00:00:00.000Z'],
  [
    [-0, Number.NaN, Number.POSITIVE_INFINITY],
    [0, null, null],
  ],
  [{ toJSON: () => ({ deep: 1n }) }, { deep: 1 }],
])('plain %#', (value, expected) => {
  expect(toPlain(value)).toEqual(expected);
});

test('lists that are read as they are taken stay lists, at any depth', async () => {
  const make = () => ({ name: 'a', entries: numbers(2), none: numbers(0), deep: [{ x: 1 }], gone: undefined });
  const expected = { name: 'a', entries: [0, 1], none: [], deep: [{ x: 1 }] };
  expect(JSON.parse(await joined(jsonPieces(make(), 2)))).toEqual(expected);
  expect(parse(await joined(yamlPieces(make())))).toEqual(expected);
  const stream = async function* () {
    yield make();
    yield make();
  };
  expect(JSON.parse(await joined(jsonPieces(stream(), 0)))).toEqual([expected, expected]);
  expect(parse(await joined(yamlPieces(stream())))).toEqual([expected, expected]);
  expect(await joined(jsonPieces(numbers(0), 0))).toBe('[]');
  expect(await joined(yamlPieces(numbers(0)))).toBe('[]\n');
});

test('whatever JSON can hold comes back from both', async () => {
  const stream = async function* (items: readonly unknown[]) {
    yield* items;
  };
  await fc.assert(
    fc.asyncProperty(fc.array(fc.jsonValue({ noUnicodeString: false }), { maxLength: 3 }), async (items) => {
      const plain = JSON.parse(JSON.stringify(items));
      expect(JSON.parse(await joined(jsonPieces(stream(items), 0)))).toEqual(plain);
      expect(JSON.parse(await joined(jsonPieces(items, 2)))).toEqual(plain);
      expect(parse(await joined(yamlPieces(stream(items))))).toEqual(plain);
    }),
    { numRuns: 50 },
  );
});

test('a table: columns in line, no trailing spaces, what is missing is a dash', async () => {
  const rows = [
    ['a', 1, true],
    ['longer', undefined, false],
    [{ text: '', tone: 'good' as const }, 12n, { text: 'x', tone: 'bad' as const }],
  ];
  expect(await draw({ kind: 'table', title: 'Things', head: ['NAME', 'N', 'OK'], rows })).toBe(
    'Things\nNAME    N   OK\na       1   yes\nlonger  -   no\n        12  x\n',
  );
  expect(await draw({ kind: 'table', head: ['NAME'], rows: [] })).toBe('none\n');
  expect(await draw({ kind: 'table', head: ['NAME'], rows: [], none: 'no things' })).toBe('no things\n');
});

test.each([1, 198, 199, 200, 201, 900])('a table of %i rows is whole and in line', async (count) => {
  const rows = (function* () {
    for (const n of numbers(count)) yield [`row ${n}`, n * n];
  })();
  const lines = (await draw({ kind: 'table', head: ['NAME', 'SQUARE'], rows })).trimEnd().split('\n');
  expect(lines).toHaveLength(count + 1);
  expect(lines.at(-1)?.split(/ {2,}/)).toEqual([`row ${count - 1}`, String((count - 1) ** 2)]);
  expect(new Set(lines.map((line) => line.lastIndexOf(' '))).size).toBe(1);
});

test('blocks: lines, facts, text for machines; a blank line before each title but the first', async () => {
  expect(
    await draw(
      {
        kind: 'facts',
        title: 'One',
        rows: [
          ['a', 1],
          ['bcd', true],
        ],
      },
      { kind: 'line', text: 'said' },
      { kind: 'facts', title: 'Two', rows: [] },
      { kind: 'raw', text: 'as it\tis\n' },
    ),
  ).toBe('One\na    1\nbcd  yes\nsaid\n\nTwo\nas it\tis\n');
});

test('control characters of names that others chose never reach the terminal', async () => {
  expect(await draw({ kind: 'line', text: 'a\u001b[31mb\u0007\u009bc' })).toBe('a?[31mb??c\n');
  expect(await draw({ kind: 'table', head: ['N'], rows: [['x\u001by\nz']] })).toBe('N\nx?y?z\n');
  expect(await draw({ kind: 'line', text: 'ab\u202ecba\u2066' })).toBe('ab?cba?\n');
  const value = { 'a\u009b1m': ['b\u001b[2J', 'c\u0085\u007fd', 'e'], f: 'g\nh' };
  for (const [pieces, read] of [
    [jsonPieces(value, 2), (text: string) => JSON.parse(text)],
    [yamlPieces(value), (text: string) => parse(text)],
  ] as const) {
    const text = await joined(pieces);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect(read(text)).toEqual(value);
  }
});

test('nor those of failures, whoever wrote what they say', () => {
  const cause = new KmeshError('KM_KUBE', 'x\u001b[2J\ny', { detail: 'one\ntwo\u0007\n' });
  const fault = new KmeshError('KM_TIMEOUT', 'a\u001b[31m\nb\r', { hint: 'c\u009b', cause });
  expect(faultText(fault, true)).toBe(
    'error KM_TIMEOUT: a?[31m; b?\nhint: c?\ncaused by KM_KUBE: x?[2J\ny\none\ntwo?\n',
  );
});
