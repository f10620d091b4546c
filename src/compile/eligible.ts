// SPDX-License-Identifier: Apache-2.0
// Which workloads of a service can serve a port, at which addresses, and why the others cannot.
import type { Protocol } from '../abi/structs.ts';
import type { NodeView } from '../mesh/model.ts';
import { type Service, type ServicePort, serviceKey } from '../mesh/service.ts';
import type { Steps } from '../mesh/steps.ts';
import type { PortMapping, Workload } from '../mesh/workload.ts';
import { type Address, isV4 } from '../net/address.ts';

export type OutCode =
  | 'passthrough'
  | 'unhealthy'
  | 'weight'
  | 'network'
  | 'address'
  | 'port'
  | 'family'
  | 'scope'
  | 'rank'
  | 'share';

/** Why a workload gets nothing: a code, and a text for people. */
export interface Out {
  readonly code: OutCode;
  readonly reason: string;
}

/** Told of every workload that is left out; not given where nobody asks. */
export type Report = (workload: Workload, out: Out) => void;

/** A workload that could serve, with its first address of each family that the service accepts. */
export interface Eligible {
  readonly workload: Workload;
  readonly port: number;
  readonly address4: Address | undefined;
  readonly address6: Address | undefined;
}

/** Port that `workload` serves `port` of the service at: its own mapping, else the service's target port; 0 is none. */
export function targetPort(workload: Workload, key: string, port: ServicePort, protocol: Protocol): number {
  return mappedPort(workload.services.get(key), port, protocol);
}

function mappedPort(mappings: readonly PortMapping[] | undefined, port: ServicePort, protocol: Protocol): number {
  for (const m of mappings ?? []) {
    if (m.servicePort === port.port && (m.protocol === undefined || m.protocol === protocol) && m.targetPort !== 0) {
      return m.targetPort;
    }
  }
  return port.targetPort;
}

/** Mappings and workloads looked at between two pauses. */
const looksAStep = 1024;

/** True when some workload maps ports of the service for one protocol alone, so that TCP and UDP may go to different ones. */
export function* mapsByProtocol(key: string, workloads: readonly Workload[]): Steps<boolean> {
  let last: readonly PortMapping[] | undefined;
  let looks = 0;
  for (const { services } of workloads) {
    const mappings = services.get(key);
    // Those of a service share one list, as a rule.
    if (mappings !== last && mappings?.some((m) => m.protocol !== undefined)) return true;
    looks += mappings === last ? 1 : (mappings?.length ?? 0) + 1;
    last = mappings;
    if (looks < looksAStep) continue;
    looks = 0;
    yield;
  }
  return false;
}

function accepts(service: Service, address: Address): boolean {
  if (service.ipFamilies === 'ipv4') return isV4(address);
  if (service.ipFamilies === 'ipv6') return !isV4(address);
  return true;
}

/** Why `workload` cannot serve at all; 'fit' otherwise. Dearer questions come later. */
function fault(workload: Workload, service: Service, view: NodeView): Out | 'fit' {
  if (workload.status === 'unhealthy' && service.loadBalancing.healthPolicy === 'only-healthy') {
    return { code: 'unhealthy', reason: 'unhealthy' };
  }
  if (workload.capacity <= 0) return { code: 'weight', reason: 'weight 0' };
  if (workload.network !== view.network) {
    const via = workload.networkGateway ? 'its network gateway is not used' : 'it has no network gateway';
    return { code: 'network', reason: `on network "${workload.network}", this node on "${view.network}"; ${via}` };
  }
  if (workload.addresses.length === 0) {
    const reason = workload.hostname ? `host name "${workload.hostname}" is not resolved` : 'no address';
    return { code: 'address', reason };
  }
  return 'fit';
}

/** The workloads that can serve `port` by `protocol`, whatever the client's family and the locality. */
export function eligibleFor(
  service: Service,
  workloads: readonly Workload[],
  view: NodeView,
  port: ServicePort,
  protocol: Protocol,
  report?: Report,
): readonly Eligible[] {
  const key = serviceKey(service);
  const found: Eligible[] = [];
  let mappings: readonly PortMapping[] | undefined;
  let target = mappedPort(mappings, port, protocol);
  for (const workload of workloads) {
    const why = fault(workload, service, view);
    if (why !== 'fit') {
      report?.(workload, why);
      continue;
    }
    const own = workload.services.get(key);
    // Those of a service share one list, as a rule, and it may be long.
    if (own !== mappings) {
      mappings = own;
      target = mappedPort(own, port, protocol);
    }
    if (target === 0) {
      report?.(workload, { code: 'port', reason: `no port of its own for ${protocol} port ${port.port}` });
      continue;
    }
    let address4: Address | undefined;
    let address6: Address | undefined;
    for (const address of workload.addresses) {
      if (!accepts(service, address)) continue;
      if (isV4(address)) address4 ??= address;
      else address6 ??= address;
    }
    if (address4 === undefined && address6 === undefined) {
      report?.(workload, { code: 'family', reason: `no ${service.ipFamilies} address, which the service asks for` });
      continue;
    }
    found.push({ workload, port: target, address4, address6 });
  }
  return found;
}
