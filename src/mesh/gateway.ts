// SPDX-License-Identifier: Apache-2.0
// Gateways that can be waypoints, what a service or workload says of its own, and how a node goes through them.
import type { Address } from '../net/address.ts';

/** What a waypoint wants to read first: PROXY protocol v2, Kmesh's own header, or nothing. */
export type WaypointHeader = 'proxy' | 'kmesh' | 'none';

export interface WaypointBinding {
  readonly header: WaypointHeader;
  /** 0: the port that was dialled. */
  readonly port: number;
}

/** Where a waypoint or network gateway is: a service by name, an address, or nowhere that could be dialled. */
export type GatewayDestination =
  | { readonly kind: 'hostname'; readonly namespace: string; readonly hostname: string }
  | { readonly kind: 'address'; readonly network: string; readonly address: Address }
  /** Named, but of no use: why. */
  | { readonly kind: 'unusable'; readonly reason: string };

export interface GatewayAddress {
  readonly destination: GatewayDestination;
  /** Where else it is, by the same kind of destination. */
  readonly also?: readonly GatewayDestination[];
  readonly hboneMtlsPort: number;
  /** "namespace/name" of the Gateway that was named, where the source says. */
  readonly gateway?: string;
  /** Absent: each of its workloads says, else the node's setting. */
  readonly binding?: WaypointBinding;
}

/** All places where it is. */
export function placesOf({ destination, also = [] }: GatewayAddress): readonly GatewayDestination[] {
  return [destination, ...also];
}

/** Whose traffic a waypoint takes. */
export type WaypointFor = 'service' | 'workload' | 'all' | 'none';

/** A Gateway, as far as it can be a waypoint. */
export interface Gateway {
  readonly namespace: string;
  readonly name: string;
  readonly className: string;
  readonly waypointFor: WaypointFor;
  /** Where it is, best first; empty while nobody has said. */
  readonly addresses: readonly GatewayDestination[];
  readonly binding?: WaypointBinding;
  /** Milliseconds since the epoch. */
  readonly created?: number;
}

/** Key of a gateway in the model: "namespace/name". */
export function gatewayKey(g: { readonly namespace: string; readonly name: string }): string {
  return `${g.namespace}/${g.name}`;
}

/** What becomes of connections that cannot go through their waypoint. */
export type Otherwise = 'refuse' | 'direct';

/** How a node goes through waypoints. */
export interface WaypointSettings {
  /** For waypoints that do not say. */
  readonly binding: WaypointBinding;
  /** There is no usable endpoint of the waypoint. */
  readonly unready: Otherwise;
  /** The server speaks first, so that a header has to wait for ever. */
  readonly serverFirst: Otherwise;
  /** Ports that stand for such a server where nothing is said, beside those known to everybody. */
  readonly serverFirstPorts?: readonly number[];
}

export const proxyPort = 15088;
const kmeshPort = 15019;

export const defaultWaypointSettings: WaypointSettings = {
  binding: { header: 'proxy', port: proxyPort },
  unready: 'refuse',
  serverFirst: 'refuse',
};

const binding = /^(PROXY|KMESH|NONE)(?:\/(\d{1,5}))?$/;
const defaultPorts: Readonly<Record<WaypointHeader, number>> = { proxy: proxyPort, kmesh: kmeshPort, none: 0 };

/** "PROXY/15088", "KMESH", "NONE/8080"; undefined when it is none of them. */
export function parseBinding(text: string): WaypointBinding | undefined {
  const [, kind, digits] = binding.exec(text) ?? [];
  if (kind === undefined) return undefined;
  const header = kind.toLowerCase() as WaypointHeader;
  const port = digits === undefined ? defaultPorts[header] : Number(digits);
  return port > 65535 || (digits !== undefined && port === 0) ? undefined : { header, port };
}

/** "PROXY/15088" */
export function bindingText({ header, port }: WaypointBinding): string {
  return `${header.toUpperCase()}${port === 0 ? '' : `/${port}`}`;
}
