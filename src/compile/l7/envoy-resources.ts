// SPDX-License-Identifier: Apache-2.0
// Resources of Envoy as plain data: the parts that waypoints use. Names and units are as envoy.ts says.
import type {
  Any,
  CidrRange,
  ConfigSource,
  FilterStateMatcher,
  HashPolicy,
  HeaderMatcher,
  Regex,
  RegexRewrite,
  StringMatcher,
} from './envoy-extensions.ts';

export interface SocketAddress {
  readonly address: string;
  readonly portValue: number;
  readonly ipv4Compat?: boolean;
}

export interface Address {
  readonly socketAddress: SocketAddress;
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
    readonly applicationProtocols?: readonly string[];
    readonly serverNames?: readonly string[];
  };
  readonly filters: readonly NetworkFilter[];
}

export interface NetworkFilter {
  readonly name: string;
  readonly typedConfig: Any;
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

export interface Thresholds {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
}

export interface ClusterLoadAssignment {
  readonly clusterName: string;
  readonly endpoints: readonly { readonly lbEndpoints: readonly LbEndpoint[] }[];
}

export interface LbEndpoint {
  readonly endpoint: { readonly address: Address };
  readonly loadBalancingWeight: number;
}
