// SPDX-License-Identifier: Apache-2.0
// The agent's answers on its admin socket.
import { abiVersion } from '../abi/structs.ts';
import type { AuthzStatus } from '../admin/authz.ts';
import type { Handlers } from '../admin/server.ts';
import type { AgentStatus, DemandStatus, Difference, LogLevel, ReloadAnswer, Remark } from '../admin/types.ts';
import { KmeshError } from '../errors.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import { mergeIgnored } from '../source/findings.ts';
import type { AgentAuthz } from './authz.ts';
import { explainAuthz } from './authz-explain.ts';
import { authzRows } from './authz-rows.ts';
import { configItems } from './config-items.ts';
import { explainByModel } from './explain.ts';
import type { Feed } from './feed.ts';
import { differenceOf, ignoredOf, refusalRemark, remarkOf, verdictRemark } from './findings.ts';
import type { Growth } from './growth.ts';
import type { Heal } from './heal.ts';
import type { LagMeter } from './lag.ts';
import type { Log } from './log.ts';
import type { Reconciler } from './reconciler-api.ts';
import { type SourceFacts, sourceStatusOf } from './sources.ts';
import type { WaypointAds } from './waypoint-ads.ts';
import { type UnusableWaypoint, waypointRemark } from './waypoint-faults.ts';

export interface AnsweringAgent {
  readonly version: string;
  readonly node: string;
  readonly since: number;
  readonly sources: () => readonly SourceFacts[];
  readonly log: Log;
  readonly reconciler: Reconciler;
  readonly feed: Feed;
  readonly heal: Heal;
  readonly growth: Growth;
  readonly lag: LagMeter;
  readonly notReady: () => readonly string[];
  readonly memberDifferences: () => Promise<readonly Difference[]>;
  readonly demand: () => DemandStatus | undefined;
  readonly authz: AgentAuthz;
  readonly waypoints: WaypointAds | undefined;
  readonly unusableWaypoints: () => readonly UnusableWaypoint[];
  readonly plane: () => DataPlane;
  readonly reload: () => Promise<ReloadAnswer>;
  /** Has the agent end. */
  readonly stop: () => void;
}

/** So many verdicts without room are told: there may be one for each address of the mesh. */
const mostRefused = 100;

export function statusOf(agent: AnsweringAgent): AgentStatus {
  const { reconciler, feed, log } = agent;
  const sources = agent.sources();
  const reports = sources.flatMap(({ report }) => report ?? []);
  const { refused, refusedVerdicts, error } = reconciler.status();
  const notReady = agent.notReady();
  const demand = agent.demand();
  const authz = agent.authz.status();
  return {
    pid: process.pid,
    version: agent.version,
    node: agent.node,
    network: reconciler.view.network,
    clusterId: reconciler.view.clusterId,
    locality: reconciler.view.locality,
    since: agent.since,
    ready: notReady.length === 0,
    notReady,
    sources: sources.map(sourceStatusOf),
    services: reconciler.model.services.size,
    workloads: reconciler.model.workloads.size,
    policies: reconciler.model.policies.size,
    faults: [
      ...reports.flatMap(({ faults }) => faults.map(remarkOf)),
      ...refused.map(refusalRemark),
      ...refusedVerdicts.slice(0, mostRefused).map(verdictRemark),
    ],
    warnings: [
      ...reports.flatMap(({ warnings }) => warnings.map(remarkOf)),
      ...agent.unusableWaypoints().map(waypointRemark),
      ...unenforced(reconciler, authz),
    ],
    ignored: mergeIgnored(reports.map(({ ignored }) => ignored)).map(ignoredOf),
    ...(demand && { demand }),
    ...(authz && { authz }),
    ...(agent.waypoints && { waypointAds: agent.waypoints.at, waypointConditions: agent.waypoints.conditions() }),
    lastApply: feed.lastApply,
    writeFault: error && `${error.code}: ${error.message}`,
    heal: agent.heal.status(),
    growth: agent.growth.done,
    queue: feed.queue,
    lag: agent.lag.read(),
    logLevel: log.level,
  };
}

/** Policies without effect, since no pod is judged. */
function unenforced({ model }: Reconciler, authz: AuthzStatus | undefined): Remark[] {
  const { size } = model.policies;
  if (size === 0 || (authz && authz.pods.on + authz.pods.pending > 0)) return [];
  const what = size === 1 ? '1 authorization policy is' : `${size} authorization policies are`;
  return [{ place: '', resource: '', field: '', reason: `${what} known, and no pod is enrolled to be judged` }];
}

function waypointsOf({ waypoints }: AnsweringAgent): WaypointAds {
  if (waypoints) return waypoints;
  throw new KmeshError('KM_NOT_FOUND', 'this agent is no control plane of waypoints', {
    hint: 'start it with --waypoint-ads ADDRESS',
  });
}

/** By waypoint. */
function proxiesOf({ waypoints }: AnsweringAgent): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of waypoints?.items() ?? []) {
    if (item.kind === 'waypoint') counts.set(item.waypoint, (counts.get(item.waypoint) ?? 0) + item.proxies.length);
  }
  return counts;
}

export function handlersOf(agent: AnsweringAgent): Handlers {
  const { reconciler, log } = agent;
  return {
    status: () => statusOf(agent),
    ready() {
      const notReady = agent.notReady();
      return { ready: notReady.length === 0, notReady };
    },
    version: () => ({ version: agent.version, abiVersion, node: agent.node, pid: process.pid }),
    explain: (query) =>
      explainByModel(
        {
          ...{ model: reconciler.model, view: reconciler.view, wanted: reconciler.wanted() },
          ...(agent.waypoints && { proxies: () => proxiesOf(agent) }),
        },
        query,
      ),
    authzExplain: (query) => explainAuthz(reconciler.authz, query),
    authz: ({ workload }) =>
      authzRows({ plane: agent.plane(), index: reconciler.authz, idOf: reconciler.idOf }, workload),
    log({ level }) {
      const was: LogLevel = log.level;
      log.level = level;
      log.info({ was, now: level }, 'log level changed');
      return { was, level };
    },
    reload: () => agent.reload(),
    stop() {
      log.info({}, 'asked to end');
      // Once the answer is on its way.
      setImmediate(agent.stop);
      return { pid: process.pid };
    },
    ads: () => waypointsOf(agent).at,
    waypoints: () => waypointsOf(agent).items(),
    config: (query) => configItems(reconciler.model, agent.feed.origin, query),
    async *diff({ limit }) {
      if (!reconciler.status().started) {
        throw new KmeshError('KM_CONFIG', 'the agent has read no configuration yet: there is nothing to compare with', {
          hint: '"kmeshctl status" says what it waits for',
        });
      }
      let left = limit ?? Number.POSITIVE_INFINITY;
      for (const difference of (await reconciler.compare()).map(differenceOf)) if (left-- > 0) yield difference;
      for (const difference of await agent.memberDifferences()) if (left-- > 0) yield difference;
    },
  };
}
