// SPDX-License-Identifier: Apache-2.0
// Texts that authors of routes choose: what is accepted here is accepted by a real Envoy, so that no route spoils those beside it.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRegex } from '../../src/compile/l7/regex.ts';
import { hasEnvoy, type Lab, openLab } from '../support/l7.ts';
import { waypointGateway } from '../support/waypoint-gateway.ts';

let lab: Lab;

const mesh = `
${waypointGateway}
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80, appProtocol: http}]}
---`;

let generation = 0;
/** True when Envoy goes by a route with these rules; false when it refuses it. */
async function takes(rules: readonly object[]): Promise<boolean> {
  generation++;
  const path = `/probe-${generation}`;
  const redirect = { type: 'RequestRedirect', requestRedirect: { statusCode: 307 } };
  const probe = { matches: [{ path: { type: 'Exact', value: path } }], filters: [redirect] };
  lab.tell(`${mesh}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop}
spec: {parentRefs: [{group: "", kind: Service, name: cart}], rules: ${JSON.stringify([probe, ...rules])}}
`);
  let verdict: boolean | undefined;
  await lab.until(async () => {
    if ((await lab.request({ path })).status === 307) verdict = true;
    else if (lab.control.status().some(({ refused }) => refused.length > 0)) verdict = false;
    return verdict !== undefined;
  }, 'taken or refused');
  return verdict === true;
}

const regexes = [
  ...[
    '/a/[0-9]+',
    '/(?P<x>a|b)/.*',
    '(?i)/A',
    '/a{2,3}',
    '/a{1001}',
    '/a{5,2000}',
    '\\q',
    '\\e',
    '\\u0041',
    '\\x41',
    '\\pL',
    '\\d\\w\\s\\b',
  ],
  ...[
    '[[:alpha:]]+',
    '[]a]',
    '[^]',
    '[]',
    '(a',
    'a)',
    'a**',
    'a++',
    '(?=a)',
    '(?<!a)b',
    '(a)\\1',
    '\\/\\-\\.',
    '\\Aa\\z',
    '\\Z',
    'a|*',
    '(?<n>a)',
    '\\Qa.b\\E',
    '\\07',
    '\\C*a\\C{3}',
    '[\\C]',
  ],
];

describe.skipIf(!hasEnvoy)('texts of routes', () => {
  beforeAll(async () => {
    lab = await openLab(mesh);
  });
  afterAll(() => lab?.close());

  test('regular expressions', async () => {
    for (const value of regexes.filter(isRegex)) {
      const rule = { matches: [{ path: { type: 'RegularExpression', value } }] };
      expect([value, await takes([rule])]).toEqual([value, true]);
    }
    const refused = regexes.filter((value) => !isRegex(value));
    expect(refused).toEqual(expect.arrayContaining(['/a{1001}', '\\q', '[^]', '(a', 'a**', '(?=a)', '(a)\\1']));
    expect(refused).not.toEqual(expect.arrayContaining(['/a/[0-9]+']));
  });

  test('regular expressions of other dialects, and too large ones, are faults', () => {
    const others = [
      ...[
        '(?:a{100}){100}',
        '((((a{30}){30}){30}){30})',
        '(?:[^a]{1000}){1}(?:.{1000}){1}.{1000}',
        '\\p{Foo}',
        '\\p',
        '\\pq',
      ],
      ...[
        '[[:foo:]]',
        '[a-\\d]',
        '[\\b]',
        '[\\A]',
        '\\x',
        '\\x{100}',
        '(?-:a)',
        '(?i-)a',
        '(?)',
        '(?P<\u00e9>a)',
        '\\Qa',
      ],
      ...[
        '{2}',
        '(|{2})',
        'a{2}{3}',
        'a*{2}',
        '^*',
        '[z-a]',
        '\\',
        '(?P<n>a)(?P<n>b)',
        '\\_',
        '\\1',
        '\ud800',
        '*a',
        'a{2,1}',
      ],
    ];
    expect(others.filter(isRegex)).toEqual([]);
  });

  test('random regular expressions', async () => {
    const parts = [
      ...[
        'a',
        'b',
        '-',
        '/',
        '.',
        '^',
        '$',
        '|',
        '(',
        ')',
        '(?:',
        '(?i)',
        '(?i:',
        '(?s-m:',
        '(?P<n>',
        '(?<m>',
        '*',
        '+',
        '?',
        '??',
        '{2}',
        '{2,}',
      ],
      ...[
        '{,3}',
        '{',
        '}',
        '{1,3}',
        '[',
        ']',
        '[^',
        '[a-z]',
        '[]a]',
        '[^-]',
        '[a-]',
        '[[:alpha:]]',
        '[[:^digit:]',
        ':',
        ',',
        '\u00e9',
        '\ud83d\ude00',
      ],
      ...[
        '\\d',
        '\\W',
        '\\b',
        '\\A',
        '\\z',
        '\\pL',
        '\\p{Greek}',
        '\\P{^Lu}',
        '\\x41',
        '\\x{ff}',
        '\\0',
        '\\07',
        '\\n',
        '\\.',
        '\\-',
        '\\Qa*\\E',
        '\\C',
      ],
    ];
    const made = fc.array(fc.constantFrom(...parts), { minLength: 1, maxLength: 8 }).map((list) => list.join(''));
    const taken = [...new Set(fc.sample(made, 6000))].filter(isRegex);
    expect(taken.length).toBeGreaterThan(200);
    const rules = [];
    for (let i = 0; i < taken.length; i += 8) {
      const matches = taken.slice(i, i + 8).map((value) => ({ path: { type: 'RegularExpression', value } }));
      rules.push({ matches, backendRefs: [{ name: 'cart', port: 80 }] });
    }
    const isTaken = await takes(rules);
    const reasons = lab.control.status().flatMap(({ refused }) => refused.map(({ reason }) => reason));
    expect([isTaken, reasons]).toEqual([true, []]);
  });

  test('values of headers, paths and names', async () => {
    const texts = ['', ' ', '%', '%%', '%REQ(x)%', 'ü', '{', '\t', '"', '\\', '\\1', '*', 'a,b', 'x'.repeat(4096)];
    for (const value of texts) {
      const change = { set: [{ name: 'x-a', value }], add: [{ name: 'x-b', value }] };
      const matches = [{ headers: [{ name: 'x-c', value }], queryParams: [{ name: 'q', value }] }];
      const filters = [
        { type: 'RequestHeaderModifier', requestHeaderModifier: change },
        { type: 'ResponseHeaderModifier', responseHeaderModifier: change },
        { type: 'URLRewrite', urlRewrite: { path: { type: 'ReplaceFullPath', replaceFullPath: `/${value}` } } },
      ];
      expect([value, await takes([{ matches, filters, backendRefs: [{ name: 'cart', port: 80 }] }])]).toEqual([
        value,
        true,
      ]);
    }
  });
});
