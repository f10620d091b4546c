// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readPlain } from '../../../src/source/file/plain.ts';
import { readYaml } from '../../../src/source/file/yaml-node.ts';
import { dedent } from './texts.ts';

/** Where nothing stands there is no saying where it begins. */
const comparable = (value: unknown) => JSON.stringify(value).replace(/"at":\d+,"value":null/g, '"value":null');

const pod = dedent(`
  ---
  apiVersion: v1
  kind: Pod
  metadata:
    name: cart-1
    annotations:
      a: "x: y # z"
      b: 'it''s'
      c: |
        {"a": 1}
        two

      d: |-
        one
         two
    managedFields:
    - fieldsV1:
        f:status:
          .: {}
          k:{"type":"Ready"}:
            f:x: {}
  # a comment
  spec:
    nodeName: node-1 # comment
    containers:
    - name: main
      ports:
      - name: http
        containerPort: 8080
      - containerPort: 9090
    - image: a/b:v1
      args:
        - --x=1
        - "q\\n\\u00e9"
        - ~
        - 010
        - true
  status:
    empty:
    list: []
    podIPs:
    - ip: 10.0.0.1
    -
      ip: 2001:db8::1
    -
    conditions:
    - type: Ready
      status: "True"
`);

test.each([
  ['what kubectl prints', pod.replace(/ *- ~\n/, '')],
  ['a literal block', 'a: |\n  b\n\n  c\n\nd: e\n'],
  ['a list under its key', 'a:\n- b\n- c: d\n  e: f\ng: h\n'],
  ['quotes', `a: "b\\"c"\nd: 'e''f'\ng: "" # h\n`],
])('is read here: %s', (_, text) => {
  const before = 'a: 0\n---';
  const read = readPlain(`${before}\n${text}---\nb: 1\n`, before.length + 1, before.length + 1 + text.length);
  expect(read).toBeDefined();
  expect(comparable(read)).toBe(comparable(readYaml(text, before.length + 1)));
});

test.each([
  ['flow', 'a: {b: c}\n'],
  ['anchor', 'a: &b c\n'],
  ['merge', '<<: a\n'],
  ['folded', 'a: >\n  b\n'],
  ['many lines', 'a: b\n  c\n'],
  ['key twice', 'a: b\na: c\n'],
  ['tab', 'a:\tb\n'],
  ['carriage return', 'a: b\r\n'],
  ['a scalar', 'a\n'],
  ['JSON', '{"a": 1}'],
  ['hexadecimal', 'a: 0x1F\n'],
])('is left to the library: %s', (_, text) => {
  expect(readPlain(text)).toBeUndefined();
});

const scraps = [
  ...' \n:-#"\'\\|>{}[],&*!%@`?~abkN019./\t',
  '  ',
  '\n  ',
  '- ',
  ': ',
  ' #',
  '\n\n',
  "''",
  '<<: ',
  'é',
  '\u2028',
  '\ufeff',
];

test('whatever it reads, the library reads alike, however the text is damaged', () => {
  const rows = pod.split('\n');
  const edit = fc.tuple(fc.nat(), fc.constantFrom('add', 'cut', 'put'), fc.constantFrom(...scraps));
  let read = 0;
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.array(edit, { maxLength: 4 }), (from, length, edits) => {
      const first = from % rows.length;
      let text = `${rows.slice(first, first + 1 + (length % rows.length)).join('\n')}\n`;
      for (const [where, how, scrap] of edits) {
        const at = where % (text.length + 1);
        text = text.slice(0, at) + (how === 'cut' ? '' : scrap) + text.slice(how === 'add' ? at : at + 1);
      }
      if (/^(---|\.\.\.)([ \t\r\n]|$)/m.test(text.slice(3))) return;
      const before = 'a: 0\n';
      const file = `${before}${text}${text.endsWith('\n') ? '---\nb: 1\n' : ''}`;
      const plain = readPlain(file, before.length, before.length + text.length);
      if (plain?.root === undefined) return;
      read++;
      expect(comparable(plain)).toBe(comparable(readYaml(text, before.length)));
    }),
    { numRuns: 3000 },
  );
  expect(read).toBeGreaterThan(100);
});
