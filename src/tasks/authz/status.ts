// SPDX-License-Identifier: Apache-2.0
// What is judged on this node, by which policies, and what they decided: from the kernel's maps, with what the agent knows of the policies.
import type { Reason } from '../../abi/reasons.ts';
import type {
  AuthzMode,
  AuthzPolicyRow,
  AuthzRow,
  AuthzStatus,
  EnforcementState,
  PolicyHits,
} from '../../admin/authz.ts';
import { adminClient } from '../../admin/client.ts';
import { enforcementIn, podAddresses } from '../../agent/enforcement.ts';
import { readEnrolments } from '../../agent/enrolments.ts';
import { heldStack, memberOf } from '../../compile/authz/from-maps.ts';
import { parts } from '../../compile/authz/set.ts';
import { wordBits } from '../../compile/authz/vector.ts';
import type { Env, Place } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import { cgroupPath } from '../../kernel/cgroup.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';
import { openPinned } from '../../kernel/pinned.ts';
import type { Address } from '../../net/address.ts';
import { type HeldNames, readNames } from '../held/names.ts';

export interface ShowPoliciesOptions {
  readonly place: Place;
  /** "namespace/name": only that. */
  readonly workload?: string;
}

/** A policy, or the dry run of one, as it is in the kernel. */
export interface HeldPolicy {
  /** "namespace/name" */
  readonly policy: string;
  readonly action: 'allow' | 'deny';
  readonly dryRun: boolean;
  readonly conjunctions: number;
}

/** An enrolled cgroup. */
export interface JudgedRow {
  /** "namespace/name" that it was enrolled as, or ''. */
  readonly workload: string;
  readonly cgroupId: bigint;
  /** Absent: the cgroup is deleted. */
  readonly cgroup?: string;
  readonly enforcement: EnforcementState;
  readonly addresses: readonly Address[];
  /** Absent: nothing is judged, or no policies are known yet. */
  readonly mode?: AuthzMode;
  readonly conjunctions: number;
  /** Those that can match; with an agent also those that match nothing, which are not in the kernel. */
  readonly policies: readonly HeldPolicy[];
  /** Of the agent: why it is closed, and policies of which a later version was refused. */
  readonly closed: readonly { readonly policy: string; readonly reason: string }[];
  readonly stale: readonly string[];
}

export interface PolicyRow extends HeldPolicy {
  /** On the whole node. */
  readonly hits: PolicyHits;
  /** Enrolled cgroups that it holds for. */
  readonly holdsFor: number;
  /** Of the agent: what is wrong with it, and why; '' when nothing is. */
  readonly fault: string;
}

export interface PoliciesStatus {
  readonly pods: readonly JudgedRow[];
  readonly policies: readonly PolicyRow[];
  /** Why connections were let in or refused, since the programs were loaded; only what was counted. */
  readonly reasons: readonly { readonly reason: Reason; readonly count: bigint }[];
  /** Absent: no agent answers, or it has nothing to say. */
  readonly agent?: AuthzStatus;
}

/** KM_NOT_LOADED, KM_NOT_ENROLLED. */
export async function showPolicies(_env: Env, { place, workload }: ShowPoliciesOptions): Promise<PoliciesStatus> {
  const plane = openPinned(place.bpffs);
  try {
    const agent = await askAgent(place);
    const pods = judgedRows(plane, readNames(plane))
      .map((row) => withAgent(row, agent?.rows.get(String(row.cgroupId))))
      .filter((row) => workload === undefined || row.workload === workload);
    if (workload !== undefined && pods.length === 0) {
      throw new KmeshError('KM_NOT_ENROLLED', `no cgroup is enrolled as ${workload}`, {
        hint: '"kmeshctl enrolled" lists what is enrolled',
      });
    }
    const reasons = [...plane.reasons()].filter(([reason, count]) => count > 0n && reason.startsWith('authz_'));
    return {
      pods,
      policies: policyRows(plane, pods, agent?.rows.values() ?? []),
      reasons: reasons.map(([reason, count]) => ({ reason, count })),
      ...(agent?.status && { agent: agent.status }),
    };
  } finally {
    plane.close();
  }
}

interface AgentSays {
  readonly status: AuthzStatus | undefined;
  /** By the ids of cgroups. */
  readonly rows: ReadonlyMap<string, AuthzRow>;
}

/** Undefined: none answers. */
async function askAgent(place: Place): Promise<AgentSays | undefined> {
  const agent = adminClient(place.runDir);
  try {
    const { authz } = await agent.status({});
    const rows = new Map<string, AuthzRow>();
    for await (const row of agent.authz({})) rows.set(row.cgroupId, row);
    return { status: authz, rows };
  } catch (fault) {
    if (fault instanceof KmeshError && fault.code === 'KM_AGENT_UNREACHABLE') return undefined;
    throw fault;
  }
}

/** What the agent knows beyond the kernel: policies that match nothing, what is wrong with which, and whose address it is. */
export function withAgent(row: JudgedRow, known: AuthzRow | undefined): JudgedRow {
  if (known === undefined) return row;
  const there = new Set(row.policies.map(({ policy }) => policy));
  const others = row.enforcement === 'on' ? known.policies.filter(({ policy }) => !there.has(policy)) : [];
  const policies = others.map(({ policy, action, dryRunOnly }) => ({
    policy,
    action,
    dryRun: dryRunOnly,
    conjunctions: 0,
  }));
  return {
    ...row,
    workload: row.workload || known.workload,
    policies: [...row.policies, ...policies].sort(byName),
    ...(row.mode !== undefined && known.closed.length > 0 && { mode: 'closed' as const }),
    closed: known.closed,
    stale: known.stale,
  };
}

export function judgedRows(plane: DataPlane, names: HeldNames): JudgedRow[] {
  const addresses = podAddresses(plane);
  const stateOf = enforcementIn(plane);
  const policiesIn = setReader(plane, names);
  return [...readEnrolments(plane).values()]
    .sort((a, b) => (a.workload < b.workload ? -1 : a.workload > b.workload ? 1 : Number(a.cgroupId - b.cgroupId)))
    .map((enrolment): JudgedRow => {
      const { workload, cgroupId, netns } = enrolment;
      const enforcement = stateOf(enrolment);
      const own = enforcement === 'off' ? [] : (addresses.get(netns) ?? []);
      const stacks = own.flatMap((address) => heldStack(plane, address) ?? []);
      const policies = merged(new Set(stacks.flatMap(({ sets }) => sets.map(({ set }) => set))), policiesIn);
      const path = cgroupPath(cgroupId);
      const closed = stacks.some((stack) => stack.closed);
      const allows = stacks.some((stack) => stack.allows);
      const denies = policies.some(({ action, dryRun }) => action === 'deny' && !dryRun);
      return {
        workload,
        cgroupId,
        ...(path !== undefined && { cgroup: path }),
        enforcement,
        addresses: [...own].sort(),
        ...(enforcement === 'on' && {
          mode: closed ? 'closed' : allows ? 'allow-list' : denies ? 'deny-list' : 'open',
        }),
        conjunctions: policies.reduce((sum, policy) => sum + policy.conjunctions, 0),
        policies,
        closed: [],
        stale: [],
      };
    });
}

type SetReader = (set: number) => readonly (HeldPolicy & { readonly key: string })[];

/** The policies of a set, each set read once. */
function setReader(plane: DataPlane, names: HeldNames): SetReader {
  const known = new Map<number, ReturnType<SetReader>>();
  return (set) => {
    const before = known.get(set);
    if (before) return before;
    const found = new Map<string, HeldPolicy & { readonly key: string }>();
    const header = plane.map('authz_set').get(set);
    const ends = [...(header?.ends ?? [])];
    for (let bit = 0; header && bit < wordBits * (ends[3] ?? 0); bit++) {
      const member = memberOf(plane.map('authz_member').get(header.member + bit) ?? 0);
      if (member === undefined) continue;
      const part = parts[ends.findIndex((end) => bit < wordBits * end)] ?? 'deny';
      const key = `${member.policy} ${part}`;
      const conjunctions = (found.get(key)?.conjunctions ?? 0) + 1;
      const action = part.endsWith('deny') ? 'deny' : 'allow';
      const policy = names.nameOf('policy', member.policy);
      found.set(key, { key, policy, action, dryRun: part.startsWith('dry'), conjunctions });
    }
    const list = [...found.values()];
    known.set(set, list);
    return list;
  };
}

/** A policy may be in several sets: a long list is cut. */
function merged(sets: Iterable<number>, policiesIn: SetReader): HeldPolicy[] {
  const all = new Map<string, HeldPolicy>();
  for (const set of sets) {
    for (const { key, ...policy } of policiesIn(set)) {
      const before = all.get(key);
      all.set(key, { ...policy, conjunctions: policy.conjunctions + (before?.conjunctions ?? 0) });
    }
  }
  return [...all.values()].sort(byName);
}

const byName = (a: HeldPolicy, b: HeldPolicy): number => (a.policy < b.policy ? -1 : a.policy > b.policy ? 1 : 0);

function hitsOf(plane: DataPlane, id: number | undefined): PolicyHits {
  const hits = id === undefined ? undefined : plane.map('authz_hit').get(id);
  const { denied = 0n, allowed = 0n, dry = 0n } = hits ?? {};
  return { denied: Number(denied), allowed: Number(allowed), dryRun: Number(dry) };
}

/** @param known rows of the agent */
export function policyRows(plane: DataPlane, pods: readonly JudgedRow[], known: Iterable<AuthzRow>): PolicyRow[] {
  const ids = new Map([...readNames(plane).all('policy')].map(([id, name]) => [name, id]));
  const faults = new Map<string, string>();
  for (const { policies } of known) for (const row of policies) faults.set(row.policy, faultOf(row));
  const rows = new Map<string, PolicyRow>();
  for (const { policies } of pods) {
    for (const held of policies) {
      const key = `${held.policy} ${held.action} ${held.dryRun}`;
      const holdsFor = (rows.get(key)?.holdsFor ?? 0) + 1;
      const fault = faults.get(held.policy) ?? '';
      rows.set(key, { ...held, hits: hitsOf(plane, ids.get(held.policy)), holdsFor, fault });
    }
  }
  return [...rows.values()].sort(byName);
}

function faultOf({ state, fault, deniesLess }: AuthzPolicyRow): string {
  if (state !== 'good') return `${state}: ${fault}`;
  return deniesLess ? 'DENIES LESS THAN IT SAYS: it rests on HTTP attributes' : '';
}
