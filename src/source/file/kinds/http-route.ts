// SPDX-License-Identifier: Apache-2.0
// HTTPRoute of the Gateway API, for services as parents.
import type { HttpFilter, HttpMatch, HttpRule, NamedMatch, PathMatch } from '../../../mesh/route.ts';
import { listOf, needed, object, oneOf, type Raw, silentFields, strict, text, whole } from '../fields.ts';
import { base, defineKind, type Meta } from '../kind.ts';
import type { Path } from '../node.ts';
import type { HttpRouteObject } from '../objects.ts';
import type { Reading } from '../reading.ts';
import { backendsOf, filtersOf, httpFilters } from './http-filters.ts';
import {
  duration,
  gatewayGroup,
  headerName,
  nonEmpty,
  noteHostnames,
  parentRefs,
  parentsOf,
  ruleNames,
  weightedFields,
} from './route-fields.ts';
import { sessionOf, sessionPersistence } from './session-persistence.ts';

const namedType = oneOf('Exact', 'RegularExpression');
export const headerMatches = listOf(
  object({ type: namedType, name: needed(headerName), value: needed(text()) }, strict),
);
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const;

const match = object(
  {
    path: object({ type: oneOf('Exact', 'PathPrefix', 'RegularExpression'), value: text() }, strict),
    headers: headerMatches,
    queryParams: listOf(object({ type: namedType, name: needed(headerName), value: needed(text()) }, strict)),
    method: oneOf(...methods),
  },
  strict,
);

const backendRefs = listOf(object({ ...weightedFields, filters: httpFilters }, strict));

const rule = object(
  {
    name: nonEmpty,
    matches: listOf(match),
    filters: httpFilters,
    backendRefs,
    timeouts: object({ request: duration, backendRequest: duration }, strict),
    retry: object({ codes: listOf(whole(400, 599)), attempts: whole(0, 1000), backoff: duration }, strict),
    sessionPersistence,
  },
  strict,
);

export const httpRouteKind = defineKind({
  kind: 'HTTPRoute',
  group: gatewayGroup,
  versions: ['v1', 'v1beta1'],
  namespaced: true,
  shape: {
    spec: object(
      { parentRefs, hostnames: listOf(text()), rules: listOf(rule, { min: 1 }), ...silentFields('useDefaultGateways') },
      strict,
    ),
    ...silentFields('status'),
  },
  make({ spec }, meta, reading): HttpRouteObject {
    const parents = parentsOf(spec?.parentRefs, meta);
    noteHostnames(spec?.hostnames, parents, reading);
    // What the API server puts in where nothing is said.
    const rules = spec?.rules ?? [{}];
    const names = ruleNames(rules, reading);
    return {
      kind: 'HTTPRoute',
      ...base(meta),
      parents,
      rules: rules.map((one, i) => ruleOf(one, names[i] as string, meta, ['spec', 'rules', i], reading)),
    };
  },
});

function ruleOf(raw: Partial<Raw<typeof rule>>, name: string, meta: Meta, path: Path, reading: Reading): HttpRule {
  const filters = filtersOf(raw.filters, meta, [...path, 'filters'], reading);
  const matches = (raw.matches?.length ? raw.matches : [{}]).map((one, i) =>
    matchOf(one, [...path, 'matches', i], reading),
  );
  const backends = backendsOf(raw.backendRefs, meta, path, reading);
  if (backends.length > 0 && filters.some(({ kind }) => kind === 'redirect')) {
    reading.faultAt([...path, 'backendRefs'], 'cannot stand beside a RequestRedirect');
  }
  const checkPrefixes = (list: readonly HttpFilter[], at: Path) =>
    list.forEach((filter, i) => {
      if ((filter.kind !== 'redirect' && filter.kind !== 'rewrite') || filter.path?.kind !== 'prefix') return;
      if (matches.length === 1 && matches[0]?.path.kind === 'prefix') return;
      reading.faultAt([...at, 'filters', i], 'replacePrefixMatch needs exactly one match, of type PathPrefix');
    });
  checkPrefixes(filters, path);
  backends.forEach((backend, i) => void checkPrefixes(backend.filters, [...path, 'backendRefs', i]));
  const { request, backendRequest } = raw.timeouts ?? {};
  if (request !== undefined && request > 0 && backendRequest !== undefined && backendRequest > request) {
    reading.faultAt([...path, 'timeouts', 'backendRequest'], 'must not be longer than request');
  }
  return {
    name,
    matches,
    filters,
    backends,
    timeouts: { ...(request !== undefined && { request }), ...(backendRequest !== undefined && { backendRequest }) },
    ...(raw.sessionPersistence && {
      session: sessionOf(raw.sessionPersistence, backends, [...path, 'sessionPersistence'], reading),
    }),
    ...(raw.retry && {
      retry: {
        codes: raw.retry.codes ?? [],
        ...(raw.retry.attempts !== undefined && { attempts: raw.retry.attempts }),
        ...(raw.retry.backoff !== undefined && { backoffMs: raw.retry.backoff }),
      },
    }),
  };
}

function matchOf(raw: Partial<Raw<typeof match>>, path: Path, reading: Reading): HttpMatch {
  return {
    path: pathOf(raw.path ?? {}, [...path, 'path'], reading),
    headers: namedMatches(raw.headers, (name) => name.toLowerCase(), [...path, 'headers'], reading),
    query: namedMatches(raw.queryParams, (name) => name, [...path, 'queryParams'], reading),
    ...(raw.method && { method: raw.method }),
  };
}

const forbidden = ['//', '/./', '/../', '%2f', '%2F', '#', '?'];
const forbiddenEnds = ['/..', '/.'];

function pathOf(
  { type = 'PathPrefix', value = '/' }: { readonly type?: string | undefined; readonly value?: string | undefined },
  path: Path,
  reading: Reading,
): PathMatch {
  if (type === 'RegularExpression') return { kind: 'regex', value };
  const at = [...path, 'value'];
  if (!value.startsWith('/')) reading.faultAt(at, 'must begin with "/"');
  const bad = forbidden.find((part) => value.includes(part)) ?? forbiddenEnds.find((end) => value.endsWith(end));
  if (bad !== undefined) reading.faultAt(at, `must not hold ${JSON.stringify(bad)}`);
  return { kind: type === 'Exact' ? 'exact' : 'prefix', value };
}

/** Of several matches of one name only the first counts. */
export function namedMatches(
  raw: Raw<typeof headerMatches> | undefined,
  normal: (name: string) => string,
  path: Path,
  reading: Reading,
): NamedMatch[] {
  const seen = new Set<string>();
  return (raw ?? []).flatMap(({ type = 'Exact', name, value }, i) => {
    const known = normal(name);
    if (seen.has(known)) {
      reading.warnAt([...path, i, 'name'], `${JSON.stringify(name)} is matched already; only the first counts`);
      return [];
    }
    seen.add(known);
    return { kind: type === 'Exact' ? ('exact' as const) : ('regex' as const), name: known, value };
  });
}
