// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { documentsOf, pieces } from '../../../src/source/file/documents.ts';
import type { Node } from '../../../src/source/file/node.ts';
import { maxAliasValues, maxMarks } from '../../../src/source/file/yaml-node.ts';

function plain(node: Node | undefined): unknown {
  if (node === undefined) return undefined;
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(plain);
  return Object.fromEntries(node.entries.map(({ key, value }) => [key, plain(value)]));
}

const values = (text: string) => [...documentsOf(text)].map(({ root }) => plain(root));
const faults = (text: string) => [...documentsOf(text)].flatMap((d) => d.faults.map((f) => `${f.at}: ${f.reason}`));

describe('cutting', () => {
  test.each([
    ['', []],
    ['a: 1\n', ['a: 1\n']],
    ['---\na: 1\n---\nb: 2\n', ['---\na: 1\n', '---\nb: 2\n']],
    ['a: 1\n...\nb: 2\n', ['a: 1\n', '\nb: 2\n']],
    ['%YAML 1.2\n# c\n---\na: 1\n', ['%YAML 1.2\n# c\n---\na: 1\n']],
    ['a: "\n---\n', ['a: "\n', '---\n']],
    ['--- # c\na: ---\n----: x\n', ['--- # c\na: ---\n----: x\n']],
    ['---', ['---']],
  ])('%j', (text, expected) => {
    expect(pieces(text).map(([from, to]) => text.slice(from, to))).toEqual(expected);
  });
});

describe('values', () => {
  test.each([
    ['a: {b: [1, two, "3"]}\n', [{ a: { b: [1, 'two', '3'] } }]],
    ['{"a": {"b": [1, true, null]}}', [{ a: { b: [1, true, null] } }]],
    ['a: &x {b: 1}\nc: *x\n', [{ a: { b: 1 }, c: { b: 1 } }]],
    ['a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  b: 3\n', [{ a: { b: 1, c: 2 }, d: { b: 3, c: 2 } }]],
    ['x: &x {b: 1}\ny: &y {b: 2, c: 3}\nd: {<<: [*x, *y]}\n', [{ x: { b: 1 }, y: { b: 2, c: 3 }, d: { b: 1, c: 3 } }]],
    ['8080: a\ntrue: b\n', [{ '8080': 'a', true: 'b' }]],
    ['a: yes\nb: on\nc: 1e3\nd: 0x10\n', [{ a: 'yes', b: 'on', c: 1000, d: 16 }]],
    ['a: >-\n  x\n  y\n', [{ a: 'x y' }]],
    ['a: 1\r\nb:\r\n- c\r\n', [{ a: 1, b: ['c'] }]],
    ['# only a comment\n', []],
    ['---\n---\na: 1\n---\n', [{ a: 1 }]],
    ['__proto__: {x: 1}\n', [JSON.parse('{"__proto__":{"x":1}}')]],
  ])('%j', (text, expected) => {
    expect(faults(text)).toEqual([]);
    expect(values(text).filter((value) => value !== null && value !== undefined)).toEqual(expected);
  });
});

describe('faults', () => {
  test.each([
    [
      'a: [1\n---\nb: 1\n',
      ['6: is not valid YAML: flow sequence in block collection must be sufficiently indented and end with a ]'],
    ],
    ['a: b: c\n', ['3: is not valid YAML: nested mappings are not allowed in compact mappings']],
    ['a: 1\nb: 2\na: 3\n', ['10: key "a" stands twice in the same mapping']],
    ['a: *x\n', ['3: alias "*x" names nothing above it']],
    ['a: &x [*x]\n', ['7: alias "*x" stands inside what it names']],
    ['? [a]\n: 1\n', ['2: a key must be text']],
    ['a: {<<: 1}\n', ['8: "<<" must name a mapping or a list of mappings']],
    ['a:\tb\n\tc: d\n', ['5: is not valid YAML: tabs are not allowed as indentation']],
  ])('%j', (text, expected) => {
    expect(faults(text)).toEqual(expected);
  });

  test('a broken document leaves the others alone', () => {
    expect(values('a: "x\n---\nb: 2\n---\nc: {\n---\nd: 4\n').filter((v) => v !== undefined)).toContainEqual({ b: 2 });
    expect(values('a: "x\n---\nb: 2\n---\nc: {\n---\nd: 4\n')).toContainEqual({ d: 4 });
  });

  test('aliases that multiply are bounded', () => {
    const rows = ['a: &a [x,x,x,x,x,x,x,x,x,x]'];
    for (const [i, name] of ['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].entries()) {
      const before = 'abcdefgh'[i];
      rows.push(`${name}: &${name} [${Array.from({ length: 10 }, () => `*${before}`).join(',')}]`);
    }
    // Unbounded it would run into the time-out of the test.
    expect(faults(rows.join('\n')).some((f) => f.endsWith(`aliases add more than ${maxAliasValues} values`))).toBe(
      true,
    );
  });

  test.each([
    ['values', `a: [x${',x'.repeat(maxMarks)}`],
    ['pairs', `${'a: b\n'.repeat(maxMarks / 2)}c: >-\n d\n`],
    ['faults', `a: [b]${' ]'.repeat(maxMarks)}`],
    ['anchors', `a:${' &a'.repeat(maxMarks)}`],
    ['quotes', `a:${' ""'.repeat(maxMarks)}`],
    ['quotes of the other sort', `a:${" ''".repeat(maxMarks)}`],
  ])('more than memory could hold is refused by itself: %s', (_, text) => {
    const large = `is too large: a document may have ${maxMarks} lines and marks of YAML, unless it is JSON or as kubectl prints it`;
    expect(faults(`${text}\n---\nb: 2\n`)).toEqual([`0: ${large}`]);
    expect(values(`${text}\n---\nb: 2\n`)).toContainEqual({ b: 2 });
  });

  test.each([
    ['brackets', '['.repeat(1_000_000)],
    ['closed brackets', `${'['.repeat(5000)}${']'.repeat(5000)}`],
    ['braces', '{a: '.repeat(20_000)],
    ['blocks', Array.from({ length: 3000 }, (_, i) => `${' '.repeat(i)}a:\n`).join('')],
  ])('deep nesting is refused: %s', (_, text) => {
    expect(faults(text).length).toBeGreaterThan(0);
    expect(faults(text).join()).toMatch(/nested too deeply|not valid YAML/);
  });
});
