// SPDX-License-Identifier: Apache-2.0
// The way of one connection through the maps, step by step as the programs go.

import { addressHash, cgroupHash } from '../../abi/hash.ts';
import type { Protocol } from '../../abi/structs.ts';
import type { Candidate } from '../../admin/types.ts';
import { isStandIn } from '../../compile/waypoint.ts';
import { counted } from '../../errors.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';
import type { BalancerPolicy } from '../../mesh/service.ts';
import { isV4 } from '../../net/address.ts';
import { socketAddressText } from '../../net/socket-address.ts';
import { type HeldBackend, type HeldEndpoint, readBackend, tableEntry } from './backend.ts';
import type { HeldClient } from './client.ts';
import { unanswered } from './demand.ts';
import { findHeldFrontend } from './frontend.ts';
import { readName } from './names.ts';
import { keptFrom } from './waypoint-port.ts';

export interface Choice {
  readonly workload: string;
  readonly address: string;
  readonly port: number;
  /** "source hash", "session affinity, 42 s old". */
  readonly because: string;
}

export interface KernelExplanation {
  readonly outcome: 'balanced' | 'left-alone' | 'refused';
  /** What settled it, one line. */
  readonly why: string;
  readonly service: string;
  /** As the kernel holds it: an address, or the range around it. */
  readonly frontend?: string;
  readonly backend?: string;
  /** Name of the waypoint's backend that the connection goes through. */
  readonly waypoint?: string;
  readonly policy?: BalancerPolicy;
  readonly affinitySeconds?: number;
  /** The endpoint that this client gets for sure: source hash, or the one that affinity holds. */
  readonly predicted?: Choice;
  readonly candidates: readonly Candidate[];
  readonly notes: readonly string[];
}

export interface Target {
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
}

type Outcome = Pick<KernelExplanation, 'outcome' | 'why'>;

/** `client` undefined: an enrolled one without name, addresses and cgroup. `monotonicNs`: CLOCK_MONOTONIC, as affinity counts. */
export function explainByKernel(
  plane: DataPlane,
  client: HeldClient | undefined,
  target: Target,
  monotonicNs: bigint,
): KernelExplanation {
  const { way, bare } = wayOf(plane, client, target, monotonicNs);
  if (target.protocol !== 'tcp' || way.outcome === 'refused') return way;
  const goals = way.outcome === 'left-alone' ? [target] : bare;
  const kept = goals.flatMap(({ address, port }) => keptFrom(plane, client, address, port) ?? []);
  const [why] = kept;
  if (why === undefined) return way;
  const all = way.outcome === 'left-alone' || kept.length === way.candidates.length;
  if (all) return { ...way, outcome: 'refused', why };
  const some = `${kept.length} of ${way.candidates.length} endpoints: who gets one of them is refused; ${why}`;
  return { ...way, notes: [...way.notes, some] };
}

interface Way {
  readonly way: KernelExplanation;
  /** Endpoints that no header is written to. */
  readonly bare: readonly Pick<Target, 'address' | 'port'>[];
}

/** Where the connection would go, before it is asked whether it may. */
function wayOf(plane: DataPlane, client: HeldClient | undefined, target: Target, monotonicNs: bigint): Way {
  const none = { service: '', candidates: [], notes: [] };
  const settled = (outcome: KernelExplanation['outcome'], why: string, more = {}): Way => ({
    way: { outcome, why, ...none, ...more },
    bare: [],
  });
  const { protocol, address, port } = target;
  const found = findHeldFrontend(plane, protocol, address, port, client?.namespaceId ?? 0);
  // A range says nothing of addresses that were not asked for yet.
  const open = found && found.length === undefined ? undefined : unanswered(plane, client, address);
  if (open?.refused) return settled('refused', open.why);
  if (!found) return settled('left-alone', open?.why ?? 'no frontend: the mesh does not know this destination');
  const text = found.length === undefined ? found.address : `${found.address}/${found.length}`;
  const frontend = `${protocol}/${socketAddressText(text, port)}`;
  const backend = found.backendId === 0 ? undefined : readBackend(plane, found.backendId);
  if (!backend) {
    const why =
      found.backendId === 0
        ? 'no service here is visible to this client'
        : `backend ${found.backendId} is not there: refused until the agent repairs it`;
    return settled(found.backendId === 0 ? 'left-alone' : 'refused', why, { frontend });
  }
  const via = protocol === 'tcp' && backend.via ? goThrough(plane, backend.via, backend, client, target) : undefined;
  const chosen = via?.through ?? backend;
  const named = readName(plane, 'service', backend.serviceId);
  const predicted = predict(plane, chosen, client, address, monotonicNs);
  const goals = via?.outcome?.outcome === 'refused' ? [] : chosen.endpoints;
  const portOf = (e: HeldEndpoint): number => (e.port === 0 && via?.through ? port : e.port);
  const way: KernelExplanation = {
    ...(via?.outcome ?? outcomeOf(backend, client, target)),
    ...(via?.through ? { waypoint: readName(plane, 'backend', via.through.id) } : {}),
    service: isStandIn(named) ? '' : named,
    frontend,
    backend: readName(plane, 'backend', backend.id),
    policy: chosen.policy,
    affinitySeconds: chosen.affinitySeconds,
    ...(predicted ? { predicted } : {}),
    candidates: goals.map((e) => ({
      workload: readName(plane, 'workload', e.workloadId),
      address: e.address,
      port: portOf(e),
      weight: 0,
      probability: e.probability,
      out: '',
    })),
    notes: [
      ...(open ? ['the address was not answered for yet: a service of its own would come before the range'] : []),
      ...(client && !client.enrolled ? [notEnrolled] : []),
      ...(via?.notes ?? []),
      ...(chosen.policy === 'least-request' ? [leastRequest] : []),
    ],
  };
  const bare = goals.filter((e) => e.header === undefined);
  return { way, bare: bare.map((e) => ({ address: e.address, port: portOf(e) })) };
}

interface Through {
  /** Set: the waypoint's endpoints are the candidates. */
  readonly through?: HeldBackend;
  /** Absent: that of the service's own endpoints. */
  readonly outcome?: Outcome;
  readonly notes: readonly string[];
}

const headers = { proxy: 'PROXY protocol v2', kmesh: "Kmesh's header", none: 'no header' } as const;

/** Whether a connection goes through the waypoint of its service. */
function goThrough(
  plane: DataPlane,
  { backendId, direct, refuse, listed, listedDirect }: NonNullable<HeldBackend['via']>,
  own: HeldBackend,
  client: HeldClient | undefined,
  target: Target,
): Through {
  const name = readName(plane, 'backend', backendId);
  const through = readBackend(plane, backendId);
  if (client && !client.enrolled) return { notes: [] };
  const isWaypoint = client?.waypoint || through?.endpoints.some((e) => e.workloadId === client?.workloadId);
  if (client && isWaypoint) return { notes: [`the client is a waypoint itself: past ${name}`] };
  const isListed = listed.includes(target.port);
  if (isListed && listedDirect) return { notes: [`the server speaks first on this port: past ${name}`] };
  if (refuse || isListed) {
    const why = `the server speaks first on this port: ${name} would wait for the client's first bytes`;
    return { outcome: { outcome: 'refused', why }, notes: [] };
  }
  if (!through || through.endpoints.length === 0) {
    if (through && direct) return { notes: [`${name} has no usable endpoint, and past it is allowed`] };
    return { outcome: { outcome: 'refused', why: `${name} has no usable endpoint` }, notes: [] };
  }
  const reads = [...new Set(through.endpoints.map((e) => headers[e.header ?? 'none']))].join(' or ');
  const after = outcomeOf(through, client, target);
  const outcome = after.outcome === 'balanced' ? { ...after, why: `through ${name}, ${after.why}` } : after;
  const to = own.passthrough ? 'the address that was dialled' : 'the service';
  return { through, outcome, notes: [`the waypoint goes on to ${to}; it is told of it by ${reads}`] };
}

const notEnrolled = 'the candidates and their chances are those of a client that is enrolled';
const leastRequest = 'of two endpoints drawn at random the one with fewer open connections for its weight is taken';

function outcomeOf(backend: HeldBackend, client: HeldClient | undefined, target: Target): Outcome {
  const left = (why: string): Outcome => ({ outcome: 'left-alone', why });
  if (client && !client.enrolled) return left('the client is not enrolled');
  if (backend.passthrough) return left('the service asks to be left alone');
  if (backend.endpoints.length === 0) {
    return backend.emptyDirect
      ? left('no endpoint is usable, and the service allows going direct')
      : { outcome: 'refused', why: 'no endpoint is usable: the connection is refused at once' };
  }
  const sixOnly = isV4(target.address) && backend.endpoints.every((e) => !isV4(e.address));
  if (sixOnly) return { outcome: 'refused', why: 'all endpoints are IPv6, which an IPv4 socket cannot reach' };
  const endpoints = counted(backend.endpoints.length, 'endpoint');
  return { outcome: 'balanced', why: `to one of ${endpoints}, by ${backend.policy}` };
}

function predict(
  plane: DataPlane,
  backend: HeldBackend,
  client: HeldClient | undefined,
  dialled: string,
  monotonicNs: bigint,
): Choice | undefined {
  if (!client || (client.cgroupId === 0n && client.workloadId === 0) || backend.endpoints.length === 0)
    return undefined;
  return keptByAffinity(plane, backend, client, monotonicNs) ?? bySourceHash(plane, backend, client, dialled);
}

/** The key's client is the workload, or the cgroup with the top bit set. */
function keptByAffinity(
  plane: DataPlane,
  backend: HeldBackend,
  client: HeldClient,
  monotonicNs: bigint,
): Choice | undefined {
  if (backend.affinitySeconds === 0) return undefined;
  const who = client.workloadId === 0 ? client.cgroupId | (1n << 63n) : BigInt(client.workloadId);
  const held = plane.map('affinity').get({ client: who, backend_id: backend.id });
  if (!held) return undefined;
  const age = (monotonicNs - held.used_ns) / 1_000_000_000n;
  if (age >= BigInt(backend.affinitySeconds)) return undefined;
  const member = backend.endpoints.find(
    (e) => e.workloadId === held.workload_id && e.address === held.addr && e.port === held.port,
  );
  if (!member) return undefined;
  const { address, port } = member;
  const workload = readName(plane, 'workload', member.workloadId);
  return { workload, address, port, because: `session affinity, ${age} s since its last connection` };
}

function bySourceHash(plane: DataPlane, backend: HeldBackend, client: HeldClient, dialled: string): Choice | undefined {
  if (backend.policy !== 'source-hash' || backend.maglevSize === 0) return undefined;
  // The client's own address of the family that it dials; one without is told apart by its cgroup.
  const own = client.workloadId === 0 ? '' : isV4(dialled) ? client.address4 : client.address6;
  const hash = own === '' ? cgroupHash(client.cgroupId) : addressHash(own);
  const at = tableEntry(plane, backend.maglevFirst, hash % backend.maglevSize);
  const endpoint = backend.endpoints[at];
  if (!endpoint) return undefined;
  const { address, port } = endpoint;
  const because = `source hash of ${own === '' ? `cgroup ${client.cgroupId}` : own}`;
  return { workload: readName(plane, 'workload', endpoint.workloadId), address, port, because };
}
