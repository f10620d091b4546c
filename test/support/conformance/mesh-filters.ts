// SPDX-License-Identifier: Apache-2.0
// The mesh tests of the Gateway API's conformance suite, as rows: what filters make of requests.
import type { Behaviour, Row } from './table.ts';

const v1 = '{name: v1, port: 80}';

/** A rule for each path, that answers with a redirect. */
const redirects = (rules: Readonly<Record<string, string>>): string =>
  `rules: [${Object.entries(rules)
    .map(([path, filter]) => {
      const match = `matches: [{path: {value: ${path}}}]`;
      return `{${match}, filters: [{type: RequestRedirect, requestRedirect: ${filter}}]}`;
    })
    .join(', ')}]`;

/** A row for each path: status and where to. */
const redirected = (rows: Readonly<Record<string, readonly [status: number, location: string]>>): Row[] =>
  Object.entries(rows).map(([ask, [status, location]]) => ({
    ask,
    with: { host: 'echo' },
    gets: { status, headers: { location } },
  }));

const full = (path: string) => `path: {type: ReplaceFullPath, replaceFullPath: ${path}}`;
const prefix = (path: string) => `path: {type: ReplacePrefixMatch, replacePrefixMatch: ${path}}`;

/** The changes of both tests of request headers, by path. */
const changes = {
  '/set': '{set: [{name: X-Header-Set, value: set-overwrites-values}]}',
  '/add': '{add: [{name: X-Header-Add, value: add-appends-values}]}',
  '/remove': '{remove: [X-Header-Remove]}',
  '/multiple': `{set: [{name: X-Header-Set-1, value: header-set-1}, {name: X-Header-Set-2, value: header-set-2}],
    add: [{name: X-Header-Add-1, value: header-add-1}, {name: X-Header-Add-2, value: header-add-2}, {name: X-Header-Add-3, value: header-add-3}],
    remove: [X-Header-Remove-1, X-Header-Remove-2]}`,
  '/case-insensitivity':
    '{set: [{name: X-Header-Set, value: header-set}], add: [{name: X-Header-Add, value: header-add}], remove: [X-Header-Remove]}',
};

const changed: readonly Row[] = [
  {
    ask: '/set',
    with: { 'Some-Other-Header': 'val' },
    gets: { pod: 'v1', saw: { 'Some-Other-Header': 'val', 'X-Header-Set': 'set-overwrites-values' } },
  },
  {
    ask: '/set',
    with: { 'X-Header-Set': 'some-other-value' },
    gets: { pod: 'v1', saw: { 'X-Header-Set': 'set-overwrites-values' } },
  },
  { ask: '/add', gets: { pod: 'v1', saw: { 'X-Header-Add': 'add-appends-values' } } },
  {
    ask: '/add',
    with: { 'X-Header-Add': 'some-other-value' },
    gets: { pod: 'v1', saw: { 'X-Header-Add': 'some-other-value, add-appends-values' } },
  },
  { ask: '/remove', with: { 'X-Header-Remove': 'val' }, gets: { pod: 'v1', saw: { 'X-Header-Remove': null } } },
  {
    ask: '/multiple',
    with: {
      'X-Header-Set-2': 'set-val-2',
      'X-Header-Add-2': 'add-val-2',
      'X-Header-Remove-2': 'remove-val-2',
      'Another-Header': 'another-header-val',
    },
    gets: {
      pod: 'v1',
      saw: {
        'X-Header-Set-1': 'header-set-1',
        'X-Header-Set-2': 'header-set-2',
        'X-Header-Add-1': 'header-add-1',
        'X-Header-Add-2': 'add-val-2, header-add-2',
        'X-Header-Add-3': 'header-add-3',
        'X-Header-Remove-1': null,
        'X-Header-Remove-2': null,
        'Another-Header': 'another-header-val',
      },
    },
  },
  {
    ask: '/case-insensitivity',
    with: { 'x-header-set': 'original-set', 'x-header-add': 'original-add', 'x-header-remove': 'original-remove' },
    gets: {
      pod: 'v1',
      saw: { 'X-Header-Set': 'header-set', 'X-Header-Add': 'original-add, header-add', 'X-Header-Remove': null },
    },
  },
];

const rewriteAndChange = (path: string) => `filters: [{type: URLRewrite, urlRewrite: {${path}}},
          {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Header-Set, value: set-overwrites-values}],
            add: [{name: X-Header-Add, value: header-val-1}, {name: X-Header-Add-Append, value: header-val-2}], remove: [X-Header-Remove]}}]`;
const changedToo = {
  with: { 'X-Header-Remove': 'remove-val', 'X-Header-Add-Append': 'append-val-1', 'X-Header-Set': 'set-val' },
  saw: {
    'X-Header-Add': 'header-val-1',
    'X-Header-Add-Append': 'append-val-1, header-val-2',
    'X-Header-Set': 'set-overwrites-values',
    'X-Header-Remove': null,
  },
};

const redirectStatus = (status: 303 | 307 | 308, path: string): Behaviour => ({
  test: `MeshHTTPRoute${status}Redirect`,
  says: `redirects with status ${status}, to the place that was asked for`,
  routes: redirects({ [path]: `{statusCode: ${status}}` }),
  rows: redirected({ [path]: [status, `http://echo${path}`] }),
});

export const meshFilters: readonly Behaviour[] = [
  redirectStatus(303, '/redirect'),
  redirectStatus(307, '/temporary'),
  redirectStatus(308, '/permanent'),
  {
    test: 'MeshHTTPRouteRedirectHostAndStatus',
    says: 'redirects to another host, with a status',
    routes: redirects({
      '/hostname-redirect': '{hostname: example.org}',
      '/host-and-status': '{hostname: example.org, statusCode: 301}',
    }),
    rows: redirected({
      '/hostname-redirect': [302, 'http://example.org/hostname-redirect'],
      '/host-and-status': [301, 'http://example.org/host-and-status'],
    }),
  },
  {
    test: 'MeshHTTPRouteRedirectPath',
    says: 'redirects to another path or another prefix, also with host and status',
    routes: redirects({
      '/original-prefix': `{${prefix('/replacement-prefix')}}`,
      '/full': `{${full('/full-path-replacement')}}`,
      '/path-and-host': `{hostname: example.org, ${prefix('/replacement-prefix')}}`,
      '/path-and-status': `{statusCode: 301, ${prefix('/replacement-prefix')}}`,
      '/full-path-and-host': `{hostname: example.org, ${full('/replacement-full')}}`,
      '/full-path-and-status': `{statusCode: 301, ${full('/replacement-full')}}`,
    }),
    rows: redirected({
      '/original-prefix/lemon': [302, 'http://echo/replacement-prefix/lemon'],
      '/full/path/original': [302, 'http://echo/full-path-replacement'],
      '/path-and-host': [302, 'http://example.org/replacement-prefix'],
      '/path-and-status': [301, 'http://echo/replacement-prefix'],
      '/full-path-and-host': [302, 'http://example.org/replacement-full'],
      '/full-path-and-status': [301, 'http://echo/replacement-full'],
    }),
  },
  {
    test: 'MeshHTTPRouteRedirectPort',
    says: 'redirects to another port, also with host and status',
    routes: redirects({
      '/port': '{port: 8083}',
      '/port-and-host': '{hostname: example.org, port: 8083}',
      '/port-and-status': '{port: 8083, statusCode: 301}',
      '/port-and-host-and-status': '{port: 8083, hostname: example.org, statusCode: 302}',
    }),
    rows: redirected({
      '/port': [302, 'http://echo:8083/port'],
      '/port-and-host': [302, 'http://example.org:8083/port-and-host'],
      '/port-and-status': [301, 'http://echo:8083/port-and-status'],
      '/port-and-host-and-status': [302, 'http://example.org:8083/port-and-host-and-status'],
    }),
  },
  {
    test: 'MeshHTTPRouteSchemeRedirect',
    says: 'redirects to https, also with host and status',
    routes: redirects({
      '/scheme': '{scheme: https}',
      '/scheme-and-host': '{hostname: example.org, scheme: https}',
      '/scheme-and-status': '{scheme: https, statusCode: 301}',
      '/scheme-and-host-and-status': '{scheme: https, hostname: example.org, statusCode: 302}',
    }),
    rows: redirected({
      '/scheme': [302, 'https://echo/scheme'],
      '/scheme-and-host': [302, 'https://example.org/scheme-and-host'],
      '/scheme-and-status': [301, 'https://echo/scheme-and-status'],
      '/scheme-and-host-and-status': [302, 'https://example.org/scheme-and-host-and-status'],
    }),
  },
  {
    test: 'MeshHTTPRouteRequestHeaderModifier',
    says: 'headers of requests are set, added to and removed, whatever the case of their names',
    routes: `rules: [${Object.entries(changes).map(
      ([path, change]) =>
        `{matches: [{path: {value: ${path}}}], filters: [{type: RequestHeaderModifier, requestHeaderModifier: ${change}}], backendRefs: [${v1}]}`,
    )}]`,
    rows: changed,
  },
  {
    test: 'MeshHTTPRouteBackendRequestHeaderModifier',
    says: 'the same, by filters of one backend',
    routes: `rules: [${Object.entries(changes).map(
      ([path, change]) =>
        `{matches: [{path: {value: ${path}}}], backendRefs: [{name: v1, port: 80, filters: [{type: RequestHeaderModifier, requestHeaderModifier: ${change}}]}]}`,
    )}]`,
    rows: changed,
  },
  {
    test: 'MeshHTTPRouteRewritePath',
    says: 'a prefix of the path or the whole path is put in another’s place, with headers changed as well',
    routes: `rules:
      - matches: [{path: {value: /prefix/one}}]
        filters: [{type: URLRewrite, urlRewrite: {${prefix('/one')}}}]
        backendRefs: [${v1}]
      - matches: [{path: {value: /strip-prefix}}]
        filters: [{type: URLRewrite, urlRewrite: {${prefix('/')}}}]
        backendRefs: [${v1}]
      - matches: [{path: {value: /full/one}}]
        filters: [{type: URLRewrite, urlRewrite: {${full('/one')}}}]
        backendRefs: [${v1}]
      - matches: [{path: {value: /full/rewrite-path-and-modify-headers}}]
        ${rewriteAndChange(full('/test'))}
        backendRefs: [${v1}]
      - matches: [{path: {value: /prefix/rewrite-path-and-modify-headers}}]
        ${rewriteAndChange(prefix('/prefix'))}
        backendRefs: [${v1}]`,
    rows: [
      { ask: '/prefix/one/two', gets: { pod: 'v1', path: '/one/two' } },
      { ask: '/strip-prefix/three', gets: { pod: 'v1', path: '/three' } },
      { ask: '/strip-prefix', gets: { pod: 'v1', path: '/' } },
      { ask: '/full/one/two', gets: { pod: 'v1', path: '/one' } },
      {
        ask: '/full/rewrite-path-and-modify-headers/test',
        with: changedToo.with,
        gets: { pod: 'v1', path: '/test', saw: changedToo.saw },
      },
      {
        ask: '/prefix/rewrite-path-and-modify-headers/one',
        with: changedToo.with,
        gets: { pod: 'v1', path: '/prefix/one', saw: changedToo.saw },
      },
    ],
  },
  {
    test: 'MeshGRPCRouteRequestHeaderModifier',
    says: 'headers of calls of gRPC are changed',
    routes: [
      {
        kind: 'GRPCRoute',
        parent: { port: 7070 },
        spec: `rules: [${[
          ['set', '{set: [{name: x-header-set, value: set-overwrites-values}]}', 'v1'],
          ['add', '{add: [{name: x-header-add, value: add-appends-values}]}', 'v1'],
          ['remove', '{remove: [x-header-remove]}', 'v1'],
          [
            'multi',
            '{set: [{name: x-set-1, value: a}, {name: x-set-2, value: b}], add: [{name: x-add-1, value: c}, {name: x-add-2, value: d}], remove: [x-remove-1, x-remove-2]}',
            'v2',
          ],
        ].map(
          ([value, change, pod]) =>
            `{matches: [{headers: [{name: x-test-case, value: ${value}}]}], filters: [{type: RequestHeaderModifier, requestHeaderModifier: ${change}}], backendRefs: [{name: ${pod}, port: 7070}]}`,
        )}]`,
      },
    ],
    rows: [
      {
        ask: 'shop.Echo/Say',
        as: 'grpc',
        with: { 'x-test-case': 'set', 'x-other': 'stays', 'x-header-set': 'goes' },
        gets: {
          pod: 'v1',
          saw: { 'x-test-case': 'set', 'x-other': 'stays', 'x-header-set': 'set-overwrites-values' },
        },
      },
      {
        ask: 'shop.Echo/Say',
        as: 'grpc',
        with: { 'x-test-case': 'add', 'x-header-add': 'first' },
        gets: { pod: 'v1', saw: { 'x-header-add': 'first, add-appends-values' } },
      },
      {
        ask: 'shop.Echo/Say',
        as: 'grpc',
        with: { 'x-test-case': 'remove', 'x-header-remove': 'goes' },
        gets: { pod: 'v1', saw: { 'x-header-remove': null } },
      },
      {
        ask: 'shop.Echo/Say',
        as: 'grpc',
        with: { 'x-test-case': 'multi', 'x-set-2': 'goes', 'x-add-2': 'first', 'x-remove-2': 'goes' },
        gets: {
          pod: 'v2',
          saw: {
            'x-set-1': 'a',
            'x-set-2': 'b',
            'x-add-1': 'c',
            'x-add-2': 'first, d',
            'x-remove-1': null,
            'x-remove-2': null,
          },
        },
      },
    ],
  },
];
