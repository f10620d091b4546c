// SPDX-License-Identifier: Apache-2.0
// A workload: something with addresses that runs a share of a service. Field meanings follow istio.workload.Workload.
import type { Address } from '../net/address.ts';
import type { GatewayAddress, Otherwise } from './gateway.ts';

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

export const noLocality: Locality = { region: '', zone: '', subzone: '' };

/** service port -> port of this workload. */
export interface PortMapping {
  readonly servicePort: number;
  readonly targetPort: number;
  /** Absent: for TCP and UDP alike. */
  readonly protocol?: 'tcp' | 'udp';
}

export interface Workload {
  /** Global key, e.g. "Kubernetes//Pod/shop/cart-1". */
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  /** Canonical, in the order given; empty when `hostname` is to be resolved or a network gateway leads there. */
  readonly addresses: readonly Address[];
  /** DNS name to resolve when `addresses` is empty. */
  readonly hostname: string;
  readonly network: string;
  readonly clusterId: string;
  readonly trustDomain: string;
  readonly serviceAccount: string;
  readonly node: string;
  readonly workloadName: string;
  readonly workloadType: 'deployment' | 'cronjob' | 'pod' | 'job';
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly locality: Locality;
  readonly status: 'healthy' | 'unhealthy';
  /** Load-balancing weight; 0 gets nothing. */
  readonly capacity: number;
  /** Shares the node's addresses, so owns none. */
  readonly hostNetwork: boolean;
  /** "namespace/hostname" of each service it belongs to -> its own ports (empty: the service's target ports). */
  readonly services: ReadonlyMap<string, readonly PortMapping[]>;
  readonly authorizationPolicies: readonly string[];
  /** For connections to its own addresses. */
  readonly waypoint?: GatewayAddress;
  /** When the waypoint cannot be used; absent: as the node is set. */
  readonly waypointUnready?: Otherwise;
  readonly networkGateway?: GatewayAddress;
  readonly tunnelProtocol: 'none' | 'hbone';
  readonly nativeTunnel: boolean;
  readonly applicationTunnel?: { readonly protocol: 'none' | 'proxy'; readonly port: number };
}
