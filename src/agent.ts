// SPDX-License-Identifier: Apache-2.0
// The agent: source -> model -> kernel, with everything around it that keeps that so. Knows no files, pins or signals itself.
import { openAdminServer } from './admin/server.ts';
import type { AgentStatus, ReloadAnswer } from './admin/types.ts';
import { backoff } from './agent/backoff.ts';
import { openFeed } from './agent/feed.ts';
import { remarkOf } from './agent/findings.ts';
import { openGrowth } from './agent/growth.ts';
import { type AgentPlane, openGuard } from './agent/guard.ts';
import { handlersOf, openLagMeter, statusOf } from './agent/handlers.ts';
import { openHeal } from './agent/heal.ts';
import { takeLock } from './agent/lock.ts';
import { faultFacts, type Log } from './agent/log.ts';
import { memberDifferences, pruneMembers, syncMembers, type WorkloadIds } from './agent/members.ts';
import { notReady, summary } from './agent/readiness.ts';
import { openReconciler } from './agent/reconciler.ts';
import type { ServiceManager } from './agent/systemd.ts';
import { viewFinder } from './agent/view.ts';
import type { KmeshError } from './errors.ts';
import type { MapSizes } from './kernel/sizes.ts';
import type { Change } from './mesh/model.ts';
import type { Report } from './source/file/findings.ts';

/** What tells the agent what there should be. */
export interface AgentSource {
  /** Reads everything again; resolves when what came of it was told. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

export interface AgentParts {
  readonly runDir: string;
  readonly node: string;
  readonly version: string;
  readonly log: Log;
  readonly now: () => number;
  readonly manager: ServiceManager;
  /** Milliseconds between two full comparisons; 0: never. */
  readonly healInterval: number;
  /** Opens the pins; loads the programs when there are none. The lock is free. */
  readonly openPlane: () => Promise<AgentPlane>;
  /** Swaps in maps of these sizes and opens them. The lock is held. */
  readonly growPlane: (sizes: MapSizes) => Promise<AgentPlane>;
  readonly sourceName: string;
  /** Calls `onChange` with all there is, then with what differs. */
  readonly openSource: (onChange: (changes: readonly Change[], report: Report) => void) => AgentSource;
  readonly cgroupExists: (cgroupId: bigint) => boolean;
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

/** Others who look for a holder take the lock for an instant. */
const lockWaitMs = 250;
const retryMs = { first: 1_000, last: 30_000 };
/** Ids whose last socket has gone are free a few seconds later; those of long connections are asked after less and less often. */
const reclaimMs = { first: 5_000, last: 300_000 };

/**
 * Runs until closed. What the kernel holds is taken over as it is, and changed only once the source has told everything.
 * @throws KmeshError KM_AGENT_RUNNING; what opening the pins or the socket throws.
 */
export async function startAgent(parts: AgentParts): Promise<Agent> {
  const { log, runDir, manager } = parts;
  const since = parts.now();
  const closers: (() => unknown)[] = [];
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    return await start();
  } catch (fault) {
    await closeAll();
    throw fault;
  }

  async function start(): Promise<Agent> {
    const life = await takeLock(runDir, { name: 'agent.lock', command: 'kmeshctl agent', waitMs: lockWaitMs });
    closers.push(life.release);
    manager.status('opening the data plane');
    const guard = openGuard({ runDir, plane: await parts.openPlane(), reopen: parts.openPlane });
    closers.push(() => {
      guard.plane.close();
      guard.close();
    });
    const view = viewFinder(parts.node);
    const growth = openGrowth({
      log,
      now: parts.now,
      sizeOf: (map) => guard.plane.map(map).maxEntries,
      grow: async (sizes) => {
        await reconciler.swap(async () => {
          const next = await parts.growPlane(sizes);
          guard.plane.close();
          guard.use(next);
          return next;
        });
      },
    });
    const retry = backoff(retryMs.first, retryMs.last, () => void reconciler.submit([]).then(settled));
    const reclaim = backoff(reclaimMs.first, reclaimMs.last, () => {
      reconciler.reclaim().then(
        (freed) => {
          if (freed > 0) reclaim.reset();
          if (reconciler.status().idleIds > 0) reclaim.arm();
        },
        (fault) => log.error(faultFacts(fault), 'ids could not be freed'),
      );
    });
    const reconciler = openReconciler({
      plane: guard.plane,
      view: view.view,
      enter: () => guard.enter(),
      onNearlyFull: (map) => growth.ask(map),
      onError: (error) => {
        if (error) log.error(faultFacts(error), 'kernel could not be written');
        else log.info({}, 'kernel is as wanted again');
      },
      onBatch: ({ error }) => {
        if (!error) syncMembers(guard.plane, ids);
      },
    });
    const ids: WorkloadIds = {
      local: view.local,
      idOf: (uid) => reconciler.idOf('workload', uid),
      all: () => new Map([...reconciler.names('workload')].map(([name, id]) => [id, name])),
    };
    closers.push(async () => {
      await growth.close();
      retry.close();
      reclaim.close();
      await reconciler.close();
    });

    const inside = async <T>(work: () => T): Promise<T> => {
      const { leave } = await guard.enter();
      try {
        return work();
      } finally {
        leave();
      }
    };
    const heal = openHeal({
      interval: parts.healInterval,
      now: parts.now,
      log,
      plane: () => guard.plane,
      repair: () => reconciler.repair(),
      prune: () => inside(() => pruneMembers(guard.plane, ids, parts.cgroupExists)),
    });
    closers.push(() => heal.close());
    const lag = openLagMeter();
    closers.push(lag.close);

    let wasReady = false;
    let applied = false;
    const reasons = (): readonly string[] => {
      const { refused, error } = reconciler.status();
      return notReady({ report: feed.report, applied, refused: refused.length, error });
    };
    /** After anything that may change what is said of the agent. */
    const settled = (outcome?: { readonly error: KmeshError | undefined }): void => {
      if (outcome && !outcome.error) applied = true;
      if (outcome?.error) retry.arm();
      else retry.reset();
      if (reconciler.status().idleIds > 0) reclaim.arm();
      const why = reasons();
      const { services, workloads } = reconciler.model;
      manager.status(summary(why, services.size, workloads.size));
      if (feed.report && (outcome || applied)) manager.started();
      if (wasReady !== (why.length === 0)) {
        wasReady = why.length === 0;
        if (wasReady) log.info({ services: services.size, workloads: workloads.size }, 'ready');
        else log.warn({ why }, 'not ready');
      }
    };
    const feed = openFeed({
      reconciler,
      view,
      now: parts.now,
      onSettled: (outcome) => {
        log.debug({ ...feed.lastApply }, 'change applied');
        settled(outcome);
      },
    });

    let source: AgentSource | undefined;
    const reload = async (): Promise<ReloadAnswer> => {
      manager.reloading();
      try {
        const before = feed.taken;
        await source?.reload();
        await feed.settled();
        settled();
        const faults = feed.report?.faults.map(remarkOf) ?? [];
        return { ready: reasons().length === 0, changes: feed.taken - before, faults };
      } finally {
        manager.reloaded();
      }
    };
    const answering = {
      ...{ version: parts.version, node: parts.node, since, sourceName: parts.sourceName, log, reload },
      ...{ reconciler, feed, heal, growth, lag, notReady: reasons },
      memberDifferences: () => inside(() => [...memberDifferences(guard.plane, ids)]),
    };
    const server = await openAdminServer(runDir, handlersOf(answering));
    closers.push(() => server.close());
    log.info({ node: parts.node, version: parts.version, socket: server.path }, 'agent started');
    manager.status('reading the configuration');
    source = parts.openSource((changes, report) => {
      feed.take(changes, report);
      // A report alone settles at once.
      if (changes.length === 0 && applied) settled();
    });
    closers.push(() => source?.close());
    heal.start();
    void heal.recount();
    return {
      status: () => statusOf(answering),
      reload,
      heal: () => heal.round(),
      async close() {
        manager.stopping();
        log.info({}, 'agent stops; the data plane goes on');
        await closeAll();
      },
    };
  }
}
