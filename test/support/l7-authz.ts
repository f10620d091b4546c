// SPDX-License-Identifier: Apache-2.0
// What policies that are aimed at a service say of a request: read from the documents themselves, word by word, and sharing nothing with what is tested.
import fc from 'fast-check';
import { cidrContains, maskAddress } from '../../src/net/cidr.ts';

type Names = readonly string[];

export interface RawSource {
  readonly principals?: Names;
  readonly notPrincipals?: Names;
  readonly namespaces?: Names;
  readonly notNamespaces?: Names;
  readonly serviceAccounts?: Names;
  readonly notServiceAccounts?: Names;
  readonly requestPrincipals?: Names;
  readonly notRequestPrincipals?: Names;
  readonly ipBlocks?: Names;
  readonly notIpBlocks?: Names;
}

export interface RawOperation {
  readonly hosts?: Names;
  readonly notHosts?: Names;
  readonly ports?: Names;
  readonly notPorts?: Names;
  readonly methods?: Names;
  readonly notMethods?: Names;
  readonly paths?: Names;
  readonly notPaths?: Names;
}

export interface RawCondition {
  readonly key: string;
  readonly values?: Names;
  readonly notValues?: Names;
}

export interface RawPolicy {
  readonly action: 'ALLOW' | 'DENY';
  readonly rules: readonly {
    readonly from?: readonly { readonly source: RawSource }[];
    readonly to?: readonly { readonly operation: RawOperation }[];
    readonly when?: readonly RawCondition[];
  }[];
}

export interface Request {
  /** As it arrives, without a query. */
  readonly path: string;
  readonly method: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined: nobody said who it is. */
  readonly identity: { readonly domain: string; readonly namespace: string; readonly account: string } | undefined;
  readonly source: string;
  readonly destination: string;
  readonly port: number;
}

/** True when `value` fits one of Istio's texts: '*', 'a*', '*a', 'a'. */
function fitsText(pattern: string, value: string): boolean {
  if (pattern === '*') return value !== '';
  if (pattern.startsWith('*')) return value.endsWith(pattern.slice(1));
  if (pattern.endsWith('*')) return value.startsWith(pattern.slice(0, -1));
  return value === pattern;
}

/** As a server reads it that decodes it before it looks at its slashes. */
const read = (path: string) => decodeURIComponent(path).replaceAll(/[/\\](?:\.?[/\\])*/g, '/');

/** `broad`: whatever the spelling of either is, and where it leads upwards in any case. */
function fitsPath(pattern: string, path: string, broad: boolean): boolean {
  if (pattern === '*') return true;
  // Two slashes may begin a host.
  const behind = broad ? /^\/\/[^/]*(\/.*)$/.exec(path)?.[1] : undefined;
  if (behind !== undefined && fitsPath(pattern, behind, true)) return true;
  const [p, v] = broad ? [read(pattern), read(path)] : [pattern, path];
  if (broad && /\/\.\.(?:[/;]|$)/.test(v)) return true;
  if (!pattern.includes('{')) return fitsText(p, v);
  const segments = (parts: readonly string[], rest: readonly string[]): boolean => {
    const [first, ...more] = parts;
    if (first === undefined) return rest.length === 0;
    if (first === '{**}') return rest.some((_, i) => segments(more, rest.slice(i + 1)));
    const [next, ...after] = rest;
    if (next === undefined) return false;
    return (first === '{*}' ? next !== '' : first === next) && segments(more, after);
  };
  return segments(p.split('/'), v.split('/'));
}

function fitsHost(pattern: string, host: string, broad: boolean): boolean {
  const [p, h] = [pattern.toLowerCase(), host.toLowerCase()];
  const [, name = ''] = /^(?:[^@]*@)?([^:]*?)\.?(?::.*)?$/.exec(h) ?? [];
  return fitsText(p, h) || (broad && !/:\d*$/.test(p) && (fitsText(p, name) || fitsText(p, `${name}.`)));
}

function inRange(text: string, address: string): boolean {
  const [base = '', length] = text.split('/');
  const bits = length === undefined ? (base.includes(':') ? 128 : 32) : Number(length);
  return cidrContains({ address: maskAddress(base, bits), length: bits }, address);
}

/** Any of `values` (none given: so), and none of `not`. */
function holds(values: Names | undefined, not: Names | undefined, fits: (value: string, negated: boolean) => boolean) {
  const any = !values || values.length === 0 || values.some((value) => fits(value, false));
  return any && !(not ?? []).some((value) => fits(value, true));
}

const gave = (...lists: (Names | undefined)[]) => lists.some((list) => list !== undefined && list.length > 0);

function matches(policy: RawPolicy, request: Request): boolean {
  const deny = policy.action === 'DENY';
  /** What keeps out is read broadly. */
  const broad = (negated: boolean) => deny !== negated;
  const who = request.identity;
  const principal = who ? `${who.domain}/ns/${who.namespace}/sa/${who.account}` : '';
  const account = (value: string) => {
    const [namespace, name] = value.includes('/') ? value.split('/') : ['shop', value];
    return who !== undefined && who.namespace === namespace && who.account === name;
  };
  const text = (actual: string) => (value: string) => fitsText(value, actual);
  /** Tokens are not read: what asks for one does not let in, and does not keep anybody from being kept out. */
  const token = (...lists: (Names | undefined)[]) => deny || !gave(...lists);
  const source = (s: RawSource) =>
    holds(s.principals, s.notPrincipals, text(principal)) &&
    holds(s.namespaces, s.notNamespaces, text(who?.namespace ?? '')) &&
    holds(s.serviceAccounts, s.notServiceAccounts, account) &&
    token(s.requestPrincipals, s.notRequestPrincipals) &&
    holds(s.ipBlocks, s.notIpBlocks, (value) => inRange(value, request.source));
  const operation = (o: RawOperation) =>
    holds(o.hosts, o.notHosts, (value, negated) => fitsHost(value, request.host, broad(negated))) &&
    holds(o.ports, o.notPorts, (value) => Number(value) === request.port) &&
    holds(o.methods, o.notMethods, text(request.method)) &&
    holds(o.paths, o.notPaths, (value, negated) => fitsPath(value, request.path, broad(negated)));
  const condition = ({ key, values, notValues }: RawCondition) => {
    const header = /^request\.headers\[(.*)\]$/.exec(key)?.[1];
    if (header !== undefined) {
      const value = request.headers[header.toLowerCase()];
      return holds(values, notValues, (one) => value !== undefined && (one === '*' || fitsText(one, value)));
    }
    if (key.startsWith('request.auth.')) return deny;
    switch (key) {
      case 'source.ip':
        return holds(values, notValues, (one) => inRange(one, request.source));
      case 'source.namespace':
        return holds(values, notValues, text(who?.namespace ?? ''));
      case 'source.principal':
        return holds(values, notValues, text(principal));
      case 'destination.ip':
        return holds(values, notValues, (one) => inRange(one, request.destination));
      case 'destination.port':
        return holds(values, notValues, (one) => Number(one) === request.port);
      case 'connection.sni':
        // There is no TLS where requests are read.
        return holds(values, notValues, () => false);
      default:
        throw new Error(key);
    }
  };
  return policy.rules.some(
    ({ from, to, when }) =>
      (!from || from.some((one) => source(one.source))) &&
      (!to || to.some((one) => operation(one.operation))) &&
      (when ?? []).every(condition),
  );
}

export function isAllowed(policies: readonly RawPolicy[], request: Request): boolean {
  if (policies.some((policy) => policy.action === 'DENY' && matches(policy, request))) return false;
  const allows = policies.filter(({ action }) => action === 'ALLOW');
  return allows.length === 0 || allows.some((policy) => matches(policy, request));
}

const pick = fc.constantFrom;
const namespaces = ['shop', 'ns', 'sa', 'a', 'ab'];
const accounts = ['default', 'sa', 'x'];
const some = (...values: Names) =>
  fc.option(fc.uniqueArray(pick(...values), { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 2 });
const rare = (...values: Names) =>
  fc.option(fc.uniqueArray(pick(...values), { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 1 });
const fewer = <T>(of: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: of });

const principals = [
  'cluster.local/ns/shop/sa/x',
  '*',
  'cluster.local/ns/a*',
  '*/sa/x',
  'td/*',
  'spiffe://td/ns/a/sa/x',
];
const principalNames = principals.filter((value) => !value.startsWith('spiffe'));
const namespaceNames = [...namespaces, 'a*', '*b', 's*', '*'];
const blocks = ['10.2.0.9', '10.2.0.0/24', '10.2.0.0/30', '0.0.0.0/0', '2001:db8::/32'];
const hosts = ['cart', 'cart:80', 'CART', '*.example', 'cart*', '*', 'www.example:8080', '*'];
const paths = [
  ...['/a', '/a/', '/a/b', '/a*', '/a/*', '*/b', '*b', '*', '/', '/a/{*}', '/a/{**}', '/{*}/b', '/{*}/b/{**}', '/a.b'],
];
const methods = ['GET', 'POST', 'P*', '*', '*T'];
const portNames = ['80', '81'];
const notEmpty = (fields: object) => Object.values(fields).some((value) => value !== undefined);
const clean = <T extends object>(fields: T): T =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;

const source = fc
  .record({
    principals: some(...principalNames),
    notPrincipals: rare(...principalNames),
    namespaces: some(...namespaceNames),
    notNamespaces: rare(...namespaceNames),
    serviceAccounts: rare('x', 'shop/x', 'a/default'),
    notServiceAccounts: rare('x', 'ns/sa'),
    requestPrincipals: fewer(rare('*', 'me')),
    notRequestPrincipals: fewer(rare('*', 'me')),
    ipBlocks: rare(...blocks),
    notIpBlocks: rare(...blocks),
  })
  .map((fields) => {
    // Most ask for one thing or two: what asks for all never holds.
    const keys = Object.keys(fields).filter((key) => fields[key as keyof typeof fields] !== undefined);
    return Object.fromEntries(keys.slice(0, 2).map((key) => [key, fields[key as keyof typeof fields]])) as RawSource;
  })
  .filter(notEmpty);
const operation = fc
  .record({
    paths: some(...paths),
    notPaths: some(...paths),
    methods: rare(...methods),
    hosts: some(...hosts),
    notHosts: rare(...hosts),
    notMethods: rare(...methods),
    ports: rare(...portNames),
    notPorts: rare(...portNames),
  })
  .map((fields) => clean(fields) as RawOperation)
  .filter(notEmpty);
const keyed: readonly (readonly [string, Names])[] = [
  ['request.headers[X-A]', ['1', '1*', '*2', '*']],
  ['source.ip', blocks],
  ['source.namespace', namespaceNames],
  ['source.principal', principalNames],
  ['destination.ip', ['10.96.0.1', '10.96.0.0/16', '10.1.0.0/16']],
  ['destination.port', portNames],
  ['connection.sni', ['a.b', '*']],
  ['request.auth.claims[iss]', ['me']],
];
const condition = fc
  .oneof(
    ...keyed.map(([key, values], i) => ({
      weight: i < 6 ? 3 : 1,
      arbitrary: fc.record({ key: fc.constant(key), values: some(...values), notValues: rare(...values) }),
    })),
  )
  .filter(({ values, notValues }) => values !== undefined || notValues !== undefined)
  .map((one) => clean(one) as RawCondition);
const list = <T>(of: fc.Arbitrary<T>) => fc.option(fc.array(of, { minLength: 1, maxLength: 2 }), { nil: undefined });
const rule = fc
  .record({
    from: list(source.map((one) => ({ source: one }))),
    to: list(operation.map((one) => ({ operation: one }))),
    when: fewer(fc.array(condition, { minLength: 1, maxLength: 2 })),
  })
  .map((fields) => clean(fields) as RawPolicy['rules'][number]);

export const rawPolicy: fc.Arbitrary<RawPolicy> = fc.record({
  action: pick('ALLOW' as const, 'DENY' as const),
  rules: fc.array(rule, { maxLength: 2 }),
});

export const anyRequest: fc.Arbitrary<Request> = fc.record({
  path: pick(
    '/',
    '/a',
    '/a/',
    '/a/b',
    '/a//b',
    '//a',
    '//x/a',
    '//x//a/b',
    '/a%2Fb',
    '/a%2fb/c',
    '/ab',
    '/x/b',
    '/x/b/c/d',
    '/A',
    '/a.b',
    '/axb',
  ),
  method: pick('GET', 'POST', 'PUT'),
  host: pick('cart', 'Cart', 'cart:80', 'cart.', 'www.example', 'www.example:8080', 'cartoon'),
  headers: fc.oneof(
    fc.constant({}),
    pick('1', '12', '2', '3').map((value) => ({ 'x-a': value })),
  ),
  identity: fc.option(
    fc.record({ domain: pick('cluster.local', 'td'), namespace: pick(...namespaces), account: pick(...accounts) }),
    { nil: undefined, freq: 8 },
  ),
  source: pick('10.2.0.9', '10.2.0.1', '10.3.0.1'),
  destination: fc.constant('10.96.0.1'),
  port: fc.constant(80),
});

/** Documents for the service `cart` of namespace shop. */
export function documents(policies: readonly RawPolicy[]): string {
  return policies
    .map(
      ({ action, rules }, i) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p${i}, namespace: shop}
spec: {targetRefs: [{group: "", kind: Service, name: cart}], action: ${action}, rules: ${JSON.stringify(rules)}}
---`,
    )
    .join('');
}
