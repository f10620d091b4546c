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
import { fitsNone, inList, type Text } from './header-texts.ts';
import { quoted } from './regex.ts';
import { anyhowRead, hostBeside, hostSpellings, pathSpellings } from './spelling.ts';

/** Where the SPIFFE identity that came with the connection is kept. */
export const sourceKey = 'kmesh.source';

const spiffe = 'spiffe://';

export interface Rules {
  readonly rules?: envoy.Rbac;
  readonly shadowRules?: envoy.Rbac;
}

/** What denies, then what allows. Absent: nothing to ask. */
export interface Rbacs {
  readonly deny?: Rules;
  readonly allow?: Rules;
}

/** What can be seen where policies are asked. Nowhere is a token read. */
export interface Sight {
  readonly http: boolean;
  /** The server name, where the connection has one. */
  readonly serverName: boolean;
}

export function rbacOf(policies: readonly WaypointPolicy[], sight: Sight): Rbacs {
  const [deny, allow] = (['deny', 'allow'] as const).map((action) => {
    const ours = policies.filter((policy) => policy.action === action);
    const of = (list: readonly WaypointPolicy[]): envoy.Rbac | undefined =>
      list.length === 0 ? undefined : { action: action === 'allow' ? 0 : 1, policies: policiesOf(list, sight) };
    const rules = of(ours.filter(({ dryRun }) => !dryRun));
    const shadowRules = of(ours.filter(({ dryRun }) => dryRun));
    return rules || shadowRules ? { ...(rules && { rules }), ...(shadowRules && { shadowRules }) } : undefined;
  });
  return { ...(deny && { deny }), ...(allow && { allow }) };
}

export const matchesAll: envoy.RbacPolicy = { permissions: [{ any: true }], principals: [{ any: true }] };

function policiesOf(policies: readonly WaypointPolicy[], sight: Sight): Record<string, envoy.RbacPolicy> {
  const out: Record<string, envoy.RbacPolicy> = {};
  for (const policy of policies) {
    const name = `${policy.namespace}/${policy.name}`;
    if (policy.refused !== undefined) out[name] = matchesAll;
    policy.rules.forEach((rule, i) => {
      const shown = inSight(rule, policy.action, sight);
      if (shown) out[`${name}[${i}]`] = ruleOf(shown, policy.action);
    });
  }
  return out;
}

export const asksServerName = ({ rules }: WaypointPolicy): boolean =>
  rules.some(({ when }) => when.some(({ kind }) => kind === 'sni'));

const noValues: Values<never> = { any: [], none: [] };
const isGiven = ({ any, none }: Values<unknown>): boolean => any.length + none.length > 0;
const isOfRequest = ({ hosts, methods, paths }: HttpOperation): boolean => [hosts, methods, paths].some(isGiven);

/** Of requests to `port`; what asks for a token only is no wiser where it reads them. */
export function asksHttp({ rules }: WaypointPolicy, port: number): boolean {
  const isAt = ({ any, none }: Values<number>) => (any.length === 0 || any.includes(port)) && !none.includes(port);
  return rules.some(({ from, to, when }) => {
    const there = to.filter(({ ports }) => isAt(ports));
    if (to.length > 0 && there.length === 0) return false;
    const isSource = (source: Partial<HttpSource>) => source.remoteIps !== undefined && isGiven(source.remoteIps);
    return (
      there.some(isOfRequest) ||
      from.some(isSource) ||
      when.some((one) => one.kind === 'header' || (one.kind === 'source' && isSource(one.source)))
    );
  });
}

type Action = WaypointPolicy['action'];

/** Who says no server name, or says it after it was waited for, is none of those who are let in, and one of those who are kept out. */
function named(one: HttpCondition, action: Action): HttpCondition {
  if (one.kind !== 'sni') return one;
  const { any, none } = one.values;
  const values =
    action === 'allow' ? { any, none: [...none, noName] } : { any: any.length > 0 ? [...any, noName] : any, none };
  return { kind: 'sni', values };
}

const noName: StringMatch = { kind: 'exact', value: '' };

/** An ALLOW rule that rests on what cannot be seen allows nothing, and a DENY rule denies without regard to it. */
function inSight(given: HttpPolicyRule, action: Action, sight: Sight): HttpPolicyRule | undefined {
  const rule = sight.http ? given : { ...given, when: given.when.map((one) => named(one, action)) };
  const isHidden = ({ kind }: HttpCondition) =>
    (!sight.http && (kind === 'header' || kind === 'token')) || (!sight.serverName && kind === 'sni');
  const inSource = (source: HttpSource) => isGiven(source.requestPrincipals) || isGiven(source.remoteIps);
  const isBlind = !sight.http && (rule.to.some(isOfRequest) || rule.from.some(inSource));
  if (!isBlind && !rule.when.some(isHidden)) return rule;
  if (action === 'allow') return undefined;
  const when = rule.when.filter((one) => !isHidden(one));
  if (sight.http) return { ...rule, when };
  return {
    from: rule.from.map((source) => ({ ...source, requestPrincipals: noValues, remoteIps: noValues })),
    to: rule.to.map((op) => ({ ...op, hosts: noValues, methods: noValues, paths: noValues })),
    when,
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

function ruleOf({ from, to, when }: HttpPolicyRule, action: Action): envoy.RbacPolicy {
  const permissions = when.flatMap((one) => conditionPermissions(one, action));
  const principals = when.flatMap((one) => conditionPrincipals(one, action));
  return {
    permissions: [
      allRules([...(to.length > 0 ? [oneRule(to.map((one) => operationOf(one, action)))] : []), ...permissions]),
    ],
    principals: [
      allIds([...(from.length > 0 ? [oneId(from.map((one) => sourceOf(one, action)))] : []), ...principals]),
    ],
  };
}

function textMatcher(match: StringMatch): envoy.StringMatcher {
  if (match.kind === 'presence') return { safeRegex: { regex: '.+' } };
  return { [match.kind]: match.value };
}

/** Of server names: Envoy has them in lower case. */
function nameMatcher(match: StringMatch): envoy.StringMatcher {
  if (match === noName) return { safeRegex: { regex: '^$' } };
  return textMatcher(match.kind === 'presence' ? match : { ...match, value: match.value.toLowerCase() });
}

function headerMatcher(name: string, match: StringMatch, ignoreCase = false): envoy.HeaderMatcher {
  if (match.kind === 'presence') return { name, presentMatch: true };
  return { name, stringMatch: { ...textMatcher(match), ...(ignoreCase && { ignoreCase }) } };
}

/** Who is to be kept out finds no way round by another spelling of the same; who is to be let in has to spell it as it is written. */
function keepsOut(action: Action): { readonly any: boolean; readonly none: boolean } {
  return { any: action === 'deny', none: action === 'allow' };
}

function spelt<T>(values: Values<T>, action: Action, make: (value: T, anyhow: boolean) => envoy.Permission) {
  const anyhow = keepsOut(action);
  return [
    ...permissionsOf({ any: values.any, none: [] }, (value) => make(value, anyhow.any)),
    ...permissionsOf({ any: [], none: values.none }, (value) => make(value, anyhow.none)),
  ];
}

/** A header may come several times, and a line may hold several values: one that is to be kept out keeps out all, and all have to be let in. */
function headerPermissions(name: string, { any, none }: Values<StringMatch>, action: Action): envoy.Permission[] {
  const anyhow = keepsOut(action);
  const asked = (values: readonly StringMatch[], isOut: boolean) =>
    (isOut ? oneOfHeader : allOfHeader)(
      name,
      values.filter(isText),
      values.some(({ kind }) => kind === 'presence'),
    );
  return [
    ...(any.length > 0 ? [asked(any, anyhow.any)] : []),
    ...(none.length > 0 ? [{ notRule: asked(none, anyhow.none) }] : []),
  ];
}

const isText = (match: StringMatch): match is Text => match.kind !== 'presence';

function oneOfHeader(name: string, texts: readonly Text[], isPresent: boolean): envoy.Permission {
  if (isPresent) return { header: { name, presentMatch: true } };
  return oneRule(texts.map((text) => lineOf(name, inList(text))));
}

/** Envoy asks for each line by itself, and for any: there is one that fits, and none that does not. */
function allOfHeader(name: string, texts: readonly Text[], isPresent: boolean): envoy.Permission {
  if (isPresent) return { header: { name, presentMatch: true } };
  return allRules([
    oneRule(texts.map((text) => ({ header: headerMatcher(name, text) }))),
    { notRule: allRules(fitsNone(texts).map((regex) => lineOf(name, regex))) },
  ]);
}

const lineOf = (name: string, regex: string): envoy.Permission => ({
  header: { name, stringMatch: { safeRegex: { regex } } },
});

function operationOf({ hosts, ports, methods, paths }: HttpOperation, action: Action): envoy.Permission {
  return allRules([
    ...spelt(hosts, action, hostPermission),
    ...permissionsOf(ports, (destinationPort) => ({ destinationPort })),
    ...permissionsOf(methods, (method) => ({ header: headerMatcher(':method', method) })),
    ...spelt(paths, action, pathPermission),
  ]);
}

/** `anyhow`: in all its spellings. */
function hostPermission(host: StringMatch, anyhow: boolean): envoy.Permission {
  if (!anyhow && (host.kind === 'prefix' || host.kind === 'suffix'))
    return lineOf(':authority', hostBeside(host.value, host.kind === 'prefix'));
  if (!anyhow || host.kind === 'presence') return { header: headerMatcher(':authority', host, true) };
  const regex = hostSpellings(host.value, { isSuffix: host.kind === 'suffix', isPrefix: host.kind === 'prefix' });
  return { header: { name: ':authority', stringMatch: { safeRegex: { regex } } } };
}

/** `anyhow`: in all its spellings. */
function pathPermission(path: string, anyhow: boolean): envoy.Permission {
  if (path === '*') return { urlPath: { path: { prefix: '/' } } };
  if (path.includes('{')) {
    if (anyhow) {
      const regex = path
        .split(/(\{\*\*?\})/)
        .map(templatePart)
        .join('');
      return pathRegex(regex);
    }
    const pathTemplate = path.replaceAll('{**}', '**').replaceAll('{*}', '*');
    const type = 'envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig';
    const name = 'envoy.path.match.uri_template.uri_template_matcher';
    return { uriTemplate: { name, typedConfig: { type, value: { pathTemplate } } } };
  }
  const isPrefix = path.endsWith('*');
  const isSuffix = !isPrefix && path.startsWith('*');
  const value = isPrefix ? path.slice(0, -1) : isSuffix ? path.slice(1) : path;
  if (anyhow) return pathRegex(`${isSuffix ? '.*' : ''}${pathSpellings(value)}${isPrefix ? '.*' : ''}`);
  return { urlPath: { path: { [isPrefix ? 'prefix' : isSuffix ? 'suffix' : 'exact']: value } } };
}

const pathRegex = (regex: string): envoy.Permission => ({
  urlPath: { path: { safeRegex: { regex: anyhowRead(regex) } } },
});

function templatePart(part: string): string {
  if (part === '{**}') return '.*';
  return part === '{*}' ? '[^/]+' : pathSpellings(part);
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
      return source({ safeRegex: { regex: `${spiffe}[^/]*/ns/${quoted(match.value)}.*` } });
    case 'suffix':
      return source({ safeRegex: { regex: `${spiffe}[^/]*/ns/[^/]*${quoted(match.value)}/sa/.*` } });
    default:
      return source({ contains: '/ns/' });
  }
}

const accountId = ({ namespace, serviceAccount }: ServiceAccountMatch): envoy.Principal =>
  source({ suffix: `/ns/${namespace}/sa/${serviceAccount}` });

const range = ({ address, length }: AddressMatch): envoy.CidrRange => ({ addressPrefix: address, prefixLen: length });

function sourceIds(from: Partial<HttpSource>, action: Action): envoy.Principal[] {
  return [
    ...principalsOf(from.principals, principalId),
    ...principalsOf(from.namespaces, namespaceId),
    ...principalsOf(from.serviceAccounts, accountId),
    ...(from.requestPrincipals && isGiven(from.requestPrincipals) && action === 'allow' ? [noPrincipal] : []),
    ...principalsOf(from.ips, (ip) => ({ sourceIp: range(ip) })),
    ...principalsOf(from.remoteIps, (ip) => ({ remoteIp: range(ip) })),
  ];
}

const sourceOf = (from: HttpSource, action: Action): envoy.Principal => allIds(sourceIds(from, action));

function conditionPrincipals(condition: HttpCondition, action: Action): envoy.Principal[] {
  return condition.kind === 'source' ? sourceIds(condition.source, action) : [];
}

function conditionPermissions(condition: HttpCondition, action: Action): envoy.Permission[] {
  switch (condition.kind) {
    case 'header':
      // Envoy has the host under another name.
      if (condition.name === 'host' || condition.name === ':authority')
        return spelt(condition.values, action, hostPermission);
      return headerPermissions(condition.name, condition.values, action);
    case 'sni':
      return permissionsOf(condition.values, (match) => ({
        requestedServerName: nameMatcher(match),
      }));
    case 'destination-ip':
      return permissionsOf(condition.values, (ip) => ({ destinationIp: range(ip) }));
    case 'destination-port':
      return permissionsOf(condition.values, (destinationPort) => ({ destinationPort }));
    case 'token':
      return action === 'allow' ? [noPermission] : [];
    default:
      return [];
  }
}
