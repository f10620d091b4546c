// SPDX-License-Identifier: Apache-2.0
// The sorts of resources that a waypoint gets.

const prefix = 'type.googleapis.com/envoy.config.';

/** In the order in which they are told: what is referred to comes first. */
export const typeUrls = {
  clusters: `${prefix}cluster.v3.Cluster`,
  endpoints: `${prefix}endpoint.v3.ClusterLoadAssignment`,
  listeners: `${prefix}listener.v3.Listener`,
  routes: `${prefix}route.v3.RouteConfiguration`,
} as const;

export type TypeName = keyof typeof typeUrls;
export const typeNames = Object.keys(typeUrls) as TypeName[];

/** Asked for as a whole; the others by name. */
export const wholeTypes: ReadonlySet<TypeName> = new Set(['clusters', 'listeners']);

export function typeOf(url: string): TypeName | undefined {
  return typeNames.find((name) => typeUrls[name] === url);
}
