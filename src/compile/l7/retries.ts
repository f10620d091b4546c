// SPDX-License-Identifier: Apache-2.0
// What is tried again where nobody says anything about it: what a waypoint of Istio tries again, and what a client would if it had the
// connection to the backend itself.
import { sessionFilter } from './chains.ts';
import type * as envoy from './envoy.ts';

/** No backend has acted on these; of a call of gRPC that fails so, its server says that it may be made again. */
const unserved = 'connect-failure,refused-stream,reset-before-request,unavailable,cancelled';

/**
 * Requests that mean the same however often they come, which a proxy may repeat (RFC 9110, 9.2.2). A backend that closes a connection just as the
 * next request is on its way to it has not acted on it, but Envoy cannot tell: it is a reset as any other.
 */
const repeatable = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PUT', 'TRACE'];
const isRepeatable: envoy.HeaderMatcher = {
  name: ':method',
  stringMatch: { safeRegex: { regex: repeatable.join('|') } },
};

const common = { retryOn: unserved, numRetries: 2, retriableStatusCodes: [] };

/** What holds for all routes of a virtual host that say nothing else: said once, for there may be thousands. */
export const usualRetries: envoy.RetryPolicy = {
  ...common,
  retryHostPredicate: [
    {
      name: 'envoy.retry_host_predicates.previous_hosts',
      typedConfig: { type: 'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate', value: {} },
    },
  ],
  /** How often an endpoint is drawn anew that was tried before. */
  hostSelectionRetryMaxAttempts: 5,
};

/** A request that finds its endpoint by hash finds the same one again. */
const stickyRetries: envoy.RetryPolicy = common;

/** Added to what the policy says; Envoy takes it out before the request goes on. */
const onReset: envoy.HeaderValueOption = { header: { key: 'x-envoy-retry-on', value: 'reset' }, appendAction: 2 };

/**
 * `route` with the usual retries, unless it has its own, in a virtual host that has usualRetries: as two routes where its method is not
 * known. `sticky`: the same request finds the same endpoint.
 */
export function withRetries(
  route: envoy.EnvoyRoute,
  { method, sticky }: { readonly method: string | undefined; readonly sticky: boolean },
): envoy.EnvoyRoute[] {
  const { match, route: action, typedPerFilterConfig, requestHeadersToAdd = [] } = route;
  if (!action || action.retryPolicy) return [route];
  const once = sticky ? { ...route, route: { ...action, retryPolicy: stickyRetries } } : route;
  // A retry leaves the endpoint of the session: only one that cannot be reached is left.
  if (typedPerFilterConfig?.[sessionFilter]) return [once];
  const again = { ...once, requestHeadersToAdd: [...requestHeadersToAdd, onReset] };
  if (method !== undefined) return [repeatable.includes(method) ? again : once];
  return [{ ...again, match: { ...match, headers: [isRepeatable, ...(match.headers ?? [])] } }, once];
}
