// SPDX-License-Identifier: Apache-2.0
// Writes enrolments with what judges their inbound connections: that is attached before programs know of them, and taken off after.
import { protocolNumber, settingFlag } from '../abi/structs.ts';
import { workloadIdFinder, writeEnrolments } from '../agent/enrolments.ts';
import { lockHolder } from '../agent/lock.ts';
import type { Enrolment } from '../compile/enrolment.ts';
import type { Place } from '../env.ts';
import type { PinnedDataPlane } from '../kernel/pinned.ts';
import type { PodNetwork } from '../kernel/pod-network.ts';
import type { HeldNames } from './held/names.ts';

const judgedOf = (enrolments: ReadonlyMap<bigint, Enrolment>): Set<bigint> =>
  new Set([...enrolments.values()].filter(({ authz }) => authz).map(({ netns }) => netns));

export interface EnrolmentChange {
  readonly held: ReadonlyMap<bigint, Enrolment>;
  readonly wanted: ReadonlyMap<bigint, Enrolment>;
  /** Descriptors of namespaces in which something begins to be judged, or may have come off. */
  readonly networks: readonly number[];
  readonly names: HeldNames;
}

/**
 * Carries it out under the lock, and says what the networks are. There is no moment in which a cgroup is enrolled to be judged and is not;
 * when something cannot be attached, nothing has changed.
 */
export function changeEnrolments({ runDir }: Place, plane: PinnedDataPlane, change: EnrolmentChange): PodNetwork[] {
  const { held, wanted, networks } = change;
  try {
    // Without these, answers to the pods' own datagrams would be judged.
    if (networks.length > 0) plane.setUdpHooks(true);
    const before = addressesText(plane);
    const attached = networks.map((fd) => plane.enforce(fd));
    const moved = addressesText(plane) !== before;
    writeEnrolments(plane, wanted, workloadIdFinder(change.names.all('workload')), moved);
    const judged = judgedOf(wanted);
    plane.collect(judged);
    // An agent knows by itself.
    const alone = judged.size === 0 && judgedOf(held).size > 0 && !lockHolder(runDir, 'agent.lock');
    if (alone && !servicesNeedUdpHooks(plane)) plane.setUdpHooks(false);
    return attached;
  } catch (cause) {
    plane.collect(judgedOf(held));
    throw cause;
  }
}

/** Which pod has which address, as text. */
const addressesText = (plane: PinnedDataPlane): string =>
  [...plane.map('pod_address').entries()]
    .map(([address, { netns }]) => `${address} ${netns}`)
    .sort()
    .join('\n');

/** They cost every sender of datagrams on the node. */
function servicesNeedUdpHooks(plane: PinnedDataPlane): boolean {
  if ((plane.map('setting').get(0)?.flags ?? 0) & settingFlag.onDemand) return true;
  for (const name of ['frontend', 'variant', 'cidr'] as const)
    for (const [{ protocol }] of plane.map(name).entries()) if (protocol === protocolNumber.udp) return true;
  return false;
}
