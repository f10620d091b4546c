// SPDX-License-Identifier: Apache-2.0
// All tests of the conformance suite of the Gateway API 1.6 that are about routes, and where each of them is, or why it is nowhere.

export const release = '1.6';

/** Tests whose behaviour is that of a row's test. */
export const sameAs: Readonly<Record<string, string>> = {
  GRPCRouteRequestHeaderModifier: 'MeshGRPCRouteRequestHeaderModifier',
  GRPCRouteWeight: 'MeshGRPCRouteWeight',
  HTTPRoute303Redirect: 'MeshHTTPRoute303Redirect',
  HTTPRoute307Redirect: 'MeshHTTPRoute307Redirect',
  HTTPRoute308Redirect: 'MeshHTTPRoute308Redirect',
  HTTPRouteBackendRequestHeaderModifier: 'MeshHTTPRouteBackendRequestHeaderModifier',
  HTTPRouteInvalidCrossNamespaceBackendRef: 'HTTPRouteInvalidReferenceGrant',
  HTTPRouteInvalidParentRefNotMatchingListenerPort: 'Ports that are not there',
  HTTPRouteInvalidParentRefNotMatchingSectionName: 'Ports that are not there',
  HTTPRouteInvalidParentRefSectionNameNotMatchingPort: 'Ports that are not there',
  HTTPRouteMatching: 'MeshHTTPRouteMatching',
  HTTPRouteNamedRule: 'MeshHTTPRouteNamedRule',
  HTTPRouteQueryParamMatching: 'MeshHTTPRouteQueryParamMatching',
  HTTPRouteRedirectHostAndStatus: 'MeshHTTPRouteRedirectHostAndStatus',
  HTTPRouteRedirectPath: 'MeshHTTPRouteRedirectPath',
  HTTPRouteRedirectPort: 'MeshHTTPRouteRedirectPort',
  HTTPRouteRedirectScheme: 'MeshHTTPRouteSchemeRedirect',
  HTTPRouteRequestHeaderModifier: 'MeshHTTPRouteRequestHeaderModifier',
  HTTPRouteRewritePath: 'MeshHTTPRouteRewritePath',
  HTTPRouteSimpleSameNamespace: 'MeshHTTPRouteSimpleSameNamespace',
  HTTPRouteWeight: 'MeshHTTPRouteWeight',
};

/** What cannot be asked of a mesh, or is not done: why, and the tests. */
export const left: readonly { readonly why: string; readonly tests: readonly string[] }[] = [
  {
    why: 'about host names of listeners, which services do not have (`hostnames` of a route mean nothing where its parent is a Service)',
    tests: [
      'GRPCRouteListenerHostnameMatching',
      'HTTPRouteHostnameIntersection',
      'HTTPRouteListenerHostnameMatching',
      'TLSRouteHostnameIntersection',
      'TLSRouteInvalidNoMatchingListenerHostname',
    ],
  },
  {
    why: 'about what listeners of a Gateway allow: any namespace may make routes for its own clients, and the kind of a port is what it speaks',
    tests: [
      'HTTPRouteDisallowedKind',
      'HTTPRouteInvalidCrossNamespaceParentRef',
      'HTTPRouteMultipleGateways',
      'TCPRouteInvalidNonTCPListener',
      'TLSRouteInvalidNoMatchingListener',
      'TLSRouteListenerPassthroughSupportedKinds',
    ],
  },
  {
    why: 'about TLS that a Gateway ends: a waypoint passes it on',
    tests: [
      'HTTPRouteHTTPSListener',
      'HTTPRouteHTTPSListenerDetectMisdirectedRequests',
      'TLSRouteListenerMixedTerminationNotSupported',
      'TLSRouteListenerTerminateNotSupported',
      'TLSRouteListenerTerminateSupportedKinds',
      'TLSRouteMixedTerminationSameNamespace',
      'TLSRouteTerminateSimpleSameNamespace',
    ],
  },
  {
    why: 'about conditions that are written into objects of a cluster: ours are told by `waypoint serve --status` and `kmeshctl waypoint status`, always of what was read last',
    tests: ['HTTPRouteObservedGenerationBump'],
  },
  {
    why: 'not supported: datagrams never go through a waypoint',
    tests: [
      'UDPRoute',
      'UDPRouteInvalidBackendRefNonexistent',
      'UDPRouteInvalidCrossNamespaceBackendRef',
      'UDPRouteMultipleRoutesAttachment',
      'UDPRouteNotAllowedByListeners',
      'UDPRouteParentRefAttachAllListeners',
      'UDPRouteParentRefPortAndSectionName',
      'UDPRouteReferenceGrant',
      'UDPRouteWeightedRouting',
    ],
  },
];
