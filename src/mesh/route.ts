// SPDX-License-Identifier: Apache-2.0
// What waypoints act on: routes of the Gateway API whose parents are services, grants, and policies that look into HTTP. Field meanings follow the
// Gateway API. A node's kernel looks at none of it.
import type { WaypointPolicy } from './waypoint-policy.ts';

/** A service that a route is for. Parents of other kinds are not ours, and are kept for what is said of them. */
export interface ParentRef {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Absent: all ports. */
  readonly port?: number;
  /** Name of a port. */
  readonly section?: string;
}

export interface BackendRef {
  readonly group: string;
  readonly kind: string;
  /** Of a Hostname as it is written; '': it is not. */
  readonly namespace: string;
  readonly name: string;
  readonly port?: number;
  /** Share among the backends of its rule; 0 gets nothing. */
  readonly weight: number;
  /** HTTPRoute and GRPCRoute. */
  readonly filters: readonly HttpFilter[];
}

export type PathMatch = { readonly kind: 'exact' | 'prefix' | 'regex'; readonly value: string };

/** A header (name in lower case) or a query parameter. */
export interface NamedMatch {
  readonly kind: 'exact' | 'regex';
  readonly name: string;
  readonly value: string;
}

/** All of it must hold. */
export interface HttpMatch {
  readonly path: PathMatch;
  readonly headers: readonly NamedMatch[];
  readonly query: readonly NamedMatch[];
  readonly method?: string;
}

export interface GrpcMatch {
  /** Absent: every method. `service`, `method`: at least one is not empty. */
  readonly method?: { readonly kind: 'exact' | 'regex'; readonly service: string; readonly method: string };
  readonly headers: readonly NamedMatch[];
}

export type PathChange = { readonly kind: 'full' | 'prefix'; readonly value: string };

export interface HeaderChange {
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly add: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

export type RedirectStatus = 301 | 302 | 303 | 307 | 308;

export type HttpFilter =
  | ({ readonly kind: 'request-headers' | 'response-headers' } & HeaderChange)
  | {
      readonly kind: 'redirect';
      readonly scheme?: 'http' | 'https';
      readonly hostname?: string;
      readonly path?: PathChange;
      readonly port?: number;
      readonly status: RedirectStatus;
    }
  | { readonly kind: 'rewrite'; readonly hostname?: string; readonly path?: PathChange }
  /** `share`: of requests, as numerator and denominator. */
  | { readonly kind: 'mirror'; readonly backend: BackendRef; readonly share: readonly [number, number] }
  | ({ readonly kind: 'cors' } & Cors)
  /** One that nobody here knows: requests must not pass it unseen. */
  | { readonly kind: 'unknown'; readonly name: string };

/** What pages of other origins may do. Names and values as written; '*' stands for any. */
export interface Cors {
  /** "https://shop.example", "https://*.example:8443", "*". */
  readonly origins: readonly string[];
  readonly credentials: boolean;
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly exposed: readonly string[];
  readonly maxAgeSeconds: number;
}

/** Requests of one session reach one endpoint. */
export interface SessionPersistence {
  readonly kind: 'cookie' | 'header';
  /** Empty: ours to choose. */
  readonly name: string;
  /** Of a cookie that outlives the client's session: milliseconds. */
  readonly lifetime?: number;
}

export interface Retry {
  readonly codes: readonly number[];
  readonly attempts?: number;
  readonly backoffMs?: number;
}

/** Milliseconds; 0: none; absent: not said. */
export interface Timeouts {
  readonly request?: number;
  readonly backendRequest?: number;
}

interface Rule {
  readonly name: string;
  readonly backends: readonly BackendRef[];
}

export interface HttpRule extends Rule {
  /** Not empty. */
  readonly matches: readonly HttpMatch[];
  readonly filters: readonly HttpFilter[];
  readonly timeouts: Timeouts;
  readonly retry?: Retry;
  readonly session?: SessionPersistence;
}

export interface GrpcRule extends Rule {
  /** Not empty. */
  readonly matches: readonly GrpcMatch[];
  readonly filters: readonly HttpFilter[];
  readonly session?: SessionPersistence;
}

interface Named {
  readonly namespace: string;
  readonly name: string;
  /** Milliseconds since the epoch; absent: counts as the newest. */
  readonly created?: number;
}

interface RouteBase extends Named {
  readonly parents: readonly ParentRef[];
}

export interface HttpRoute extends RouteBase {
  readonly kind: 'HTTPRoute';
  readonly rules: readonly HttpRule[];
}

export interface GrpcRoute extends RouteBase {
  readonly kind: 'GRPCRoute';
  readonly rules: readonly GrpcRule[];
}

export interface TlsRoute extends RouteBase {
  readonly kind: 'TLSRoute';
  /** Server names, exact or "*.example.com"; empty: any. */
  readonly hostnames: readonly string[];
  readonly rules: readonly Rule[];
}

export interface TcpRoute extends RouteBase {
  readonly kind: 'TCPRoute';
  readonly rules: readonly Rule[];
}

export interface ReferenceGrant extends Named {
  readonly kind: 'ReferenceGrant';
  readonly from: readonly { readonly group: string; readonly kind: string; readonly namespace: string }[];
  /** `name` absent: all of the kind. */
  readonly to: readonly { readonly group: string; readonly kind: string; readonly name?: string }[];
}

export type Route = HttpRoute | GrpcRoute | TlsRoute | TcpRoute;

/** What the model's table of routes holds. */
export type RouteObject = Route | ReferenceGrant | WaypointPolicy;

/** Key in the model: "HTTPRoute shop/cart". */
export function routeKey(r: { readonly kind: string; readonly namespace: string; readonly name: string }): string {
  return `${r.kind} ${r.namespace}/${r.name}`;
}
