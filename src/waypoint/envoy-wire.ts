// SPDX-License-Identifier: Apache-2.0
// Field numbers of Envoy's API, version 3: the fields that waypoints use.
import type * as envoy from '../compile/l7/envoy.ts';
import {
  anyOf,
  double,
  duration,
  flag,
  inner,
  int,
  later,
  list,
  type Message,
  mapOf,
  message,
  text,
  whole,
  wholes,
  wrappedFlag,
  wrappedWhole,
} from './wire.ts';

const empty: Message<envoy.Empty> = () => {};
const regex = message<envoy.Regex>({ regex: text(2) });
const regexRewrite = message<envoy.RegexRewrite>({ pattern: inner(1, regex), substitution: text(2) });
const stringMatcher = message<envoy.StringMatcher>({
  exact: text(1),
  prefix: text(2),
  suffix: text(3),
  safeRegex: inner(5, regex),
  ignoreCase: flag(6),
  contains: text(7),
});
const filterStateMatcher = message<envoy.FilterStateMatcher>({ key: text(1), stringMatch: inner(2, stringMatcher) });
const cidrRange = message<envoy.CidrRange>({ addressPrefix: text(1), prefixLen: wrappedWhole(2) });
const address = message<envoy.Address>({
  socketAddress: inner(1, message<envoy.SocketAddress>({ address: text(2), portValue: whole(3), ipv4Compat: flag(6) })),
});
const configSource = message<envoy.ConfigSource>({
  ads: inner(3, empty),
  initialFetchTimeout: duration(4),
  resourceApiVersion: whole(6),
});
const headerMatcher = message<envoy.HeaderMatcher>({
  name: text(1),
  presentMatch: flag(7),
  stringMatch: inner(13, stringMatcher),
});

const permission: Message<envoy.Permission> = message<envoy.Permission>({
  andRules: inner(1, message({ rules: list(later<envoy.Permission>(1, () => permission)) })),
  orRules: inner(2, message({ rules: list(later<envoy.Permission>(1, () => permission)) })),
  any: flag(3),
  header: inner(4, headerMatcher),
  destinationIp: inner(5, cidrRange),
  destinationPort: whole(6),
  notRule: later(8, () => permission),
  requestedServerName: inner(9, stringMatcher),
  urlPath: inner(10, message({ path: inner(1, stringMatcher) })),
  uriTemplate: inner(13, message({ name: text(1), typedConfig: later(2, () => any) })),
});
const principal: Message<envoy.Principal> = message<envoy.Principal>({
  andIds: inner(1, message({ ids: list(later<envoy.Principal>(1, () => principal)) })),
  orIds: inner(2, message({ ids: list(later<envoy.Principal>(1, () => principal)) })),
  any: flag(3),
  notId: later(8, () => principal),
  sourceIp: inner(5, cidrRange),
  remoteIp: inner(11, cidrRange),
  filterState: inner(12, filterStateMatcher),
});
const rbac = message<envoy.Rbac>({
  action: whole(1),
  policies: mapOf(
    2,
    message<envoy.RbacPolicy>({ permissions: list(inner(1, permission)), principals: list(inner(2, principal)) }),
  ),
});
const httpRbac = message<envoy.HttpRbac>({ rules: inner(1, rbac), shadowRules: inner(2, rbac) });

const any: Message<envoy.Any> = anyOf<envoy.Any>({
  'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol': message<envoy.ProxyProtocol>({
    rules: list(inner(1, message({ tlvType: whole(1), onTlvPresent: inner(2, message({ key: text(2) })) }))),
  }),
  'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector': empty,
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager':
    message<envoy.HttpConnectionManager>({
      codecType: whole(1),
      statPrefix: text(2),
      rds: inner(3, message({ configSource: inner(1, configSource), routeConfigName: text(2) })),
      httpFilters: list(inner(5, message<envoy.HttpFilterConfig>({ name: text(1), typedConfig: later(4, () => any) }))),
      httpProtocolOptions: inner(8, message({ acceptHttp10: flag(2) })),
      useRemoteAddress: wrappedFlag(14),
      generateRequestId: wrappedFlag(15),
      skipXffAppend: flag(21),
      upgradeConfigs: list(inner(23, message({ upgradeType: text(1) }))),
      streamIdleTimeout: duration(24),
      normalizePath: wrappedFlag(30),
      preserveExternalRequestId: flag(32),
      serverHeaderTransformation: whole(34),
      pathWithEscapedSlashesAction: whole(45),
    }),
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy': message<envoy.TcpProxy>({
    statPrefix: text(1),
    cluster: text(2),
    weightedClusters: inner(
      10,
      message({
        clusters: list(inner(1, message<{ name: string; weight: number }>({ name: text(1), weight: whole(2) }))),
      }),
    ),
    hashPolicy: list(inner(11, message({ sourceIp: inner(1, empty) }))),
  }),
  'envoy.extensions.filters.network.set_filter_state.v3.Config': message<envoy.SetFilterState>({
    onNewConnection: list(
      inner(
        1,
        message<envoy.SetFilterState['onNewConnection'][number]>({
          objectKey: text(1),
          formatString: inner(2, message({ textFormatSource: inner(5, message({ inlineString: text(3) })) })),
          skipIfEmpty: flag(5),
          factoryKey: text(6),
        }),
      ),
    ),
  }),
  'envoy.extensions.filters.network.rbac.v3.RBAC': message<envoy.NetworkRbac>({
    rules: inner(1, rbac),
    shadowRules: inner(2, rbac),
    statPrefix: text(3),
  }),
  'envoy.extensions.filters.http.rbac.v3.RBAC': httpRbac,
  'envoy.extensions.filters.http.rbac.v3.RBACPerRoute': message<envoy.HttpRbacPerRoute>({ rbac: inner(2, httpRbac) }),
  'envoy.extensions.filters.http.cors.v3.Cors': empty,
  'envoy.extensions.filters.http.cors.v3.CorsPolicy': message<envoy.CorsPolicy>({
    allowOriginStringMatch: list(inner(1, stringMatcher)),
    allowMethods: text(2),
    allowHeaders: text(3),
    exposeHeaders: text(4),
    maxAge: text(5),
    allowCredentials: wrappedFlag(6),
    forwardNotMatchingPreflights: wrappedFlag(10),
  }),
  'envoy.extensions.filters.http.stateful_session.v3.StatefulSession': (writer, value: envoy.StatefulSession) =>
    statefulSession(writer, value),
  'envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute': message<envoy.StatefulSessionPerRoute>({
    statefulSession: later(2, () => statefulSession),
  }),
  'envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState': message<envoy.CookieSession>({
    cookie: inner(1, message<envoy.CookieSession['cookie']>({ name: text(1), ttl: duration(2), path: text(3) })),
  }),
  'envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState': message<envoy.HeaderSession>({
    name: text(1),
  }),
  'envoy.extensions.filters.http.router.v3.Router': message<envoy.Router>({ suppressEnvoyHeaders: flag(4) }),
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': message<envoy.HttpProtocolOptions>({
    explicitHttpConfig: inner(
      3,
      message<Required<envoy.HttpProtocolOptions>['explicitHttpConfig']>({
        httpProtocolOptions: inner(1, empty),
        http2ProtocolOptions: inner(2, empty),
      }),
    ),
    useDownstreamProtocolConfig: inner(
      4,
      message({ httpProtocolOptions: inner(1, empty), http2ProtocolOptions: inner(2, empty) }),
    ),
  }),
  'envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig': message<envoy.UriTemplate>({
    pathTemplate: text(1),
  }),
});

const statefulSession = message<envoy.StatefulSession>({
  sessionState: inner(1, message({ name: text(1), typedConfig: inner(2, any) })),
});

const chainPredicate: Message<envoy.ChainPredicate> = message<envoy.ChainPredicate>({
  orMatch: inner(1, message({ rules: list(later<envoy.ChainPredicate>(1, () => chainPredicate)) })),
  notMatch: later(3, () => chainPredicate),
  anyMatch: flag(4),
  destinationPortRange: inner(5, message({ start: int(1), end: int(2) })),
});

export const listener = message<envoy.Listener>({
  name: text(1),
  address: inner(2, address),
  filterChains: list(
    inner(
      3,
      message<envoy.FilterChain>({
        filterChainMatch: inner(
          1,
          message<envoy.FilterChain['filterChainMatch']>({
            prefixRanges: list(inner(3, cidrRange)),
            destinationPort: wrappedWhole(8),
            serverNames: list(text(11)),
          }),
        ),
        filters: list(inner(3, message<envoy.NetworkFilter>({ name: text(1), typedConfig: inner(4, any) }))),
        name: text(7),
      }),
    ),
  ),
  listenerFilters: list(
    inner(
      9,
      message<envoy.ListenerFilter>({
        name: text(1),
        typedConfig: inner(3, any),
        filterDisabled: inner(4, chainPredicate),
      }),
    ),
  ),
  listenerFiltersTimeout: duration(15),
  trafficDirection: whole(16),
  continueOnListenerFiltersTimeout: flag(17),
  statPrefix: text(28),
  enableReusePort: wrappedFlag(29),
});

const headerOption = message<envoy.HeaderValueOption>({
  header: inner(1, message({ key: text(1), value: text(2) })),
  appendAction: whole(3),
  keepEmptyValue: flag(4),
});

const fraction = message({ defaultValue: inner(1, message({ numerator: whole(1), denominator: whole(2) })) });

const routeMatch = message<envoy.RouteMatch>({
  prefix: text(1),
  path: text(2),
  headers: list(inner(6, headerMatcher)),
  queryParameters: list(
    inner(
      7,
      message<{ name: string; stringMatch: envoy.StringMatcher }>({
        name: text(1),
        stringMatch: inner(5, stringMatcher),
      }),
    ),
  ),
  runtimeFraction: inner(9, fraction),
  safeRegex: inner(10, regex),
  pathSeparatedPrefix: text(14),
  filterState: list(inner(16, filterStateMatcher)),
});

const routeAction = message<envoy.RouteAction>({
  cluster: text(1),
  weightedClusters: inner(
    3,
    message({
      clusters: list(
        inner(
          1,
          message<envoy.ClusterWeight>({
            name: text(1),
            weight: wrappedWhole(2),
            requestHeadersToAdd: list(inner(4, headerOption)),
            responseHeadersToAdd: list(inner(5, headerOption)),
            responseHeadersToRemove: list(text(6)),
            requestHeadersToRemove: list(text(9)),
          }),
        ),
      ),
    }),
  ),
  prefixRewrite: text(5),
  hostRewriteLiteral: text(6),
  hashPolicy: list(
    inner(15, message<envoy.HashPolicy>({ connectionProperties: inner(3, message({ sourceIp: flag(1) })) })),
  ),
  timeout: duration(8),
  retryPolicy: inner(
    9,
    message<envoy.RetryPolicy>({
      retryOn: text(1),
      numRetries: wrappedWhole(2),
      perTryTimeout: duration(3),
      retriableStatusCodes: wholes(7),
      retryBackOff: inner(
        8,
        message<{ baseInterval: number; maxInterval?: number }>({
          baseInterval: duration(1),
          maxInterval: duration(2),
        }),
      ),
    }),
  ),
  clusterNotFoundResponseCode: whole(20),
  requestMirrorPolicies: list(
    inner(
      30,
      message<envoy.MirrorPolicy>({
        cluster: text(1),
        runtimeFraction: inner(3, fraction),
        disableShadowHostSuffixAppend: flag(6),
      }),
    ),
  ),
  regexRewrite: inner(32, regexRewrite),
});

export const routeConfiguration = message<envoy.RouteConfiguration>({
  name: text(1),
  virtualHosts: list(
    inner(
      2,
      message<envoy.VirtualHost>({
        name: text(1),
        domains: list(text(2)),
        routes: list(
          inner(
            3,
            message<envoy.EnvoyRoute>({
              match: inner(1, routeMatch),
              route: inner(2, routeAction),
              redirect: inner(
                3,
                message<envoy.RedirectAction>({
                  hostRedirect: text(1),
                  pathRedirect: text(2),
                  responseCode: whole(3),
                  prefixRewrite: text(5),
                  schemeRedirect: text(7),
                  portRedirect: whole(8),
                  regexRewrite: inner(9, regexRewrite),
                }),
              ),
              directResponse: inner(7, message({ status: whole(1) })),
              requestHeadersToAdd: list(inner(9, headerOption)),
              responseHeadersToAdd: list(inner(10, headerOption)),
              responseHeadersToRemove: list(text(11)),
              requestHeadersToRemove: list(text(12)),
              typedPerFilterConfig: mapOf(13, any),
              name: text(14),
            }),
          ),
        ),
        typedPerFilterConfig: mapOf(15, any),
      }),
    ),
  ),
});

export const cluster = message<envoy.Cluster>({
  name: text(1),
  type: whole(2),
  edsClusterConfig: inner(3, message({ edsConfig: inner(1, configSource), serviceName: text(2) })),
  connectTimeout: duration(4),
  lbPolicy: whole(6),
  circuitBreakers: inner(
    10,
    message({
      thresholds: list(
        inner(
          1,
          message<envoy.Thresholds>({
            maxConnections: wrappedWhole(2),
            maxPendingRequests: wrappedWhole(3),
            maxRequests: wrappedWhole(4),
            maxRetries: wrappedWhole(5),
          }),
        ),
      ),
    }),
  ),
  commonLbConfig: inner(27, message({ healthyPanicThreshold: inner(1, message({ value: double(1) })) })),
  typedExtensionProtocolOptions: mapOf(36, any),
});

export const loadAssignment = message<envoy.ClusterLoadAssignment>({
  clusterName: text(1),
  endpoints: list(
    inner(
      2,
      message({
        lbEndpoints: list(
          inner(
            2,
            message<envoy.LbEndpoint>({
              endpoint: inner(1, message({ address: inner(1, address) })),
              loadBalancingWeight: wrappedWhole(4),
            }),
          ),
        ),
      }),
    ),
  ),
});
