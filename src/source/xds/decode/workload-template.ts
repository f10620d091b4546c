// SPDX-License-Identifier: Apache-2.0
// What the workloads of one deployment have in common: all fields but those that tell them apart.
import type { GatewayAddress } from '../../../mesh/gateway.ts';
import { isIdentityNamespace, isIdentityPart } from '../../../mesh/identity.ts';
import type { PortMapping, Workload } from '../../../mesh/workload.ts';
import type { Gateways } from './gateway.ts';
import type { Memberships } from './memberships.ts';
import { maxPort } from './ports.ts';
import { quote } from './quote.ts';
import type { FieldNames, Reader } from './reader.ts';

const workloadFields: FieldNames = {
  1: 'name',
  2: 'namespace',
  3: 'addresses',
  4: 'network',
  5: 'tunnel_protocol',
  6: 'trust_domain',
  7: 'service_account',
  8: 'waypoint',
  9: 'node',
  10: 'canonical_name',
  11: 'canonical_revision',
  12: 'workload_type',
  13: 'workload_name',
  14: 'native_tunnel',
  16: 'authorization_policies',
  17: 'status',
  18: 'cluster_id',
  19: 'network_gateway',
  20: 'uid',
  21: 'hostname',
  22: 'services',
  23: 'application_tunnel',
  24: 'locality',
  25: 'network_mode',
  27: 'capacity',
};
const tunnelFields: FieldNames = { 1: 'protocol', 2: 'port' };
const capacityFields: FieldNames = { 1: 'value' };

/** By number of WorkloadType. */
const workloadTypes = ['deployment', 'cronjob', 'pod', 'job'] as const;

type Tunnel = NonNullable<Workload['applicationTunnel']>;

export type Template = Omit<Workload, 'uid' | 'name' | 'workloadName' | 'addresses' | 'node' | 'locality'>;

/**
 * Reads every field of istio.workload.Workload that lies in the first `count` numbers of `spans` (from, to, from, to …), and leaves the cursor
 * where it is. Fields that tell workloads apart are there only when their wire type is wrong. The template counts only without faults.
 */
export function readTemplate(
  reader: Reader,
  spans: readonly number[],
  count: number,
  gateways: Gateways,
  memberships: Memberships,
): Template {
  const { pos, end } = reader;
  let namespace = '';
  let hostname = '';
  let network = '';
  let trustDomain = '';
  let serviceAccount = '';
  let canonicalName = '';
  let canonicalRevision = '';
  let clusterId = '';
  let workloadType = 0;
  let tunnel = 0;
  let status = 0;
  let mode = 0;
  let capacity = 1;
  let nativeTunnel = false;
  const authorizationPolicies: string[] = [];
  const services = new Map<string, readonly PortMapping[]>();
  let waypoint: GatewayAddress | undefined;
  let networkGateway: GatewayAddress | undefined;
  let applicationTunnel: Tunnel | undefined;
  for (let span = 0; span < count; span += 2) {
    reader.pos = spans[span] as number;
    reader.end = spans[span + 1] as number;
    while (reader.more()) {
      const tag = reader.tag();
      switch (tag) {
        case (2 << 3) | 2:
          namespace = reader.text('namespace');
          break;
        case (4 << 3) | 2:
          network = reader.text('network');
          break;
        case (5 << 3) | 0:
          tunnel = reader.int32();
          break;
        case (6 << 3) | 2:
          trustDomain = reader.text('trust_domain');
          break;
        case (7 << 3) | 2:
          serviceAccount = reader.text('service_account');
          break;
        case (8 << 3) | 2:
          waypoint = gateways.read(reader, 'waypoint');
          break;
        case (10 << 3) | 2:
          canonicalName = reader.text('canonical_name');
          break;
        case (11 << 3) | 2:
          canonicalRevision = reader.text('canonical_revision');
          break;
        case (12 << 3) | 0:
          workloadType = reader.int32();
          break;
        case (14 << 3) | 0:
          nativeTunnel = reader.bool();
          break;
        case (16 << 3) | 2:
          authorizationPolicies.push(reader.text('authorization_policies'));
          break;
        case (17 << 3) | 0:
          status = reader.int32();
          break;
        case (18 << 3) | 2:
          clusterId = reader.text('cluster_id');
          break;
        case (19 << 3) | 2:
          networkGateway = gateways.read(reader, 'network_gateway');
          break;
        case (21 << 3) | 2:
          hostname = reader.text('hostname');
          break;
        case (22 << 3) | 2:
          memberships.read(reader, services);
          break;
        case (23 << 3) | 2:
          applicationTunnel = readTunnel(reader);
          break;
        case (25 << 3) | 0:
          mode = reader.int32();
          break;
        case (27 << 3) | 2:
          capacity = readCapacity(reader);
          break;
        default:
          reader.other(tag, workloadFields);
      }
    }
  }
  reader.pos = pos;
  reader.end = end;
  if (!isIdentityNamespace(namespace)) reader.fault('namespace', `${quote(namespace)} cannot be one`);
  if (!isIdentityPart(trustDomain)) reader.fault('trust_domain', `${quote(trustDomain)} cannot be one`);
  if (!isIdentityPart(serviceAccount)) reader.fault('service_account', `${quote(serviceAccount)} cannot be one`);
  if (tunnel !== 0 && tunnel !== 1) reader.fault('tunnel_protocol', tunnelFault(tunnel));
  if (status !== 0 && status !== 1) reader.fault('status', `unknown value ${status}`);
  if (mode !== 0 && mode !== 1) reader.fault('network_mode', `unknown value ${mode}`);
  return {
    namespace,
    hostname,
    network,
    clusterId: clusterId || 'Kubernetes',
    trustDomain: trustDomain || 'cluster.local',
    serviceAccount: serviceAccount || 'default',
    // Only told, so an unknown one keeps nobody out.
    workloadType: workloadTypes[workloadType] ?? 'deployment',
    canonicalName,
    canonicalRevision,
    status: status === 0 ? 'healthy' : 'unhealthy',
    capacity,
    hostNetwork: mode === 1,
    services: memberships.share(services),
    authorizationPolicies,
    ...(waypoint && { waypoint }),
    ...(networkGateway && { networkGateway }),
    tunnelProtocol: tunnel === 0 ? 'none' : 'hbone',
    nativeTunnel,
    ...(applicationTunnel && { applicationTunnel }),
  };
}

function tunnelFault(value: number): string {
  return value === 2 ? 'LEGACY_ISTIO_MTLS cannot be spoken' : `unknown value ${value}`;
}

function readTunnel(reader: Reader): Tunnel {
  const mark = reader.mark;
  const outer = reader.enter();
  let protocol = 0;
  let port = 0;
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 0:
        protocol = reader.int32();
        break;
      case (2 << 3) | 0:
        port = reader.uint32();
        break;
      default:
        reader.other(tag, tunnelFields);
    }
  }
  if (protocol !== 0 && protocol !== 1) reader.fault('protocol', `unknown value ${protocol}`);
  if (port > maxPort) reader.fault('port', `${port}, must be at most ${maxPort}`);
  reader.leave(outer, mark, 'application_tunnel');
  return { protocol: protocol === 0 ? 'none' : 'proxy', port };
}

/** google.protobuf.UInt32Value: one that is there without a value is 0. */
function readCapacity(reader: Reader): number {
  const mark = reader.mark;
  const outer = reader.enter();
  let value = 0;
  while (reader.more()) {
    const tag = reader.tag();
    if (tag === ((1 << 3) | 0)) value = reader.uint32();
    else reader.other(tag, capacityFields);
  }
  reader.leave(outer, mark, 'capacity');
  return value;
}
