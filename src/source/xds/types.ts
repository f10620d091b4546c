// SPDX-License-Identifier: Apache-2.0
// What the parts of the xDS source say to each other. Field names follow envoy.service.discovery.v3 and xds.md of the docs.
import type { Change } from '../../mesh/model.ts';
import type { Policy } from '../../mesh/policy.ts';

/** The two types that a node subscribes to (type.googleapis.com/istio.workload.Address and /istio.security.Authorization). */
export type TypeName = 'address' | 'authorization';

export const typeUrls: Readonly<Record<TypeName, string>> = {
  address: 'type.googleapis.com/istio.workload.Address',
  authorization: 'type.googleapis.com/istio.security.Authorization',
};

/** One resource as it came, its body not decoded yet. */
export interface RawResource {
  readonly name: string;
  readonly version: string;
  readonly aliases: readonly string[];
  /** Type URL of the body. */
  readonly typeUrl: string;
  /** The whole response, in which the body lies from `start` to `end`: a view each would be the largest part of a response. */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** envoy.service.discovery.v3.DeltaDiscoveryResponse. */
export interface Response {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly systemVersion: string;
  readonly resources: readonly RawResource[];
  readonly removed: readonly string[];
}

/** envoy.service.discovery.v3.DeltaDiscoveryRequest. */
export interface Request {
  readonly type: TypeName;
  /** On the first request of a stream for each type only. */
  readonly node?: NodeIdentity;
  readonly subscribe?: readonly string[];
  readonly unsubscribe?: readonly string[];
  /** Name -> version of what is held; on the first request of a stream for each type only. */
  readonly initialVersions?: ReadonlyMap<string, string>;
  /** Nonce of the response that this answers; absent: spontaneous. */
  readonly nonce?: string;
  /** Present: a NACK. */
  readonly error?: { readonly code: number; readonly message: string };
}

export interface NodeIdentity {
  /** "ztunnel~10.0.0.1~POD.NAMESPACE~NAMESPACE.svc.cluster.local" */
  readonly id: string;
  /** Values that JSON can hold. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** A resource that was checked: what it changes, or everything that is wrong with it. */
export type Checked =
  | { readonly ok: true; readonly change: Change }
  | {
      readonly ok: false;
      /** Each with its field: "addresses[0]: 3 bytes, must be 4 or 16". Never empty. */
      readonly faults: readonly string[];
      /** Of a policy: what closes all that it may hold for. Counts while no version of it is good. */
      readonly closing?: Policy;
    };

/** How one of the two subscriptions stands. Times in milliseconds since the epoch. */
export interface TypeStatus {
  readonly type: TypeName;
  /** A first whole state was taken up since the source was opened. */
  readonly complete: boolean;
  /** Resources held. */
  readonly held: number;
  readonly lastResponseAt: number | undefined;
  /** system_version_info of the last response. */
  readonly systemVersion: string;
  readonly responses: number;
  readonly bytes: number;
  readonly acks: number;
  readonly nacks: number;
  /** Resources refused so far. */
  readonly rejected: number;
  /** Resources whose last version is refused now. */
  readonly refusedNow: number;
  /** The first of them: by name, with their faults. An older version may be in effect (`kept`). */
  readonly refused: readonly { readonly name: string; readonly faults: readonly string[]; readonly kept: boolean }[];
}

/** No connection or no answer; cut off, or closed here for what came on it; closed here to begin anew; closed by the server in good order. */
export type StreamEndReason = 'connection_error' | 'error' | 'reconnect' | 'complete';

export interface XdsStatus {
  /** HOST:PORT. */
  readonly server: string;
  readonly connected: boolean;
  /** When it connected, or lost the connection (or was opened). */
  readonly since: number;
  /** Streams opened so far. */
  readonly streams: number;
  /** Why the last stream ended or could not be opened; '' when none did. */
  readonly lastFault: string;
  /** How many streams ended, by why. */
  readonly ended: Readonly<Record<StreamEndReason, number>>;
  readonly onDemand: boolean;
  /** Names asked for and those the server knows nothing of; on demand only. */
  readonly demanded: number;
  readonly absent: number;
  readonly types: readonly TypeStatus[];
}

export interface XdsLog {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** On demand, once what came is applied: names of resources with their other names, and names that the server has nothing for. */
export type OnAnswer = (present: Iterable<string>, absent: readonly string[]) => void;
