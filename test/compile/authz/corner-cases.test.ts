// SPDX-License-Identifier: Apache-2.0
// The corner cases of what policies mean, as a table: the plain evaluator and the compiled sets are both held to it.
import { describe, expect, test } from 'vitest';
import type { Identity } from '../../../src/mesh/identity.ts';
import { emptyMatch, type Match, type Policy, type Rule, type StringMatch } from '../../../src/mesh/policy.ts';
import { type Connection, referenceVerdict } from '../../support/authz-reference.ts';
import { judged } from './judged.ts';

const cart: Identity = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'cart' };
const from = (fields: Partial<Connection> = {}): Connection => ({
  identity: cart,
  source: '10.0.0.1',
  destination: '10.0.0.9',
  port: 80,
  ...fields,
});
const nobody = from({ identity: undefined });
const m = (fields: Partial<Match>): Match => ({ ...emptyMatch, ...fields });
const exact = (value: string): StringMatch[] => [{ kind: 'exact', value }];
const prefix = (value: string): StringMatch[] => [{ kind: 'prefix', value }];
const suffix = (value: string): StringMatch[] => [{ kind: 'suffix', value }];
const presence: StringMatch[] = [{ kind: 'presence' }];
const ip = (text: string) => {
  const [address = '', length = ''] = text.split('/');
  return [{ address, length: Number(length) }];
};

let made = 0;
const policy = (action: Policy['action'], rules: readonly Rule[], fields: Partial<Policy> = {}): Policy => {
  return { name: `p${made++}`, namespace: 'shop', scope: 'namespace', action, rules, dryRun: false, ...fields };
};
const allow = (...rules: Rule[]) => policy('allow', rules);
const deny = (...rules: Rule[]) => policy('deny', rules);
const port = (...destinationPorts: number[]): Rule => [[m({ destinationPorts })]];

/** Whether a rule matches, seen by an ALLOW policy that holds nothing else. */
const matches = (match: Partial<Match>): Rule => [[m(match)]];

describe('what a rule matches', () => {
  const table: readonly (readonly [what: string, rule: Rule, connection: Connection, matches: boolean])[] = [
    ['a rule without clauses always', [], from(), true],
    ['a clause without matches always', [[]], from(), true],
    ['a clause without matches beside one that fails', [[], [m({ destinationPorts: [81] })]], from(), false],
    ['a match without a value never', matches({}), from(), false],
    ['a match without a value beside one that holds', [[m({}), m({ destinationPorts: [80] })]], from(), true],
    ['all clauses', [[m({ destinationPorts: [80] })], [m({ namespaces: exact('shop') })]], from(), true],
    ['not all clauses', [[m({ destinationPorts: [80] })], [m({ namespaces: exact('x') })]], from(), false],
    ['any match of a clause', [[m({ destinationPorts: [81] }), m({ namespaces: exact('shop') })]], from(), true],
    ['all kinds of a match', matches({ destinationPorts: [80], namespaces: exact('x') }), from(), false],
    ['any value of a kind', matches({ destinationPorts: [1, 80] }), from(), true],
    ['a value and its opposite', matches({ destinationPorts: [80], notDestinationPorts: [80] }), from(), false],
    ['no value of an opposite', matches({ notDestinationPorts: [81, 82] }), from(), true],
    ['any value of an opposite', matches({ notDestinationPorts: [81, 80] }), from(), false],

    ['namespace exact', matches({ namespaces: exact('shop') }), from(), true],
    ['namespace is no prefix by itself', matches({ namespaces: exact('sho') }), from(), false],
    ['namespace prefix', matches({ namespaces: prefix('sh') }), from(), true],
    ['namespace suffix', matches({ namespaces: suffix('op') }), from(), true],
    ['namespace presence', matches({ namespaces: presence }), from(), true],
    ['not a namespace', matches({ notNamespaces: exact('shop') }), from(), false],

    ['principal exact', matches({ principals: exact('cluster.local/ns/shop/sa/cart') }), from(), true],
    [
      'principal with spiffe://',
      matches({ principals: exact('spiffe://cluster.local/ns/shop/sa/cart') }),
      from(),
      false,
    ],
    ['principal of another trust domain', matches({ principals: exact('td/ns/shop/sa/cart') }), from(), false],
    ['principal prefix', matches({ principals: prefix('cluster.local/') }), from(), true],
    ['principal prefix does not begin with spiffe://', matches({ principals: prefix('spiffe') }), from(), false],
    ['principal suffix', matches({ principals: suffix('/sa/cart') }), from(), true],
    ['principal presence', matches({ principals: presence }), from(), true],

    ['service account', matches({ serviceAccounts: [{ namespace: 'shop', serviceAccount: 'cart' }] }), from(), true],
    [
      'service account of any trust domain',
      matches({ serviceAccounts: [{ namespace: 'shop', serviceAccount: 'cart' }] }),
      from({ identity: { ...cart, trustDomain: 'td' } }),
      true,
    ],
    [
      'other service account',
      matches({ serviceAccounts: [{ namespace: 'shop', serviceAccount: 'x' }] }),
      from(),
      false,
    ],
    [
      'service account elsewhere',
      matches({ serviceAccounts: [{ namespace: 'x', serviceAccount: 'cart' }] }),
      from(),
      false,
    ],

    ['nobody: no namespace', matches({ namespaces: exact('shop') }), nobody, false],
    ['nobody: no presence of a namespace', matches({ namespaces: presence }), nobody, false],
    ['nobody: the empty namespace', matches({ namespaces: exact('') }), nobody, true],
    ['nobody: a prefix of nothing', matches({ namespaces: prefix('') }), nobody, true],
    ['nobody: not this namespace', matches({ notNamespaces: exact('shop') }), nobody, true],
    ['nobody: no principal', matches({ principals: exact('') }), nobody, false],
    ['nobody: not even a prefix of nothing', matches({ principals: prefix('') }), nobody, false],
    ['nobody: not presence of a principal', matches({ notPrincipals: presence }), nobody, true],
    ['somebody: not presence of a principal', matches({ notPrincipals: presence }), from(), false],
    [
      'nobody: no service account',
      matches({ serviceAccounts: [{ namespace: '', serviceAccount: '' }] }),
      nobody,
      false,
    ],
    [
      'nobody: not this service account',
      matches({ notServiceAccounts: [{ namespace: 'shop', serviceAccount: 'cart' }] }),
      nobody,
      true,
    ],

    ['source address', matches({ sourceIps: ip('10.0.0.1/32') }), from(), true],
    ['source range', matches({ sourceIps: ip('10.0.0.0/8') }), from(), true],
    ['source range with host bits', matches({ sourceIps: ip('10.9.9.9/8') }), from(), true],
    ['all of IPv4', matches({ sourceIps: ip('0.0.0.0/0') }), from(), true],
    ['all of IPv6 is not IPv4', matches({ sourceIps: ip('::/0') }), from(), false],
    ['all of IPv4 is not IPv6', matches({ sourceIps: ip('0.0.0.0/0') }), from({ source: '::1' }), false],
    ['not all of IPv6', matches({ notSourceIps: ip('::/0') }), from(), true],
    ['IPv6 range', matches({ sourceIps: ip('2001:db8::/33') }), from({ source: '2001:db8:7fff::1' }), true],
    ['outside an IPv6 range', matches({ sourceIps: ip('2001:db8::/33') }), from({ source: '2001:db8:8000::1' }), false],
    [
      'a range less one inside',
      matches({ sourceIps: ip('10.0.0.0/8'), notSourceIps: ip('10.0.0.0/24') }),
      from(),
      false,
    ],
    [
      'beside the one inside',
      matches({ sourceIps: ip('10.0.0.0/8'), notSourceIps: ip('10.0.0.0/24') }),
      from({ source: '10.0.1.1' }),
      true,
    ],
    ['destination address', matches({ destinationIps: ip('10.0.0.9/32') }), from(), true],
    ['other destination address', matches({ destinationIps: ip('10.0.0.8/32') }), from(), false],
    ['not a destination range', matches({ notDestinationIps: ip('10.0.0.0/8') }), from(), false],
    ['port 0', matches({ destinationPorts: [0] }), from({ port: 0 }), true],
    ['port 65535', matches({ destinationPorts: [65535] }), from({ port: 65535 }), true],
  ];

  test.each(table)('%s', (_, rule, connection, expected) => {
    for (const action of ['allow', 'deny'] as const) {
      const list = [policy(action, [rule])];
      const allowed = action === 'allow' ? expected : !expected;
      expect(referenceVerdict(list, connection).allowed).toBe(allowed);
      expect(judged(list, connection).allowed).toBe(allowed);
    }
  });
});

describe('order', () => {
  const dry = (action: Policy['action'], ...rules: Rule[]) => policy(action, rules, { dryRun: true });
  const table: readonly (readonly [what: string, list: Policy[], why: string, dryWhy?: string])[] = [
    ['no policy', [], 'no-allow-policy'],
    ['a DENY that does not match, no ALLOW', [deny(port(81))], 'no-allow-policy'],
    ['a DENY without rules', [deny()], 'no-allow-policy'],
    ['an ALLOW without rules', [allow()], 'no-match'],
    ['an ALLOW that matches', [allow(port(80))], 'allow'],
    ['an ALLOW that does not', [allow(port(81))], 'no-match'],
    ['one of several ALLOWs', [allow(port(81)), allow(), allow(port(80))], 'allow'],
    ['one rule of several', [allow(port(81), port(80))], 'allow'],
    ['DENY before ALLOW', [allow(port(80)), deny(port(80))], 'deny'],
    ['ALLOW first changes nothing', [deny(port(80)), allow(port(80))], 'deny'],
    ['a DENY that does not match leaves it to ALLOW', [deny(port(81)), allow(port(80))], 'allow'],
    ['a DENY of everything', [deny([]), allow([])], 'deny'],
    ['dry DENY denies nothing', [dry('deny', port(80))], 'no-allow-policy', 'deny'],
    ['dry DENY beside a real one', [dry('deny', port(80)), deny(port(80))], 'deny'],
    ['dry ALLOW does not make the rest denied', [dry('allow', port(81))], 'no-allow-policy', 'no-match'],
    ['dry ALLOW allows nothing', [dry('allow', port(80)), allow(port(81))], 'no-match', 'allow'],
    ['dry DENY that does not match', [dry('deny', port(81)), allow(port(80))], 'allow'],
    ['a dry run that would say the same is told too', [dry('allow', port(80))], 'no-allow-policy', 'allow'],
  ];

  test.each(table.map(([what, list, why, dryWhy]) => [what, list, why, dryWhy] as const))(
    '%s',
    (_, list, why, dryWhy) => {
      const got = judged(list, from());
      expect(referenceVerdict(list, from()).why).toBe(why);
      expect(got.why).toBe(why);
      expect(got.dryRun?.why).toBe(dryWhy);
      expect(referenceVerdict(list, from(), true).why).toBe(dryWhy ?? why);
    },
  );
});
