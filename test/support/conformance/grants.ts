// SPDX-License-Identifier: Apache-2.0
// Tests of the conformance suite that are about ReferenceGrants, which waypoints ask for with --require-grants.
import type { Behaviour, Route } from './table.ts';

const far = (port = 80) => `{name: far, namespace: away, port: ${port}}`;
const grant = (name: string, kind: string, to: string, from = 'shop'): Route => ({
  kind: 'ReferenceGrant',
  namespace: 'away',
  name,
  parent: null,
  spec: `{from: [{group: gateway.networking.k8s.io, kind: ${kind}, namespace: ${from}}], to: [{group: "", kind: Service, name: ${to}}]}`,
});

export const grants: readonly Behaviour[] = [
  {
    test: 'HTTPRouteReferenceGrant',
    says: 'a backend of another namespace, which has granted it',
    routes: [{ name: 'granted', spec: `rules: [{backendRefs: [${far()}]}]` }, grant('for-http', 'HTTPRoute', 'far')],
    rows: [{ ask: '/', gets: 'v3' }],
  },
  {
    test: 'HTTPRouteInvalidReferenceGrant',
    says: 'grants for another service, another kind or another namespace are none: 500, and ResolvedRefs says so',
    routes: [
      { name: 'not-granted', spec: 'rules: [{backendRefs: [{name: far-too, namespace: away, port: 80}]}]' },
      grant('other-kind', 'TCPRoute', 'far-too'),
      grant('other-service', 'HTTPRoute', 'elsewhere'),
      grant('other-namespace', 'HTTPRoute', 'far-too', 'nowhere'),
    ],
    rows: [{ ask: '/', gets: 500 }],
    conditions: { 'HTTPRoute shop/not-granted': ['ResolvedRefs False RefNotPermitted'] },
  },
  {
    test: 'HTTPRoutePartiallyInvalidViaInvalidReferenceGrant',
    says: 'the rule without a grant fails, the other one holds',
    routes: [
      {
        name: 'half-granted',
        spec: `rules:
          - {matches: [{path: {value: /v2}}], backendRefs: [{name: far-too, namespace: away, port: 80}]}
          - {backendRefs: [${far()}]}`,
      },
    ],
    rows: [
      { ask: '/v2', gets: 500 },
      { ask: '/', gets: 'v3' },
    ],
    conditions: { 'HTTPRoute shop/half-granted': ['ResolvedRefs False RefNotPermitted'] },
  },
  {
    test: 'TCPRouteInvalidCrossNamespaceBackendRef',
    says: 'a TCPRoute needs a grant of its own kind',
    routes: [
      {
        kind: 'TCPRoute',
        name: 'tcp-not-granted',
        parent: { port: 9090 },
        spec: `rules: [{backendRefs: [${far()}]}]`,
      },
    ],
    rows: [{ ask: '-', as: 'tcp', gets: { fails: 'connection' } }],
    conditions: { 'TCPRoute shop/tcp-not-granted': ['ResolvedRefs False RefNotPermitted'] },
  },
  {
    test: 'TCPRouteReferenceGrant',
    says: 'connections go to a backend of another namespace, which has granted it',
    routes: [
      {
        kind: 'TCPRoute',
        name: 'tcp-granted',
        parent: { port: 9090 },
        spec: 'rules: [{backendRefs: [{name: far-tcp, namespace: away, port: 9090}]}]',
      },
      grant('for-tcp', 'TCPRoute', 'far-tcp'),
    ],
    rows: [{ ask: '-', as: 'tcp', gets: { shares: { v3: 1 } } }],
  },
  {
    test: 'TLSRouteInvalidReferenceGrant',
    says: 'a TLSRoute needs a grant of its own kind',
    routes: [
      {
        kind: 'TLSRoute',
        name: 'tls-not-granted',
        parent: { port: 443 },
        spec: '{hostnames: [abc.example.com], rules: [{backendRefs: [{name: far-tcp, namespace: away, port: 9090}]}]}',
      },
    ],
    rows: [{ ask: '/', as: 'https', sni: 'abc.example.com', gets: { fails: 'connection' } }],
    conditions: { 'TLSRoute shop/tls-not-granted': ['ResolvedRefs False RefNotPermitted'] },
  },
  {
    test: 'MeshConsumerRoute with grants',
    says: 'a route of the clients’ namespace needs a grant for the service’s backends, too',
    routes: [
      { name: 'consumer', namespace: 'away', spec: 'rules: [{backendRefs: [{name: v1, namespace: shop, port: 80}]}]' },
    ],
    rows: [
      { ask: '/', from: 'away', gets: 500 },
      { ask: '/', gets: 200 },
    ],
    conditions: { 'HTTPRoute away/consumer': ['ResolvedRefs False RefNotPermitted'] },
  },
];
