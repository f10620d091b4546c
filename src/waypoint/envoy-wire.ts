// SPDX-License-Identifier: Apache-2.0
// Field numbers of Envoy's API, version 3: the resources that waypoints get.
import type * as envoy from '../compile/l7/envoy.ts';
import { any } from './envoy-any.ts';
import {
  address,
  cidrRange,
  configSource,
  filterStateMatcher,
  hashPolicy,
  headerMatcher,
  regex,
  regexRewrite,
  stringMatcher,
} from './envoy-common.ts';
import {
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
  remembered,
  text,
  whole,
  wholes,
  wrappedFlag,
  wrappedWhole,
} from './wire.ts';

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
    remembered(
      3,
      message<envoy.FilterChain>({
        filterChainMatch: inner(
          1,
          message<envoy.FilterChain['filterChainMatch']>({
            prefixRanges: list(inner(3, cidrRange)),
            destinationPort: wrappedWhole(8),
            applicationProtocols: list(text(10)),
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

const retryPolicy = message<envoy.RetryPolicy>({
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
  retryHostPredicate: list(
    inner(5, message<envoy.LbPolicy['typedExtensionConfig']>({ name: text(1), typedConfig: inner(3, any) })),
  ),
  hostSelectionRetryMaxAttempts: int(6),
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
  hashPolicy: list(inner(15, hashPolicy)),
  timeout: duration(8),
  retryPolicy: remembered(9, retryPolicy),
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
        retryPolicy: remembered(16, retryPolicy),
        routes: list(
          remembered(
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
  loadBalancingPolicy: inner(
    41,
    message({
      policies: list(
        inner(
          1,
          message<envoy.LbPolicy>({
            typedExtensionConfig: inner(4, message({ name: text(1), typedConfig: inner(2, any) })),
          }),
        ),
      ),
    }),
  ),
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
