// SPDX-License-Identifier: Apache-2.0
// What the outputs show of an agent: a snapshot, taken when it is asked for. Times in milliseconds, those of the clock since the epoch.

export interface XdsTypeFacts {
  /** "address", "authorization" */
  readonly type: string;
  readonly url: string;
  readonly complete: boolean;
  readonly held: number;
  readonly lastResponseAt: number | undefined;
  readonly responses: number;
  readonly bytes: number;
  readonly acks: number;
  readonly nacks: number;
  /** Resources refused so far, and those whose last version is refused now. */
  readonly rejected: number;
  readonly refused: number;
}

export interface XdsFacts {
  readonly connected: boolean;
  readonly since: number;
  readonly streams: number;
  /** Why streams ended -> how many. */
  readonly ended: Readonly<Record<string, number>>;
  /** On demand: names asked for, and those that there is nothing for. */
  readonly demanded: number;
  readonly absent: number;
  readonly types: readonly XdsTypeFacts[];
}

/** Counts of times in milliseconds, each bucket with those below it. */
export interface TimesFacts {
  readonly count: number;
  readonly sum: number;
  readonly buckets: readonly { readonly atMost: number; readonly count: number }[];
}

export interface DemandFacts {
  readonly addresses: number;
  readonly waiting: number;
  readonly forgotten: number;
  readonly known: TimesFacts;
}

export interface AuthzFacts {
  /** "on", "pending", "off" -> enrolled cgroups. */
  readonly pods: Readonly<Record<string, number>>;
  /** "stale", "refused", "denies_less" -> policies. */
  readonly policies: Readonly<Record<string, number>>;
  /** What policies decided; many policies with few decisions are one, without a name. */
  readonly verdicts: Iterable<readonly [policy: string, verdict: string, count: number]>;
  /** "logged", "suppressed" -> records of denied connections. */
  readonly denials: Readonly<Record<string, number>>;
  readonly rechecks: number;
  readonly destroyed: number;
}

/** The control plane of waypoints. */
export interface WaypointFacts {
  /** Connected now, and since the beginning. */
  readonly proxies: number;
  readonly streams: number;
  /** Why streams were turned away -> how many. */
  readonly ended: Readonly<Record<string, number>>;
  /** Of routes and policies that have no effect, or not all of it: reason -> how many. */
  readonly conditions: Readonly<Record<string, number>>;
  /** "clusters", "endpoints", "listeners", "routes" */
  readonly types: readonly {
    readonly type: string;
    readonly responses: number;
    readonly acks: number;
    readonly nacks: number;
    /** Resources refused now, and answers that proxies have said nothing of. */
    readonly refused: number;
    readonly awaited: number;
  }[];
}

export interface MetricsFacts {
  readonly ready: boolean;
  readonly sources: readonly { readonly name: string; readonly complete: boolean; readonly objects: number }[];
  readonly xds: XdsFacts | undefined;
  /** When what is needed is learned on demand. */
  readonly demand: DemandFacts | undefined;
  /** "service", "workload", "policy" -> how many the model has. */
  readonly objects: Readonly<Record<string, number>>;
  readonly faults: number;
  readonly queue: number;
  readonly writeFailed: boolean;
  /** Maps that can run out. */
  readonly maps: readonly { readonly name: string; readonly used: number; readonly size: number }[];
  readonly growths: number;
  readonly heal: {
    readonly comparisons: number;
    readonly lastAt: number;
    readonly lastMilliseconds: number;
    readonly repairedEntries: number;
    readonly correctedCounts: number;
    readonly removedEnrolments: number;
  };
  readonly lag: { readonly mean: number; readonly max: number };
  /** Once something was enrolled or there is a policy. */
  readonly authz: AuthzFacts | undefined;
  /** Where proxies of waypoints are told. */
  readonly waypoints: WaypointFacts | undefined;
  /** What the programs counted. */
  readonly reasons: Iterable<readonly [reason: string, count: number]>;
}

/** One piece of news, from a source to the last write. */
export interface Applied {
  readonly milliseconds: number;
  readonly operations: number;
}
