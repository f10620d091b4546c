// SPDX-License-Identifier: Apache-2.0
// Configurations of Envoy's filters and other extensions, by their types.
import type * as envoy from '../compile/l7/envoy.ts';
import {
  cidrRange,
  configSource,
  empty,
  filterStateMatcher,
  hashPolicy,
  headerMatcher,
  stringMatcher,
} from './envoy-common.ts';
import {
  anyOf,
  duration,
  flag,
  inner,
  later,
  list,
  type Message,
  mapOf,
  message,
  text,
  whole,
  wrappedFlag,
} from './wire.ts';

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

const http1 = message<envoy.HttpConnectionManager['httpProtocolOptions']>({
  acceptHttp10: flag(2),
  defaultHostForHttp10: text(3),
});

export const any: Message<envoy.Any> = anyOf<envoy.Any>({
  'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol': message<envoy.ProxyProtocol>({
    rules: list(inner(1, message({ tlvType: whole(1), onTlvPresent: inner(2, message({ key: text(2) })) }))),
  }),
  'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector': empty,
  'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector': empty,
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager':
    message<envoy.HttpConnectionManager>({
      codecType: whole(1),
      statPrefix: text(2),
      rds: inner(3, message({ configSource: inner(1, configSource), routeConfigName: text(2) })),
      httpFilters: list(inner(5, message<envoy.HttpFilterConfig>({ name: text(1), typedConfig: later(4, () => any) }))),
      httpProtocolOptions: inner(8, http1),
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
    commonHttpProtocolOptions: inner(1, message({ idleTimeout: duration(1) })),
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
  'envoy.extensions.load_balancing_policies.maglev.v3.Maglev': message<envoy.Maglev>({
    consistentHashingLbConfig: inner(2, message({ hashPolicy: list(inner(3, hashPolicy)) })),
  }),
  'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate': empty,
  'envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig': message<envoy.UriTemplate>({
    pathTemplate: text(1),
  }),
});

const statefulSession = message<envoy.StatefulSession>({
  sessionState: inner(1, message({ name: text(1), typedConfig: inner(2, any) })),
});
