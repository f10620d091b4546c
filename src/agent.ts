// SPDX-License-Identifier: Apache-2.0
// The agent: sources -> model -> kernel, with everything around it that keeps that so. Knows no files, pins or signals itself.
import { openAdminServer } from './admin/server.ts';
import type { AgentStatus, ReloadAnswer } from './admin/types.ts';
import { claimRunDir } from './agent/claim.ts';
import { compileAsUsual } from './agent/compiler.ts';
import { openDemand } from './agent/demand.ts';
import { watchEnrolments } from './agent/enrolment-watch.ts';
import { openFeed } from './agent/feed.ts';
import { remarkOf } from './agent/findings.ts';
import { type AnsweringAgent, handlersOf, statusOf } from './agent/handlers.ts';
import { type KernelParts, openKernel } from './agent/kernel.ts';
import { openLagMeter } from './agent/lag.ts';
import { openMetrics } from './agent/metrics.ts';
import { openReadiness } from './agent/readiness.ts';
import type { AgentSource, SourceOpening } from './agent/sources.ts';
import type { ServiceManager } from './agent/systemd.ts';
import { type GivenView, viewFinder } from './agent/view.ts';
import type { WaypointAds } from './agent/waypoint-ads.ts';
import { watchWaypoints } from './agent/waypoint-faults.ts';
import type { ListenAddress } from './net/socket-address.ts';

export interface AgentParts extends KernelParts {
  readonly node: string;
  readonly version: string;
  readonly manager: ServiceManager;
  /** Where metrics and health are served. */
  readonly metrics?: ListenAddress;
  /** What of the node's view is known beforehand. */
  readonly view?: GivenView;
  /** What tells the agent what there should be, the one that counts most first. */
  readonly sources: readonly SourceOpening[];
  /** End an agent that runs here already. */
  readonly takeOver?: boolean;
  /** The control plane of waypoints, told of each model and closed with the agent. */
  readonly openWaypoints?: () => Promise<WaypointAds>;
  /** Called when another agent is to take over: has this one closed. */
  readonly stop: () => void;
}

export interface Agent {
  status(): AgentStatus;
  /** Reads everything again; resolves when it is in the kernel. */
  reload(): Promise<ReloadAnswer>;
  /** A full comparison now. */
  heal(): Promise<void>;
  /** Stops; the data plane goes on as it is. */
  close(): Promise<void>;
}

/**
 * Runs until closed. What the kernel holds is taken over as it is, and changed only once every source has told everything.
 * @throws KmeshError KM_AGENT_RUNNING; what opening the pins or the socket throws.
 */
export async function startAgent(parts: AgentParts): Promise<Agent> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return await start(parts, closers, close);
  } catch (fault) {
    await close();
    throw fault;
  }
}

/** `closers` is filled as things are opened: closed from the last to the first. */
async function start(parts: AgentParts, closers: (() => unknown)[], close: () => Promise<void>): Promise<Agent> {
  const { log, runDir, manager, now, node, version } = parts;
  const since = now();
  const life = await claimRunDir(runDir, { log, takeOver: parts.takeOver === true });
  closers.push(life.release);
  // Early: an address that is taken ends it before anything is changed, and who asks is told that it starts.
  const metrics = await openMetrics(parts.metrics, { version, log });
  closers.push(() => metrics.close());
  const waypoints = await parts.openWaypoints?.();
  closers.push(() => waypoints?.close());
  manager.status('opening the data plane');
  const view = viewFinder(node, parts.view);
  const kernel = await openKernel(parts, view, () => readiness.look());
  closers.push(() => kernel.close());
  const { reconciler, heal, growth } = kernel;
  const waypointWatch = watchWaypoints(reconciler, log);
  closers.push(() => waypointWatch.close());
  let recounted = false;
  const feed = openFeed({
    sources: parts.sources.map(({ name }) => name),
    reconciler,
    view,
    now,
    onSettled: (outcome) => {
      log.debug({ ...feed.lastApply }, 'change applied');
      if (feed.lastApply) metrics.applied(feed.lastApply);
      kernel.settle(outcome);
      readiness.look();
      waypoints?.update(reconciler.model);
      waypointWatch.look();
      if (recounted || outcome.error) return;
      // Which workloads there are is known from now on.
      recounted = true;
      compileAsUsual();
      void heal.recount();
    },
  });
  const opened: AgentSource[] = [];
  const sources = () =>
    parts.sources.map(({ name }, place) => ({ name, report: feed.reports[place], xds: opened[place]?.status?.() }));
  const readiness = openReadiness({ reconciler, sources, manager, log });
  const demand =
    parts.onDemand &&
    (await openDemand({
      ...parts.onDemand,
      ...{ log, plane: kernel.plane, inside: kernel.inside },
      model: () => reconciler.model,
      clock: () => process.hrtime.bigint(),
    }));
  closers.push(() => demand?.close());
  const lag = openLagMeter();
  closers.push(lag.close);

  const reload = async (): Promise<ReloadAnswer> => {
    manager.reloading();
    try {
      const before = feed.taken;
      waypoints?.reload();
      const read = await Promise.allSettled(opened.map((source) => source.reload()));
      await feed.settled();
      // What the others said counts all the same.
      for (const result of read) if (result.status === 'rejected') throw result.reason;
      const faults = feed.reports.flatMap((report) => report?.faults.map(remarkOf) ?? []);
      return { ready: readiness.reasons().length === 0, changes: feed.taken - before, faults };
    } finally {
      manager.reloaded();
    }
  };
  const answering: AnsweringAgent = {
    ...{ version, node, since, sources, log, reload, stop: parts.stop },
    ...{ reconciler, feed, heal, growth, lag, notReady: readiness.reasons },
    memberDifferences: kernel.memberDifferences,
    demand: () => demand?.status(),
    authz: kernel.authz,
    waypoints,
    unusableWaypoints: waypointWatch.unusable,
    plane: kernel.plane,
  };
  const server = await openAdminServer(runDir, handlersOf(answering));
  closers.push(() => server.close());
  metrics.follow({
    status: () => statusOf(answering),
    fill: () => reconciler.fill(),
    reasons: kernel.reasons,
    authz: kernel.authz.facts,
    waypoints: () => waypoints?.facts(),
  });
  log.info({ version, socket: server.path }, 'agent started');
  manager.opened(() => readiness.look());
  manager.status('reading the configuration');
  for (const [place, { open }] of parts.sources.entries()) {
    const source = open(async (news) => {
      demand?.noticed(news.changes);
      const settled = feed.take(place, news);
      // News without changes settles at once.
      if (news.changes.length === 0) readiness.look();
      // What was not taken up is a fault of its source now.
      await settled.catch((fault) => {
        readiness.look();
        throw fault;
      });
    }, demand?.answered);
    opened.push(source);
    const { want, again, unwant } = source;
    if (demand && want && again && unwant) demand.start({ want, again, unwant });
    closers.push(() => source.close());
  }
  heal.start();
  const enrolments = watchEnrolments({
    plane: kernel.plane,
    log,
    changed() {
      demand?.enrolled();
      void reconciler.submit([]);
    },
  });
  closers.push(() => enrolments.close());
  return {
    status: () => statusOf(answering),
    reload,
    heal: () => heal.round(),
    async close() {
      manager.stopping();
      log.info({}, 'agent stops; the data plane goes on');
      await close();
    },
  };
}
