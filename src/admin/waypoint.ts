// SPDX-License-Identifier: Apache-2.0
// What is said of the control plane of waypoints, as JSON.

/** 'server': the proxy asks for the server's certificate; 'mutual': the server asks for the proxy's as well. */
export type AdsTls = 'none' | 'server' | 'mutual';

/** Where proxies of waypoints are told their configuration. */
export interface WaypointAdsStatus {
  /** "127.0.0.1:15010"; "0.0.0.0:15010" and "[::]:15010" when it is every address of the machine. */
  readonly address: string;
  readonly tls: AdsTls;
  /** Path of a unix socket where the same is told without TLS; absent: none. */
  readonly socket?: string;
}

export type ResourceType = 'clusters' | 'endpoints' | 'listeners' | 'routes';

/** One sort of resources at one proxy. */
export interface ProxyTypeStatus {
  readonly type: ResourceType;
  /** Of the last answer. */
  readonly version: string;
  /** Resources in use. */
  readonly taken: number;
  readonly responses: number;
  readonly acks: number;
  readonly nacks: number;
  /** Answers that the proxy has said nothing of yet. */
  readonly awaited: number;
}

export interface ProxyStatus {
  /** Its node.id. */
  readonly id: string;
  /** "10.0.0.1:40000"; '' through the unix socket. */
  readonly peer: string;
  /** Incremental, or state of the world. */
  readonly way: 'delta' | 'world';
  readonly since: number;
  readonly types: readonly ProxyTypeStatus[];
  /** Sorts of resources that it asks for, too, and there are none of here. */
  readonly unknown: readonly string[];
}

/** A resource whose last version proxies refuse. */
export interface RefusedResource {
  readonly type: ResourceType;
  readonly name: string;
  readonly version: string;
  /** In the words of the proxy. */
  readonly reason: string;
  /** Version that is in use in its place; '': none. */
  readonly stands: string;
  /** What of it they refuse, when that is known, as "HTTPRoute shop/cart": the rest is in use. */
  readonly parts: readonly { readonly part: string; readonly reason: string }[];
  /** Ids of connected proxies that refuse it. */
  readonly proxies: readonly string[];
}

/** A waypoint, or a part of its proxies that is told something else than others. */
export interface WaypointRow {
  readonly kind: 'waypoint';
  /** "namespace/name" */
  readonly waypoint: string;
  /** What proxies say of themselves: where the listener is, name of the node, "region/zone/subzone"; '' for what they do not. */
  readonly listen: string;
  readonly node: string;
  readonly locality: string;
  readonly proxies: readonly ProxyStatus[];
  /** How many resources there are for them; absent: none has asked yet. */
  readonly resources?: Readonly<Record<ResourceType, number>>;
  readonly refused: readonly RefusedResource[];
}

export interface RouteCondition {
  readonly type: string;
  /** As Kubernetes writes it. */
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** Of a route, or of a policy that waypoints enforce. */
export interface RouteRow {
  readonly kind: 'route';
  /** "HTTPRoute shop/cart", "AuthorizationPolicy shop/cart" */
  readonly route: string;
  /** Those that are services, by name: "Service shop/cart:80"; of a policy its targets. */
  readonly parents: readonly { readonly parent: string; readonly conditions: readonly RouteCondition[] }[];
}

export type WaypointItem = WaypointRow | RouteRow;
