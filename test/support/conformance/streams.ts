// SPDX-License-Identifier: Apache-2.0
// Tests of the conformance suite that are about GRPCRoutes, TLSRoutes and TCPRoutes of gateways, with a Service as parent.
import { byHeaders, headerRows } from './http.ts';
import type { Behaviour } from './table.ts';

const [v1, v2, v3] = ['v1', 'v2', 'v3'].map((name) => `{name: ${name}, port: 7070}`) as [string, string, string];
const at = (name: string, port: number) => `{name: ${name}, port: ${port}}`;
const parent = { port: 7070 };
/** What gRPC gets where nothing fits. */
const unimplemented = { status: 200, headers: { 'grpc-status': '12' } };

export const streams: readonly Behaviour[] = [
  {
    test: 'GRPCExactMethodMatching',
    says: 'methods of services, each to another backend; others are unimplemented',
    routes: [
      {
        kind: 'GRPCRoute',
        parent,
        spec: `rules:
          - {matches: [{method: {service: shop.Echo, method: Say}}], backendRefs: [${v1}]}
          - {matches: [{method: {service: shop.Echo, method: SayTwo}}], backendRefs: [${v2}]}`,
      },
    ],
    rows: [
      { ask: 'shop.Echo/Say', as: 'grpc', gets: { status: 200, pod: 'v1', headers: { 'grpc-status': '0' } } },
      { ask: 'shop.Echo/SayTwo', as: 'grpc', gets: 'v2' },
      { ask: 'shop.Echo/SayThree', as: 'grpc', gets: unimplemented },
      { ask: 'shop.Other/Say', as: 'grpc', gets: unimplemented },
    ],
  },
  {
    test: 'GRPCRouteHeaderMatching',
    says: 'headers of calls, as of requests of HTTP',
    routes: [{ kind: 'GRPCRoute', parent, spec: byHeaders(v1, v2) }],
    rows: headerRows({ ask: 'shop.Echo/Say', as: 'grpc' }, unimplemented),
  },
  {
    test: 'GRPCRouteNamedRule',
    says: 'rules with and without a name do the same',
    routes: [
      {
        kind: 'GRPCRoute',
        parent,
        spec: `rules:
          - {name: named-rule, matches: [{method: {service: shop.Echo, method: Say}}], backendRefs: [${v1}]}
          - {matches: [{method: {service: shop.Echo, method: SayTwo}}], backendRefs: [${v2}]}`,
      },
    ],
    rows: [
      { ask: 'shop.Echo/Say', as: 'grpc', gets: 'v1' },
      { ask: 'shop.Echo/SayTwo', as: 'grpc', gets: 'v2' },
    ],
  },
  {
    test: 'Mirrors of calls',
    says: 'a copy of each call of gRPC goes to another backend',
    routes: [
      {
        kind: 'GRPCRoute',
        name: 'mirror',
        parent,
        spec: `rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: ${v2}}}], backendRefs: [${v1}]}]`,
      },
    ],
    rows: [{ ask: 'shop.Echo/Say', as: 'grpc', gets: { pod: 'v1', mirrors: { v2: 1 } } }],
  },
  {
    test: 'Precedence of methods',
    says: 'service and method before a service alone, before a method alone, before regular expressions',
    routes: [
      {
        kind: 'GRPCRoute',
        parent,
        spec: `rules:
          - {backendRefs: [${v3}]}
          - {matches: [{method: {type: RegularExpression, service: "shop[.]E.*"}}], backendRefs: [${v2}]}
          - {matches: [{method: {service: shop.Echo}}], backendRefs: [${v2}]}
          - {matches: [{method: {service: shop.Echo, method: Say}}], backendRefs: [${v1}]}
          - {matches: [{method: {method: Tell}}], backendRefs: [${v1}]}`,
      },
    ],
    rows: [
      { ask: 'shop.Echo/Say', as: 'grpc', gets: 'v1' },
      { ask: 'shop.Echo/Other', as: 'grpc', gets: 'v2' },
      { ask: 'shop.Echo/Tell', as: 'grpc', gets: 'v2' },
      { ask: 'shop.Else/Other', as: 'grpc', gets: 'v2' },
      { ask: 'shop.Door/Tell', as: 'grpc', gets: 'v1' },
      { ask: 'shop.Door/Other', as: 'grpc', gets: 'v3' },
    ],
  },
  {
    test: 'HTTPRoute beside GRPCRoute',
    says: 'at one port the GRPCRoute holds, and the HTTPRoute is told that it does not',
    routes: [
      { kind: 'GRPCRoute', name: 'grpc', parent, spec: `rules: [{backendRefs: [${v1}]}]` },
      { kind: 'HTTPRoute', name: 'plain', parent, spec: `rules: [{backendRefs: [${v2}]}]` },
    ],
    rows: [{ ask: 'shop.Echo/Say', as: 'grpc', gets: 'v1' }],
    conditions: { 'HTTPRoute shop/plain': ['Accepted False Conflicted'] },
  },
  {
    test: 'TLSRouteSimpleSameNamespace',
    says: 'TLS that is passed on by its server name, exact before wildcard; a name that nobody serves is closed',
    routes: [
      {
        kind: 'TLSRoute',
        name: 'one',
        parent: { port: 443 },
        spec: `{hostnames: [abc.example.com], rules: [{backendRefs: [${at('v1', 443)}]}]}`,
      },
      {
        kind: 'TLSRoute',
        name: 'wild',
        parent: { port: 443 },
        spec: `{hostnames: ["*.example.com"], rules: [{backendRefs: [${at('v2', 443)}]}]}`,
      },
    ],
    rows: [
      { ask: '/', as: 'https', sni: 'abc.example.com', gets: { status: 200, pod: 'v1', sni: 'abc.example.com' } },
      { ask: '/', as: 'https', sni: 'other.example.com', gets: 'v2' },
      { ask: '/', as: 'https', sni: 'example.org', gets: { fails: 'connection' } },
    ],
  },
  {
    test: 'TLSRouteInvalidBackendRefNonexistent',
    says: 'a backend that is not there: the connection is closed, and ResolvedRefs says so',
    routes: [
      {
        kind: 'TLSRoute',
        name: 'tls-gone',
        parent: { port: 443 },
        spec: `{hostnames: [abc.example.com], rules: [{backendRefs: [${at('nonexistent', 443)}]}]}`,
      },
    ],
    rows: [{ ask: '/', as: 'https', sni: 'abc.example.com', gets: { fails: 'connection' } }],
    conditions: { 'TLSRoute shop/tls-gone': ['ResolvedRefs False BackendNotFound'] },
  },
  {
    test: 'TLSRouteInvalidBackendRefUnknownKind',
    says: 'a backend of an unknown kind: the connection is closed, and ResolvedRefs says so',
    routes: [
      {
        kind: 'TLSRoute',
        name: 'tls-unknown',
        parent: { port: 443 },
        spec: '{hostnames: [abc.example.com], rules: [{backendRefs: [{group: unknown.example.com, kind: NonExistent, name: v1, port: 443}]}]}',
      },
    ],
    rows: [{ ask: '/', as: 'https', sni: 'abc.example.com', gets: { fails: 'connection' } }],
    conditions: { 'TLSRoute shop/tls-unknown': ['ResolvedRefs False InvalidKind'] },
  },
  {
    test: 'TCPRouteWeightedRouting',
    says: 'connections are shared as the weights say',
    routes: [
      {
        kind: 'TCPRoute',
        parent: { port: 9090 },
        spec: 'rules: [{backendRefs: [{name: v1, port: 9090, weight: 70}, {name: v2, port: 9090, weight: 30}, {name: v3, port: 9090, weight: 0}]}]',
      },
    ],
    rows: [{ ask: '-', as: 'tcp', times: 500, gets: { shares: { v1: 0.7, v2: 0.3 } } }],
  },
  {
    test: 'TCPRouteInvalidBackendRefNonexistent',
    says: 'a backend that is not there: the connection is closed, and ResolvedRefs says so',
    routes: [
      {
        kind: 'TCPRoute',
        name: 'tcp-gone',
        parent: { port: 9090 },
        spec: `rules: [{backendRefs: [${at('nonexistent', 9090)}]}]`,
      },
    ],
    rows: [{ ask: '-', as: 'tcp', gets: { fails: 'connection' } }],
    conditions: { 'TCPRoute shop/tcp-gone': ['ResolvedRefs False BackendNotFound'] },
  },
  {
    test: 'TCPRouteMultipleRoutesAttachment',
    says: 'of several TCPRoutes of one port the oldest gets all connections',
    routes: [
      {
        kind: 'TCPRoute',
        name: 'a-newer',
        created: '2026-01-02T00:00:00Z',
        parent: { port: 9090 },
        spec: `rules: [{backendRefs: [${at('v2', 9090)}]}]`,
      },
      {
        kind: 'TCPRoute',
        name: 'b-older',
        created: '2026-01-01T00:00:00Z',
        parent: { port: 9090 },
        spec: `rules: [{backendRefs: [${at('v1', 9090)}]}]`,
      },
    ],
    rows: [{ ask: '-', as: 'tcp', times: 20, gets: { shares: { v1: 1 } } }],
  },
  {
    test: 'TCPRouteParentRefAttachAll',
    says: 'a TCPRoute without a port takes every port',
    routes: [{ kind: 'TCPRoute', name: 'all-ports', spec: `rules: [{backendRefs: [${at('v3', 9090)}]}]` }],
    rows: [
      { ask: '-', as: 'tcp', gets: { shares: { v3: 1 } } },
      { ask: '-', as: 'tcp', to: { port: 443 }, gets: { shares: { v3: 1 } } },
    ],
  },
  {
    test: 'TCPRouteParentRefPortAndSectionName',
    says: 'TCPRoutes for a port by number, by name, or by both; where they contradict each other for none',
    routes: [
      {
        kind: 'TCPRoute',
        name: 'by-port',
        parent: { port: 9090 },
        spec: `rules: [{backendRefs: [${at('v1', 9090)}]}]`,
      },
      {
        kind: 'TCPRoute',
        name: 'by-name',
        parent: { sectionName: 'https' },
        spec: `rules: [{backendRefs: [${at('v2', 9090)}]}]`,
      },
      {
        kind: 'TCPRoute',
        name: 'by-both',
        parent: { port: 7070, sectionName: 'grpc' },
        spec: `rules: [{backendRefs: [${at('v3', 9090)}]}]`,
      },
      {
        kind: 'TCPRoute',
        name: 'by-neither',
        parent: { port: 9090, sectionName: 'https' },
        spec: `rules: [{backendRefs: [${at('v3', 9090)}]}]`,
      },
    ],
    rows: [
      { ask: '-', as: 'tcp', gets: { shares: { v1: 1 } } },
      { ask: '-', as: 'tcp', to: { port: 443 }, gets: { shares: { v2: 1 } } },
      { ask: '-', as: 'tcp', to: { port: 7070 }, gets: { shares: { v3: 1 } } },
    ],
    conditions: { 'TCPRoute shop/by-neither': ['Accepted False NoMatchingParent'] },
  },
];
