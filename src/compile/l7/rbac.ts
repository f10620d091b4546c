// SPDX-License-Identifier: Apache-2.0
// Policies that are aimed at services and gateways, as rules of Envoy's RBAC filter.
import type { AddressMatch, ServiceAccountMatch, StringMatch } from '../../mesh/policy.ts';
import type {
  HttpCondition,
  HttpOperation,
  HttpPolicyRule,
  HttpSource,
  Values,
  WaypointPolicy,
} from '../../mesh/waypoint-policy.ts';
import type * as envoy from './envoy.ts';
import { quoted } from './regex.ts';

/** Where the SPIFFE identity that came with the connection is kept. */
export const sourceKey = 'kmesh.source';

const spiffe = 'spiffe://';

export interface Rules {
  readonly rules?: envoy.Rbac;
  readonly shadowRules?: envoy.Rbac;
}

/** What denies, then what allows. Absent: nothing to ask. `stream`: there is no HTTP to look at. */
export function rbacOf(
  policies: readonly WaypointPolicy[],
  stream: boolean,
): { readonly deny?: Rules; readonly allow?: Rules } {
  const [deny, allow] = (['deny', 'allow'] as const).map((action) => {
    const ours = policies.filter((policy) => policy.action === action);
    const of = (list: readonly WaypointPolicy[]): envoy.Rbac | undefined =>
      list.length === 0 ? undefined : { action: action === 'allow' ? 0 : 1, policies: policiesOf(list, stream) };
    const rules = of(ours.filter(({ dryRun }) => !dryRun));
    const shadowRules = of(ours.filter(({ dryRun }) => dryRun));
    return rules || shadowRules ? { ...(rules && { rules }), ...(shadowRules && { shadowRules }) } : undefined;
  });
  return { ...(deny && { deny }), ...(allow && { allow }) };
}

const always = { permissions: [{ any: true }], principals: [{ any: true }] } as const;

function policiesOf(policies: readonly WaypointPolicy[], stream: boolean): Record<string, envoy.RbacPolicy> {
  const out: Record<string, envoy.RbacPolicy> = {};
  for (const policy of policies) {
    const name = `${policy.namespace}/${policy.name}`;
    if (policy.refused !== undefined) out[name] = always;
    policy.rules.forEach((rule, i) => {
      const shown = stream ? withoutHttp(rule, policy.action) : rule;
      if (shown) out[`${name}[${i}]`] = ruleOf(shown);
    });
  }
  return out;
}

const noValues: Values<never> = { any: [], none: [] };
const isGiven = ({ any, none }: Values<unknown>): boolean => any.length + none.length > 0;
const httpConditions: ReadonlySet<HttpCondition['kind']> = new Set(['header', 'token']);

/** Where no HTTP is read, an ALLOW that rests on it allows nothing, and a DENY denies without regard to it. */
function withoutHttp(rule: HttpPolicyRule, action: 'allow' | 'deny'): HttpPolicyRule | undefined {
  const inOperation = (op: HttpOperation) => isGiven(op.hosts) || isGiven(op.methods) || isGiven(op.paths);
  const inSource = (source: HttpSource) => isGiven(source.requestPrincipals) || isGiven(source.remoteIps);
  const has =
    rule.to.some(inOperation) || rule.from.some(inSource) || rule.when.some(({ kind }) => httpConditions.has(kind));
  if (!has) return rule;
  if (action === 'allow') return undefined;
  return {
    from: rule.from.map((source) => ({ ...source, requestPrincipals: noValues, remoteIps: noValues })),
    to: rule.to.map((op) => ({ ...op, hosts: noValues, methods: noValues, paths: noValues })),
    when: rule.when.filter(({ kind }) => !httpConditions.has(kind)),
  };
}

const anyPermission: envoy.Permission = { any: true };
const anyPrincipal: envoy.Principal = { any: true };
const noPrincipal: envoy.Principal = { notId: anyPrincipal };
const noPermission: envoy.Permission = { notRule: anyPermission };

const allRules = (rules: readonly envoy.Permission[]): envoy.Permission =>
  rules.length === 0 ? anyPermission : rules.length === 1 ? (rules[0] as envoy.Permission) : { andRules: { rules } };
const oneRule = (rules: readonly envoy.Permission[]): envoy.Permission =>
  rules.length === 1 ? (rules[0] as envoy.Permission) : { orRules: { rules } };
const allIds = (ids: readonly envoy.Principal[]): envoy.Principal =>
  ids.length === 0 ? anyPrincipal : ids.length === 1 ? (ids[0] as envoy.Principal) : { andIds: { ids } };
const oneId = (ids: readonly envoy.Principal[]): envoy.Principal =>
  ids.length === 1 ? (ids[0] as envoy.Principal) : { orIds: { ids } };

function permissionsOf<T>(values: Values<T> | undefined, make: (value: T) => envoy.Permission): envoy.Permission[] {
  const out: envoy.Permission[] = [];
  if (values?.any.length) out.push(oneRule(values.any.map(make)));
  if (values?.none.length) out.push({ notRule: oneRule(values.none.map(make)) });
  return out;
}

function principalsOf<T>(values: Values<T> | undefined, make: (value: T) => envoy.Principal): envoy.Principal[] {
  const out: envoy.Principal[] = [];
  if (values?.any.length) out.push(oneId(values.any.map(make)));
  if (values?.none.length) out.push({ notId: oneId(values.none.map(make)) });
  return out;
}

function ruleOf({ from, to, when }: HttpPolicyRule): envoy.RbacPolicy {
  const permissions = when.flatMap(conditionPermissions);
  const principals = when.flatMap(conditionPrincipals);
  return {
    permissions: [allRules([...(to.length > 0 ? [oneRule(to.map(operationOf))] : []), ...permissions])],
    principals: [allIds([...(from.length > 0 ? [oneId(from.map(sourceOf))] : []), ...principals])],
  };
}

function textMatcher(match: StringMatch): envoy.StringMatcher {
  if (match.kind === 'presence') return { safeRegex: { regex: '.+' } };
  return { [match.kind]: match.value };
}

function headerMatcher(name: string, match: StringMatch, ignoreCase = false): envoy.HeaderMatcher {
  if (match.kind === 'presence') return { name, presentMatch: true };
  return { name, stringMatch: { ...textMatcher(match), ...(ignoreCase && { ignoreCase }) } };
}

function operationOf({ hosts, ports, methods, paths }: HttpOperation): envoy.Permission {
  return allRules([
    ...permissionsOf(hosts, (host) => ({ header: headerMatcher(':authority', host, true) })),
    ...permissionsOf(ports, (destinationPort) => ({ destinationPort })),
    ...permissionsOf(methods, (method) => ({ header: headerMatcher(':method', method) })),
    ...permissionsOf(paths, pathPermission),
  ]);
}

function pathPermission(path: string): envoy.Permission {
  if (path.includes('{')) {
    const pathTemplate = path.replaceAll('{**}', '**').replaceAll('{*}', '*');
    const type = 'envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig';
    const name = 'envoy.path.match.uri_template.uri_template_matcher';
    return { uriTemplate: { name, typedConfig: { type, value: { pathTemplate } } } };
  }
  if (path === '*') return { urlPath: { path: { prefix: '/' } } };
  if (path.endsWith('*')) return { urlPath: { path: { prefix: path.slice(0, -1) } } };
  if (path.startsWith('*')) return { urlPath: { path: { suffix: path.slice(1) } } };
  return { urlPath: { path: { exact: path } } };
}

const source = (stringMatch: envoy.StringMatcher): envoy.Principal => ({
  filterState: { key: sourceKey, stringMatch },
});

function principalId(match: StringMatch): envoy.Principal {
  if (match.kind === 'presence') return source({ prefix: spiffe });
  if (match.kind === 'suffix') return source({ suffix: match.value });
  const value = match.value.startsWith(spiffe) ? match.value : spiffe + match.value;
  return source({ [match.kind]: value });
}

/** Neither trust domains nor names can hold a slash. */
function namespaceId(match: StringMatch): envoy.Principal {
  switch (match.kind) {
    case 'exact':
      return source({ contains: `/ns/${match.value}/sa/` });
    case 'prefix':
      return source({ contains: `/ns/${match.value}` });
    case 'suffix':
      return source({ safeRegex: { regex: `.*/ns/[^/]*${quoted(match.value)}/sa/.*` } });
    default:
      return source({ contains: '/ns/' });
  }
}

const accountId = ({ namespace, serviceAccount }: ServiceAccountMatch): envoy.Principal =>
  source({ suffix: `/ns/${namespace}/sa/${serviceAccount}` });

const range = ({ address, length }: AddressMatch): envoy.CidrRange => ({ addressPrefix: address, prefixLen: length });

function sourceIds(from: Partial<HttpSource>): envoy.Principal[] {
  return [
    ...principalsOf(from.principals, principalId),
    ...principalsOf(from.namespaces, namespaceId),
    ...principalsOf(from.serviceAccounts, accountId),
    // Tokens are read by nobody here: no request has a principal.
    ...principalsOf(from.requestPrincipals, () => noPrincipal),
    ...principalsOf(from.ips, (ip) => ({ sourceIp: range(ip) })),
    ...principalsOf(from.remoteIps, (ip) => ({ remoteIp: range(ip) })),
  ];
}

const sourceOf = (from: HttpSource): envoy.Principal => allIds(sourceIds(from));

function conditionPrincipals(condition: HttpCondition): envoy.Principal[] {
  return condition.kind === 'source' ? sourceIds(condition.source) : [];
}

function conditionPermissions(condition: HttpCondition): envoy.Permission[] {
  switch (condition.kind) {
    case 'header':
      return permissionsOf(condition.values, (match) => ({ header: headerMatcher(condition.name, match) }));
    case 'sni':
      return permissionsOf(condition.values, (match) => ({ requestedServerName: textMatcher(match) }));
    case 'destination-ip':
      return permissionsOf(condition.values, (ip) => ({ destinationIp: range(ip) }));
    case 'destination-port':
      return permissionsOf(condition.values, (destinationPort) => ({ destinationPort }));
    case 'token':
      return permissionsOf(condition.values, () => noPermission);
    default:
      return [];
  }
}
