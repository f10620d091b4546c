// SPDX-License-Identifier: Apache-2.0
// Tests of the conformance suite that are about HTTPRoutes of gateways, with a Service as parent: which rule counts, and which backend.
import type { Behaviour, Row } from './table.ts';

const [v1, v2, v3] = ['v1', 'v2', 'v3'].map((name) => `{name: ${name}, port: 80}`) as [string, string, string];

/** A rule for each path. */
const byPath = (rules: readonly (readonly [type: string, path: string, backend: string])[]): string =>
  `rules: [${rules.map(([type, path, backend]) => `{matches: [{path: {type: ${type}, value: ${path}}}], backendRefs: [${backend}]}`)}]`;

/** Rules by headers, which HTTPRoute and GRPCRoute have in common. */
export const byHeaders = (a: string, b: string): string => `rules:
  - {matches: [{headers: [{name: version, value: one}]}], backendRefs: [${a}]}
  - {matches: [{headers: [{name: version, value: two}]}], backendRefs: [${b}]}
  - {matches: [{headers: [{name: version, value: two}, {name: color, value: orange}]}], backendRefs: [${a}]}
  - {matches: [{headers: [{name: color, value: blue}]}, {headers: [{name: color, value: green}]}], backendRefs: [${a}]}
  - {matches: [{headers: [{name: color, value: red}]}, {headers: [{name: color, value: yellow}]}], backendRefs: [${b}]}`;

export const headerRows = (asked: Pick<Row, 'ask' | 'as'>, notFound: Row['gets']): Row[] => [
  { ...asked, with: { Version: 'one' }, gets: 'v1' },
  { ...asked, with: { Version: 'two' }, gets: 'v2' },
  { ...asked, with: { Version: 'two', Color: 'orange' }, gets: 'v1' },
  { ...asked, with: { Version: 'two', Color: 'blue' }, gets: 'v2' },
  { ...asked, with: { Color: 'orange' }, gets: notFound },
  { ...asked, with: { 'Some-Other-Header': 'one' }, gets: notFound },
  { ...asked, with: { Color: 'blue' }, gets: 'v1' },
  { ...asked, with: { Color: 'green' }, gets: 'v1' },
  { ...asked, with: { Color: 'red' }, gets: 'v2' },
  { ...asked, with: { Color: 'yellow' }, gets: 'v2' },
  { ...asked, with: { Color: 'purple' }, gets: notFound },
];

export const http: readonly Behaviour[] = [
  {
    test: 'HTTPRouteExactPathMatching',
    says: 'an exact path is neither what goes on nor what ends with a slash',
    routes: byPath([
      ['Exact', '/one', v1],
      ['Exact', '/two', v2],
    ]),
    rows: [
      { ask: '/one', gets: 'v1' },
      { ask: '/two', gets: 'v2' },
      { ask: '/', gets: 404 },
      { ask: '/one/example', gets: 404 },
      { ask: '/two/', gets: 404 },
      { ask: '/ONE', gets: 404 },
    ],
  },
  {
    test: 'HTTPRoutePathMatchOrder',
    says: 'exact paths before prefixes, longer prefixes before shorter ones, whatever their order',
    routes: byPath([
      ['Exact', '/match', v1],
      ['Exact', '/match/exact', v2],
      ['Exact', '/match/exact/one', v3],
      ['PathPrefix', '/match/', v3],
      ['PathPrefix', '/match/prefix/', v1],
      ['PathPrefix', '/match/prefix/one', v2],
    ]),
    rows: [
      { ask: '/match/exact/one', gets: 'v3' },
      { ask: '/match/exact', gets: 'v2' },
      { ask: '/match', gets: 'v1' },
      { ask: '/match/prefix/one/any', gets: 'v2' },
      { ask: '/match/prefix/any', gets: 'v1' },
      { ask: '/match/any', gets: 'v3' },
    ],
  },
  {
    test: 'HTTPRouteHeaderMatching',
    says: 'headers one of which, or all of which, must be there; more of them count before fewer',
    routes: byHeaders(v1, v2),
    rows: headerRows({ ask: '/' }, 404),
  },
  {
    test: 'HTTPRouteMethodMatching',
    says: 'methods, alone and with what else matches; a path counts before a method, a method before headers',
    routes: `rules:
      - {matches: [{method: POST}], backendRefs: [${v1}]}
      - {matches: [{method: GET}], backendRefs: [${v2}]}
      - {matches: [{path: {value: /path1}, method: GET}], backendRefs: [${v1}]}
      - {matches: [{headers: [{name: version, value: one}], method: PUT}], backendRefs: [${v2}]}
      - {matches: [{path: {value: /path2}, headers: [{name: version, value: two}], method: POST}], backendRefs: [${v3}]}
      - {matches: [{path: {value: /path3}, method: PATCH}, {path: {value: /path4}, headers: [{name: version, value: three}], method: DELETE}], backendRefs: [${v1}]}
      - {matches: [{path: {value: /path5}}], backendRefs: [${v1}]}
      - {matches: [{method: PATCH}], backendRefs: [${v2}]}
      - {matches: [{headers: [{name: version, value: four}]}], backendRefs: [${v1}]}`,
    rows: [
      { ask: 'POST /', gets: 'v1' },
      { ask: 'GET /', gets: 'v2' },
      { ask: 'HEAD /', gets: 404 },
      { ask: 'GET /path1', gets: 'v1' },
      { ask: 'PUT /', with: { version: 'one' }, gets: 'v2' },
      { ask: 'POST /path2', with: { version: 'two' }, gets: 'v3' },
      { ask: 'PATCH /path3', gets: 'v1' },
      { ask: 'DELETE /path4', with: { version: 'three' }, gets: 'v1' },
      { ask: 'PUT /path1', gets: 404 },
      { ask: 'DELETE /path4', gets: 404 },
      { ask: 'PATCH /path5', gets: 'v1' },
      { ask: 'PATCH /', with: { version: 'four' }, gets: 'v2' },
    ],
  },
  {
    test: 'HTTPRouteMatchingAcrossRoutes',
    says: 'rules of several routes of one service count as if they were of one',
    routes: [
      {
        name: 'part-1',
        spec: `rules: [{matches: [{path: {value: /}}, {headers: [{name: version, value: one}]}], backendRefs: [${v1}]}]`,
      },
      {
        name: 'part-2',
        spec: `rules: [{matches: [{path: {value: /v2}}, {headers: [{name: version, value: two}]}], backendRefs: [${v2}]}]`,
      },
    ],
    rows: [
      { ask: '/', gets: 'v1' },
      { ask: '/example', gets: 'v1' },
      { ask: '/example', with: { Version: 'one' }, gets: 'v1' },
      { ask: '/v2', gets: 'v2' },
      { ask: '/v2/example', gets: 'v2' },
      { ask: '/', with: { Version: 'two' }, gets: 'v2' },
    ],
  },
  {
    test: 'Precedence of equal matches',
    says: 'the oldest route, then the first by namespace and name, then the first rule',
    routes: [
      {
        name: 'a-younger',
        created: '2026-01-02T00:00:00Z',
        spec: `rules: [{matches: [{path: {value: /age}}], backendRefs: [${v1}]}, {matches: [{path: {value: /name}}], backendRefs: [${v1}]}]`,
      },
      {
        name: 'z-older',
        created: '2026-01-01T00:00:00Z',
        spec: `rules: [{matches: [{path: {value: /age}}], backendRefs: [${v2}]}]`,
      },
      {
        name: 'b-younger',
        created: '2026-01-02T00:00:00Z',
        spec: `rules: [{matches: [{path: {value: /name}}], backendRefs: [${v2}]}, {matches: [{path: {value: /rule}}], backendRefs: [${v3}]}, {matches: [{path: {value: /rule}}], backendRefs: [${v1}]}]`,
      },
    ],
    rows: [
      { ask: '/age', gets: 'v2' },
      { ask: '/name', gets: 'v1' },
      { ask: '/rule', gets: 'v3' },
    ],
  },
  {
    test: 'HTTPRouteListenerPortMatching',
    says: 'several routes, each for another port of one service, by number or by name',
    routes: [
      { name: 'port-80', parent: { port: 80 }, spec: `rules: [{backendRefs: [${v1}]}]` },
      { name: 'port-8080', parent: { sectionName: 'http-alt' }, spec: `rules: [{backendRefs: [${v2}]}]` },
    ],
    rows: [
      { ask: '/', gets: 'v1' },
      { ask: '/', to: { port: 8080 }, gets: 'v2' },
    ],
  },
  {
    test: 'Ports that are not there',
    says: 'a port that is not there, by number, by name or as both say together: NoMatchingParent, and the service is as without it',
    routes: [
      { name: 'no-port', parent: { port: 1 }, spec: 'rules: [{}]' },
      { name: 'no-name', parent: { sectionName: 'nothing' }, spec: 'rules: [{}]' },
      { name: 'not-both', parent: { port: 80, sectionName: 'http-alt' }, spec: 'rules: [{}]' },
    ],
    rows: [{ ask: '/', gets: 200 }],
    conditions: {
      'HTTPRoute shop/no-port': ['Accepted False NoMatchingParent'],
      'HTTPRoute shop/no-name': ['Accepted False NoMatchingParent'],
      'HTTPRoute shop/not-both': ['Accepted False NoMatchingParent'],
    },
  },
  {
    test: 'HTTPRouteNoBackendRefs',
    says: 'rules that send to nobody fail their requests with 500',
    routes: `rules:
      - {matches: [{path: {type: Exact, value: /omitted}}]}
      - {matches: [{path: {type: Exact, value: /empty}}], backendRefs: []}
      - {matches: [{path: {type: Exact, value: /nothing}}], backendRefs: [{name: v1, port: 80, weight: 0}]}
      - {matches: [{path: {value: /}}], backendRefs: [${v1}]}`,
    rows: [
      { ask: '/forward', gets: 'v1' },
      { ask: '/omitted', gets: 500 },
      { ask: '/empty', gets: 500 },
      { ask: '/nothing', gets: 500 },
    ],
  },
  {
    test: 'HTTPRouteInvalidNonExistentBackendRef',
    says: 'a backend that is not there: 500, and ResolvedRefs says so',
    routes: 'rules: [{backendRefs: [{name: nonexistent, port: 8080}]}]',
    rows: [{ ask: '/', gets: 500 }],
    conditions: {
      'HTTPRoute shop/httprouteinvalidnonexistentbackendref': ['ResolvedRefs False BackendNotFound'],
    },
  },
  {
    test: 'HTTPRouteInvalidBackendRefUnknownKind',
    says: 'a backend of an unknown kind: 500, and ResolvedRefs says so; the other rules hold',
    routes: `rules:
      - {matches: [{path: {value: /v2}}], backendRefs: [{group: unknown.example.com, kind: NonExistent, name: v2, port: 80}]}
      - {backendRefs: [${v1}]}`,
    rows: [
      { ask: '/v2', gets: 500 },
      { ask: '/', gets: 'v1' },
    ],
    conditions: { 'HTTPRoute shop/httprouteinvalidbackendrefunknownkind': ['ResolvedRefs False InvalidKind'] },
  },
  {
    test: 'Weight of invalid backends',
    says: 'the share of a backend that cannot be used fails with 500',
    routes: 'rules: [{backendRefs: [{name: v1, port: 80, weight: 75}, {name: nobody, port: 80, weight: 25}]}]',
    rows: [{ ask: '/', times: 600, gets: { shares: { v1: 0.75, 500: 0.25 } } }],
    conditions: { 'HTTPRoute shop/weight-of-invalid-backends': ['ResolvedRefs False BackendNotFound'] },
  },
  {
    test: 'Rules that cannot be done',
    says: 'a rule that cannot be done is left out, the others hold, and PartiallyInvalid names it',
    routes: `rules:
      - {matches: [{path: {value: /bad}, headers: [{name: a, type: RegularExpression, value: "("}]}], backendRefs: [${v2}]}
      - {backendRefs: [${v1}]}`,
    rows: [
      { ask: '/bad', with: { a: '(' }, gets: 'v1' },
      { ask: '/', gets: 'v1' },
    ],
    conditions: { 'HTTPRoute shop/rules-that-cannot-be-done': ['PartiallyInvalid True UnsupportedValue'] },
  },
  {
    test: 'Regular expressions',
    says: 'paths, headers and parameters as a whole, in the syntax of RE2',
    routes: `rules:
      - {matches: [{path: {type: RegularExpression, value: "/item/[0-9]+"}}], backendRefs: [${v1}]}
      - {matches: [{path: {value: /header}, headers: [{type: RegularExpression, name: version, value: "v[12]"}]}], backendRefs: [${v2}]}
      - {matches: [{path: {value: /query}, queryParams: [{type: RegularExpression, name: id, value: "[a-f]+"}]}], backendRefs: [${v3}]}`,
    rows: [
      { ask: '/item/42', gets: 'v1' },
      { ask: '/item/42/more', gets: 404 },
      { ask: '/header', with: { version: 'v2' }, gets: 'v2' },
      { ask: '/header', with: { version: 'v23' }, gets: 404 },
      { ask: '/query?id=cafe', gets: 'v3' },
      { ask: '/query?id=face1', gets: 404 },
    ],
  },
  {
    test: 'HTTPRouteCrossNamespace',
    says: 'a backend of another namespace, which a mesh may use without a grant',
    routes: [{ name: 'cross', spec: 'rules: [{backendRefs: [{name: far, namespace: away, port: 80}]}]' }],
    rows: [{ ask: '/', gets: 'v3' }],
  },
  {
    test: 'HTTPRouteServiceTypes',
    says: 'backends without an address of their own, and with slices written by hand',
    routes: byPath([
      ['Exact', '/headless', '{name: headless, port: 8080}'],
      ['Exact', '/by-hand', '{name: by-hand, port: 80}'],
      ['Exact', '/headless-by-hand', '{name: headless-by-hand, port: 80}'],
    ]),
    rows: [
      { ask: '/headless', gets: 'v2' },
      { ask: '/by-hand', gets: 'v3' },
      { ask: '/headless-by-hand', gets: 'v3' },
    ],
  },
];
