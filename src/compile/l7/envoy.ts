// SPDX-License-Identifier: Apache-2.0
// Resources of Envoy as plain data: the parts that waypoints use. Names are those of its API in camel case; lengths of time are milliseconds,
// wrapped numbers are numbers. waypoint/wire has the field numbers.

/** Type URLs without "type.googleapis.com/". */
export interface AnyTypes {
  'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol': ProxyProtocol;
  'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector': Empty;
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager': HttpConnectionManager;
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy': TcpProxy;
  'envoy.extensions.filters.network.set_filter_state.v3.Config': SetFilterState;
  'envoy.extensions.filters.network.rbac.v3.RBAC': NetworkRbac;
  'envoy.extensions.filters.http.rbac.v3.RBAC': HttpRbac;
  'envoy.extensions.filters.http.rbac.v3.RBACPerRoute': HttpRbacPerRoute;
  'envoy.extensions.filters.http.cors.v3.Cors': Empty;
  'envoy.extensions.filters.http.cors.v3.CorsPolicy': CorsPolicy;
  'envoy.extensions.filters.http.stateful_session.v3.StatefulSession': StatefulSession;
  'envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute': StatefulSessionPerRoute;
  'envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState': CookieSession;
  'envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState': HeaderSession;
  'envoy.extensions.filters.http.router.v3.Router': Router;
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': HttpProtocolOptions;
  'envoy.extensions.load_balancing_policies.maglev.v3.Maglev': Maglev;
  'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate': Empty;
  'envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig': UriTemplate;
}

export type Any = { [K in keyof AnyTypes]: { readonly type: K; readonly value: AnyTypes[K] } }[keyof AnyTypes];
export type Empty = Readonly<Record<string, never>>;

export interface StringMatcher {
  readonly exact?: string;
  readonly prefix?: string;
  readonly suffix?: string;
  readonly safeRegex?: Regex;
  readonly contains?: string;
  readonly ignoreCase?: boolean;
}

export interface Regex {
  readonly regex: string;
}

export interface RegexRewrite {
  readonly pattern: Regex;
  readonly substitution: string;
}

export interface FilterStateMatcher {
  readonly key: string;
  readonly stringMatch: StringMatcher;
}

export interface CidrRange {
  readonly addressPrefix: string;
  readonly prefixLen: number;
}

export interface SocketAddress {
  readonly address: string;
  readonly portValue: number;
  readonly ipv4Compat?: boolean;
}

export interface Address {
  readonly socketAddress: SocketAddress;
}

export interface ConfigSource {
  readonly ads: Empty;
  /** 2: version 3 of the API. */
  readonly resourceApiVersion: number;
  readonly initialFetchTimeout?: number;
}

export interface Listener {
  readonly name: string;
  readonly address: Address;
  readonly listenerFilters: readonly ListenerFilter[];
  readonly filterChains: readonly FilterChain[];
  /** Names in the log and in statistics. */
  readonly statPrefix: string;
  readonly trafficDirection: number;
  readonly listenerFiltersTimeout?: number;
  readonly continueOnListenerFiltersTimeout?: boolean;
  readonly enableReusePort?: boolean;
}

export interface ListenerFilter {
  readonly name: string;
  readonly typedConfig: Any;
  readonly filterDisabled?: ChainPredicate;
}

export interface ChainPredicate {
  readonly orMatch?: { readonly rules: readonly ChainPredicate[] };
  readonly notMatch?: ChainPredicate;
  readonly anyMatch?: boolean;
  readonly destinationPortRange?: { readonly start: number; readonly end: number };
}

export interface FilterChain {
  readonly name: string;
  readonly filterChainMatch: {
    readonly prefixRanges: readonly CidrRange[];
    readonly destinationPort?: number;
    readonly serverNames?: readonly string[];
  };
  readonly filters: readonly NetworkFilter[];
}

export interface NetworkFilter {
  readonly name: string;
  readonly typedConfig: Any;
}

export interface ProxyProtocol {
  readonly rules: readonly { readonly tlvType: number; readonly onTlvPresent: { readonly key: string } }[];
}

export interface SetFilterState {
  readonly onNewConnection: readonly {
    readonly objectKey: string;
    readonly factoryKey: string;
    readonly formatString: { readonly textFormatSource: { readonly inlineString: string } };
    readonly skipIfEmpty: boolean;
  }[];
}

export interface HttpConnectionManager {
  readonly codecType: number;
  readonly statPrefix: string;
  readonly rds: { readonly configSource: ConfigSource; readonly routeConfigName: string };
  readonly httpFilters: readonly HttpFilterConfig[];
  readonly upgradeConfigs: readonly { readonly upgradeType: string }[];
  readonly useRemoteAddress: boolean;
  readonly skipXffAppend: boolean;
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly normalizePath: boolean;
  readonly pathWithEscapedSlashesAction: number;
  readonly streamIdleTimeout: number;
  readonly serverHeaderTransformation: number;
  readonly httpProtocolOptions: { readonly acceptHttp10: boolean; readonly defaultHostForHttp10?: string };
}

export interface HttpFilterConfig {
  readonly name: string;
  readonly typedConfig: Any;
}

export interface Router {
  readonly suppressEnvoyHeaders: boolean;
}

export interface CorsPolicy {
  readonly allowOriginStringMatch: readonly StringMatcher[];
  readonly allowMethods?: string;
  readonly allowHeaders?: string;
  readonly exposeHeaders?: string;
  readonly maxAge: string;
  readonly allowCredentials: boolean;
  readonly forwardNotMatchingPreflights: boolean;
}

export interface StatefulSession {
  readonly sessionState?: { readonly name: string; readonly typedConfig: Any };
}

export interface StatefulSessionPerRoute {
  readonly statefulSession: StatefulSession;
}

export interface CookieSession {
  readonly cookie: { readonly name: string; readonly ttl?: number; readonly path: string };
}

export interface HeaderSession {
  readonly name: string;
}

export interface TcpProxy {
  readonly statPrefix: string;
  readonly cluster?: string;
  readonly weightedClusters?: { readonly clusters: readonly { readonly name: string; readonly weight: number }[] };
  readonly hashPolicy: readonly { readonly sourceIp: Empty }[];
}

export interface NetworkRbac {
  readonly rules?: Rbac;
  readonly shadowRules?: Rbac;
  readonly statPrefix: string;
}

export interface HttpRbac {
  readonly rules?: Rbac;
  readonly shadowRules?: Rbac;
}

export interface HttpRbacPerRoute {
  readonly rbac: HttpRbac;
}

export interface Rbac {
  /** 0 allow, 1 deny. */
  readonly action: 0 | 1;
  readonly policies: Readonly<Record<string, RbacPolicy>>;
}

export interface RbacPolicy {
  readonly permissions: readonly Permission[];
  readonly principals: readonly Principal[];
}

/** One of its fields. */
export interface Permission {
  readonly andRules?: { readonly rules: readonly Permission[] };
  readonly orRules?: { readonly rules: readonly Permission[] };
  readonly any?: boolean;
  readonly header?: HeaderMatcher;
  readonly urlPath?: { readonly path: StringMatcher };
  readonly destinationIp?: CidrRange;
  readonly destinationPort?: number;
  readonly notRule?: Permission;
  readonly requestedServerName?: StringMatcher;
  readonly uriTemplate?: { readonly name: string; readonly typedConfig: Any };
}

export type UriTemplate = { readonly pathTemplate: string };

/** One of its fields. */
export interface Principal {
  readonly andIds?: { readonly ids: readonly Principal[] };
  readonly orIds?: { readonly ids: readonly Principal[] };
  readonly any?: boolean;
  /** Of the connection, as the PROXY protocol header says; the direct one is the node that sent it. */
  readonly sourceIp?: CidrRange;
  readonly remoteIp?: CidrRange;
  readonly filterState?: FilterStateMatcher;
  readonly notId?: Principal;
}

export interface RouteConfiguration {
  readonly name: string;
  readonly virtualHosts: readonly VirtualHost[];
}

export interface VirtualHost {
  readonly name: string;
  readonly domains: readonly string[];
  readonly routes: readonly EnvoyRoute[];
  /** Of routes that have none. */
  readonly retryPolicy?: RetryPolicy;
  readonly typedPerFilterConfig?: Readonly<Record<string, Any>>;
}

export interface EnvoyRoute {
  readonly name: string;
  readonly match: RouteMatch;
  readonly route?: RouteAction;
  readonly redirect?: RedirectAction;
  readonly directResponse?: { readonly status: number };
  readonly requestHeadersToAdd?: readonly HeaderValueOption[];
  readonly requestHeadersToRemove?: readonly string[];
  readonly responseHeadersToAdd?: readonly HeaderValueOption[];
  readonly responseHeadersToRemove?: readonly string[];
  readonly typedPerFilterConfig?: Readonly<Record<string, Any>>;
}

export interface HeaderValueOption {
  readonly header: { readonly key: string; readonly value: string };
  /** 0: one more; 2: in place of all. */
  readonly appendAction: 0 | 2;
  readonly keepEmptyValue?: boolean;
}

export interface RouteMatch {
  readonly prefix?: string;
  readonly path?: string;
  readonly safeRegex?: Regex;
  readonly pathSeparatedPrefix?: string;
  readonly headers?: readonly HeaderMatcher[];
  readonly queryParameters?: readonly { readonly name: string; readonly stringMatch: StringMatcher }[];
  readonly filterState?: readonly FilterStateMatcher[];
  readonly runtimeFraction?: Fraction;
}

interface Fraction {
  readonly defaultValue: { readonly numerator: number; readonly denominator: number };
}

export interface HeaderMatcher {
  readonly name: string;
  readonly stringMatch?: StringMatcher;
  readonly presentMatch?: boolean;
}

export interface RouteAction {
  readonly cluster?: string;
  readonly weightedClusters?: { readonly clusters: readonly ClusterWeight[] };
  /** 2: 500. */
  readonly clusterNotFoundResponseCode: number;
  readonly prefixRewrite?: string;
  readonly regexRewrite?: RegexRewrite;
  readonly hostRewriteLiteral?: string;
  readonly timeout: number;
  readonly retryPolicy?: RetryPolicy;
  readonly requestMirrorPolicies?: readonly MirrorPolicy[];
  /** Asked by clusters alone that choose by hash. */
  readonly hashPolicy: readonly HashPolicy[];
}

/** One of its fields. */
export interface HashPolicy {
  readonly header?: { readonly headerName: string };
  /** `ttl`: absent, none is made. */
  readonly cookie?: { readonly name: string; readonly ttl?: number; readonly path?: string };
  readonly connectionProperties?: { readonly sourceIp: boolean };
  readonly queryParameter?: { readonly name: string };
}

export interface ClusterWeight {
  readonly name: string;
  readonly weight: number;
  readonly requestHeadersToAdd?: readonly HeaderValueOption[];
  readonly requestHeadersToRemove?: readonly string[];
  readonly responseHeadersToAdd?: readonly HeaderValueOption[];
  readonly responseHeadersToRemove?: readonly string[];
}

export interface RetryPolicy {
  readonly retryOn: string;
  readonly numRetries?: number;
  readonly perTryTimeout?: number;
  readonly retriableStatusCodes: readonly number[];
  readonly retryBackOff?: { readonly baseInterval: number; readonly maxInterval?: number };
  readonly retryHostPredicate?: readonly LbPolicy['typedExtensionConfig'][];
  readonly hostSelectionRetryMaxAttempts?: number;
}

export interface MirrorPolicy {
  readonly cluster: string;
  readonly runtimeFraction: Fraction;
  readonly disableShadowHostSuffixAppend: boolean;
}

export interface RedirectAction {
  readonly schemeRedirect?: string;
  readonly hostRedirect?: string;
  readonly portRedirect?: number;
  readonly pathRedirect?: string;
  readonly prefixRewrite?: string;
  readonly regexRewrite?: RegexRewrite;
  /** 0: 301, 1: 302, 2: 303, 3: 307, 4: 308. */
  readonly responseCode: number;
}

export interface Cluster {
  readonly name: string;
  /** 3: by EDS, 4: where the connection was dialled. */
  readonly type: number;
  readonly edsClusterConfig?: { readonly edsConfig: ConfigSource; readonly serviceName: string };
  readonly connectTimeout: number;
  /** 0 round robin, 1 least request, 3 random, 5 Maglev, 6 by the cluster. */
  readonly lbPolicy: number;
  readonly loadBalancingPolicy?: { readonly policies: readonly LbPolicy[] };
  readonly circuitBreakers?: { readonly thresholds: readonly Thresholds[] };
  readonly typedExtensionProtocolOptions?: Readonly<Record<string, Any>>;
  readonly commonLbConfig?: { readonly healthyPanicThreshold: { readonly value: number } };
}

export interface LbPolicy {
  readonly typedExtensionConfig: { readonly name: string; readonly typedConfig: Any };
}

export interface Maglev {
  readonly consistentHashingLbConfig: { readonly hashPolicy: readonly HashPolicy[] };
}

export interface Thresholds {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
}

export interface HttpProtocolOptions {
  readonly explicitHttpConfig?: { readonly httpProtocolOptions?: Empty; readonly http2ProtocolOptions?: Empty };
  readonly useDownstreamProtocolConfig?: { readonly httpProtocolOptions: Empty; readonly http2ProtocolOptions: Empty };
}

export interface ClusterLoadAssignment {
  readonly clusterName: string;
  readonly endpoints: readonly { readonly lbEndpoints: readonly LbEndpoint[] }[];
}

export interface LbEndpoint {
  readonly endpoint: { readonly address: Address };
  readonly loadBalancingWeight: number;
}
