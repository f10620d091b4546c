// SPDX-License-Identifier: Apache-2.0
// Whether a connection gets in, and why: by the kernel's maps, with the words of the agent where one runs.
import type { AuthzExplanation, EnforcementState } from '../../admin/authz.ts';
import { type AdminClient, adminClient } from '../../admin/client.ts';
import type { AuthzExplainQuery } from '../../admin/routes.ts';
import { enforcementIn } from '../../agent/enforcement.ts';
import { readEnrolments } from '../../agent/enrolments.ts';
import type { Env, Place } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';
import { openPinned } from '../../kernel/pinned.ts';
import type { Told } from '../../mesh/told.ts';
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
  /** Why it is closed, and policies of which a later version was refused, as the agent tells. */
  readonly closed: readonly { readonly policy: string; readonly reason: string }[];
  readonly stale: readonly string[];
  /** Lines for people. */
  readonly notes: readonly string[];
  /** False: no agent answered, so nobody says what the nearest rules ask for, or what is stale. */
  readonly agent: boolean;
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
    const asked = (meet.length > 0 ? meet : all.slice(0, 1)).map(async ({ address, destination }) => {
      const { port, protocol } = target;
      const there = enrolled(destination) ?? openAs(plane, target.workload);
      const held: Held = {
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
      return withAgent(held, await askAgent(agent, { source: address, destination, port }));
    });
    return await Promise.all(asked);
  } finally {
    plane.close();
  }
}

type Held = Omit<PolicyExplanation, 'closed' | 'stale' | 'notes' | 'agent'>;

/** What the agent knows of it: nothing while it knows of no policies for the destination. */
async function askAgent(agent: AdminClient, query: AuthzExplainQuery): Promise<AuthzExplanation | 'silent' | 'absent'> {
  try {
    return await agent.authzExplain(query);
  } catch (fault) {
    if (!(fault instanceof KmeshError)) throw fault;
    if (fault.code === 'KM_NOT_FOUND') return 'silent';
    if (fault.code === 'KM_AGENT_UNREACHABLE') return 'absent';
    throw fault;
  }
}

/** The kernel says what happens, the agent in which words. */
function withAgent(held: Held, model: AuthzExplanation | 'silent' | 'absent'): PolicyExplanation {
  const none = { closed: [], stale: [], notes: [] };
  if (model === 'silent' || model === 'absent') return { ...held, ...none, agent: model === 'silent' };
  const { told, closed, stale, owner, principal, exempt } = model;
  const wanted = exempt ? 'allow' : told.verdict;
  const differs = held.because !== 'own' && held.because !== 'not-judged' && held.verdict !== wanted;
  const same = held.told !== undefined && sameVerdict(held.told, told);
  return {
    ...held,
    from: { ...held.from, workload: held.from.workload || owner.split('/').slice(-2).join('/') },
    principal: held.principal || principal,
    ...(same && { told }),
    closed,
    stale,
    notes: differs ? [`the agent wants ${wanted} here: "kmeshctl dump diff" says what is not in the kernel yet`] : [],
    agent: true,
  };
}

/** Which of several rules that match is named may differ. A policy that closes is one that denies, in the kernel. */
function sameVerdict(held: Told, model: Told): boolean {
  const { by } = model;
  return held.verdict === model.verdict && (by === undefined ? held.by === undefined : held.by?.policy === by.policy);
}

interface Enrolled {
  readonly workload: string;
  readonly enforcement: EnforcementState;
}

/** A workload that is enrolled and not judged: the kernel holds no address of it. */
function openAs(plane: DataPlane, workload: string): Enrolled | undefined {
  if (workload === '') return undefined;
  const open = [...readEnrolments(plane).values()].some((one) => one.workload === workload && !one.authz);
  return open ? { workload, enforcement: 'off' } : undefined;
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
