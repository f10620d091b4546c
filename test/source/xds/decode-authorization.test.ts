// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { Match, Policy } from '../../../src/mesh/policy.ts';
import { openDecoder } from '../../../src/source/xds/decode/decoder.ts';
import { bytesOf, check, checkMatch, checkPolicy, resource } from './decode-messages.ts';

const plain: Policy = {
  name: 'only-web',
  namespace: 'shop',
  scope: 'global',
  action: 'allow',
  rules: [],
  dryRun: false,
};

const nothing: Match = {
  namespaces: [],
  notNamespaces: [],
  principals: [],
  notPrincipals: [],
  serviceAccounts: [],
  notServiceAccounts: [],
  sourceIps: [],
  notSourceIps: [],
  destinationIps: [],
  notDestinationIps: [],
  destinationPorts: [],
  notDestinationPorts: [],
};

const v4 = Buffer.from([10, 1, 2, 7]);
const v6 = Buffer.from('20010db80000000000000000000000ff', 'hex');
const mapped = Buffer.from('00000000000000000000ffff0a010207', 'hex');

test.each<[string, object, Partial<Policy>]>([
  ['nothing but its key', {}, {}],
  ['a namespace as its scope', { scope: 'NAMESPACE' }, { scope: 'namespace' }],
  ['a selector', { scope: 'WORKLOAD_SELECTOR' }, { scope: 'selector' }],
  ['denial', { action: 'DENY' }, { action: 'deny' }],
  ['dry run', { dryRun: true }, { dryRun: true }],
  [
    'an empty rule, clause and match, each of which means something else',
    { rules: [{}, { clauses: [{}] }, { clauses: [{ matches: [{}] }] }] },
    { rules: [[], [[]], [[nothing]]] },
  ],
  [
    'rules of clauses of matches',
    {
      rules: [
        {
          clauses: [
            { matches: [{ destinationPorts: [1] }, { destinationPorts: [2] }] },
            { matches: [{ destinationPorts: [3] }] },
          ],
        },
        { clauses: [{ matches: [{ destinationPorts: [4] }] }] },
      ],
    },
    {
      rules: [
        [
          [
            { ...nothing, destinationPorts: [1] },
            { ...nothing, destinationPorts: [2] },
          ],
          [{ ...nothing, destinationPorts: [3] }],
        ],
        [[{ ...nothing, destinationPorts: [4] }]],
      ],
    },
  ],
])('a policy with %s', (_, fields, expected) => {
  expect(checkPolicy(fields)).toEqual({ ok: true, change: { kind: 'put-policy', policy: { ...plain, ...expected } } });
});

const texts = [{ exact: 'a' }, { prefix: 'b' }, { suffix: 'c' }, { presence: {} }, { exact: '' }];
const textsModel = [
  { kind: 'exact', value: 'a' },
  { kind: 'prefix', value: 'b' },
  { kind: 'suffix', value: 'c' },
  { kind: 'presence' },
  { kind: 'exact', value: '' },
];
const ranges = [
  { address: v4, length: 16 },
  { address: v6, length: 128 },
  { address: v4 },
  { address: mapped, length: 120 },
];
const rangesModel = [
  { address: '10.1.0.0', length: 16 },
  { address: '2001:db8::ff', length: 128 },
  { address: '0.0.0.0', length: 0 },
  { address: '10.1.2.0', length: 24 },
];
const accounts = [{ namespace: 'shop', serviceAccount: 'web' }, { serviceAccount: 'x' }];
const accountsModel = [
  { namespace: 'shop', serviceAccount: 'web' },
  { namespace: '', serviceAccount: 'x' },
];

test.each<[keyof Match, unknown, unknown]>([
  ['namespaces', texts, textsModel],
  ['notNamespaces', texts, textsModel],
  ['principals', texts, textsModel],
  ['notPrincipals', texts, textsModel],
  ['serviceAccounts', accounts, accountsModel],
  ['notServiceAccounts', accounts, accountsModel],
  ['sourceIps', ranges, rangesModel],
  ['notSourceIps', ranges, rangesModel],
  ['destinationIps', ranges, rangesModel],
  ['notDestinationIps', ranges, rangesModel],
  ['destinationPorts', [0, 80, 65535], [0, 80, 65535]],
  ['notDestinationPorts', [0, 80, 65535], [0, 80, 65535]],
])('a match of %s', (field, given, expected) => {
  expect(checkMatch({ [field]: given })).toEqual({
    ok: true,
    change: { kind: 'put-policy', policy: { ...plain, rules: [[[{ ...nothing, [field]: expected }]]] } },
  });
});

const at = 'rules[0].clauses[0].matches[0]';

test.each<[string, object, string[]]>([
  [
    'texts that are compared in no known way',
    { namespaces: [{ exact: 'a' }, {}], notPrincipals: [{}] },
    [
      `${at}.namespaces[1]: neither exact, prefix, suffix nor presence`,
      `${at}.not_principals[0]: neither exact, prefix, suffix nor presence`,
    ],
  ],
  [
    'ranges that are none',
    { sourceIps: [{ address: v4, length: 33 }, { length: 8 }], notDestinationIps: [{ address: v6, length: 129 }] },
    [
      `${at}.source_ips[0].length: 33, must be at most 32`,
      `${at}.source_ips[1].address: 0 bytes, must be 4 or 16`,
      `${at}.not_destination_ips[0].length: 129, must be at most 128`,
    ],
  ],
  [
    'ports out of range',
    { destinationPorts: [80, 65536], notDestinationPorts: [4294967295] },
    [
      `${at}.destination_ports[1]: 65536, must be at most 65535`,
      `${at}.not_destination_ports[0]: 4294967295, must be at most 65535`,
    ],
  ],
  [
    'an extension',
    { extensions: [{ name: 'example.quota', config: { type_url: 'x', value: Buffer.from('y') } }, {}] },
    [
      `${at}.extensions[0]: "example.quota" is not known, so what the policy means is not either`,
      `${at}.extensions[1]: "" is not known, so what the policy means is not either`,
    ],
  ],
])('a match with %s keeps the policy out', (_, match, faults) => {
  expect(checkMatch(match)).toMatchObject({ ok: false, faults });
});

test('a policy of another scope, action or extension is refused', () => {
  expect(checkPolicy({ scope: 3, action: 2, extensions: [{ name: 'a' }] })).toMatchObject({
    ok: false,
    faults: [
      'extensions[0]: "a" is not known, so what the policy means is not either',
      'scope: unknown value 3',
      'action: unknown value 2',
    ],
  });
});

test('the name of the resource must be namespace and name', () => {
  const faults = ['name: "shop/a" is not the name of the resource'];
  expect(check('authorization', 'a', { namespace: 'shop', name: 'a' })).toMatchObject({ ok: false, faults });
  expect(check('authorization', 'shop/b', { namespace: 'shop', name: 'a' })).toMatchObject({ ok: false, faults });
});

test('ports count packed and one by one, and faults of both are told', () => {
  // destination_ports: 80, 443 one by one, then packed 8080, 65536.
  const match = '48 50 48 bb 03 4a 05 90 3f 80 80 04';
  const body = `0a 01 61 12 01 62 2a 10 0a 0e 12 0c ${match}`;
  const raw = resource('authorization', 'b/a', bytesOf(body));
  expect(openDecoder().check('authorization', raw)).toMatchObject({
    ok: false,
    faults: [`${at}.destination_ports[3]: 65536, must be at most 65535`],
  });
  const good = resource('authorization', 'b/a', bytesOf(body.replace('80 80 04', 'ff ff 03')));
  expect(openDecoder().check('authorization', good)).toMatchObject({
    change: { policy: { rules: [[[{ destinationPorts: [80, 443, 8080, 65535] }]]] } },
  });
});

const tooMany = { scope: 'WORKLOAD_SELECTOR', rules: [{ clauses: [pairs(129), pairs(128)] }] };
/** A clause of so many alternatives. */
function pairs(count: number) {
  const match = (i: number) => ({
    destinationPorts: [80],
    sourceIps: [{ address: Buffer.from([10, 0, 0, i]), length: 32 }],
  });
  return { matches: Array.from({ length: count }, (_, i) => match(i)) };
}

test('a policy of too many conjunctions is refused', () => {
  const faults = ['rules: 16512 conjunctions, must be at most 16384'];
  expect(checkPolicy(tooMany)).toMatchObject({ ok: false, faults });
  expect(checkPolicy({ rules: [{ clauses: [pairs(128), pairs(128)] }] })).toMatchObject({ ok: true });
});

/** Each with an action that nobody knows. */
test.each([
  ['the scope that it says', { scope: 'WORKLOAD_SELECTOR' }, 'selector'],
  ['the whole mesh, when it says no scope', {}, 'global'],
  ['its namespace, when nobody knows the scope that it says', { scope: 7 }, 'namespace'],
])('a policy that is refused closes %s', (_name, more, scope) => {
  const checked = checkPolicy({ action: 5, ...more });
  expect(checked).toMatchObject({
    ok: false,
    closing: { name: 'only-web', namespace: 'shop', scope, action: 'deny', rules: [[]], dryRun: false },
  });
});

test('what cannot be read at all closes the namespace of its name, or the mesh when that is the root one', () => {
  const decoder = openDecoder();
  const closing = (name: string, body: string) => {
    const checked = decoder.check('authorization', resource('authorization', name, bytesOf(body)));
    return checked.ok ? undefined : checked.closing;
  };
  expect(closing('shop/a', 'ff ff')).toMatchObject({ scope: 'namespace', namespace: 'shop', name: 'a' });
  expect(closing('istio-system/a', 'ff ff')).toMatchObject({ scope: 'global' });
  expect(closing('a', 'ff ff')).toMatchObject({ scope: 'global', namespace: '', name: 'a' });
  // Cut short within the rules: what came before them counts.
  expect(closing('b/a', '0a 01 61 12 01 62 18 02 2a 10')).toMatchObject({ scope: 'selector', namespace: 'b' });
  // Another name than the resource has, and another namespace.
  expect(closing('b/c', '0a 01 61 12 01 62 18 02')).toMatchObject({ scope: 'namespace', namespace: 'b', name: 'c' });
  expect(closing('d/a', '0a 01 61 12 01 62 18 02')).toMatchObject({ scope: 'global', namespace: 'd', name: 'a' });
  const other = { ...resource('authorization', 'b/a', bytesOf('')), typeUrl: 'x' };
  expect(decoder.check('authorization', other)).toMatchObject({ ok: false, closing: { scope: 'namespace' } });
});

test('a dry run that is refused closes nothing', () => {
  expect(checkPolicy({ action: 5, dryRun: true })).toEqual({ ok: false, faults: ['action: unknown value 5'] });
});
