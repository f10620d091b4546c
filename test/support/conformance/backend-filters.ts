// SPDX-License-Identifier: Apache-2.0
// Tests of the conformance suite that are about filters of one backend, with a Service as parent.
import type { Behaviour } from './table.ts';

const prefix = (path: string) => `path: {type: ReplacePrefixMatch, replacePrefixMatch: ${path}}`;
const full = (path: string) => `path: {type: ReplaceFullPath, replaceFullPath: ${path}}`;
const rewrite = (what: string) => `{type: URLRewrite, urlRewrite: {${what}}}`;

const marks = (pod: string) =>
  `{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: Backend, value: ${pod}}]}}`;

export const backendFilters: readonly Behaviour[] = [
  {
    test: 'HTTPRouteBackendURLRewrite',
    says: 'paths are put in others’ place by a filter of one backend',
    routes: `rules:
      - {matches: [{path: {value: /full}}], backendRefs: [{name: v1, port: 80, filters: [${rewrite(full('/rewritten-full'))}]}]}
      - {matches: [{path: {value: /prefix}}], backendRefs: [{name: v1, port: 80, filters: [${rewrite(prefix('/rewritten-prefix'))}]}]}`,
    rows: [
      { ask: '/full/original', gets: { pod: 'v1', path: '/rewritten-full' } },
      { ask: '/prefix/original', gets: { pod: 'v1', path: '/rewritten-prefix/original' } },
    ],
  },
  {
    test: 'HTTPRouteBackendRequestRedirect',
    says: 'redirects by a filter of one backend',
    routes: `rules:
      - matches: [{path: {value: /full}}]
        backendRefs: [{name: v1, port: 80, filters: [{type: RequestRedirect, requestRedirect: {${full('/redirected-full')}}}]}]
      - matches: [{path: {value: /prefix}}]
        backendRefs: [{name: v1, port: 80, filters: [{type: RequestRedirect, requestRedirect: {${prefix('/redirected-prefix')}}}]}]`,
    rows: [
      {
        ask: '/full/original',
        with: { host: 'echo' },
        gets: { status: 302, headers: { location: 'http://echo/redirected-full' } },
      },
      {
        ask: '/prefix/original',
        with: { host: 'echo' },
        gets: { status: 302, headers: { location: 'http://echo/redirected-prefix/original' } },
      },
    ],
  },
  {
    test: 'Filters of several backends',
    says: 'each backend’s share is treated by its own filters, of whatever kind',
    routes: `rules:
      - backendRefs:
          - {name: v1, port: 80, weight: 50, filters: [${rewrite(full('/one'))}, ${marks('v1')}]}
          - {name: v2, port: 80, weight: 30, filters: [{type: RequestMirror, requestMirror: {backendRef: {name: v3, port: 80}}}, ${marks('v2')}]}
          - {name: v2, port: 80, weight: 20, filters: [{type: RequestRedirect, requestRedirect: {statusCode: 307}}]}`,
    rows: [
      { ask: '/', times: 1000, gets: { shares: { v1: 0.5, v2: 0.3, 307: 0.2 }, mirrors: { v3: 0.3 } } },
      { ask: '/', times: 20, gets: { named: 'Backend' } },
    ],
  },
  {
    test: 'Unknown filters of a backend',
    says: 'the share of a backend with a filter that nobody here knows fails with 500',
    routes: `rules:
      - backendRefs:
          - {name: v1, port: 80, weight: 75}
          - {name: v2, port: 80, weight: 25, filters: [{type: ExtensionRef, extensionRef: {group: a.example, kind: B, name: c}}]}`,
    rows: [{ ask: '/', times: 600, gets: { shares: { v1: 0.75, 500: 0.25 } } }],
    conditions: {
      'HTTPRoute shop/unknown-filters-of-a-backend': [
        'ResolvedRefs False InvalidKind',
        'PartiallyInvalid True UnsupportedValue',
      ],
    },
  },
];
