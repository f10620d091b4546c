// SPDX-License-Identifier: Apache-2.0
// Rules of an AuthorizationPolicy: their fields, and what of them connections can be judged by, as istiod converts them.
import { type AddressMatch, emptyMatch, type Match, type Rule, type StringMatch } from '../../../mesh/policy.ts';
import { addressBits } from '../../../net/cidr.ts';
import { addressOrRange, aRange, parseAddressOrRange } from '../addresses.ts';
import { listOf, needed, object, parsed, type Raw, strict, text } from '../fields.ts';
import type { AddressOrRange } from '../objects.ts';
import type { Reading } from '../reading.ts';

/** Made into regular expressions where they are for waypoints, of which RE2 takes no larger ones. */
const longest = 2048;
const named = text({
  is: `text of 1 to ${longest} characters`,
  test: (value) => value !== '' && value.length <= longest,
});
const names = listOf(named);
const blocks = listOf(addressOrRange);

export function parsePort(value: string): number | undefined {
  if (!/^\d{1,10}$/.test(value)) return undefined;
  const port = Number(value);
  return port <= 65535 ? port : undefined;
}

const ports = listOf(parsed('a port from 0 to 65535, in quotes', parsePort));

interface Account {
  /** Undefined: that of the policy. */
  readonly namespace?: string;
  readonly serviceAccount: string;
}

export const anAccount = 'a service account: NAME or NAMESPACE/NAME, without wildcards';

export function parseAccount(value: string): Account | undefined {
  if (value.length > 320 || value.includes('*')) return undefined;
  const parts = value.split('/');
  const [first, second] = parts;
  if (parts.length > 2 || !first || second === '') return undefined;
  return second === undefined ? { serviceAccount: first } : { namespace: first, serviceAccount: second };
}

const accounts = listOf(parsed(anAccount, parseAccount));

const source = object(
  {
    principals: names,
    notPrincipals: names,
    requestPrincipals: names,
    notRequestPrincipals: names,
    namespaces: names,
    notNamespaces: names,
    serviceAccounts: accounts,
    notServiceAccounts: accounts,
    trustDomains: names,
    notTrustDomains: names,
    ipBlocks: blocks,
    notIpBlocks: blocks,
    remoteIpBlocks: blocks,
    notRemoteIpBlocks: blocks,
  },
  strict,
);

const operation = object(
  {
    hosts: names,
    notHosts: names,
    ports,
    notPorts: ports,
    methods: names,
    notMethods: names,
    paths: names,
    notPaths: names,
  },
  strict,
);

const condition = object({ key: needed(text()), values: names, notValues: names }, strict);

const rule = object(
  {
    from: listOf(object({ source: needed(source) }, strict), { min: 1 }),
    to: listOf(object({ operation: needed(operation) }, strict), { min: 1 }),
    when: listOf(condition),
  },
  strict,
);

export const rules = listOf(rule);

export type RawRule = Raw<typeof rule>;

/** Fields that only something that reads HTTP can check. Trust domains are of this sort for istiod, which leaves them out. */
const httpSource = [
  ...(['remoteIpBlocks', 'notRemoteIpBlocks', 'requestPrincipals', 'notRequestPrincipals'] as const),
  ...(['trustDomains', 'notTrustDomains'] as const),
];
const httpOperation = ['hosts', 'notHosts', 'methods', 'notMethods', 'paths', 'notPaths'] as const;

/** Keys of conditions that name a header or claim in brackets. */
const bracketed = /^(request\.headers|request\.auth\.claims|experimental\.envoy\.filters\.[^[]*)\[.+\]$/;
const httpKeys = new Set([
  ...['remote.ip', 'source.trustDomain', 'request.auth.principal', 'request.auth.audiences', 'request.auth.presenter'],
  'connection.sni',
]);

export function textMatch(value: string): StringMatch {
  if (value === '*') return { kind: 'presence' };
  if (value.startsWith('*')) return { kind: 'suffix', value: value.slice(1) };
  if (value.endsWith('*')) return { kind: 'prefix', value: value.slice(0, -1) };
  return { kind: 'exact', value };
}

const textMatches = (values: readonly string[] = []) => values.map(textMatch);
const rangeOf = ({ address, length }: AddressOrRange): AddressMatch => ({
  address,
  length: length ?? addressBits(address),
});
export const ranges = (values: Raw<typeof blocks> = []): AddressMatch[] => values.map(rangeOf);

/** What each key of a condition that connections can be judged by sets, for its values and for its notValues. */
type Setter = (values: readonly string[], not: boolean, at: At) => Partial<Match>;

interface At {
  readonly namespace: string;
  /** Reads each value by `parse`; one that does not fit is a fault. */
  each<T>(values: readonly string[], is: string, parse: (value: string) => T | undefined): T[];
}

export const parseRange = (value: string): AddressMatch | undefined => {
  const read = parseAddressOrRange(value);
  return read && rangeOf(read);
};

export const account = (namespace: string) => (a: Account) => ({ namespace, ...a });

const conditions: Readonly<Record<string, Setter>> = {
  'source.namespace': (values, not) => ({ [not ? 'notNamespaces' : 'namespaces']: textMatches(values) }),
  'source.principal': (values, not) => ({ [not ? 'notPrincipals' : 'principals']: textMatches(values) }),
  'source.serviceAccount': (values, not, at) => ({
    [not ? 'notServiceAccounts' : 'serviceAccounts']: at
      .each(values, anAccount, parseAccount)
      .map(account(at.namespace)),
  }),
  'source.ip': (values, not, at) => ({
    [not ? 'notSourceIps' : 'sourceIps']: at.each(values, aRange, parseRange),
  }),
  'destination.ip': (values, not, at) => ({
    [not ? 'notDestinationIps' : 'destinationIps']: at.each(values, aRange, parseRange),
  }),
  'destination.port': (values, not, at) => ({
    [not ? 'notDestinationPorts' : 'destinationPorts']: at.each(values, 'a port from 0 to 65535', parsePort),
  }),
};

/** One rule converted: its clauses, and the HTTP attributes that were left behind. */
export interface Converted {
  readonly rule: Rule;
  readonly http: readonly string[];
}

const given = (list: readonly unknown[] | undefined) => list !== undefined && list.length > 0;

/** Converts one rule. `path` leads to it; faults of fields that do not go together are reported. */
export function convertRule(
  raw: RawRule,
  path: readonly (string | number)[],
  namespace: string,
  reading: Reading,
): Converted {
  const http = new Set<string>();
  const rule: Match[][] = [];
  if (raw.to) {
    rule.push(
      raw.to.map(({ operation: op }, i) => {
        for (const name of httpOperation) if (given(op[name])) http.add(name);
        if (!Object.values(op).some((list) => given(list as readonly unknown[]))) {
          reading.faultAt([...path, 'to', i, 'operation'], 'must not be empty');
        }
        return { ...emptyMatch, destinationPorts: op.ports ?? [], notDestinationPorts: op.notPorts ?? [] };
      }),
    );
  }
  if (raw.from) {
    rule.push(
      raw.from.map(({ source: s }, i) => {
        const at = [...path, 'from', i, 'source'];
        for (const name of httpSource) if (given(s[name])) http.add(name);
        if (!Object.values(s).some((list) => given(list as readonly unknown[])))
          reading.faultAt(at, 'must not be empty');
        const others = [s.namespaces, s.notNamespaces, s.principals, s.notPrincipals].some(given);
        if (others && (given(s.serviceAccounts) || given(s.notServiceAccounts))) {
          const field = given(s.serviceAccounts) ? 'serviceAccounts' : 'notServiceAccounts';
          reading.faultAt([...at, field], 'cannot stand beside namespaces or principals');
        }
        return {
          ...emptyMatch,
          sourceIps: ranges(s.ipBlocks),
          notSourceIps: ranges(s.notIpBlocks),
          namespaces: textMatches(s.namespaces),
          notNamespaces: textMatches(s.notNamespaces),
          serviceAccounts: (s.serviceAccounts ?? []).map(account(namespace)),
          notServiceAccounts: (s.notServiceAccounts ?? []).map(account(namespace)),
          principals: textMatches(s.principals),
          notPrincipals: textMatches(s.notPrincipals),
        };
      }),
    );
  }
  raw.when?.forEach(({ key, values = [], notValues = [] }, i) => {
    const at = [...path, 'when', i];
    if (values.length + notValues.length === 0) reading.faultAt(at, 'must have values or notValues');
    const set = conditions[key];
    if (set === undefined) {
      if (httpKeys.has(key) || bracketed.test(key)) http.add(key);
      else reading.faultAt([...at, 'key'], `is no attribute that is known: ${JSON.stringify(key)}`);
      rule.push([emptyMatch]);
      return;
    }
    const reader = (field: string): At => ({
      namespace,
      each(list, is, parse) {
        return list.flatMap((value, k) => {
          const read = parse(value);
          if (read === undefined) reading.faultAt([...at, field, k], `must be ${is}, not ${JSON.stringify(value)}`);
          return read ?? [];
        });
      },
    });
    rule.push([
      { ...emptyMatch, ...set(values, false, reader('values')), ...set(notValues, true, reader('notValues')) },
    ]);
  });
  return { rule, http: [...http].sort() };
}
