// SPDX-License-Identifier: Apache-2.0
// Tests of the conformance suite that are about filters of HTTPRoutes of gateways, with a Service as parent.
import type { Behaviour, Row } from './table.ts';

const [v1, v2] = ['{name: v1, port: 80}', '{name: v2, port: 80}'];
const prefix = (path: string) => `path: {type: ReplacePrefixMatch, replacePrefixMatch: ${path}}`;

/** A rule for each path: its filters, then v1. */
const filtered = (rules: Readonly<Record<string, string>>, backends = v1): string =>
  `rules: [${Object.entries(rules).map(
    ([path, filters]) => `{matches: [{path: {value: ${path}}}], filters: [${filters}], backendRefs: [${backends}]}`,
  )}]`;

/** Flow of YAML, on one line. */
const line = (text: string): string => text.replaceAll(/\s+/g, ' ');
const requestHeaders =
  line(`{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Header-Set, value: set-overwrites-values}],
  add: [{name: X-Header-Add, value: header-val-1}, {name: X-Header-Add-Append, value: header-val-2}], remove: [X-Header-Remove]}}`);
const asked = { 'X-Header-Remove': 'remove-val', 'X-Header-Add-Append': 'append-val-1', 'X-Header-Set': 'set-val' };
const saw = {
  'X-Header-Add': 'header-val-1',
  'X-Header-Add-Append': 'append-val-1, header-val-2',
  'X-Header-Set': 'set-overwrites-values',
  'X-Header-Remove': null,
};

const responseHeaders = (change: string) => `{type: ResponseHeaderModifier, responseHeaderModifier: ${change}}`;
const answering = (headers: Readonly<Record<string, string>>) => ({ 'x-answer': JSON.stringify(headers) });
const many = `{set: [{name: X-Header-Set-1, value: header-set-1}, {name: X-Header-Set-2, value: header-set-2}],
  add: [{name: X-Header-Add-1, value: header-add-1}, {name: X-Header-Add-2, value: header-add-2}],
  remove: [X-Header-Remove-1, X-Header-Remove-2]}`;
const manyAnswered = {
  'X-Header-Set-2': 'set-val-2',
  'X-Header-Add-2': 'add-val-2',
  'X-Header-Remove-2': 'remove-val-2',
  'Another-Header': 'another-header-val',
};
const manyTold = {
  'X-Header-Set-1': 'header-set-1',
  'X-Header-Set-2': 'header-set-2',
  'X-Header-Add-1': 'header-add-1',
  'X-Header-Add-2': 'add-val-2, header-add-2',
  'X-Header-Remove-1': null,
  'X-Header-Remove-2': null,
  'Another-Header': 'another-header-val',
};

const mirror = (name: string, share = '') =>
  `{type: RequestMirror, requestMirror: {backendRef: {name: ${name}, port: 80}${share}}}`;
const rewrite = (what: string) => `{type: URLRewrite, urlRewrite: {${what}}}`;

const redirectRules = (rules: Readonly<Record<string, string>>): string =>
  `rules: [${Object.entries(rules).map(
    ([path, filter]) =>
      `{matches: [{path: {value: ${path}}}], filters: [{type: RequestRedirect, requestRedirect: {hostname: example.org${filter}}}]}`,
  )}]`;
const location = (ask: string, at: string, to: Row['to'] = {}): Row => ({
  ask,
  to,
  gets: { status: 302, headers: { location: `${at}${ask}` } },
});

const marking = (pod: string) =>
  `{name: ${pod}, port: 80, weight: 10, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: Backend, value: ${pod}}]}}]}`;

/** Of the table of path rewrites in the Gateway API's reference: path, prefix matched, put in its place, what comes of it. */
const rewrites = [
  ['/foo/bar', '/foo', '/xyz', '/xyz/bar'],
  ['/foo/bar', '/foo', '/xyz/', '/xyz/bar'],
  ['/foo/bar', '/foo/', '/xyz', '/xyz/bar'],
  ['/foo/bar', '/foo/', '/xyz/', '/xyz/bar'],
  ['/foo', '/foo', '/xyz', '/xyz'],
  ['/foo/', '/foo', '/xyz', '/xyz/'],
  ['/foo/bar', '/foo', '', '/bar'],
  ['/foo/', '/foo', '', '/'],
  ['/foo', '/foo', '', '/'],
  ['/foo/', '/foo', '/', '/'],
  ['/foo', '/foo', '/', '/'],
] as const;

export const httpFilters: readonly Behaviour[] = [
  {
    test: 'HTTPRouteResponseHeaderModifier',
    says: 'headers of answers are set, added to and removed, also beside those of requests',
    routes: filtered({
      '/set': responseHeaders('{set: [{name: X-Header-Set, value: set-overwrites-values}]}'),
      '/add': responseHeaders('{add: [{name: X-Header-Add, value: add-appends-values}]}'),
      '/remove': responseHeaders('{remove: [X-Header-Remove]}'),
      '/multiple': responseHeaders(many),
      '/case': responseHeaders(
        '{set: [{name: X-Header-Set, value: header-set}], add: [{name: x-Mixedcase-ADD, value: mixed}], remove: [X-Header-Remove]}',
      ),
      '/both': `${responseHeaders(many)}, ${requestHeaders}`,
    }),
    rows: [
      { ask: '/set', gets: { headers: { 'X-Header-Set': 'set-overwrites-values' } } },
      {
        ask: '/set',
        with: answering({ 'Some-Other-Header': 'val', 'X-Header-Set': 'some-other-value' }),
        gets: { headers: { 'Some-Other-Header': 'val', 'X-Header-Set': 'set-overwrites-values' } },
      },
      { ask: '/add', gets: { headers: { 'X-Header-Add': 'add-appends-values' } } },
      {
        ask: '/add',
        with: answering({ 'X-Header-Add': 'some-other-value' }),
        gets: { headers: { 'X-Header-Add': 'some-other-value, add-appends-values' } },
      },
      { ask: '/remove', with: answering({ 'X-Header-Remove': 'val' }), gets: { headers: { 'X-Header-Remove': null } } },
      { ask: '/multiple', with: answering(manyAnswered), gets: { headers: manyTold } },
      {
        ask: '/case',
        with: answering({ 'x-header-set': 'original', 'x-header-remove': 'original' }),
        gets: { headers: { 'X-Header-Set': 'header-set', 'X-Mixedcase-Add': 'mixed', 'X-Header-Remove': null } },
      },
      { ask: '/both', with: { ...answering(manyAnswered), ...asked }, gets: { saw, headers: manyTold } },
    ],
  },
  {
    test: 'HTTPRouteRequestHeaderModifierBackendWeights',
    says: 'each backend’s requests are changed by its own filters',
    routes: `rules: [{backendRefs: [${marking('v1')}, ${marking('v2')}]}]`,
    rows: [{ ask: '/', times: 60, gets: { status: 200, named: 'Backend', shares: { v1: 0.5, v2: 0.5 } } }],
  },
  {
    test: 'HTTPRouteRequestMirror',
    says: 'a copy of each request goes to another backend, changed as the request is',
    routes: filtered({ '/mirror': mirror('v2'), '/mirror-and-modify': `${requestHeaders}, ${mirror('v2')}` }),
    rows: [
      { ask: '/mirror', gets: { pod: 'v1', mirrors: { v2: 1 } } },
      { ask: '/mirror-and-modify', with: asked, gets: { pod: 'v1', saw, mirrors: { v2: 1 } } },
    ],
  },
  {
    test: 'HTTPRouteRequestMultipleMirrors',
    says: 'copies go to several backends',
    routes: filtered({
      '/mirror': `${mirror('v2')}, ${mirror('v3')}`,
      '/mirror-and-modify': `${requestHeaders}, ${mirror('v2')}, ${mirror('v3')}`,
    }),
    rows: [
      { ask: '/mirror', gets: { pod: 'v1', mirrors: { v2: 1, v3: 1 } } },
      { ask: '/mirror-and-modify', with: asked, gets: { pod: 'v1', saw, mirrors: { v2: 1, v3: 1 } } },
    ],
  },
  {
    test: 'HTTPRouteRequestPercentageMirror',
    says: 'copies of a share of the requests, in per cent or as a fraction',
    routes: filtered({
      '/percent': mirror('v2', ', percent: 20'),
      '/fraction': mirror('v2', ', fraction: {numerator: 25, denominator: 50}'),
      '/none': mirror('v2', ', percent: 0'),
    }),
    rows: [
      { ask: '/percent', times: 500, gets: { shares: { v1: 1 }, mirrors: { v2: 0.2 } } },
      { ask: '/fraction', times: 500, gets: { shares: { v1: 1 }, mirrors: { v2: 0.5 } } },
      { ask: '/none', times: 20, gets: { shares: { v1: 1 }, tries: 20 } },
    ],
  },
  {
    test: 'HTTPRouteRewriteHost',
    says: 'another host is put in the place of the one that was asked for',
    routes: `rules:
      - {matches: [{path: {value: /one}}], filters: [${rewrite('hostname: one.example.org')}], backendRefs: [${v1}]}
      - {filters: [${rewrite('hostname: example.org')}], backendRefs: [${v2}]}
      - {matches: [{path: {value: /modify}}], filters: [${rewrite('hostname: test.example.org')}, ${requestHeaders}], backendRefs: [${v2}]}`,
    rows: [
      { ask: '/one', gets: { pod: 'v1', path: '/one', host: 'one.example.org' } },
      { ask: '/two', gets: { pod: 'v2', path: '/two', host: 'example.org' } },
      { ask: '/modify', with: asked, gets: { pod: 'v2', path: '/modify', host: 'test.example.org', saw } },
    ],
  },
  {
    test: 'Slashes in rewrites',
    says: 'the table of the reference: one slash where prefix and rest meet, however they are written',
    routes: `rules: [${rewrites.map(
      ([, from, by], i) =>
        `{matches: [{path: {value: ${from}}, headers: [{name: case, value: "${i}"}]}], filters: [${rewrite(prefix(`"${by}"`))}], backendRefs: [${v1}]}`,
    )}]`,
    rows: rewrites.map(([ask, , , path], i) => ({ ask, with: { case: String(i) }, gets: { pod: 'v1', path } })),
  },
  {
    test: 'HTTPRouteRedirectPortAndScheme',
    says: 'the port of a redirect follows from its scheme, else from the port that was dialled; a usual one is not said',
    routes: [
      {
        name: 'at-80',
        parent: { port: 80 },
        spec: redirectRules({
          '/scheme-nil-and-port-nil': '',
          '/scheme-nil-and-port-80': ', port: 80',
          '/scheme-nil-and-port-8080': ', port: 8080',
          '/scheme-https-and-port-nil': ', scheme: https',
          '/scheme-https-and-port-443': ', scheme: https, port: 443',
          '/scheme-https-and-port-8443': ', scheme: https, port: 8443',
        }),
      },
      {
        name: 'at-8080',
        parent: { port: 8080 },
        spec: redirectRules({
          '/scheme-nil-and-port-nil': '',
          '/scheme-nil-and-port-80': ', port: 80',
          '/scheme-https-and-port-nil': ', scheme: https',
        }),
      },
    ],
    rows: [
      location('/scheme-nil-and-port-nil', 'http://example.org'),
      location('/scheme-nil-and-port-80', 'http://example.org'),
      location('/scheme-nil-and-port-8080', 'http://example.org:8080'),
      location('/scheme-https-and-port-nil', 'https://example.org'),
      location('/scheme-https-and-port-443', 'https://example.org'),
      location('/scheme-https-and-port-8443', 'https://example.org:8443'),
      location('/scheme-nil-and-port-nil', 'http://example.org:8080', { port: 8080 }),
      location('/scheme-nil-and-port-80', 'http://example.org', { port: 8080 }),
      location('/scheme-https-and-port-nil', 'https://example.org', { port: 8080 }),
    ],
  },
  {
    test: 'Unknown filters',
    says: 'a filter that nobody here knows fails its requests with 500, and only those',
    routes: `rules:
      - {matches: [{path: {value: /ext}}], filters: [{type: ExtensionRef, extensionRef: {group: a.example, kind: B, name: c}}], backendRefs: [${v1}]}
      - {backendRefs: [${v1}]}`,
    rows: [
      { ask: '/ext', gets: 500 },
      { ask: '/', gets: 'v1' },
    ],
    conditions: {
      'HTTPRoute shop/unknown-filters': ['ResolvedRefs False InvalidKind', 'PartiallyInvalid True UnsupportedValue'],
    },
  },
];
