// SPDX-License-Identifier: Apache-2.0
// What should be in the kernel, by name: no ids, no ranges, no bytes yet. compile makes it, plan turns it into operations.
import type { Protocol } from '../abi/structs.ts';
import type { Otherwise } from '../mesh/gateway.ts';
import type { BalancerPolicy } from '../mesh/service.ts';
import type { Address } from '../net/address.ts';

export interface WantedEndpoint {
  /** uid; '' is never used. */
  readonly workload: string;
  readonly address: Address;
  readonly port: number;
  /** > 0: what has weight 0 is not in the list. */
  readonly weight: number;
  /** Of a waypoint: what it reads first. */
  readonly header?: 'proxy' | 'kmesh';
}

/** TCP connections of a backend go through another one, a waypoint. Those of the waypoint itself go past it. */
export interface WantedVia {
  /** Its name. */
  readonly backend: string;
  /** When that has no endpoint. */
  readonly unready: Otherwise;
  /** Refused whatever the waypoint has: the server would speak first. */
  readonly serverFirst: boolean;
  /** Of workloads, whose every port leads here: those where the server would speak first, ascending, and what becomes of connections there. */
  readonly listed?: { readonly ports: readonly number[]; readonly otherwise: Otherwise };
}

/** One set of endpoints that one or more frontends lead to. */
export interface WantedBackend {
  /**
   * "namespace/hostname:port/4" or "/6" by the frontend's family; "/4/udp" when UDP's set differs from TCP's. Of a waypoint
   * "waypoint:namespace/hostname/4", of the workloads behind one "workloads:waypoint:…/4",
   * or "workloads:waypoint:…[+13306,-25]/4" of those whose server speaks first at 13306, and at 25 does not.
   */
  readonly name: string;
  /** "namespace/hostname"; of waypoints and of workloads behind them the name without the family. */
  readonly service: string;
  readonly policy: BalancerPolicy;
  readonly affinitySeconds: number;
  readonly passthrough: boolean;
  readonly emptyDirect: boolean;
  readonly via?: WantedVia;
  /** In any order; no two alike in {workload, address, port}. */
  readonly endpoints: readonly WantedEndpoint[];
  /** Stands for all backends of a service that cannot be had, whatever room there is, and why: what the kernel holds of it stays. */
  readonly refused?: string;
}

/** Key text of a frontend: "tcp/10.0.0.1:80", "udp/[2001:db8::1]:53", a range "tcp/10.1.0.0/16:80"; with port 0: every port that has none of its own. */
export interface WantedFrontend {
  readonly key: string;
  readonly protocol: Protocol;
  readonly address: Address;
  /** Set: a range, in bits of the address's own family. */
  readonly length?: number;
  readonly port: number;
  /** Backend for every client, or by namespace of the client: '' holds for the namespaces not listed (absent: not visible to them). */
  readonly backend: string | ReadonlyMap<string, string>;
}

/** A node-local workload as a client. */
export interface WantedClient {
  readonly workload: string;
  readonly namespace: string;
  readonly address4: Address | '';
  readonly address6: Address | '';
  /** SPIFFE id, which waypoints are told. */
  readonly identity: string;
  /** In the network of the node. */
  readonly hostNetwork?: boolean;
}

/** Where a waypoint reads a header: kept from connections into which none is written. */
export interface WantedPort {
  /** "10.0.0.3:15088" */
  readonly key: string;
  /** fe80:: for all addresses that are a link's own, ::1 for those by which a network calls itself. */
  readonly address: Address;
  readonly port: number;
  /** Of ::1: the waypoint is in the network of this node; else the entry is for waypoints, which might dial themselves. */
  readonly node: boolean;
}

/** All that is wanted, keyed by name, key and uid. */
export interface Wanted {
  readonly backends: ReadonlyMap<string, WantedBackend>;
  readonly frontends: ReadonlyMap<string, WantedFrontend>;
  readonly clients: ReadonlyMap<string, WantedClient>;
  readonly ports: ReadonlyMap<string, WantedPort>;
}

/** A part of it: undefined means "not wanted any more". What is not named stays as it is. */
export interface WantedDelta {
  readonly backends: ReadonlyMap<string, WantedBackend | undefined>;
  readonly frontends: ReadonlyMap<string, WantedFrontend | undefined>;
  readonly clients: ReadonlyMap<string, WantedClient | undefined>;
  readonly ports: ReadonlyMap<string, WantedPort | undefined>;
}
