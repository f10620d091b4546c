// SPDX-License-Identifier: Apache-2.0
// Whether a connection gets in, and why: by the kernel's maps, with the words of the agent where one runs.

import type { EnforcementState } from '../../admin/authz.ts';
import { adminClient } from '../../admin/client.ts';
import { enforcementIn } from '../../agent/enforcement.ts';
import { readEnrolments } from '../../agent/enrolments.ts';
import type { Env, Place } from '../../env.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';
import { openPinned } from '../../kernel/pinned.ts';
import { type Address, isV4 } from '../../net/address.ts';
import { type HeldVerdict, judgeHeld } from './held.ts';
import { findSource, findTarget } from './parties.ts';

export type { Because } from './held.ts';

export interface ExplainPoliciesOptions {
  readonly place: Place;
  /** An address, "namespace/name" of a workload, a process id, or a cgroup. */
  readonly from: string;
  /** "ADDRESS:PORT" or "NAMESPACE/NAME:PORT", with "/udp" or not. */
  readonly to: string;
}

/** Of one pair of addresses. */
export interface PolicyExplanation extends HeldVerdict {
  readonly from: { readonly workload: string; readonly address: Address };
  readonly to: {
    readonly workload: string;
    readonly address: Address;
    readonly port: number;
    readonly protocol: 'tcp' | 'udp';
    /** Of the pod that has the address; absent: no pod that is enrolled here has it. */
    readonly enforcement?: EnforcementState;
  };
}

/** One for each pair of addresses that can meet. KM_USAGE, KM_NOT_FOUND, KM_NOT_LOADED. The agent's absence is no failure. */
export async function explainPolicies(_env: Env, options: ExplainPoliciesOptions): Promise<PolicyExplanation[]> {
  const { place, from, to } = options;
  const agent = adminClient(place.runDir);
  const plane = openPinned(place.bpffs);
  try {
    const target = await findTarget(plane, agent, to);
    const source = await findSource(plane, agent, place, from);
    const enrolled = enrolledAt(plane);
    const all = target.addresses.flatMap((destination) =>
      source.addresses.map((address) => ({ address, destination })),
    );
    const meet = all.filter(({ address, destination }) => isV4(address) === isV4(destination));
    return (meet.length > 0 ? meet : all.slice(0, 1)).map(({ address, destination }): PolicyExplanation => {
      const { port, protocol } = target;
      const there = enrolled(destination);
      return {
        from: { workload: source.workload || (enrolled(address)?.workload ?? ''), address },
        to: {
          workload: target.workload || (there?.workload ?? ''),
          address: destination,
          port,
          protocol,
          ...(there && { enforcement: there.enforcement }),
        },
        ...judgeHeld(plane, { source: address, destination, port }),
      };
    });
  } finally {
    plane.close();
  }
}

interface Enrolled {
  readonly workload: string;
  readonly enforcement: EnforcementState;
}

/** Who is enrolled with an address. */
function enrolledAt(plane: DataPlane): (address: Address) => Enrolled | undefined {
  const stateOf = enforcementIn(plane);
  const byNetns = new Map([...readEnrolments(plane).values()].map((one) => [one.netns, one]));
  return (address) => {
    const netns = plane.map('pod_address').get(address)?.netns;
    const enrolment = netns === undefined ? undefined : byNetns.get(BigInt(netns));
    return enrolment && { workload: enrolment.workload, enforcement: stateOf(enrolment) };
  };
}
