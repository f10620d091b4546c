// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { renderPath } from '../../../src/source/file/node.ts';
import { identityOf } from '../../../src/source/file/objects.ts';
import { readFileText } from '../../../src/source/file/read.ts';
import { maxFindings } from '../../../src/source/file/reading.ts';
import { lineIndex, renderFinding } from '../../../src/source/findings.ts';
import { document } from './random-documents.ts';
import { lines, read } from './texts.ts';

const names = (text: string) => read(text).objects.map(identityOf);

test('a List as kubectl prints it, of which one item is broken', () => {
  const contents = read(`
    apiVersion: v1
    items:
    - apiVersion: v1
      kind: Pod
      metadata:
        name: cart-1
        namespace: shop
    - apiVersion: v1
      kind: Service
      metadata:
        name: cart
        namespace: shop
      spec:
        clusterIP: nowhere
    - apiVersion: apps/v1
      kind: Deployment
      metadata:
        name: cart
    - apiVersion: v1
      kind: Node
      metadata:
        name: node-a
    kind: List
    metadata:
      resourceVersion: ""
  `);
  expect(contents.objects.map((o) => [identityOf(o), o.place.line, o.place.column])).toEqual([
    ['Pod shop/cart-1', 6, 11],
    ['Node node-a', 22, 11],
  ]);
  expect(lines(contents.faults)).toEqual([
    'a.yaml:14:16: Service shop/cart: items[1].spec.clusterIP: must be an IPv4 or IPv6 address, not "nowhere"',
  ]);
  expect(contents.rejected.map((r) => r.identity)).toEqual(['Service shop/cart']);
  expect(contents.ignored).toMatchObject([{ what: 'apps/v1 Deployment', count: 1 }]);
});

test('the same List as JSON, and a list of one kind whose items do not say so', () => {
  const json = JSON.stringify(
    {
      apiVersion: 'v1',
      kind: 'List',
      items: [{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec: { nodeName: 7 } }],
    },
    null,
    2,
  );
  expect(lines(readFileText('l.json', json).faults)).toEqual([
    'l.json:12:21: Pod default/a: items[0].spec.nodeName: must be text, not the number 7 (put it in quotes)',
  ]);
  expect(
    names(
      '{"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]}',
    ),
  ).toEqual(['Pod default/a', 'Pod default/b']);
});

test('a broken document tells who it is as far as it can be read', () => {
  const { rejected, objects, faults } = read(`
    apiVersion: v1
    kind: Pod
    metadata:
      name: cart-1
      namespace: shop
    spec:
      nodeName: "unclosed
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: cart-2, namespace: shop}
    ---
    }{
  `);
  expect(rejected.map((r) => r.identity)).toEqual(['Pod shop/cart-1', '']);
  expect(objects.map(identityOf)).toEqual(['Pod shop/cart-2']);
  expect(faults.map((f) => f.resource)).toContain('Pod shop/cart-1');
  expect(lines(faults)[0]).toBe('a.yaml:8:1: Pod shop/cart-1: is not valid YAML: missing closing "quote');
});

test.each([
  ['', []],
  ['# nothing\n---\n---\n', []],
  ['apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n', ['Namespace a']],
  [
    'apiVersion: networking.istio.io/v1beta1\nkind: WorkloadEntry\nmetadata: {name: a}\nspec: {address: 10.0.0.1}\n',
    ['WorkloadEntry default/a'],
  ],
])('%j', (text, expected) => {
  expect(names(text)).toEqual(expected);
  expect(read(text).faults).toEqual([]);
});

test('a file of another sort cannot fill memory with complaints', () => {
  const { faults } = readFileText('x.yaml', 'x\n---\n'.repeat(maxFindings * 2));
  expect(faults.length).toBe(maxFindings + 1);
  expect(renderFinding(faults.at(-1) as (typeof faults)[number])).toBe('x.yaml: has more');
});

test('no text makes it throw, and faults are inside the text', () => {
  const scraps = fc.constantFrom(
    'a',
    ': ',
    '\n',
    '  ',
    '- ',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '&x',
    '*x',
    '|',
    '>',
    '#',
    '!',
    '---\n',
    '\t',
    '%',
    '<<',
    '\0',
    'é',
  );
  const garbage = fc.oneof(
    fc.string(),
    fc.array(scraps, { maxLength: 60 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(document, garbage), { maxLength: 4 }),
      fc.nat(),
      fc.nat({ max: 5 }),
      (parts, where, length) => {
        const whole = parts.join('\n---\n');
        const at = where % (whole.length + 1);
        const text = whole.slice(0, at) + whole.slice(at + length);
        const rows = text.split('\n');
        for (const { line, column } of readFileText('x', text).faults) {
          expect(column).toBeGreaterThan(0);
          expect(column).toBeLessThanOrEqual((rows[line - 1] as string).length + 1);
        }
      },
    ),
    { numRuns: 500 },
  );
}, 30_000);

test('places', () => {
  const place = lineIndex('ab\n\ncd');
  expect([0, 1, 2, 3, 4, 5].map((at) => `${place(at).line}:${place(at).column}`)).toEqual([
    '1:1',
    '1:2',
    '1:3',
    '2:1',
    '3:1',
    '3:2',
  ]);
  expect(renderPath(['spec', 'ports', 0, 'name'])).toBe('spec.ports[0].name');
  expect(renderPath([0, 'a.b/c'])).toBe('[0]["a.b/c"]');
});
