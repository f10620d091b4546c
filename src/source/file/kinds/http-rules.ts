// SPDX-License-Identifier: Apache-2.0
// Rules of an AuthorizationPolicy that waypoints enforce: with all that HTTP tells.
import type { StringMatch } from '../../../mesh/policy.ts';
import type {
  HttpCondition,
  HttpOperation,
  HttpPolicyRule,
  HttpSource,
  Values,
} from '../../../mesh/waypoint-policy.ts';
import { aRange } from '../addresses.ts';
import type { Path } from '../node.ts';
import type { Reading } from '../reading.ts';
import { account, anAccount, parseAccount, parsePort, parseRange, type RawRule, ranges, textMatch } from './rules.ts';

const texts = (any: readonly string[] = [], none: readonly string[] = []): Values<StringMatch> => ({
  any: any.map(textMatch),
  none: none.map(textMatch),
});

type RawSource = NonNullable<RawRule['from']>[number]['source'];
type RawOperation = NonNullable<RawRule['to']>[number]['operation'];
type RawCondition = NonNullable<RawRule['when']>[number];

/** A trust domain is what principals begin with. */
function trustMatch(value: string): StringMatch | undefined {
  const match = textMatch(value);
  if (match.kind === 'exact') return { kind: 'prefix', value: `${match.value}/` };
  return match.kind === 'suffix' ? undefined : match;
}

function isEmpty(fields: Readonly<Record<string, unknown>>): boolean {
  return !Object.values(fields).some((list) => Array.isArray(list) && list.length > 0);
}

const noTokens = 'no token is read here: it lets nobody in, and where it denies, it denies without regard to this';

function sourceOf(raw: RawSource, path: Path, namespace: string, reading: Reading): HttpSource {
  if (isEmpty(raw)) reading.faultAt(path, 'must not be empty');
  for (const field of ['requestPrincipals', 'notRequestPrincipals'] as const) {
    if (raw[field]?.length) reading.warnAt([...path, field], noTokens);
  }
  const trusted = (field: 'trustDomains' | 'notTrustDomains') =>
    (raw[field] ?? []).flatMap((value, i) => {
      const match = trustMatch(value);
      if (!match) reading.faultAt([...path, field, i], 'must not begin with a wildcard');
      return match ?? [];
    });
  const principals = texts(raw.principals, raw.notPrincipals);
  const domains = { any: trusted('trustDomains'), none: trusted('notTrustDomains') };
  if (domains.any.length > 0 && principals.any.length > 0) {
    reading.faultAt([...path, 'trustDomains'], 'cannot stand beside principals');
  }
  return {
    principals: { any: [...principals.any, ...domains.any], none: [...principals.none, ...domains.none] },
    namespaces: texts(raw.namespaces, raw.notNamespaces),
    serviceAccounts: {
      any: (raw.serviceAccounts ?? []).map(account(namespace)),
      none: (raw.notServiceAccounts ?? []).map(account(namespace)),
    },
    requestPrincipals: texts(raw.requestPrincipals, raw.notRequestPrincipals),
    ips: { any: ranges(raw.ipBlocks), none: ranges(raw.notIpBlocks) },
    remoteIps: { any: ranges(raw.remoteIpBlocks), none: ranges(raw.notRemoteIpBlocks) },
  };
}

const literal = /^[A-Za-z0-9\-._~%!$&'()+,;:@=]*$/;

/** True for a path with templates that Envoy takes: whole segments, {**} the last of them. */
function isTemplate(value: string): boolean {
  const segments = value.split('/');
  const isOne = (segment: string) => segment === '{*}' || segment === '{**}';
  const rest = segments.slice(segments.indexOf('{**}') + 1);
  const isLast = !segments.includes('{**}') || !rest.some(isOne);
  return segments[0] === '' && isLast && segments.every((segment) => isOne(segment) || literal.test(segment));
}

function checkTemplates(paths: readonly string[] | undefined, path: Path, reading: Reading): void {
  (paths ?? []).forEach((value, i) => {
    if (!/[{}]/.test(value) || isTemplate(value)) return;
    reading.faultAt([...path, i], 'has {*} and {**} as whole segments only, and {**} last');
  });
}

function operationOf(raw: RawOperation, path: Path, reading: Reading): HttpOperation {
  if (isEmpty(raw)) reading.faultAt(path, 'must not be empty');
  checkTemplates(raw.paths, [...path, 'paths'], reading);
  checkTemplates(raw.notPaths, [...path, 'notPaths'], reading);
  return {
    hosts: texts(raw.hosts, raw.notHosts),
    ports: { any: raw.ports ?? [], none: raw.notPorts ?? [] },
    methods: texts(raw.methods, raw.notMethods),
    paths: { any: raw.paths ?? [], none: raw.notPaths ?? [] },
  };
}

/** Envoy refuses all policies of a service with a name that is none. */
const header = /^request\.headers\[(:?[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,256})\]$/;
const tokens = /^(request\.auth\.(principal|audiences|presenter)|request\.auth\.claims\[.+\])$/;

function conditionOf(raw: RawCondition, path: Path, namespace: string, reading: Reading): HttpCondition {
  const { key, values = [], notValues = [] } = raw;
  if (values.length + notValues.length === 0) reading.faultAt(path, 'must have values or notValues');
  const each = <T>(is: string, parse: (value: string) => T | undefined): Values<T> => {
    const read = (list: readonly string[], field: string) =>
      list.flatMap((value, i) => {
        const parsed = parse(value);
        if (parsed === undefined) reading.faultAt([...path, field, i], `must be ${is}, not ${JSON.stringify(value)}`);
        return parsed ?? [];
      });
    return { any: read(values, 'values'), none: read(notValues, 'notValues') };
  };
  const [, name] = header.exec(key) ?? [];
  if (name !== undefined) return { kind: 'header', name: name.toLowerCase(), values: texts(values, notValues) };
  if (tokens.test(key)) {
    reading.warnAt([...path, 'key'], noTokens);
    return { kind: 'token', values: texts(values, notValues) };
  }
  switch (key) {
    case 'connection.sni':
      return { kind: 'sni', values: texts(values, notValues) };
    case 'destination.ip':
      return { kind: 'destination-ip', values: each(aRange, parseRange) };
    case 'destination.port':
      return { kind: 'destination-port', values: each('a port from 0 to 65535', parsePort) };
    case 'source.ip':
      return { kind: 'source', source: { ips: each(aRange, parseRange) } };
    case 'remote.ip':
      return { kind: 'source', source: { remoteIps: each(aRange, parseRange) } };
    case 'source.namespace':
      return { kind: 'source', source: { namespaces: texts(values, notValues) } };
    case 'source.principal':
      return { kind: 'source', source: { principals: texts(values, notValues) } };
    case 'source.trustDomain':
      return { kind: 'source', source: { principals: each('without a wildcard at its begin', trustMatch) } };
    case 'source.serviceAccount': {
      const found = each(anAccount, parseAccount);
      const named = account(namespace);
      return {
        kind: 'source',
        source: { serviceAccounts: { any: found.any.map(named), none: found.none.map(named) } },
      };
    }
    default:
      reading.faultAt([...path, 'key'], `is no attribute that is known: ${JSON.stringify(key)}`);
      return { kind: 'token', values: texts(values, notValues) };
  }
}

/** Converts one rule. `path` leads to it; faults of fields that do not go together are reported. */
export function convertHttpRule(raw: RawRule, path: Path, namespace: string, reading: Reading): HttpPolicyRule {
  return {
    from: (raw.from ?? []).map(({ source }, i) => sourceOf(source, [...path, 'from', i, 'source'], namespace, reading)),
    to: (raw.to ?? []).map(({ operation }, i) => operationOf(operation, [...path, 'to', i, 'operation'], reading)),
    when: (raw.when ?? []).map((one, i) => conditionOf(one, [...path, 'when', i], namespace, reading)),
  };
}
