// SPDX-License-Identifier: Apache-2.0
// What the agent and its clients say to each other, as JSON: plain objects only, times in milliseconds since the epoch.
import type { MapName } from '../abi/maps.ts';
import type { Protocol } from '../abi/structs.ts';
import type { Locality } from '../mesh/workload.ts';
import type { AuthzStatus } from './authz.ts';
import type { WaypointAdsStatus } from './waypoint.ts';

/** pino's levels. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Any value that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Something to say about a place in a configuration file, or about what came of it. */
export interface Remark {
  /** "shop.yaml:12:7"; line and column from 1. '' when no file is to blame. */
  readonly place: string;
  /** "Service shop/cart", or ''. */
  readonly resource: string;
  /** "spec.ports[0].port", or ''. */
  readonly field: string;
  readonly reason: string;
}

/** Something that is read over. */
export interface IgnoredStatus {
  /** "apps/v1 Deployment", "Service spec.ports.nodePort". */
  readonly what: string;
  readonly count: number;
  /** Where it was met first. */
  readonly place: string;
}

export interface SourceStatus {
  /** What it reads: paths, or a control plane. */
  readonly name: string;
  /** It has given its first whole state. */
  readonly complete: boolean;
  readonly files: number;
  /** Objects in effect. */
  readonly objects: number;
  /** Of a control plane. */
  readonly xds?: XdsSourceStatus;
}

/** No connection or no answer; cut off, or closed by the agent for what came on it; closed by it to begin anew; closed by the server. */
export type StreamEndReason = 'connection_error' | 'error' | 'reconnect' | 'complete';

export interface XdsSourceStatus {
  /** HOST:PORT. */
  readonly server: string;
  readonly connected: boolean;
  /** When it connected, or lost the connection. */
  readonly since: number;
  /** Streams opened so far. */
  readonly streams: number;
  /** Why the last stream ended or could not be opened; '' when none did. */
  readonly lastFault: string;
  /** How many streams ended, by why. */
  readonly ended: Readonly<Record<StreamEndReason, number>>;
  readonly onDemand: boolean;
  /** Names asked for, and those that the server knows nothing of; on demand only. */
  readonly demanded: number;
  readonly absent: number;
  readonly types: readonly XdsTypeStatus[];
}

/** One of the two subscriptions. */
export interface XdsTypeStatus {
  readonly type: 'address' | 'authorization';
  readonly complete: boolean;
  /** Resources held. */
  readonly held: number;
  readonly lastResponseAt?: number;
  /** Version of the last response. */
  readonly systemVersion: string;
  readonly responses: number;
  readonly bytes: number;
  readonly acks: number;
  readonly nacks: number;
  /** Resources refused so far. */
  readonly rejected: number;
  /** Resources whose last version is refused now. */
  readonly refusedNow: number;
  /** The first of them, with what is wrong. `kept`: an older version is in effect. */
  readonly refused: readonly { readonly name: string; readonly faults: readonly string[]; readonly kept: boolean }[];
}

/** Times in milliseconds from the first connection to an address until what the mesh knows of it was in the kernel. */
export interface KnownTimes {
  readonly count: number;
  readonly sum: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** How many took at most so long; longer ones are in `count` only. */
  readonly buckets: readonly { readonly atMost: number; readonly count: number }[];
}

/** What is learned on demand. */
export interface DemandStatus {
  /** What becomes of connections to an address that is being asked for. */
  readonly onMiss: 'direct' | 'refuse';
  /** Addresses asked for and not forgotten. */
  readonly addresses: number;
  /** Those that nobody has answered for yet. */
  readonly waiting: number;
  /** Forgotten for want of room, so far: asked for anew when they are dialled. */
  readonly forgotten: number;
  readonly known: KnownTimes;
}

export interface ApplyStatus {
  readonly at: number;
  /** From a source's change to the last write. */
  readonly milliseconds: number;
  readonly changes: number;
  readonly operations: number;
}

export interface HealStatus {
  /** Full comparisons made. */
  readonly comparisons: number;
  readonly lastAt: number;
  readonly lastMilliseconds: number;
  /** Entries that differed from what was wanted and were written again, since the agent started. */
  readonly repairedEntries: number;
  /** Active-connection counts that were corrected. */
  readonly correctedCounts: number;
  /** Enrolments of deleted cgroups that were removed. */
  readonly removedEnrolments: number;
}

export interface GrowthStatus {
  readonly map: MapName;
  readonly from: number;
  readonly to: number;
  readonly at: number;
}

export interface AgentStatus {
  readonly pid: number;
  readonly version: string;
  readonly node: string;
  /** Where the node stands: what was given, else what its workloads say. */
  readonly network: string;
  readonly clusterId: string;
  readonly locality: Locality;
  readonly since: number;
  readonly ready: boolean;
  /** Why not; empty when ready. */
  readonly notReady: readonly string[];
  readonly sources: readonly SourceStatus[];
  readonly services: number;
  readonly workloads: number;
  readonly policies: number;
  /** Documents that were refused, and services that do not fit into the kernel's maps. */
  readonly faults: readonly Remark[];
  /** Fields of known kinds that have no effect here. */
  readonly warnings: readonly Remark[];
  readonly ignored: readonly IgnoredStatus[];
  /** Only when what is needed is learned on demand. */
  readonly demand?: DemandStatus;
  /** Only when something is enrolled, or there are policies. */
  readonly authz?: AuthzStatus;
  /** Only when proxies of waypoints are told their configuration by this agent. */
  readonly waypointAds?: WaypointAdsStatus;
  /** Of routes and policies for them that have no effect, or not all of it: reason -> how many. */
  readonly waypointConditions?: Readonly<Record<string, number>>;
  readonly lastApply: ApplyStatus | undefined;
  /** The last kernel write that failed; cleared by the next that succeeds. */
  readonly writeFault: string | undefined;
  readonly heal: HealStatus;
  readonly growth: readonly GrowthStatus[];
  /** Source changes not yet in the kernel. */
  readonly queue: number;
  /** How late timers ran, in milliseconds, since the agent started. */
  readonly lag: { readonly mean: number; readonly max: number };
  readonly logLevel: LogLevel;
}

export interface ReadyAnswer {
  readonly ready: boolean;
  readonly notReady: readonly string[];
}

export interface VersionAnswer {
  readonly version: string;
  readonly abiVersion: number;
  readonly node: string;
  readonly pid: number;
}

export type ConfigKind = 'workload' | 'service' | 'policy' | 'gateway' | 'route';

export interface ConfigOrigin {
  /** Name of the source that it is taken from; only when asked for. */
  readonly origin?: string;
  /** Sources that give it too and are not listened to; absent: none. */
  readonly shadows?: readonly string[];
}

/** An object of the model, its fields as ztunnel's config_dump has them. */
export interface ConfigItem extends ConfigOrigin {
  /** "endpoints": more of the service before. "staged": endpoints of a service that is not known. Both by uid, perhaps in parts. */
  readonly kind: ConfigKind | 'endpoints' | 'staged';
  /** uid, "namespace/hostname" or "namespace/name". */
  readonly name: string;
  readonly fields: { readonly [key: string]: Json };
}

/** One thing in which the kernel is not as wanted. */
export interface Difference {
  /** Where: "backend" (with its range), "frontend", "client", "waypoint port", "enrolled", "setting", "service"; "stray" for what nothing explains. */
  readonly map: string;
  /** "missing": wanted, not in the kernel. "extra": the reverse. "different": both, not alike. "refused": there is no room. */
  readonly kind: 'missing' | 'extra' | 'different' | 'refused';
  /** By name: "shop/cart.shop.svc.cluster.local:80/4". */
  readonly about: string;
}

/** A possible endpoint of a connection, or one that is out and why. */
export interface Candidate {
  readonly workload: string;
  readonly address: string;
  readonly port: number;
  /** 0: not known (nobody asked the agent), or out. */
  readonly weight: number;
  /** Chance of a new connection, 0 to 1; what the policy gives without counting open connections. */
  readonly probability: number;
  /** '' when it is in. */
  readonly out: string;
}

/** What the model says of a connection. */
export interface ModelExplanation {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  /** Namespace the client is taken to be in; '' when not known. */
  readonly namespace: string;
  /** "namespace/hostname", or '' when no service owns the address for this client. */
  readonly service: string;
  readonly backend: string;
  readonly candidates: readonly Candidate[];
  /** Lines for people: locality, scopes, why not visible. */
  readonly notes: readonly string[];
}

export interface ReloadAnswer {
  readonly ready: boolean;
  readonly changes: number;
  readonly faults: readonly Remark[];
}

/** An error on the wire. */
export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}
