// SPDX-License-Identifier: Apache-2.0
// Where a connection would go and why: what the kernel does, and what the agent's model says of those who are left out.
import type { Protocol } from '../abi/structs.ts';
import { adminClient } from '../admin/client.ts';
import type { Candidate, ModelExplanation } from '../admin/types.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import { openPinned } from '../kernel/pinned.ts';
import { parseSocketAddress } from '../net/socket-address.ts';
import { findClient, type HeldClient } from './held/client.ts';
import { unanswered } from './held/demand.ts';
import { explainByKernel, type KernelExplanation, type Target } from './held/explain.ts';

export type { Candidate } from '../admin/types.ts';
export type { Choice } from './held/explain.ts';

export interface ExplainOptions {
  readonly place: Place;
  /** A process id, "namespace/name" of a workload, or a cgroup. Absent: an enrolled client that is not known by name. */
  readonly from?: string;
  /** "address:port" or "address:port/udp". */
  readonly to: string;
}

export interface Explanation extends Target, KernelExplanation {
  readonly from?: {
    readonly cgroup: string;
    readonly enrolled: boolean;
    /** uid, or ''. */
    readonly workload: string;
    readonly namespace: string;
  };
  /** False: no agent answered, so nobody says why others are out. */
  readonly agent: boolean;
}

function parseTarget(to: string): Target {
  const match = /^(.*?)(?:\/(tcp|udp))?$/.exec(to);
  const target = parseSocketAddress(match?.[1] ?? '');
  if (!target) {
    throw new KmeshError('KM_USAGE', `--to must be ADDRESS:PORT or ADDRESS:PORT/udp, got "${to}"`, {
      hint: 'an address, no name; IPv6 in brackets: [fd00::1]:53/udp',
    });
  }
  return { ...target, protocol: (match?.[2] ?? 'tcp') as Protocol };
}

/** KM_USAGE, KM_NOT_FOUND (who dials), KM_NOT_LOADED. The agent's absence is no failure. */
export async function explainConnection(_env: Env, { place, from, to }: ExplainOptions): Promise<Explanation> {
  const target = parseTarget(to);
  const plane = openPinned(place.bpffs);
  try {
    return await explainOn(plane, place, from, target, process.hrtime.bigint());
  } finally {
    plane.close();
  }
}

async function explainOn(
  plane: DataPlane,
  place: Place,
  from: string | undefined,
  target: { readonly address: string; readonly port: number; readonly protocol: Protocol },
  monotonicNs: bigint,
): Promise<Explanation> {
  const client = from === undefined ? undefined : findClient(plane, place, from);
  const kernel = explainByKernel(plane, client, target, monotonicNs);
  const model = await askAgent(place, client, target);
  // What the agent does not know yet it cannot judge.
  const judges = model !== undefined && (model.backend !== '' || !unanswered(plane, client, target.address));
  const at = (c: Candidate) => `${c.workload} ${c.address}`;
  const weights = new Map(model?.candidates.map((c) => [at(c), c.weight]));
  const out = model?.candidates.filter((c) => c.out !== '') ?? [];
  return {
    ...(client === undefined ? {} : { from: fromOf(client) }),
    ...target,
    ...kernel,
    candidates: [...kernel.candidates.map((c) => ({ ...c, weight: weights.get(at(c)) ?? 0 })), ...out],
    notes: [...kernel.notes, ...(judges ? model.notes : []), ...disagreement(kernel, model)],
    agent: model !== undefined,
  };
}

function fromOf({ cgroup, enrolled, workload, namespace }: HeldClient): NonNullable<Explanation['from']> {
  return { cgroup, enrolled, workload, namespace };
}

async function askAgent(
  place: Place,
  client: HeldClient | undefined,
  target: { readonly address: string; readonly port: number; readonly protocol: Protocol },
): Promise<ModelExplanation | undefined> {
  const agent = adminClient(place.runDir);
  try {
    const workload = client === undefined || client.workload === '' ? undefined : client.workload;
    if (workload === undefined) return await agent.explain(target);
    return await agent.explain({ workload, ...target }).catch((fault: unknown) => {
      // A client that the agent does not know (any more) is one without a name to it.
      if (fault instanceof KmeshError && fault.code === 'KM_NOT_FOUND') return agent.explain(target);
      throw fault;
    });
  } catch (fault) {
    if (fault instanceof KmeshError && fault.code === 'KM_AGENT_UNREACHABLE') return undefined;
    throw fault;
  }
}

function disagreement(kernel: { readonly backend?: string }, model: ModelExplanation | undefined): readonly string[] {
  if (!model || (kernel.backend ?? '') === model.backend) return [];
  return [`the agent wants backend "${model.backend}" here: "kmeshctl dump diff" says what is not in the kernel yet`];
}
