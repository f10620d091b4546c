// SPDX-License-Identifier: Apache-2.0
// What resources of Envoy are made of, as plain data: its extensions, and what several of them share. Names and units are as envoy.ts says.

/** Type URLs without "type.googleapis.com/". */
export interface AnyTypes {
  'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol': ProxyProtocol;
  'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector': Empty;
  'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector': Empty;
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

export interface ConfigSource {
  readonly ads: Empty;
  /** 2: version 3 of the API. */
  readonly resourceApiVersion: number;
  readonly initialFetchTimeout?: number;
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

export interface HeaderMatcher {
  readonly name: string;
  readonly stringMatch?: StringMatcher;
  readonly presentMatch?: boolean;
}

/** One of its fields. */
export interface HashPolicy {
  readonly header?: { readonly headerName: string };
  /** `ttl`: absent, none is made. */
  readonly cookie?: { readonly name: string; readonly ttl?: number; readonly path?: string };
  readonly connectionProperties?: { readonly sourceIp: boolean };
  readonly queryParameter?: { readonly name: string };
}

export interface Maglev {
  readonly consistentHashingLbConfig: { readonly hashPolicy: readonly HashPolicy[] };
}

export interface HttpProtocolOptions {
  readonly commonHttpProtocolOptions?: { readonly idleTimeout: number };
  readonly explicitHttpConfig?: { readonly httpProtocolOptions?: Empty; readonly http2ProtocolOptions?: Empty };
  readonly useDownstreamProtocolConfig?: { readonly httpProtocolOptions: Empty; readonly http2ProtocolOptions: Empty };
}
