// SPDX-License-Identifier: Apache-2.0
// istio.workload.Service -> a service of the model.
import type { GatewayAddress } from '../../../mesh/gateway.ts';
import {
  type LoadBalancing,
  type Scope,
  type Service,
  type ServiceAddress,
  tooManyPlaces,
} from '../../../mesh/service.ts';
import { addressAt, rangeOf } from './addresses.ts';
import type { Gateways } from './gateway.ts';
import { type Port, readPort, servicePorts } from './ports.ts';
import type { FieldNames, Reader } from './reader.ts';

const serviceFields: FieldNames = {
  1: 'name',
  2: 'namespace',
  3: 'hostname',
  4: 'addresses',
  5: 'ports',
  6: 'subject_alt_names',
  7: 'waypoint',
  8: 'load_balancing',
  9: 'ip_families',
  11: 'canonical',
  13: 'weighted_waypoints',
  14: 'visibility',
};
const addressFields: FieldNames = { 1: 'network', 2: 'address', 3: 'length' };
const balancingFields: FieldNames = { 1: 'routing_preference', 2: 'mode', 3: 'health_policy' };
const weightedFields: FieldNames = { 1: 'destination', 2: 'weight' };

/** By number of IPFamilies, LoadBalancing.Mode, LoadBalancing.HealthPolicy and LoadBalancing.Scope. */
const families = ['automatic', 'ipv4', 'ipv6', 'dual'] as const;
const modes = ['standard', 'strict', 'failover', 'passthrough'] as const;
const healthPolicies = ['only-healthy', 'allow-all'] as const;
const scopes: readonly (Scope | undefined)[] = [undefined, 'region', 'zone', 'subzone', 'node', 'cluster', 'network'];

const standard: LoadBalancing = { mode: 'standard', scopes: [], healthPolicy: 'only-healthy' };
const random: Service['balancer'] = { policy: 'random', affinitySeconds: 0 };

type Weighted = Service['weightedWaypoints'][number];

/** Reads the message that comes next. What it returns counts only without faults. */
export function readService(reader: Reader, gateways: Gateways): Service {
  const mark = reader.mark;
  const outer = reader.enter();
  let name = '';
  let namespace = '';
  let hostname = '';
  const addresses: ServiceAddress[] = [];
  const ports = new Map<number, Port>();
  let portIndex = 0;
  const subjectAltNames: string[] = [];
  let waypoint: GatewayAddress | undefined;
  const weightedWaypoints: Weighted[] = [];
  let loadBalancing = standard;
  let family = 0;
  let canonical = false;
  let visibility = 0;
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        name = reader.text('name');
        break;
      case (2 << 3) | 2:
        namespace = reader.text('namespace');
        break;
      case (3 << 3) | 2:
        hostname = reader.text('hostname');
        break;
      case (4 << 3) | 2:
        addresses.push(readAddress(reader, addresses.length));
        break;
      case (5 << 3) | 2:
        readPort(reader, ports, portIndex++);
        break;
      case (6 << 3) | 2:
        subjectAltNames.push(reader.text('subject_alt_names'));
        break;
      case (7 << 3) | 2:
        waypoint = gateways.read(reader, 'waypoint');
        break;
      case (8 << 3) | 2:
        loadBalancing = readBalancing(reader);
        break;
      case (9 << 3) | 0:
        family = reader.int32();
        break;
      case (11 << 3) | 0:
        canonical = reader.bool();
        break;
      case (13 << 3) | 2:
        weightedWaypoints.push(readWeighted(reader, gateways, weightedWaypoints.length));
        break;
      case (14 << 3) | 0:
        visibility = reader.int32();
        break;
      default:
        reader.other(tag, serviceFields);
    }
  }
  if (hostname === '') reader.fault('hostname', 'missing');
  const ipFamilies = families[family];
  if (ipFamilies === undefined) reader.fault('ip_families', `unknown value ${family}`);
  const tooMany = tooManyPlaces(addresses.length, ports.size);
  if (tooMany !== undefined) reader.fault('addresses', tooMany);
  reader.leave(outer, mark, '');
  return {
    name,
    namespace,
    hostname,
    addresses,
    ports: servicePorts(ports),
    loadBalancing,
    balancer: random,
    ipFamilies: ipFamilies ?? 'automatic',
    canonical,
    // A value that is not known hides nothing.
    visibility: visibility === 1 ? 'namespace' : 'public',
    subjectAltNames,
    ...(waypoint && { waypoint }),
    weightedWaypoints,
    onEmpty: 'refuse',
  };
}

function readAddress(reader: Reader, index: number): ServiceAddress {
  const mark = reader.mark;
  const outer = reader.enter();
  let network = '';
  let start = reader.pos;
  let size = 0;
  let length: number | undefined;
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        network = reader.text('network');
        break;
      case (2 << 3) | 2:
        size = reader.span();
        start = reader.pos - size;
        break;
      case (3 << 3) | 0:
        length = reader.uint32();
        break;
      default:
        reader.other(tag, addressFields);
    }
  }
  const address = addressAt(reader, start, size, 'address');
  // A range of one address is that address.
  const range =
    length === undefined || length === size * 8
      ? undefined
      : rangeOf(reader.bytes.subarray(start, start + size), length);
  if (address !== '' && length !== undefined && length > size * 8) {
    reader.fault('length', `${length}, must be at most ${size * 8}`);
  }
  reader.leave(outer, mark, 'addresses', index);
  return range ? { network, ...range } : { network, address };
}

function readBalancing(reader: Reader): LoadBalancing {
  const mark = reader.mark;
  const outer = reader.enter();
  const preference: Scope[] = [];
  let mode = 0;
  let health = 0;
  let index = 0;
  const prefer = () => {
    const value = reader.int32();
    const scope = scopes[value];
    if (scope !== undefined) preference.push(scope);
    else reader.fault(`routing_preference[${index}]`, `unknown value ${value}`);
    index++;
  };
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 0:
        prefer();
        break;
      case (1 << 3) | 2: {
        const whole = reader.enter();
        while (reader.more()) prefer();
        reader.leave(whole, reader.mark, 'routing_preference');
        break;
      }
      case (2 << 3) | 0:
        mode = reader.int32();
        break;
      case (3 << 3) | 0:
        health = reader.int32();
        break;
      default:
        reader.other(tag, balancingFields);
    }
  }
  const known = modes[mode];
  const healthPolicy = healthPolicies[health];
  if (known === undefined) reader.fault('mode', `unknown value ${mode}`);
  if (healthPolicy === undefined) reader.fault('health_policy', `unknown value ${health}`);
  reader.leave(outer, mark, 'load_balancing');
  return { mode: known ?? 'standard', scopes: preference, healthPolicy: healthPolicy ?? 'only-healthy' };
}

function readWeighted(reader: Reader, gateways: Gateways, index: number): Weighted {
  const mark = reader.mark;
  const outer = reader.enter();
  let destination: GatewayAddress | undefined;
  let given = false;
  let weight = 0;
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        given = true;
        destination = gateways.read(reader, 'destination');
        break;
      case (2 << 3) | 0:
        weight = reader.uint32();
        break;
      default:
        reader.other(tag, weightedFields);
    }
  }
  if (!given) reader.fault('destination', 'missing');
  reader.leave(outer, mark, 'weighted_waypoints', index);
  return { destination: destination ?? nowhere, weight };
}

/** In place of a gateway with a fault, which keeps the whole service out. */
const nowhere: GatewayAddress = { destination: { kind: 'hostname', namespace: '', hostname: '' }, hboneMtlsPort: 0 };
