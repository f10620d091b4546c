// SPDX-License-Identifier: Apache-2.0
// The model: one immutable snapshot of everything the sources say. A change makes a new one that shares what did not change.
import type { Gateway, WaypointSettings } from './gateway.ts';
import type { Policy } from './policy.ts';
import type { RouteObject } from './route.ts';
import type { Service } from './service.ts';
import type { Table } from './table.ts';
import type { Workload } from './workload.ts';

/** Different keys, in no order that means anything. */
export type Bag = readonly string[];

export interface Model {
  /** uid -> workload. */
  readonly workloads: Table<Workload>;
  /** "namespace/hostname" -> service. */
  readonly services: Table<Service>;
  /** service key -> uids of workloads that name it, also while the service itself is unknown (staged). */
  readonly members: Table<Bag>;
  /** Frontend address text ("10.0.0.1", "10.1.0.0/16") -> keys of the services that claim it. */
  readonly owners: Table<Bag>;
  /** "namespace/name" -> authorization policy. */
  readonly policies: Table<Policy>;
  /** "namespace/name" -> Gateway that services and workloads may have as their waypoint. */
  readonly gateways: Table<Gateway>;
  /** "HTTPRoute namespace/name" -> route, grant or policy that only waypoints act on. */
  readonly routes: Table<RouteObject>;
}

export type Change =
  | { readonly kind: 'put-workload'; readonly workload: Workload }
  | { readonly kind: 'remove-workload'; readonly uid: string }
  | { readonly kind: 'put-service'; readonly service: Service }
  | { readonly kind: 'remove-service'; readonly key: string }
  | { readonly kind: 'put-policy'; readonly policy: Policy }
  | { readonly kind: 'remove-policy'; readonly key: string }
  | { readonly kind: 'put-gateway'; readonly gateway: Gateway }
  | { readonly kind: 'remove-gateway'; readonly key: string }
  | { readonly kind: 'put-route'; readonly route: RouteObject }
  | { readonly kind: 'remove-route'; readonly key: string };

/** What a batch of changes touched, so that only that is compiled again. */
export interface Touched {
  /** Service keys whose own fields or endpoints changed, or that came or went. */
  readonly services: ReadonlySet<string>;
  /** Frontend address texts whose owners changed or whose owner changed. */
  readonly addresses: ReadonlySet<string>;
  /** uids of workloads that changed, came or went. */
  readonly workloads: ReadonlySet<string>;
  /** Keys of policies that changed, came or went. */
  readonly policies: ReadonlySet<string>;
  /** Keys of gateways that changed, came or went. */
  readonly gateways: ReadonlySet<string>;
  /** Keys of routes that changed, came or went. */
  readonly routes: ReadonlySet<string>;
}

/** Where this node stands: what locality, strict and local policies compare with. */
export interface NodeView {
  readonly node: string;
  readonly network: string;
  readonly clusterId: string;
  readonly locality: { readonly region: string; readonly zone: string; readonly subzone: string };
  /** Absent: the defaults. */
  readonly waypoints?: WaypointSettings;
}
