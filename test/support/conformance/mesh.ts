// SPDX-License-Identifier: Apache-2.0
// The mesh tests of the Gateway API's conformance suite, as rows: who is reached, and which route holds for whom.
import type { Behaviour } from './table.ts';

const [v1, v2] = ['{name: v1, port: 80}', '{name: v2, port: 80}'];
/** Sets a header of the answer, by which a row sees that the route held. */
const marks = (value: string) =>
  `filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Route, value: ${value}}]}}]`;
const marked = (pod: 'v1' | 'v2', value: string | null) => ({ status: 200, pod, headers: { 'X-Route': value } });

export const mesh: readonly Behaviour[] = [
  {
    test: 'MeshBasic',
    says: 'a service without routes is reached as it is',
    rows: [
      { ask: '/', gets: 200 },
      { ask: '/', to: { service: 'v1' }, gets: { status: 200, pod: 'v1', peer: 'waypoint' } },
      { ask: 'POST /any?a=b', to: { service: 'v2', port: 8080 }, gets: { pod: 'v2', path: '/any?a=b', host: 'v2' } },
    ],
  },
  {
    test: 'MeshHTTPRouteSimpleSameNamespace',
    says: 'a route of the namespace of its service',
    routes: `rules: [{backendRefs: [${v1}]}]`,
    rows: [{ ask: '/', gets: 'v1' }],
  },
  {
    test: 'MeshTrafficSplit',
    says: 'paths of one service, each to another version of it; nothing else is found',
    routes: `rules:
      - {matches: [{path: {type: Exact, value: /v1}}], backendRefs: [${v1}]}
      - {matches: [{path: {type: Exact, value: /v2}}], backendRefs: [${v2}]}`,
    rows: [
      { ask: '/v1', gets: 'v1' },
      { ask: '/v2', gets: 'v2' },
      { ask: '/v2/more', gets: 404 },
    ],
  },
  {
    test: 'MeshPorts',
    says: 'a route of one port holds there alone, one without a port at all that speak HTTP',
    routes: [
      { name: 'at-80', parent: { name: 'v1', port: 80 }, spec: `rules: [{${marks('v1')}, backendRefs: [${v1}]}]` },
      { name: 'at-all', parent: { name: 'v2' }, spec: `rules: [{${marks('v2')}, backendRefs: [${v2}]}]` },
    ],
    rows: [
      { ask: '/', to: { service: 'v1' }, gets: marked('v1', 'v1') },
      { ask: '/', to: { service: 'v1', port: 8080 }, gets: marked('v1', null) },
      { ask: '/', to: { service: 'v2' }, gets: marked('v2', 'v2') },
      { ask: '/', to: { service: 'v2', port: 8080 }, gets: marked('v2', 'v2') },
    ],
  },
  {
    test: 'MeshFrontend',
    says: 'a route holds for who dials its service, not for who dials a pod of it',
    rows: [
      { ask: '/', to: { service: 'v2' }, gets: marked('v2', 'v2') },
      { ask: '/', to: { pod: 'v2', port: 8080 }, gets: { ...marked('v2', null), peer: 'client' } },
    ],
  },
  {
    test: 'MeshFrontendHostname',
    says: 'which service is meant is said by the address that is dialled, not by the header Host',
    rows: [
      { ask: '/', to: { service: 'v2' }, with: { host: 'v3' }, gets: marked('v2', 'v2') },
      { ask: '/', to: { service: 'v1', port: 8080 }, with: { host: 'v2' }, gets: marked('v1', null) },
    ],
  },
  {
    test: 'MeshConsumerRoute',
    says: 'a route of another namespace holds for the clients of that one alone',
    routes: [
      { namespace: 'away', spec: `rules: [{${marks('away')}, backendRefs: [{name: v1, namespace: shop, port: 80}]}]` },
    ],
    rows: [
      { ask: '/', from: 'away', gets: marked('v1', 'away') },
      { ask: '/', from: 'client', gets: { status: 200, headers: { 'X-Route': null } } },
    ],
  },
  {
    test: 'MeshHTTPRouteMatching',
    says: 'paths by whole segments, and headers; the more specific one counts',
    routes: `rules:
      - {matches: [{path: {value: /}}, {headers: [{name: version, value: one}]}], backendRefs: [${v1}]}
      - {matches: [{path: {value: /v2}}, {headers: [{name: version, value: two}]}], backendRefs: [${v2}]}`,
    rows: [
      { ask: '/', gets: 'v1' },
      { ask: '/example', gets: 'v1' },
      { ask: '/', with: { Version: 'one' }, gets: 'v1' },
      { ask: '/', with: { Version: 'two' }, gets: 'v2' },
      { ask: '/v2', gets: 'v2' },
      { ask: '/v2/', gets: 'v2' },
      { ask: '/v2/example', gets: 'v2' },
      { ask: '/v2example', gets: 'v1' },
      { ask: '/foo/v2/example', gets: 'v1' },
    ],
  },
  {
    test: 'MeshHTTPRouteQueryParamMatching',
    says: 'query parameters by their whole value, alone and with what else matches',
    routes: `rules:
      - {matches: [{queryParams: [{name: animal, value: whale}]}], backendRefs: [${v1}]}
      - {matches: [{queryParams: [{name: animal, value: dolphin}]}], backendRefs: [${v2}]}
      - {matches: [{path: {value: /path1}, queryParams: [{name: animal, value: whale}]}], backendRefs: [${v1}]}
      - {matches: [{headers: [{name: version, value: one}], queryParams: [{name: animal, value: whale}]}], backendRefs: [${v2}]}
      - matches:
          - {path: {value: /path3}, queryParams: [{name: animal, value: shark}]}
          - {path: {value: /path4}, headers: [{name: version, value: three}], queryParams: [{name: animal, value: kraken}]}
        backendRefs: [${v1}]
      - {matches: [{path: {value: /path5}}], backendRefs: [${v1}]}
      - {matches: [{queryParams: [{name: animal, value: hydra}]}], backendRefs: [${v2}]}`,
    rows: [
      { ask: '/?animal=whale', gets: 'v1' },
      { ask: '/?animal=dolphin', gets: 'v2' },
      { ask: '/?animal=whale&otherparam=irrelevant', gets: 'v1' },
      { ask: '/?color=yellow&animal=dolphin', gets: 'v2' },
      { ask: '/?color=blue', gets: 404 },
      { ask: '/?animal=dog', gets: 404 },
      { ask: '/?animal=whaledolphin', gets: 404 },
      { ask: '/', gets: 404 },
      { ask: '/path1?animal=whale', gets: 'v1' },
      { ask: '/?animal=whale', with: { version: 'one' }, gets: 'v2' },
      { ask: '/path3?animal=shark', gets: 'v1' },
      { ask: '/path4?animal=kraken', with: { version: 'three' }, gets: 'v1' },
      { ask: '/?animal=shark', gets: 404 },
      { ask: '/path4?animal=kraken', gets: 404 },
      { ask: '/path5?animal=hydra', gets: 'v1' },
    ],
  },
  {
    test: 'MeshHTTPRouteNamedRule',
    says: 'rules with and without a name do the same',
    routes: `rules:
      - {name: named-rule, matches: [{path: {value: /named}}], backendRefs: [${v1}]}
      - {matches: [{path: {value: /unnamed}}], backendRefs: [${v2}]}`,
    rows: [
      { ask: '/named', gets: { pod: 'v1', path: '/named' } },
      { ask: '/unnamed', gets: { pod: 'v2', path: '/unnamed' } },
    ],
  },
  {
    test: 'MeshHTTPRouteWeight',
    says: 'requests are shared as the weights say; a weight of 0 gets none',
    routes: `rules:
      - backendRefs: [{name: v1, port: 80, weight: 70}, {name: v2, port: 80, weight: 30}, {name: v3, port: 80, weight: 0}]`,
    rows: [{ ask: '/', times: 2000, gets: { status: 200, shares: { v1: 0.7, v2: 0.3 } } }],
  },
  {
    test: 'MeshGRPCRouteWeight',
    says: 'the same of calls of gRPC',
    routes: [
      {
        kind: 'GRPCRoute',
        parent: { port: 7070 },
        spec: `rules:
          - backendRefs: [{name: v1, port: 7070, weight: 70}, {name: v2, port: 7070, weight: 30}, {name: v3, port: 7070, weight: 0}]`,
      },
    ],
    rows: [{ ask: 'shop.Echo/Say', as: 'grpc', times: 500, gets: { status: 200, shares: { v1: 0.7, v2: 0.3 } } }],
  },
];
