// SPDX-License-Identifier: Apache-2.0
// Checked objects: what is kept of a document once it was found good. Plain data, as it also passes between threads.
import type { Otherwise, WaypointBinding, WaypointFor } from '../../mesh/gateway.ts';
import type { Rule } from '../../mesh/policy.ts';
import type { GrpcRoute, HttpRoute, ReferenceGrant, TcpRoute, TlsRoute } from '../../mesh/route.ts';
import type { BalancerPolicy, RequestHash, Scope, ServicePort } from '../../mesh/service.ts';
import type { WaypointPolicy } from '../../mesh/waypoint-policy.ts';
import type { Locality, Workload } from '../../mesh/workload.ts';
import type { Address } from '../../net/address.ts';
import type { Place } from '../findings.ts';

export type Labels = Readonly<Record<string, string>>;

interface ObjectBase {
  readonly namespace: string;
  readonly name: string;
  /** Where metadata.name stands. */
  readonly place: Place;
  /** Milliseconds since the epoch; absent when the document has no creationTimestamp: then it counts as the newest. */
  readonly created?: number;
}

/** How far traffic should stay: 'zone' prefers the same zone, 'node' the same node; 'any' says that nothing is preferred. */
export type Distribution = 'any' | 'zone' | 'node';

/** Gateways that an object names as its waypoint: "namespace/name"; `gateway` '': none, whatever its namespace says. */
export interface WaypointWish {
  readonly gateway: string;
  readonly canary: string;
  /** Percent; 0: no canary. */
  readonly canaryWeight: number;
}

/** What an object that leaves its waypoint to its namespace says of the canary: counts before what that says. */
export interface CanaryWish {
  readonly canary?: string;
  readonly canaryWeight?: number;
}

interface WaypointWisher {
  readonly waypoint?: WaypointWish;
  readonly waypointCanary?: CanaryWish;
  readonly waypointUnready?: Otherwise;
}

export interface NamespaceObject extends ObjectBase, WaypointWisher {
  readonly kind: 'Namespace';
  readonly labels: Labels;
  readonly distribution?: Distribution;
}

export interface NodeObject extends ObjectBase {
  readonly kind: 'Node';
  readonly locality: Locality;
}

export interface NamedPort {
  readonly name: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

export interface PodObject extends ObjectBase, WaypointWisher {
  readonly kind: 'Pod';
  readonly labels: Labels;
  /** Empty when it has none yet. */
  readonly addresses: readonly Address[];
  /** Succeeded or Failed: runs no more. */
  readonly terminal: boolean;
  readonly healthy: boolean;
  readonly node: string;
  readonly serviceAccount: string;
  readonly hostNetwork: boolean;
  /** Its own label's; else that of its node counts. */
  readonly locality?: Locality;
  readonly workloadName: string;
  readonly workloadType: Workload['workloadType'];
  readonly ports: readonly NamedPort[];
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly tunnel: 'none' | 'hbone' | 'native';
}

export interface ObjectPort extends ServicePort {
  readonly protocol: 'tcp' | 'udp';
  /** Name of the target port; '' when targetPort is a number. */
  readonly targetName: string;
}

export interface ServiceObject extends ObjectBase, WaypointWisher {
  readonly kind: 'Service';
  /** ExternalName: leads nowhere here. */
  readonly external: boolean;
  readonly selector: Labels;
  readonly addresses: readonly Address[];
  readonly ports: readonly ObjectPort[];
  readonly affinitySeconds: number;
  /** internalTrafficPolicy: Local. */
  readonly nodeLocal: boolean;
  readonly distribution?: Distribution;
  readonly publishNotReady: boolean;
  readonly ipFamilies: 'automatic' | 'ipv4' | 'ipv6' | 'dual';
  readonly onEmpty: 'refuse' | 'direct';
}

export interface SliceEndpoint {
  readonly addresses: readonly Address[];
  readonly healthy: boolean;
  readonly node: string;
  readonly zone: string;
  /** "namespace/name" of the pod it stands for; '' when it is no pod. */
  readonly pod: string;
}

export interface EndpointSliceObject extends ObjectBase {
  readonly kind: 'EndpointSlice';
  /** Name of its service; '' when it belongs to none. */
  readonly service: string;
  readonly ports: readonly NamedPort[];
  readonly endpoints: readonly SliceEndpoint[];
}

/** What a WorkloadEntry and an endpoint of a ServiceEntry have in common. */
export interface EntryEndpoint {
  /** Exactly one of the two is set. */
  readonly address: Address | '';
  readonly hostname: string;
  /** Port name -> port. */
  readonly ports: ReadonlyMap<string, number>;
  readonly weight: number;
  readonly locality: Locality;
  readonly network: string;
  readonly serviceAccount: string;
  /** What its own labels say, where it is one of a ServiceEntry. */
  readonly waypoint?: WaypointWish;
}

export interface WorkloadEntryObject extends ObjectBase, WaypointWisher {
  readonly kind: 'WorkloadEntry';
  readonly labels: Labels;
  readonly endpoint: EntryEndpoint;
  readonly workloadName: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly tunnel: 'none' | 'hbone' | 'native';
}

export interface AddressOrRange {
  readonly address: Address;
  readonly length?: number;
}

export interface ServiceEntryObject extends ObjectBase, WaypointWisher {
  readonly kind: 'ServiceEntry';
  readonly hosts: readonly string[];
  readonly addresses: readonly AddressOrRange[];
  readonly ports: readonly ObjectPort[];
  readonly resolution: 'NONE' | 'STATIC' | 'DNS' | 'DNS_ROUND_ROBIN';
  readonly endpoints: readonly EntryEndpoint[];
  readonly selector?: Labels;
  readonly subjectAltNames: readonly string[];
  /** 'none': exported to nobody. */
  readonly visibility: 'public' | 'namespace' | 'none';
  readonly distribution?: Distribution;
  /** False when the label networking.istio.io/enable-autoallocate-ip says so. */
  readonly automatic: boolean;
  readonly labels: Labels;
  /** Addresses that a control plane gave its hosts: status.addresses. */
  readonly given: ReadonlyMap<string, readonly Address[]>;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly onEmpty: 'refuse' | 'direct';
}

export interface RuleLocality {
  /** False: no preference by locality, whatever the service says. */
  readonly enabled: boolean;
  readonly distribute: readonly { readonly from: string; readonly to: ReadonlyMap<string, number> }[];
  readonly failover: readonly { readonly from: string; readonly to: string }[];
  /** Order of preference; empty when the rule names none. */
  readonly scopes: readonly Scope[];
}

export interface DestinationRuleObject extends ObjectBase {
  readonly kind: 'DestinationRule';
  /** Full host name or wildcard. */
  readonly host: string;
  /** Namespaces it holds for; empty is all. */
  readonly exportTo: readonly string[];
  readonly policy?: BalancerPolicy;
  readonly requestHash?: RequestHash;
  readonly passthrough: boolean;
  readonly locality?: RuleLocality;
}

/** What AuthorizationPolicy and PeerAuthentication have in common. */
interface PolicyObject extends ObjectBase {
  /** Absent: all workloads of its namespace, or of the mesh when that is the root namespace. */
  readonly selector?: Labels;
  /** Stands for a document that was refused before it ever was in force: why. */
  readonly refused?: string;
  /** The last good version of a document that is refused now: why. */
  readonly stale?: string;
}

export interface AuthorizationPolicyObject extends PolicyObject {
  readonly kind: 'AuthorizationPolicy';
  /** 'none': nothing here enforces it (an action or target that only a waypoint knows). */
  readonly action: 'allow' | 'deny' | 'none';
  readonly rules: readonly Rule[];
  /** Where each of the rules stands in the document; absent: all of them are there. */
  readonly written?: readonly number[];
  readonly dryRun: boolean;
  /** The whole of it, where it is aimed at services or gateways: then only waypoints enforce it. */
  readonly aimed?: WaypointPolicy;
}

/** Namespaces whose objects may use a gateway, besides its own. */
export type AllowedFrom =
  | { readonly from: 'All' | 'Same' | 'None' }
  | {
      readonly from: 'Selector';
      readonly labels: Labels;
      readonly expressions: readonly {
        readonly key: string;
        readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
        readonly values: readonly string[];
      }[];
    };

export interface GatewayObject extends ObjectBase {
  readonly kind: 'Gateway';
  readonly className: string;
  readonly waypointFor?: WaypointFor;
  readonly binding?: WaypointBinding;
  readonly addresses: readonly ({ readonly address: Address } | { readonly hostname: string })[];
  /** Of each listener. */
  readonly allowed: readonly AllowedFrom[];
}

export interface GatewayClassObject extends ObjectBase {
  readonly kind: 'GatewayClass';
  readonly waypointFor?: WaypointFor;
  readonly binding?: WaypointBinding;
}

export type MtlsMode = 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT';

export interface PeerAuthenticationObject extends PolicyObject {
  readonly kind: 'PeerAuthentication';
  readonly mode: MtlsMode;
  /** By port, in the order of their numbers. */
  readonly ports: readonly { readonly port: number; readonly mode: MtlsMode }[];
}

/** They go into the model as they are, without their place. */
export type HttpRouteObject = ObjectBase & HttpRoute;
export type GrpcRouteObject = ObjectBase & GrpcRoute;
export type TlsRouteObject = ObjectBase & TlsRoute;
export type TcpRouteObject = ObjectBase & TcpRoute;
export type ReferenceGrantObject = ObjectBase & ReferenceGrant;
export type RouteDocument = HttpRouteObject | GrpcRouteObject | TlsRouteObject | TcpRouteObject | ReferenceGrantObject;

export type MeshObject =
  | NamespaceObject
  | NodeObject
  | PodObject
  | ServiceObject
  | EndpointSliceObject
  | WorkloadEntryObject
  | ServiceEntryObject
  | DestinationRuleObject
  | AuthorizationPolicyObject
  | PeerAuthenticationObject
  | GatewayObject
  | GatewayClassObject
  | RouteDocument;

/** "Pod shop/cart-1", "Node node-a": what two documents may not share. */
export function identityOf(o: { readonly kind: string; readonly namespace: string; readonly name: string }): string {
  return o.namespace === '' ? `${o.kind} ${o.name}` : `${o.kind} ${o.namespace}/${o.name}`;
}
