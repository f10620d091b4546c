// SPDX-License-Identifier: Apache-2.0
// Authorization around the reconciler: which pods are judged, host addresses, open connections judged again, and what is told of all that.
import { denialFlag } from '../abi/structs.ts';
import type { AuthzStatus, EnforcementState } from '../admin/authz.ts';
import { type EnforcedPod, enforcedPods, noEnforcement } from '../compile/authz/enforcement.ts';
import type { AuthzOptions } from '../compile/authz/holding.ts';
import { podPlace } from '../compile/authz/image.ts';
import type { DataPlane, Denial } from '../kernel/dataplane.ts';
import type { Address } from '../net/address.ts';
import type { AuthzFacts } from '../outputs/facts.ts';
import { openDenialLog } from './denial-log.ts';
import { enforcementIn } from './enforcement.ts';
import { readEnrolments, writeEnrolments } from './enrolments.ts';
import { type Interfaces, openHostAddresses } from './host-addresses.ts';
import { faultFacts, type Log } from './log.ts';
import { memberIds, type WorkloadIds } from './members.ts';
import { policyHits } from './policy-hits.ts';
import { watchPolicies } from './policy-watch.ts';
import { openRecheck } from './recheck.ts';
import type { AuthzSource, EnforcementNow, Outcome, Reconciler } from './reconciler-api.ts';

export interface AuthzSettings extends AuthzOptions {
  /** Connections from the node's own addresses pass. */
  readonly exemptHost: boolean;
}

export interface AuthzParts {
  readonly settings: AuthzSettings;
  readonly interfaces: () => Interfaces;
  readonly reconciler: Reconciler;
  /** What was current when the kernel was last touched. */
  readonly plane: () => DataPlane;
  readonly ids: WorkloadIds;
  readonly log: Log;
  readonly now: () => number;
}

export interface AgentAuthz extends AuthzSource {
  /** Some pod is judged. */
  readonly judges: boolean;
  /** Attaches what is missing and takes off what is left of pods that are gone. To be called under the lock. */
  keep(): void;
  /** To be told of every outcome. */
  settled(outcome: Outcome): void;
  /** Undefined while nothing is enrolled and there are no policies. */
  status(): AuthzStatus | undefined;
  /** Undefined likewise. */
  facts(): AuthzFacts | undefined;
  close(): Promise<void>;
}

/** So many names are told of each kind. */
const mostNamed = 100;

const samePods = (a: readonly EnforcedPod[], b: readonly EnforcedPod[]): boolean =>
  a.length === b.length && a.every((pod, i) => samePod(pod, b[i] as EnforcedPod));

const samePod = (a: EnforcedPod, b: EnforcedPod): boolean =>
  a.workload === b.workload &&
  a.netns === b.netns &&
  a.hostNetns === b.hostNetns &&
  a.ifindex === b.ifindex &&
  a.addresses.join() === b.addresses.join() &&
  placesText(a) === placesText(b);

const placesText = ({ otherwise }: EnforcedPod): string => JSON.stringify([...(otherwise ?? [])]);

export function openAuthz({ settings, interfaces, reconciler, plane, ids, log, now }: AuthzParts): AgentAuthz {
  let current: EnforcementNow = { enforcement: noEnforcement, pods: [] };
  /** What it was read from. */
  let seen: { readonly plane: DataPlane; readonly epoch: bigint } | undefined;
  let closed = false;

  const safely = <T>(what: string, none: T, work: () => T): T => {
    try {
      return work();
    } catch (fault) {
      // Pins that were taken away are opened anew by whoever writes next.
      if (!closed) log.warn(faultFacts(fault), what);
      return none;
    }
  };
  const hostAddresses = openHostAddresses({
    interfaces,
    changed() {
      // All is read anew: pods may have other addresses by now.
      seen = undefined;
      void reconciler.submit([]);
    },
  });
  const policies = watchPolicies(settings, log);
  const denials = openDenialLog({
    read: () => safely<readonly Denial[]>('denials cannot be read', [], () => plane().denials()),
    nameOf: reconciler.nameOf,
    log,
    onDenial({ flags }) {
      // It cannot be ended where it was judged.
      if ((flags & denialFlag.handshake) !== 0) recheck.changed();
    },
  });
  const recheck = openRecheck<Denial>({
    denied: () => plane().denied(),
    judged: () => new Set(current.enforcement.pods.map(({ netns }) => BigInt(netns))),
    handshakes: (netns) => plane().handshakes(netns),
    recheck: (netns) => plane().recheck([netns]),
    destroyed: denials.take,
    log,
    now,
  });
  /** Does what goes with these pods; the addresses that are exempt. */
  const follow = (pods: readonly EnforcedPod[]): ReadonlySet<Address> => {
    const before = new Set(current.enforcement.pods.map(({ netns }) => netns));
    const fresh = pods.filter(({ netns }) => !before.has(netns));
    // What was open before it was enrolled is judged, too.
    recheck.fresh(fresh.map(({ netns }) => BigInt(netns)));
    if (pods.length === 0) {
      denials.stop();
      hostAddresses.rest();
      return noEnforcement.hosts;
    }
    denials.start();
    return settings.exemptHost ? hostAddresses.look() : noEnforcement.hosts;
  };

  const stateCounts = (): Record<EnforcementState, number> => {
    const counts = { on: 0, pending: 0, off: 0 };
    safely('enrolments cannot be read', undefined, () => {
      const stateOf = enforcementIn(plane());
      for (const enrolment of readEnrolments(plane()).values()) counts[stateOf(enrolment)]++;
    });
    return counts;
  };
  const isIdle = ({ on, pending, off }: Record<EnforcementState, number>): boolean =>
    on + pending + off + reconciler.model.policies.size === 0;
  const named = (faults: ReadonlyMap<string, string>): string[] => [...faults.keys()].sort().slice(0, mostNamed);

  return {
    options: settings,
    read(from) {
      const epoch = from.map('level').get(0)?.epoch ?? 0n;
      if (from === seen?.plane && epoch === seen.epoch) return current;
      const entries = [...from.map('pod_address').entries()];
      const pods = enforcedPods(
        [...readEnrolments(from).values()].filter(({ authz }) => authz),
        entries.map(([address, place]) => [address, podPlace(place)]),
      );
      const hosts = follow(pods);
      const before = current.enforcement;
      const same = hosts === before.hosts && samePods(pods, before.pods);
      current = { enforcement: same ? before : { pods, hosts }, pods: entries };
      seen = { plane: from, epoch };
      return current;
    },
    settled({ judged }) {
      policies.look(reconciler.model);
      if (judged) recheck.changed();
    },
    get judges() {
      return current.enforcement.pods.length > 0;
    },
    keep() {
      const held = readEnrolments(plane());
      const judged = new Map<bigint, bigint>();
      for (const { authz, cgroupId, netns } of held.values()) if (authz) judged.set(cgroupId, netns);
      const { attached, removed, moved, faults } = plane().keepEnforced(judged);
      if (attached + removed > 0) log.info({ attached, removed }, 'programs of judged pods put right');
      for (const fault of faults) log.warn(faultFacts(fault), 'programs of a judged pod cannot be put right');
      for (const [cgroupId, netns] of moved) {
        const enrolment = held.get(cgroupId);
        if (enrolment) held.set(cgroupId, { ...enrolment, netns });
      }
      if (moved.size > 0 && ids.known) writeEnrolments(plane(), held, memberIds(ids));
    },
    status() {
      const { faults } = policies;
      const counts = stateCounts();
      if (isIdle(counts)) return undefined;
      return {
        pods: counts,
        stale: named(faults.stale),
        refused: named(faults.refused),
        deniesLess: named(faults.deniesLess),
        denials: denials.counts(),
        rechecks: recheck.status(),
      };
    },
    facts() {
      const counts = stateCounts();
      if (isIdle(counts)) return undefined;
      const { stale, refused, deniesLess } = policies.faults;
      const { seen, suppressed } = denials.counts();
      const { rounds, destroyed } = recheck.status();
      return {
        pods: counts,
        policies: { stale: stale.size, refused: refused.size, denies_less: deniesLess.size },
        verdicts: current.enforcement.pods.length === 0 ? [] : policyHits(plane(), reconciler),
        denials: { logged: seen - suppressed, suppressed },
        rechecks: rounds,
        destroyed,
      };
    },
    async close() {
      closed = true;
      hostAddresses.close();
      policies.close();
      denials.stop();
      await recheck.close();
    },
  };
}
