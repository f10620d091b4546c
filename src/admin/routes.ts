// SPDX-License-Identifier: Apache-2.0
// The one table of the agent's interface: server and client are both made from it.
import type { Protocol } from '../abi/structs.ts';
import type { AuthzExplanation, AuthzRow } from './authz.ts';
import {
  type AgentStatus,
  type ConfigItem,
  type ConfigKind,
  type Difference,
  type LogLevel,
  logLevels,
  type ModelExplanation,
  type ReadyAnswer,
  type ReloadAnswer,
  type VersionAnswer,
} from './types.ts';
import type { WaypointAdsStatus, WaypointItem } from './waypoint.ts';

export type Nothing = Readonly<Record<never, never>>;

export interface ConfigQuery {
  /** Absent: all. */
  readonly kind?: ConfigKind;
  /** Part of the name. */
  readonly filter?: string;
  readonly limit?: number;
  /** Tell where each comes from. */
  readonly origin?: boolean;
}

export interface ExplainQuery {
  /** uid of the client's workload; absent: a client that is not known by name. */
  readonly workload?: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
}

export interface AuthzExplainQuery {
  readonly source: string;
  readonly destination: string;
  readonly port: number;
}

/** Calls with one answer. */
export interface Calls {
  readonly status: { readonly input: Nothing; readonly output: AgentStatus };
  readonly ready: { readonly input: Nothing; readonly output: ReadyAnswer };
  readonly version: { readonly input: Nothing; readonly output: VersionAnswer };
  readonly explain: { readonly input: ExplainQuery; readonly output: ModelExplanation };
  readonly authzExplain: { readonly input: AuthzExplainQuery; readonly output: AuthzExplanation };
  readonly log: {
    readonly input: { readonly level: LogLevel };
    readonly output: { readonly was: LogLevel; readonly level: LogLevel };
  };
  readonly reload: { readonly input: Nothing; readonly output: ReloadAnswer };
  /** Where proxies of waypoints are told. */
  readonly ads: { readonly input: Nothing; readonly output: WaypointAdsStatus };
  /** The agent ends once it has answered. */
  readonly stop: { readonly input: Nothing; readonly output: { readonly pid: number } };
}

/** Calls whose answer is a stream of items, one JSON value a line. */
export interface Streams {
  readonly config: { readonly input: ConfigQuery; readonly item: ConfigItem };
  /** Enrolled workloads; `workload` ("namespace/name"): that one only. */
  readonly authz: { readonly input: { readonly workload?: string }; readonly item: AuthzRow };
  readonly diff: { readonly input: { readonly limit?: number }; readonly item: Difference };
  /** What proxies of waypoints are told, and what became of routes. */
  readonly waypoints: { readonly input: Nothing; readonly item: WaypointItem };
}

export type CallName = keyof Calls;
export type StreamName = keyof Streams;
export type RouteName = CallName | StreamName;

/** How one input field reads: a list is the values allowed. */
export interface InputField {
  readonly type: 'string' | 'number' | 'boolean' | readonly string[];
  readonly required: boolean;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** In the query of a GET, in the JSON body of a POST. */
  readonly input: Readonly<Record<string, InputField>>;
  readonly stream: boolean;
  /** How long a client waits for the answer to begin. */
  readonly seconds: number;
}

const text: InputField = { type: 'string', required: false };
const count: InputField = { type: 'number', required: false };

export const routes: Readonly<Record<RouteName, Route>> = {
  status: { method: 'GET', path: '/status', input: {}, stream: false, seconds: 10 },
  ready: { method: 'GET', path: '/ready', input: {}, stream: false, seconds: 10 },
  version: { method: 'GET', path: '/version', input: {}, stream: false, seconds: 10 },
  explain: {
    method: 'GET',
    path: '/explain',
    input: {
      workload: text,
      address: { type: 'string', required: true },
      port: { type: 'number', required: true },
      protocol: { type: ['tcp', 'udp'], required: true },
    },
    stream: false,
    seconds: 10,
  },
  authzExplain: {
    method: 'GET',
    path: '/authz/explain',
    input: {
      source: { type: 'string', required: true },
      destination: { type: 'string', required: true },
      port: { type: 'number', required: true },
    },
    stream: false,
    seconds: 10,
  },
  log: {
    method: 'POST',
    path: '/log',
    input: { level: { type: logLevels, required: true } },
    stream: false,
    seconds: 10,
  },
  reload: { method: 'POST', path: '/reload', input: {}, stream: false, seconds: 120 },
  stop: { method: 'POST', path: '/stop', input: {}, stream: false, seconds: 10 },
  config: {
    method: 'GET',
    path: '/config',
    input: {
      kind: { type: ['workload', 'service', 'policy', 'gateway', 'route'], required: false },
      filter: text,
      limit: count,
      origin: { type: 'boolean', required: false },
    },
    stream: true,
    seconds: 10,
  },
  authz: { method: 'GET', path: '/authz', input: { workload: text }, stream: true, seconds: 10 },
  ads: { method: 'GET', path: '/ads', input: {}, stream: false, seconds: 10 },
  waypoints: { method: 'GET', path: '/waypoints', input: {}, stream: true, seconds: 10 },
  diff: { method: 'GET', path: '/diff', input: { limit: count }, stream: true, seconds: 120 },
};

/** Name of the route at a path, or undefined. */
export function routeAt(path: string): RouteName | undefined {
  return (Object.keys(routes) as RouteName[]).find((name) => routes[name].path === path);
}

/** Names of sockets in the run directory: of an agent, and of a process that serves waypoints and nothing else. */
export const socketNames = { agent: 'agent.sock', waypoints: 'waypoint.sock' } as const;
