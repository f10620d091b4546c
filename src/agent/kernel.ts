// SPDX-License-Identifier: Apache-2.0
// The agent's side towards the kernel: the reconciler, and what retries, reclaims, grows and heals around it.
import type { Reason } from '../abi/reasons.ts';
import type { Difference } from '../admin/types.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import type { MapSizes } from '../kernel/sizes.ts';
import { type AgentAuthz, type AuthzSettings, openAuthz } from './authz.ts';
import { backoff } from './backoff.ts';
import type { DemandSettings } from './demand.ts';
import { type Growth, openGrowth } from './growth.ts';

import { type AgentPlane, openGuard } from './guard.ts';

import { type Heal, openHeal } from './heal.ts';
import type { Interfaces } from './host-addresses.ts';
import { openKeeping } from './keeping.ts';
import { faultFacts, type Log } from './log.ts';
import { memberDifferences, openMemberSync, pruneMembers, syncMembers, type WorkloadIds } from './members.ts';
import { openReconciler } from './reconciler.ts';
import type { Outcome, Reconciler } from './reconciler-api.ts';
import type { ViewFinder } from './view.ts';

export interface KernelParts {
  readonly runDir: string;
  readonly log: Log;
  readonly now: () => number;
  /** Milliseconds between two full comparisons; 0: never. */
  readonly healInterval: number;
  /** Opens the pins; loads the programs when there are none. The lock is free. */
  readonly openPlane: () => Promise<AgentPlane>;
  /** The same once another process has swapped them or taken them away. */
  readonly reopenPlane: () => Promise<AgentPlane>;
  /** Brings a swap to an end that was cut short. The lock is held. */
  readonly recoverPlane?: () => void;
  /** Swaps in maps of these sizes and opens them. The lock is held. */
  readonly growPlane: (sizes: MapSizes) => Promise<AgentPlane>;
  readonly cgroupExists: (cgroupId: bigint) => boolean;
  readonly authz: AuthzSettings;
  /** The node's network interfaces. */
  readonly interfaces: () => Interfaces;
  /** What is needed is learned from what the programs miss; absent: everything is known beforehand. */
  readonly onDemand?: DemandSettings | undefined;
}

export interface AgentKernel {
  readonly reconciler: Reconciler;
  readonly growth: Growth;
  readonly heal: Heal;
  readonly authz: AgentAuthz;
  /** To be told of every outcome: a failure is tried again, ids that wait are asked after. */
  settle(outcome: Outcome): void;
  /** How enrolled cgroups differ from what was asked for. */
  memberDifferences(): Promise<readonly Difference[]>;
  /** Runs `work` under the lock with the data plane that is current, when nothing else touches it. */
  inside<T>(work: (plane: DataPlane) => T): Promise<T>;
  /** The data plane that was current when the kernel was last touched. */
  plane(): DataPlane;
  /** What the programs counted so far. */
  reasons(): ReadonlyMap<Reason, bigint>;
  /** Stops at the next pause; what the kernel holds stays. */
  close(): Promise<void>;
}

/** Names between two pauses. */
const namesAStep = 256;
const retryMs = { first: 1_000, last: 30_000 };
/** Ids whose last socket has gone are free a few seconds later; those of long connections are asked after less and less often. */
const reclaimMs = { first: 5_000, last: 300_000 };

/** Opens the pins and takes them over; nothing is written before the reconciler is given something. */
export async function openKernel(
  parts: KernelParts,
  view: ViewFinder,
  onOutcome: (outcome: Outcome) => void,
): Promise<AgentKernel> {
  const { log, runDir, now } = parts;
  const plane = await parts.openPlane();
  const guard = openGuard({ runDir, plane, reopen: parts.reopenPlane, recover: parts.recoverPlane });
  const reconciler = openReconciler({
    plane: guard.plane,
    view: view.view,
    onMiss: parts.onDemand?.onMiss,
    authz: { options: parts.authz, read: (current) => authz.read(current) },
    async enter(before) {
      const entered = await guard.enter();
      // Who swapped the maps may have missed connections that opened or closed right then.
      if (entered.plane !== before) void heal.recount();
      return entered;
    },
    onNearlyFull: (map, { used, size }) => {
      log.info({ map, used, size }, 'map is nearly full');
      growth.ask(map);
    },
    onError: (error) => {
      if (error) log.error(faultFacts(error), 'kernel could not be written');
      else log.info({}, 'kernel is as wanted again');
    },
    onBatch: (outcome) => {
      if (!outcome.error) followMembers(guard.plane);
      authz.settled(outcome);
      onOutcome(outcome);
    },
  });
  const ids: WorkloadIds = {
    local: view.local,
    get known() {
      return reconciler.known;
    },
    idOf: (uid) => reconciler.idOf('workload', uid),
    all: () => new Map([...reconciler.names('workload')].map(([name, id]) => [id, name])),
  };
  const followMembers = openMemberSync(ids);
  const authz = openAuthz({
    ...{ settings: parts.authz, interfaces: parts.interfaces, reconciler, ids, log, now },
    plane: () => guard.plane,
  });
  const growth = openGrowth({
    log,
    now,
    sizeOf: (map) => guard.plane.map(map).maxEntries,
    neededIn: (map) => {
      let needed = 0;
      const { refused, refusedVerdicts } = reconciler.status();
      for (const { shortage } of [...refused, ...refusedVerdicts]) if (shortage?.map === map) needed += shortage.needed;
      return needed;
    },
    grow: async (sizes) => {
      await reconciler.swap(() => guard.swap(() => parts.growPlane(sizes)));
      void heal.recount();
    },
  });
  const inside = async <T>(work: (plane: DataPlane) => T | Promise<T>): Promise<T> => {
    const { plane: current, leave } = await guard.enter();
    try {
      return await work(current);
    } finally {
      leave();
    }
  };
  const heal = openHeal({
    interval: parts.healInterval,
    now,
    log,
    inside,
    *workloadLimit() {
      let highest = 0;
      let seen = 0;
      for (const [, id] of reconciler.names('workload')) {
        highest = Math.max(highest, id);
        if (++seen % namesAStep === 0) yield;
      }
      return highest + 1;
    },
    repair: () => reconciler.repair(),
    prune: () =>
      inside(() => {
        const removed = pruneMembers(guard.plane, ids, parts.cgroupExists);
        syncMembers(guard.plane, ids);
        authz.keep();
        return removed;
      }),
  });
  const keeping = openKeeping({ needed: () => authz.judges, keep: () => inside(() => authz.keep()), log });
  const retry = backoff(retryMs.first, retryMs.last, () => void reconciler.submit([]).then(settle));
  const reclaim = backoff(reclaimMs.first, reclaimMs.last, () => {
    reconciler.reclaim().then(
      (freed) => {
        if (freed > 0) reclaim.reset();
        if (reconciler.status().idleIds > 0) reclaim.arm();
      },
      (fault) => log.error(faultFacts(fault), 'ids could not be freed'),
    );
  });
  const settle = ({ error }: Outcome): void => {
    if (error) retry.arm();
    else retry.reset();
    if (reconciler.status().idleIds > 0) reclaim.arm();
  };

  return {
    reconciler,
    growth,
    heal,
    authz,
    settle,
    memberDifferences: () => inside(() => [...memberDifferences(guard.plane, ids)]),
    inside,
    plane: () => guard.plane,
    reasons: () => guard.plane.reasons(),
    async close() {
      retry.close();
      reclaim.close();
      await keeping.close();
      await authz.close();
      await growth.close();
      // A repair that seeks a quiet moment ends with the reconciler.
      const healed = heal.close();
      await reconciler.close();
      await healed;
      guard.plane.close();
      guard.close();
    },
  };
}
