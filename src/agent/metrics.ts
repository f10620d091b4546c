// SPDX-License-Identifier: Apache-2.0
// The agent's facts as its metrics show them, and the server that shows them: open from the first moment, empty until there is something.
import { abiVersion } from '../abi/structs.ts';
import type { AgentStatus, SourceStatus, StreamEndReason } from '../admin/types.ts';
import type { LimitedMap, MapFill } from '../compile/limited-maps.ts';
import type { ListenAddress } from '../net/socket-address.ts';
import type { Applied, AuthzFacts, MetricsFacts, WaypointFacts, XdsFacts } from '../outputs/facts.ts';
import { typeUrls } from '../source/xds/types.ts';
import type { Log } from './log.ts';

export interface ShownAgent {
  status(): AgentStatus;
  /** Undefined while nothing is known of them. */
  fill(): Readonly<Record<LimitedMap, MapFill>> | undefined;
  reasons(): ReadonlyMap<string, bigint>;
  /** Undefined while there is nothing to judge with or for. */
  authz(): AuthzFacts | undefined;
  /** Undefined: it serves none. */
  waypoints(): WaypointFacts | undefined;
}

export interface MetricsServer {
  applied(one: Applied): void;
  /** From now on there is something to show. */
  follow(agent: ShownAgent): void;
  close(): Promise<void>;
}

const noMetrics: MetricsServer = { applied() {}, follow() {}, close: async () => {} };

/** As ztunnel calls them. */
const endNames = {
  connection_error: 'ConnectionError',
  error: 'Error',
  reconnect: 'Reconnect',
  complete: 'Complete',
} as const satisfies Record<StreamEndReason, string>;

function xdsFacts(sources: readonly SourceStatus[]): XdsFacts | undefined {
  const xds = sources.find((source) => source.xds !== undefined)?.xds;
  if (!xds) return undefined;
  const types = xds.types.map((type) => ({
    ...type,
    ...{ url: typeUrls[type.type], refused: type.refusedNow, lastResponseAt: type.lastResponseAt },
  }));
  const ended = Object.fromEntries(
    Object.entries(endNames).map(([key, name]) => [name, xds.ended[key as StreamEndReason]]),
  );
  return { ...xds, types, ended };
}

export function factsOf(agent: ShownAgent): MetricsFacts {
  const status = agent.status();
  const { ready, sources, services, workloads, policies, faults, queue, writeFault, heal, growth, lag, demand } =
    status;
  return {
    ...{ ready, sources, queue, heal, lag, demand },
    xds: xdsFacts(sources),
    objects: { service: services, workload: workloads, policy: policies },
    faults: faults.length,
    writeFailed: writeFault !== undefined,
    maps: Object.entries(agent.fill() ?? {}).map(([name, { used, size }]) => ({ name, used, size })),
    growths: growth.length,
    authz: agent.authz(),
    waypoints: agent.waypoints(),
    reasons: Array.from(agent.reasons(), ([reason, count]) => [reason, Number(count)] as const),
  };
}

/**
 * Serves at `listen`; nothing when that is undefined. The libraries are loaded only then.
 * @throws KmeshError KM_LISTEN
 */
export async function openMetrics(
  listen: ListenAddress | undefined,
  about: { readonly version: string; readonly log: Log },
): Promise<MetricsServer> {
  if (!listen) return noMetrics;
  const [{ agentMetrics }, { openOutputServer }] = await Promise.all([
    import('../outputs/registry.ts'),
    import('../outputs/server.ts'),
  ]);
  const metrics = agentMetrics({ version: about.version, abiVersion });
  let shown: ShownAgent | undefined;
  const server = await openOutputServer(listen, {
    metrics: { contentType: metrics.contentType, text: () => metrics.text(shown && factsOf(shown)) },
    notReady: () => shown?.status().notReady ?? ['the agent is still starting'],
  });
  about.log.info({ address: server.address }, 'metrics and health are served');
  return {
    applied: metrics.applied,
    follow(agent) {
      shown = agent;
    },
    close: () => server.close(),
  };
}
