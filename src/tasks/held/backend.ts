// SPDX-License-Identifier: Apache-2.0
// One backend as the programs read it: header, endpoints, and the share of new connections that each gets.
import { backendFlag, endpointFlag, policyCode, slotsOfListed, viaFlag } from '../../abi/structs.ts';
import type { DataPlane, HeaderSlot } from '../../kernel/dataplane.ts';
import type { BalancerPolicy } from '../../mesh/service.ts';

export interface HeldEndpoint {
  readonly workloadId: number;
  readonly address: string;
  readonly port: number;
  /** 0 to 1, before open connections (least request) and affinity count. */
  readonly probability: number;
  /** Of a waypoint that reads a header first: which. */
  readonly header?: 'proxy' | 'kmesh';
}

export interface HeldBackend {
  readonly id: number;
  readonly generation: number;
  readonly serviceId: number;
  readonly policy: BalancerPolicy;
  readonly affinitySeconds: number;
  readonly passthrough: boolean;
  readonly emptyDirect: boolean;
  /** The waypoint's backend that TCP goes through. */
  readonly via?: {
    readonly backendId: number;
    readonly direct: boolean;
    readonly refuse: boolean;
    /** Ports whose server speaks first, of a backend that stands for all ports. */
    readonly listed: readonly number[];
    readonly listedDirect: boolean;
  };
  readonly maglevFirst: number;
  readonly maglevSize: number;
  readonly endpoints: readonly HeldEndpoint[];
}

/** How often a range that changes meanwhile is read again, as the programs do. */
const tries = 3;

/**
 * The backend with that id; undefined when there is none (or it changed each time it was read).
 * Without `probabilities` they are NaN: tables of up to 16,381 places are not read.
 */
export function readBackend(plane: DataPlane, id: number, probabilities = true): HeldBackend | undefined {
  for (let attempt = 0; attempt < tries; attempt++) {
    const at = plane.map('backend').get(id);
    if (!at || at.first === 0) return undefined;
    const header = plane.header(at.first);
    if (header.backend_id !== id || header.generation !== at.generation) continue;
    const backend = decodeRange(plane, at.first, header, probabilities);
    if (plane.map('backend').get(id)?.generation === at.generation) return backend;
  }
  return undefined;
}

function decodeRange(plane: DataPlane, first: number, header: HeaderSlot, probabilities: boolean): HeldBackend {
  const map = plane.map('endpoint');
  const slots = Array.from({ length: header.count }, (_, i) => map.get(first + 1 + i));
  const policy = policyOf(header.policy);
  const share = probabilities
    ? shares(
        policy,
        slots.map((s) => ({ threshold: s?.threshold ?? 0, alias: s?.alias ?? 0 })),
        readTable(plane, header.maglev_first, header.maglev_size),
      )
    : [];
  return {
    id: header.backend_id,
    generation: header.generation,
    serviceId: header.service_id,
    policy,
    affinitySeconds: header.affinity_seconds,
    passthrough: (header.flags & backendFlag.passthrough) !== 0,
    emptyDirect: (header.flags & backendFlag.emptyDirect) !== 0,
    ...((header.flags & backendFlag.via) === 0 ? {} : { via: viaAt(plane, first + 1 + header.count) }),
    maglevFirst: header.maglev_first,
    maglevSize: header.maglev_size,
    endpoints: slots.map((slot, i) => ({
      workloadId: slot?.workload_id ?? 0,
      address: slot?.addr ?? '',
      port: slot?.port ?? 0,
      probability: share[i] ?? Number.NaN,
      ...headerOf(slot?.flags ?? 0),
    })),
  };
}

function viaAt(plane: DataPlane, slot: number): NonNullable<HeldBackend['via']> {
  const { backend_id, flags, listed } = plane.via(slot);
  const slots = Array.from({ length: slotsOfListed(listed) }, (_, i) => plane.ports(slot + 1 + i));
  return {
    backendId: backend_id,
    direct: (flags & viaFlag.direct) !== 0,
    refuse: (flags & viaFlag.refuse) !== 0,
    listed: slots.flatMap(({ ports }) => ports).slice(0, listed),
    listedDirect: (flags & viaFlag.listedDirect) !== 0,
  };
}

function headerOf(flags: number): Pick<HeldEndpoint, 'header'> {
  if ((flags & endpointFlag.proxy) !== 0) return { header: 'proxy' };
  return (flags & endpointFlag.kmesh) === 0 ? {} : { header: 'kmesh' };
}

function policyOf(code: number): BalancerPolicy {
  const found = Object.entries(policyCode).find(([, c]) => c === code);
  return (found?.[0] ?? 'random') as BalancerPolicy;
}

/** The endpoint index in place `at` of a table that begins at slot `first`. */
export function tableEntry(plane: DataPlane, first: number, at: number): number {
  return plane.map('maglev').get(first + (at >> 1))?.index[at & 1] ?? 0;
}

function readTable(plane: DataPlane, first: number, size: number): readonly number[] {
  return Array.from({ length: size }, (_, i) => tableEntry(plane, first, i));
}

/** Share of each endpoint. `table`: the index table, empty when the range has none. */
export function shares(
  policy: BalancerPolicy,
  slots: readonly { readonly threshold: number; readonly alias: number }[],
  table: readonly number[],
): readonly number[] {
  const n = slots.length;
  if (table.length > 0) {
    const turns = new Array<number>(n).fill(0);
    for (const i of table) if (i < n) turns[i] = (turns[i] as number) + 1;
    return turns.map((t) => t / table.length);
  }
  if (policy === 'least-request') {
    const sum = slots.reduce((total, s) => total + s.threshold, 0);
    return slots.map((s) => s.threshold / sum);
  }
  if (policy !== 'random') return slots.map(() => 1 / n);
  const out = new Array<number>(n).fill(0);
  slots.forEach(({ threshold, alias }, i) => {
    const kept = alias === i ? 1 : threshold / 2 ** 32;
    out[i] = (out[i] as number) + kept / n;
    if (alias < n) out[alias] = (out[alias] as number) + (1 - kept) / n;
  });
  return out;
}
