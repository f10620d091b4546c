// SPDX-License-Identifier: Apache-2.0
// Texts that authors of routes choose: what is accepted here is accepted by a real Envoy, so that no route spoils those beside it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRegex } from '../../src/compile/l7/regex.ts';
import { hasEnvoy, type Lab, openLab } from '../support/l7.ts';

let lab: Lab;

const mesh = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
status: {addresses: [{type: IPAddress, value: 10.96.9.9}]}
---
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
