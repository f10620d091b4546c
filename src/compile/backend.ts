// SPDX-License-Identifier: Apache-2.0
// The backends of a service: one set of endpoints for each port and each family of its addresses, TCP and UDP sharing one where they agree.
import type { Protocol } from '../abi/structs.ts';
import type { Model, NodeView } from '../mesh/model.ts';
import type { Service, ServicePort } from '../mesh/service.ts';
import type { Steps } from '../mesh/steps.ts';
import type { Workload } from '../mesh/workload.ts';
import { isV4 } from '../net/address.ts';
import { type Eligible, eligibleFor, mapsByProtocol, type Out, type Report } from './eligible.ts';
import { endpointsOf, type Family } from './endpoints.ts';
import { type ModelReader, readerOf } from './reader.ts';
import type { WantedBackend, WantedEndpoint, WantedVia } from './wanted.ts';
import { viaOf, waypointOf } from './waypoint.ts';

/** Name of a backend: "namespace/hostname:port/4", with "/udp" for one that is UDP's alone. */
export function backendName(key: string, port: number, family: Family, udp = false): string {
  return `${key}:${port}/${family}${udp ? '/udp' : ''}`;
}

/** Name of what stands for all backends of a service that is refused: no port is called so. */
export function refusedName(key: string): string {
  return `${key}:*`;
}

/** Endpoints of all backends of a service together: a service of ten thousand ports and a thousand workloads would take all memory. */
const mostEndpoints = 524_288;

function refusedBackend(key: string, service: Service, ports: number, workloads: number): WantedBackend {
  const sizes = `${ports} ports with ${workloads} workloads`;
  return {
    name: refusedName(key),
    service: key,
    policy: service.balancer.policy,
    affinitySeconds: 0,
    passthrough: false,
    emptyDirect: false,
    endpoints: [],
    refused: `${sizes} come to more than ${mostEndpoints} endpoints, which is the most that a service may have`,
  };
}

/** What a service serves on one port number: at most one entry a protocol, one that names the protocol before one for any. */
export interface PortEntries {
  tcp?: ServicePort;
  udp?: ServicePort;
}

/** Port number -> entries. */
export function portsOf(service: Service): ReadonlyMap<number, PortEntries> {
  const found = new Map<number, PortEntries>();
  for (const port of service.ports) {
    const entries = found.get(port.port) ?? {};
    found.set(port.port, entries);
    for (const protocol of ['tcp', 'udp'] as const) {
      const held = entries[protocol];
      if (port.protocol === protocol ? held?.protocol !== protocol : port.protocol === 'any' && !held) {
        entries[protocol] = port;
      }
    }
  }
  return found;
}

/** Families of the addresses by which this node's network knows the service. */
function familiesOf(service: Service, view: NodeView): readonly Family[] {
  let four = false;
  let six = false;
  for (const a of service.addresses) {
    if (a.network !== view.network) continue;
    if (isV4(a.address)) four = true;
    else six = true;
  }
  return four ? (six ? [4, 6] : [4]) : six ? [6] : [];
}

function sameEligible(a: readonly Eligible[], b: readonly Eligible[]): boolean {
  return (
    a === b || (a.length === b.length && a.every((e, i) => e.workload === b[i]?.workload && e.port === b[i]?.port))
  );
}

export function sameEndpoints(a: readonly WantedEndpoint[], b: readonly WantedEndpoint[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] as WantedEndpoint;
    const y = b[i] as WantedEndpoint;
    if (x.workload !== y.workload || x.address !== y.address || x.port !== y.port) return false;
    if (x.weight !== y.weight || x.header !== y.header) return false;
  }
  return true;
}

export function sameVia(a: WantedVia | undefined, b: WantedVia | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.backend === b.backend &&
    a.unready === b.unready &&
    a.serverFirst === b.serverFirst &&
    a.listed?.otherwise === b.listed?.otherwise &&
    samePorts(a.listed?.ports ?? [], b.listed?.ports ?? [])
  );
}

export function samePorts(a: readonly number[], b: readonly number[]): boolean {
  return a === b || (a.length === b.length && a.every((port, i) => port === b[i]));
}

export function sameBackend(a: WantedBackend, b: WantedBackend): boolean {
  return (
    a.name === b.name &&
    a.service === b.service &&
    a.policy === b.policy &&
    a.affinitySeconds === b.affinitySeconds &&
    a.passthrough === b.passthrough &&
    a.emptyDirect === b.emptyDirect &&
    a.refused === b.refused &&
    sameVia(a.via, b.via) &&
    sameEndpoints(a.endpoints, b.endpoints)
  );
}

/** True when both protocols see the same addresses of these, whatever the family dialled. */
function alike(eligible: readonly Eligible[], family: Family): boolean {
  return (
    family === 4 || eligible.every((e) => e.address6 !== undefined) || eligible.every((e) => e.address6 === undefined)
  );
}

/** Workloads looked at for a port, or endpoints made, between two pauses. */
const workAStep = 256;

/**
 * All backends of a service; none for one that is unknown, headless or on other networks only; one that says so for one that would have too many
 * endpoints. Endpoints are sorted by uid.
 */
export function* backendsOf(reader: ModelReader, view: NodeView, key: string): Steps<readonly WantedBackend[]> {
  const service = reader.service(key);
  if (!service) return [];
  const families = familiesOf(service, view);
  if (families.length === 0) return [];
  const passthrough = service.loadBalancing.mode === 'passthrough';
  const workloads = passthrough ? [] : reader.members(key);
  const backends: WantedBackend[] = [];
  const waypoint = waypointOf(service, key);
  const add = (name: string, endpoints: readonly WantedEndpoint[], via?: WantedVia): void =>
    void backends.push({
      name,
      service: key,
      policy: service.balancer.policy,
      affinitySeconds: service.balancer.affinitySeconds,
      passthrough,
      emptyDirect: service.onEmpty === 'direct',
      ...(via && { via }),
      endpoints,
    });
  const byProtocol = yield* mapsByProtocol(key, workloads);
  const ports = portsOf(service);
  let made = 0;
  let work = 0;
  for (const [number, { tcp, udp }] of ports) {
    if (made > mostEndpoints) return [refusedBackend(key, service, ports.size, workloads.length)];
    if (work >= workAStep) {
      work = 0;
      yield;
    }
    work += workloads.length + 1;
    const forTcp = tcp && eligibleFor(service, workloads, view, tcp, 'tcp');
    const oneEntry = tcp === udp && !byProtocol;
    const forUdp = oneEntry ? forTcp : udp && eligibleFor(service, workloads, view, udp, 'udp');
    const shared = forTcp && forUdp && sameEligible(forTcp, forUdp);
    for (const family of families) {
      const tcpEndpoints = forTcp && endpointsOf(service, forTcp, view, family, 'tcp');
      if (tcpEndpoints) {
        // One that UDP shares has it too: UDP takes no notice.
        const via = waypoint && viaOf(waypoint, family, view, service.waypointUnready, tcp);
        add(backendName(key, number, family), tcpEndpoints, via);
        made += tcpEndpoints.length;
      }
      if (!forUdp || (shared && alike(forUdp, family))) continue;
      const udpEndpoints = endpointsOf(service, forUdp, view, family, 'udp');
      if (!tcpEndpoints || !sameEndpoints(tcpEndpoints, udpEndpoints)) {
        add(backendName(key, number, family, true), udpEndpoints);
        made += udpEndpoints.length;
      }
    }
  }
  return made > mostEndpoints ? [refusedBackend(key, service, ports.size, workloads.length)] : backends;
}

/** What one workload of a service gets of its connections, or why nothing. */
export type Candidate =
  | {
      readonly in: true;
      readonly workload: string;
      readonly address: string;
      readonly port: number;
      readonly weight: number;
      /** Share of new connections that the weights give it (0..1). */
      readonly probability: number;
    }
  | ({ readonly in: false; readonly workload: string } & Out);

/**
 * Every workload of a service, by uid, as a client on this node that dials `port` at an address of `family` sees it.
 * Empty when the service or the port is unknown. Goes through the same steps as compiling.
 */
export function candidates(
  model: Model,
  view: NodeView,
  key: string,
  port: number,
  protocol: Protocol,
  family: Family,
): readonly Candidate[] {
  const reader = readerOf(model);
  const service = reader.service(key);
  const entry = service && portsOf(service).get(port)?.[protocol];
  if (!service || !entry) return [];
  const found = new Map<string, Candidate>();
  const report: Report = ({ uid }: Workload, out) => void found.set(uid, { in: false, workload: uid, ...out });
  const workloads = reader.members(key);
  if (service.loadBalancing.mode === 'passthrough') {
    for (const w of workloads)
      report(w, { code: 'passthrough', reason: 'the service is not balanced: clients go where they dial' });
  } else {
    const eligible = eligibleFor(service, workloads, view, entry, protocol, report);
    const endpoints = endpointsOf(service, eligible, view, family, protocol, report);
    const total = endpoints.reduce((sum, e) => sum + e.weight, 0);
    for (const e of endpoints) found.set(e.workload, { in: true, ...e, probability: e.weight / total });
  }
  return workloads.map((w) => found.get(w.uid) as Candidate);
}
