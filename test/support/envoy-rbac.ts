// SPDX-License-Identifier: Apache-2.0
// Rules of Envoy's RBAC filter, read as Envoy's documentation says them.
import type * as envoy from '../../src/compile/l7/envoy.ts';
import { cidrContains, maskAddress } from '../../src/net/cidr.ts';
import type { Request } from './l7-authz.ts';

function fitsText(matcher: envoy.StringMatcher, actual: string): boolean {
  const fold = (text: string) => (matcher.ignoreCase ? text.toLowerCase() : text);
  const value = fold(actual);
  if (matcher.exact !== undefined) return value === fold(matcher.exact);
  if (matcher.prefix !== undefined) return value.startsWith(fold(matcher.prefix));
  if (matcher.suffix !== undefined) return value.endsWith(fold(matcher.suffix));
  if (matcher.contains !== undefined) return value.includes(fold(matcher.contains));
  const { regex } = matcher.safeRegex as envoy.Regex;
  const folded = regex.startsWith('(?i)');
  return new RegExp(`^(?:${folded ? regex.slice(4) : regex.replaceAll('\\C', '.')})$`, folded ? 'is' : 's').test(
    actual,
  );
}

function inRange({ addressPrefix, prefixLen }: envoy.CidrRange, address: string): boolean {
  return cidrContains({ address: maskAddress(addressPrefix, prefixLen), length: prefixLen }, address);
}

/** '*': one segment that is not empty; '**': any text. */
function fitsTemplate(template: string, path: string): boolean {
  const parts = template.split(/(\*\*?)/).map((part) => {
    if (part === '**') return '.*';
    return part === '*' ? '[^/]+' : part.replaceAll(/[.+?^$()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('')}$`).test(path);
}

function permits(one: envoy.Permission, request: Request): boolean {
  if (one.andRules) return one.andRules.rules.every((rule) => permits(rule, request));
  if (one.orRules) return one.orRules.rules.some((rule) => permits(rule, request));
  if (one.notRule) return !permits(one.notRule, request);
  if (one.any) return true;
  if (one.urlPath) return fitsText(one.urlPath.path, request.path);
  if (one.uriTemplate)
    return fitsTemplate((one.uriTemplate.typedConfig.value as envoy.UriTemplate).pathTemplate, request.path);
  if (one.destinationIp) return inRange(one.destinationIp, request.destination);
  if (one.destinationPort !== undefined) return one.destinationPort === request.port;
  if (one.requestedServerName) return fitsText(one.requestedServerName, '');
  if (!one.header) throw new Error(JSON.stringify(one));
  const { name, presentMatch, stringMatch } = one.header;
  const pseudo: Readonly<Record<string, string>> = { ':method': request.method, ':authority': request.host };
  const value = pseudo[name] ?? request.headers[name];
  if (presentMatch) return value !== undefined;
  return value !== undefined && stringMatch !== undefined && fitsText(stringMatch, value);
}

function isIt(one: envoy.Principal, request: Request): boolean {
  if (one.andIds) return one.andIds.ids.every((id) => isIt(id, request));
  if (one.orIds) return one.orIds.ids.some((id) => isIt(id, request));
  if (one.notId) return !isIt(one.notId, request);
  if (one.any) return true;
  const range = one.sourceIp ?? one.remoteIp;
  if (range) return inRange(range, request.source);
  const { identity: who } = request;
  if (one.filterState?.key !== 'kmesh.source') throw new Error(JSON.stringify(one));
  return (
    who !== undefined &&
    fitsText(one.filterState.stringMatch, `spiffe://${who.domain}/ns/${who.namespace}/sa/${who.account}`)
  );
}

function hits({ policies }: envoy.Rbac, request: Request): boolean {
  return Object.values(policies).some(
    ({ permissions, principals }) =>
      permissions.some((one) => permits(one, request)) && principals.some((one) => isIt(one, request)),
  );
}

/** What a filter lets pass. */
export function passes(rules: envoy.Rbac | undefined, request: Request): boolean {
  if (!rules) return true;
  return hits(rules, request) === (rules.action === 0);
}
