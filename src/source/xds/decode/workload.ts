// SPDX-License-Identifier: Apache-2.0
// istio.workload.Workload -> a workload of the model. Defaults are those of Istio's own node proxy; docs/xds-fields.md lists them.
import { type GatewayAddress, type Locality, noLocality, type Workload } from '../../../mesh/workload.ts';
import type { Address } from '../../../net/address.ts';
import { addressAt } from './addresses.ts';
import type { Gateways } from './gateway.ts';
import type { Memberships } from './memberships.ts';
import { maxPort } from './ports.ts';
import type { FieldNames, Reader } from './reader.ts';
import { Shared } from './shared.ts';

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
const localityFields: FieldNames = { 1: 'region', 2: 'zone', 3: 'subzone' };
const tunnelFields: FieldNames = { 1: 'protocol', 2: 'port' };
const capacityFields: FieldNames = { 1: 'value' };

/** By number of WorkloadType. */
const workloadTypes = ['deployment', 'cronjob', 'pod', 'job'] as const;

const noAddresses: readonly Address[] = [];
const noPolicies: readonly string[] = [];
const noServices: Workload['services'] = new Map();

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Guesses = Pick<Workload, 'namespace' | 'network' | 'trustDomain' | 'clusterId' | 'canonicalRevision' | 'node'>;
type Tunnel = NonNullable<Workload['applicationTunnel']>;

export class Workloads {
  private readonly localities = new Shared<Locality>();
  private readonly policies = new Shared<readonly string[]>();
  private readonly gateways: Gateways;
  private readonly memberships: Memberships;
  /** The one read before: the next has much in common with it. */
  private last: Guesses = {
    namespace: '',
    network: '',
    trustDomain: '',
    clusterId: '',
    canonicalRevision: '',
    node: '',
  };

  constructor(gateways: Gateways, memberships: Memberships) {
    this.gateways = gateways;
    this.memberships = memberships;
  }

  /** Reads the message that comes next. `expected`: what its uid should be. What it returns counts only without faults. */
  read(reader: Reader, expected: string): Workload {
    const mark = reader.mark;
    const outer = reader.enter();
    const { last } = this;
    let uid = '';
    let name = '';
    let namespace = '';
    let hostname = '';
    let network = '';
    let trustDomain = '';
    let serviceAccount = '';
    let node = '';
    let canonicalName = '';
    let canonicalRevision = '';
    let workloadName = '';
    let clusterId = '';
    let workloadType = 0;
    let tunnel = 0;
    let status = 0;
    let mode = 0;
    let capacity = 1;
    let nativeTunnel = false;
    let addresses = noAddresses;
    let policies = noPolicies;
    let services: Workload['services'] | undefined;
    let locality = noLocality;
    let waypoint: GatewayAddress | undefined;
    let networkGateway: GatewayAddress | undefined;
    let applicationTunnel: Tunnel | undefined;
    while (reader.more()) {
      const tag = reader.tag();
      switch (tag) {
        case (1 << 3) | 2:
          name = reader.ownText('name');
          break;
        case (2 << 3) | 2:
          namespace = reader.text('namespace', last.namespace);
          break;
        case (3 << 3) | 2: {
          const length = reader.span();
          const address = addressAt(reader, reader.pos - length, length, `addresses[${addresses.length}]`) ?? '';
          // A literal has room for one; what is pushed to has room for many.
          if (addresses === noAddresses) addresses = [address];
          else (addresses as Address[]).push(address);
          break;
        }
        case (4 << 3) | 2:
          network = reader.text('network', last.network);
          break;
        case (5 << 3) | 0:
          tunnel = reader.int32();
          break;
        case (6 << 3) | 2:
          trustDomain = reader.text('trust_domain', last.trustDomain);
          break;
        case (7 << 3) | 2:
          serviceAccount = reader.text('service_account');
          break;
        case (8 << 3) | 2:
          waypoint = this.gateways.read(reader, 'waypoint');
          break;
        case (9 << 3) | 2:
          node = reader.text('node', last.node);
          break;
        case (10 << 3) | 2:
          canonicalName = reader.text('canonical_name', serviceAccount);
          break;
        case (11 << 3) | 2:
          canonicalRevision = reader.text('canonical_revision', last.canonicalRevision);
          break;
        case (12 << 3) | 0:
          workloadType = reader.int32();
          break;
        case (13 << 3) | 2:
          workloadName = reader.text('workload_name', canonicalName);
          break;
        case (14 << 3) | 0:
          nativeTunnel = reader.bool();
          break;
        case (16 << 3) | 2:
          policies = this.readPolicies(reader, policies);
          break;
        case (17 << 3) | 0:
          status = reader.int32();
          break;
        case (18 << 3) | 2:
          clusterId = reader.text('cluster_id', last.clusterId);
          break;
        case (19 << 3) | 2:
          networkGateway = this.gateways.read(reader, 'network_gateway');
          break;
        case (20 << 3) | 2:
          uid = reader.ownText('uid', expected);
          break;
        case (21 << 3) | 2:
          hostname = reader.text('hostname');
          break;
        case (22 << 3) | 2:
          services = this.memberships.read(reader, services);
          break;
        case (23 << 3) | 2:
          applicationTunnel = readTunnel(reader);
          break;
        case (24 << 3) | 2:
          locality = this.readLocality(reader);
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
    if (uid === '') reader.fault('uid', 'missing');
    if (tunnel !== 0 && tunnel !== 1) reader.fault('tunnel_protocol', tunnelFault(tunnel));
    if (status !== 0 && status !== 1) reader.fault('status', `unknown value ${status}`);
    if (mode !== 0 && mode !== 1) reader.fault('network_mode', `unknown value ${mode}`);
    reader.leave(outer, mark, '');
    // One literal, so that engines keep one hidden class for nearly all workloads; spreads would make each its own.
    const workload: Mutable<Workload> = {
      uid,
      name,
      namespace,
      addresses,
      hostname,
      network,
      clusterId: clusterId || 'Kubernetes',
      trustDomain: trustDomain || 'cluster.local',
      serviceAccount: serviceAccount || 'default',
      node,
      workloadName,
      // Only told, so an unknown one keeps nobody out.
      workloadType: workloadTypes[workloadType] ?? 'deployment',
      canonicalName,
      canonicalRevision,
      locality,
      status: status === 0 ? 'healthy' : 'unhealthy',
      capacity,
      hostNetwork: mode === 1,
      services: services ?? noServices,
      authorizationPolicies: policies,
      tunnelProtocol: tunnel === 0 ? 'none' : 'hbone',
      nativeTunnel,
    };
    if (waypoint) workload.waypoint = waypoint;
    if (networkGateway) workload.networkGateway = networkGateway;
    if (applicationTunnel) workload.applicationTunnel = applicationTunnel;
    this.last = workload;
    return workload;
  }

  private readLocality(reader: Reader): Locality {
    const mark = reader.mark;
    const outer = reader.enter();
    const { bytes, pos, end } = reader;
    let locality = this.localities.find(bytes, pos, end);
    if (locality !== undefined) reader.pos = end;
    else {
      locality = readLocality(reader);
      if (reader.sound(mark)) this.localities.keep(bytes, pos, end, locality);
    }
    reader.leave(outer, mark, 'locality');
    return locality;
  }

  /** Reads the policy that comes next, its tag having been read, with all that follow it at once. */
  private readPolicies(reader: Reader, before: readonly string[]): readonly string[] {
    const mark = reader.mark;
    const { bytes, pos } = reader;
    const end = reader.runEnd(0x82, 0x01);
    const known = this.policies.find(bytes, pos, end);
    if (known !== undefined && before === noPolicies) {
      reader.pos = end;
      return known;
    }
    const policies = [...before];
    do policies.push(reader.text('authorization_policies'));
    while (reader.pos < end && reader.tag() !== 0);
    if (reader.sound(mark) && before === noPolicies) this.policies.keep(bytes, pos, end, policies);
    return policies;
  }
}

function tunnelFault(value: number): string {
  return value === 2 ? 'LEGACY_ISTIO_MTLS cannot be spoken' : `unknown value ${value}`;
}

function readLocality(reader: Reader): Locality {
  let region = '';
  let zone = '';
  let subzone = '';
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        region = reader.text('region');
        break;
      case (2 << 3) | 2:
        zone = reader.text('zone');
        break;
      case (3 << 3) | 2:
        subzone = reader.text('subzone');
        break;
      default:
        reader.other(tag, localityFields);
    }
  }
  return { region, zone, subzone };
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
