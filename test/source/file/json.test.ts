// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readJson } from '../../../src/source/file/json.ts';
import { readYaml } from '../../../src/source/file/yaml-node.ts';

test.each([
  ['{}'],
  ['\n {"a": [], "b": {}, "c": [1, -2.5e3, 0, true, false, null, "x"]}\n'],
  ['{"a\\n\\u00e9\\"": "\\\\ \\/ \\t"}'],
])('%s is read as the library reads it', (text) => {
  const read = readJson(text, 3);
  expect(read).toBeDefined();
  expect(read).toEqual(readYaml(text, 3));
});

test.each([
  ['[1]'],
  ['a: 1'],
  ['{"a": 1} x'],
  ['{"a": 1, "a": 2}'],
  ['{"a": 1,}'],
  ['{a: 1}'],
  ['{"a": 01}'],
  ['{"a": .5}'],
  ['{"a": "\n"}'],
  ['{"a": "\\x"}'],
  ['{"a": "x'],
  ['{"a"'],
  ['{"a": tru}'],
  [`${'{"a":'.repeat(200)}1${'}'.repeat(200)}`],
  [''],
])('%s is left to the library', (text) => {
  expect(readJson(text, 0)).toBeUndefined();
});

test('whatever it reads, the library reads alike', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), fc.nat({ max: 4 }), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      const read = readJson(text, 0);
      expect(read?.faults).toEqual([]);
      expect(JSON.stringify(read)).toBe(JSON.stringify(readYaml(text, 0)));
    }),
    { numRuns: 300 },
  );
});
