// SPDX-License-Identifier: Apache-2.0
// Is what judges the inbound connections of pods attached, and is it alone there?
import { closeSync } from 'node:fs';
import { readEnrolments } from '../agent/enrolments.ts';
import type { Enrolment } from '../compile/enrolment.ts';
import type { Place } from '../env.ts';
import { cgroupPath } from '../kernel/cgroup.ts';
import { netnsFinder } from '../kernel/find-netns.ts';
import { lookupPrograms } from '../kernel/hook-programs.ts';
import { isLoaded, openPinned } from '../kernel/pinned.ts';
import type { HostSide } from '../kernel/pod-network.ts';
import { type Check, failed, ok, tried, warning } from './finding.ts';

interface Pod {
  readonly name: string;
  readonly netns: bigint;
  /** Undefined: nothing is attached. */
  readonly guarded: readonly HostSide[] | undefined;
  /** sk_lookup programs that are not ours. */
  readonly others: readonly string[];
}

function podCheck({ name, netns, guarded, others }: Pod): Check {
  if (!guarded) {
    const hint = 'start the agent, or kmeshctl enroll it again with --authz on';
    return failed(name, 'should be judged, and is not: that has come off', hint);
  }
  if (others.length > 0) {
    const hint = 'one that picks a socket lets in what a policy denies: take it off';
    return warning(name, `sk_lookup programs of others: ${others.join(', ')}`, hint);
  }
  if (guarded.length > 0) return ok(name, `network namespace ${netns}`);
  const hint = 'give it a veth or netkit pair: nothing else can keep it from the addresses of others';
  return warning(
    name,
    'no device was found that joins it to the host: whose addresses it sends from is not checked',
    hint,
  );
}

/** Looks at every enrolled cgroup whose inbound connections should be judged. */
export function podChecks({ bpffs }: Place): Check[] {
  if (!isLoaded(bpffs)) return [ok('pods that are judged', 'none')];
  const found: Check[] = [];
  const whole = tried('pods that are judged', () => {
    const plane = openPinned(bpffs);
    const finder = netnsFinder();
    const own = plane.programs().find(({ name }) => name === 'authz')?.id;
    const othersIn = (netns: bigint): string[] => {
      const fd = finder.open(netns);
      if (fd === undefined) return [];
      try {
        return lookupPrograms(fd).flatMap(({ id, name }) => (id === own ? [] : [`${name} (id ${id})`]));
      } finally {
        closeSync(fd);
      }
    };
    const nameOf = ({ workload }: Enrolment, path: string) => (workload === '' ? path : workload);
    try {
      const enforced = plane.enforced();
      for (const pod of readEnrolments(plane).values()) {
        const path = pod.authz ? cgroupPath(pod.cgroupId) : undefined;
        if (path === undefined) continue;
        const { netns } = pod;
        found.push(podCheck({ name: nameOf(pod, path), netns, guarded: enforced.get(netns), others: othersIn(netns) }));
      }
      return ok('pods that are judged', found.length === 0 ? 'none' : `${found.length}`);
    } finally {
      plane.close();
    }
  });
  return [whole, ...found];
}
