// SPDX-License-Identifier: Apache-2.0
// A service: addresses and ports that clients dial. Field meanings follow istio.workload.Service.
import type { Address } from '../net/address.ts';
import { cidrText } from '../net/cidr.ts';
import type { GatewayAddress, Otherwise } from './gateway.ts';

export interface ServiceAddress {
  readonly network: string;
  readonly address: Address;
  /** Prefix length in bits of the address's own family when this is a range of addresses. */
  readonly length?: number;
}

/**
 * Addresses times ports that a service may have: as many as a ServiceEntry of Istio's own definition can. Each is an entry of its own, so that
 * one service of ten thousand of both would take all memory.
 */
const maxPlaces = 65_536;

/** What is wrong with so many addresses and ports of one service; undefined: nothing. */
export function tooManyPlaces(addresses: number, ports: number): string | undefined {
  const places = addresses * ports;
  if (places <= maxPlaces) return undefined;
  return `${addresses} addresses with ${ports} ports each are ${places} places, must be at most ${maxPlaces}`;
}

export interface ServicePort {
  readonly port: number;
  /** 0: named; each workload's own mapping says. */
  readonly targetPort: number;
  /** 'any': the source does not say (xDS): TCP and UDP. */
  readonly protocol: 'tcp' | 'udp' | 'any';
  readonly name: string;
  readonly appProtocol: string;
  /** Whether the server speaks before the client does, as the owner says; absent: not said. */
  readonly serverFirst?: boolean;
}

export type Scope = 'region' | 'zone' | 'subzone' | 'node' | 'cluster' | 'network';

export interface LoadBalancing {
  /** 'standard': all endpoints. 'strict': only those that match every scope. 'failover': the best rank that exists. 'passthrough': no balancing. */
  readonly mode: 'standard' | 'strict' | 'failover' | 'passthrough';
  readonly scopes: readonly Scope[];
  readonly healthPolicy: 'only-healthy' | 'allow-all';
}

export type BalancerPolicy = 'random' | 'round-robin' | 'least-request' | 'source-hash';

/** What of a request says where it goes: for waypoints. */
export interface RequestHash {
  readonly kind: 'header' | 'cookie' | 'query';
  readonly name: string;
  /** Of a cookie that the waypoint makes where there is none: milliseconds, 0 for the client's session. Absent: it makes none. */
  readonly lifetime?: number;
  readonly path?: string;
}

export interface Balancer {
  readonly policy: BalancerPolicy;
  /** Somebody asked for `policy`, so that it holds for waypoints too, whose own default is another one. */
  readonly stated?: true;
  readonly requestHash?: RequestHash;
  /** ClientIP session affinity: seconds since the last connection; 0 is none. */
  readonly affinitySeconds: number;
}

/**
 * Locality settings of a DestinationRule (Istio LocalityLoadBalancerSetting). Present only where they are in force: a source leaves them
 * out when they are disabled, or when they ask for failover without outlier detection. They replace the scopes of mode 'failover'.
 */
export interface LocalityDistribution {
  /**
   * From "region/zone/subzone" (with '*' wildcards) -> share in percent of each target locality. The first `from` that fits this node
   * counts; none fits: all endpoints alike. Not empty: `failover` is not looked at.
   */
  readonly distribute: readonly { readonly from: string; readonly to: ReadonlyMap<string, number> }[];
  /** Region to go to when this node's region has no endpoint. Empty: nearest region, zone and subzone first. */
  readonly failover: readonly { readonly from: string; readonly to: string }[];
}

export interface Service {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  /** Empty: headless. */
  readonly addresses: readonly ServiceAddress[];
  readonly ports: readonly ServicePort[];
  readonly loadBalancing: LoadBalancing;
  readonly balancer: Balancer;
  readonly locality?: LocalityDistribution;
  readonly ipFamilies: 'automatic' | 'ipv4' | 'ipv6' | 'dual';
  /** Preferred owner of a host name or address when the client's namespace has no service of its own there. */
  readonly canonical: boolean;
  readonly visibility: 'public' | 'namespace';
  readonly subjectAltNames: readonly string[];
  readonly waypoint?: GatewayAddress;
  /** Several that share its connections; not empty: `waypoint` is not looked at. */
  readonly weightedWaypoints: readonly { readonly destination: GatewayAddress; readonly weight: number }[];
  /** When no waypoint can be used; absent: as the node is set. */
  readonly waypointUnready?: Otherwise;
  /** What a client sees when no endpoint is usable. */
  readonly onEmpty: 'refuse' | 'direct';
}

/** Key of a service in the model: "namespace/hostname". */
export function serviceKey(s: { readonly namespace: string; readonly hostname: string }): string {
  return `${s.namespace}/${s.hostname}`;
}

/** Text that names a service address in the model's owners: "10.0.0.1", or "10.1.0.0/16" with the host bits zero. Networks are not told apart by it. */
export function addressText(a: ServiceAddress): string {
  return cidrText(a.address, a.length);
}

/** The waypoints that a service asks for. */
export function waypointsOf({ waypoint, weightedWaypoints }: Service): readonly GatewayAddress[] {
  if (weightedWaypoints.length > 0) return weightedWaypoints.map(({ destination }) => destination);
  return waypoint ? [waypoint] : [];
}
