// SPDX-License-Identifier: Apache-2.0
// What becomes of hosts and paths: URLRewrite and RequestRedirect.
import type { HttpFilter, PathChange, PathMatch } from '../../mesh/route.ts';
import type * as envoy from './envoy.ts';
import { trimmedPrefix } from './precedence.ts';
import { quoted } from './regex.ts';

type Rewrite = HttpFilter & { readonly kind: 'rewrite' };
type Redirect = HttpFilter & { readonly kind: 'redirect' };
type PathFields = Pick<envoy.RouteAction, 'prefixRewrite' | 'regexRewrite'>;

export function rewriteFields(
  { hostname, path }: Rewrite,
  match: PathMatch,
): PathFields & { hostRewriteLiteral?: string } {
  return {
    ...(hostname !== undefined && { hostRewriteLiteral: hostname }),
    ...(path?.kind === 'full' && wholePath(path.value)),
    ...(path?.kind === 'prefix' && newPrefix(path, match)),
  };
}

const literal = (text: string): string => text.replaceAll('\\', '\\\\');
const wholePath = (value: string): PathFields => ({
  regexRewrite: { pattern: { regex: '^.*$' }, substitution: literal(rooted(value)) },
});
const rooted = (path: string): string => (path.startsWith('/') ? path : `/${path}`);

/** Between what is put in place of the prefix and the rest stands one slash, however they are written. */
function newPrefix({ value }: PathChange, match: PathMatch): PathFields {
  const from = trimmedPrefix(match.value);
  const to = trimmedPrefix(value === '' ? '' : rooted(value));
  if (from === '') return to === '' ? {} : { prefixRewrite: `${to}/` };
  if (to !== '') return { prefixRewrite: to };
  return { regexRewrite: { pattern: { regex: `^${quoted(from)}/*` }, substitution: '/' } };
}

const codes = { 301: 0, 302: 1, 303: 2, 307: 3, 308: 4 } as const;
const wellKnown = { http: 80, https: 443 } as const;

/**
 * Envoy keeps the port of the Host header unless it gets another one, or a host without. A port that goes without saying is not said where that
 * can be helped.
 */
export function redirectAction(filter: Redirect, match: PathMatch, servicePort: number): envoy.RedirectAction {
  const { scheme, hostname, path } = filter;
  const port = filter.port ?? (scheme ? wellKnown[scheme] : servicePort);
  const isUsual = port === wellKnown[scheme ?? 'http'];
  const isOwn = hostname === undefined && (servicePort === 80 ? isUsual : port === servicePort);
  const isSaid = !(isOwn || (hostname !== undefined && isUsual));
  const change = path?.kind === 'prefix' ? newPrefix(path, match) : {};
  return {
    ...(scheme !== undefined && { schemeRedirect: scheme }),
    ...(hostname !== undefined && { hostRedirect: hostname }),
    ...(isSaid && { portRedirect: port }),
    ...(path?.kind === 'full' && { pathRedirect: rooted(path.value) }),
    ...change,
    responseCode: codes[filter.status],
  };
}
