// SPDX-License-Identifier: Apache-2.0
// Random policies and connections over a few names, addresses and ports, so that they meet often.
import fc from 'fast-check';
import { emptyMatch, type Match, type Policy, type StringMatch } from '../../src/mesh/policy.ts';
import type { Connection } from './authz-reference.ts';

const pick = fc.constantFrom;
const namespaces = ['', 'a', 'ab', 'b'];
const accounts = ['default', 'cart', 'x'];
const domains = ['cluster.local', 'td'];
const ports = [0, 80, 443, 8080, 65535];
const addresses = ['10.0.0.1', '10.0.0.2', '10.0.1.1', '10.1.0.1', '192.0.2.1', '::1', '2001:db8::1', '2001:db8:1::1'];
const ranges = [
  ...['10.0.0.1/32', '10.0.0.0/30', '10.0.0.0/24', '10.0.0.9/16', '10.0.0.0/8', '0.0.0.0/0', '128.0.0.0/1'],
  ...['::/0', '::/96', '::fffe:0:0/95', '2001:db8::/32', '2001:db8::/48', '2001:db8::1/128', '2001:db8::1/127'],
];

/** Nearly always none, now and then a few. */
const some = <T>(of: fc.Arbitrary<T>, weight = 3) =>
  fc.oneof({ weight, arbitrary: fc.constant<T[]>([]) }, { weight: 1, arbitrary: fc.array(of, { maxLength: 3 }) });

const text = (values: readonly string[]): fc.Arbitrary<StringMatch> =>
  fc.oneof(
    fc.constant<StringMatch>({ kind: 'presence' }),
    fc.record({ kind: pick('exact', 'prefix', 'suffix'), value: pick(...values) }),
  );
const principals = namespaces.flatMap((n) => accounts.map((a) => `cluster.local/ns/${n}/sa/${a}`));
const principal = text([...principals.slice(0, 6), 'td/', '', 'cart', 'cluster.local/ns/a', 'td/ns/a/sa/cart']);
const account = fc.record({ namespace: pick(...namespaces), serviceAccount: pick(...accounts) });
const range = pick(...ranges).map((r) => {
  const [address = '', length = ''] = r.split('/');
  return { address, length: Number(length) };
});
const port = pick(...ports);

const match: fc.Arbitrary<Match> = fc
  .record({
    namespaces: some(text(namespaces)),
    notNamespaces: some(text(namespaces), 6),
    principals: some(principal, 5),
    notPrincipals: some(principal, 6),
    serviceAccounts: some(account, 5),
    notServiceAccounts: some(account, 6),
    sourceIps: some(range, 4),
    notSourceIps: some(range, 6),
    destinationIps: some(range, 6),
    notDestinationIps: some(range, 6),
    destinationPorts: some(port, 3),
    notDestinationPorts: some(port, 6),
  })
  .map((fields) => ({ ...emptyMatch, ...fields }));
const clause = fc.array(match, { maxLength: 3 });
const rule = fc.array(clause, { maxLength: 3 });

export const policy: fc.Arbitrary<Policy> = fc.record({
  name: pick('p', 'q', 'r', 's', 't'),
  namespace: pick('a', 'b', 'root'),
  scope: pick('global', 'namespace', 'selector', 'selector'),
  action: pick('allow', 'deny'),
  rules: fc.array(rule, { maxLength: 3 }),
  dryRun: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

/** No two of one name. */
export const policies = (maxLength = 8): fc.Arbitrary<Policy[]> =>
  fc.uniqueArray(policy, { maxLength, selector: (p) => `${p.namespace}/${p.name}` });

export const identity = fc.record({
  trustDomain: pick(...domains),
  namespace: pick(...namespaces.slice(1)),
  serviceAccount: pick(...accounts),
});

export const connection: fc.Arbitrary<Connection> = fc.record({
  identity: fc.option(identity, { nil: undefined, freq: 4 }),
  source: pick(...addresses),
  destination: pick(...addresses),
  port: pick(...ports, 81),
});
