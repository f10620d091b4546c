// SPDX-License-Identifier: Apache-2.0
// istio.workload.Workload -> a workload of the model. docs/xds-fields.md says what is done with each field.
import { type Locality, noLocality, type Workload } from '../../../mesh/workload.ts';
import type { Address } from '../../../net/address.ts';
import { addressAt } from './addresses.ts';
import type { Gateways } from './gateway.ts';
import { Memberships } from './memberships.ts';
import type { FieldNames, Reader } from './reader.ts';
import { Shared } from './shared.ts';
import { readTemplate, type Template } from './workload-template.ts';

const localityFields: FieldNames = { 1: 'region', 2: 'zone', 3: 'subzone' };

const noAddresses: readonly Address[] = [];

/** Room for the bytes of a template; one that has more is not shared. */
const keySize = 1024;
/** As many parts of a message are remembered from one to the next. */
const maxSpans = 1000;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class Workloads {
  readonly #localities = new Shared<Locality>();
  readonly #templates = new Shared<Template>();
  readonly #memberships = new Memberships();
  readonly #gateways: Gateways;
  readonly #key = Buffer.alloc(keySize);
  /** Where the parts of the message are that belong to the template. */
  #spans: number[] = [];

  constructor(gateways: Gateways) {
    this.#gateways = gateways;
  }

  /** Reads the message that comes next. `expected`: what its uid should be. What it returns counts only without faults. */
  read(reader: Reader, expected: string): Workload {
    const mark = reader.mark;
    const outer = reader.enter();
    let uid = '';
    let name = '';
    let node = '';
    let workloadName = '';
    let addresses = noAddresses;
    let locality = noLocality;
    if (this.#spans.length > maxSpans) this.#spans = [];
    const spans = this.#spans;
    let count = 0;
    while (reader.more()) {
      const at = reader.pos;
      const tag = reader.tag();
      switch (tag) {
        case (1 << 3) | 2:
          name = reader.ownText('name');
          break;
        case (3 << 3) | 2: {
          const length = reader.span();
          const address = addressAt(reader, reader.pos - length, length, 'addresses', addresses.length);
          // A literal has room for one; what is pushed to has room for many.
          if (addresses === noAddresses) addresses = [address];
          else (addresses as Address[]).push(address);
          break;
        }
        case (9 << 3) | 2:
          node = reader.text('node');
          break;
        case (13 << 3) | 2:
          // A pod that nothing else owns has its own name here.
          workloadName = reader.text('workload_name', name);
          break;
        case (20 << 3) | 2:
          uid = reader.ownText('uid', expected);
          break;
        case (24 << 3) | 2:
          locality = this.#readLocality(reader);
          break;
        default:
          reader.skip(tag);
          // Of what is cut short nothing is read.
          if (reader.broken) break;
          if (count > 0 && spans[count - 1] === at) spans[count - 1] = reader.pos;
          else {
            spans[count++] = at;
            spans[count++] = reader.pos;
          }
      }
    }
    reader.settle();
    const template = this.#templateOf(reader, count);
    if (uid === '') reader.fault('uid', 'missing');
    reader.leave(outer, mark, '');
    // One literal, so that engines keep one hidden class for nearly all workloads; spreads would make each its own.
    const workload: Mutable<Workload> = {
      uid,
      name,
      namespace: template.namespace,
      addresses,
      hostname: template.hostname,
      network: template.network,
      clusterId: template.clusterId,
      trustDomain: template.trustDomain,
      serviceAccount: template.serviceAccount,
      node,
      workloadName,
      workloadType: template.workloadType,
      canonicalName: template.canonicalName,
      canonicalRevision: template.canonicalRevision,
      locality,
      status: template.status,
      capacity: template.capacity,
      hostNetwork: template.hostNetwork,
      services: template.services,
      authorizationPolicies: template.authorizationPolicies,
      tunnelProtocol: template.tunnelProtocol,
      nativeTunnel: template.nativeTunnel,
    };
    if (template.waypoint) workload.waypoint = template.waypoint;
    if (template.networkGateway) workload.networkGateway = template.networkGateway;
    if (template.applicationTunnel) workload.applicationTunnel = template.applicationTunnel;
    return workload;
  }

  /** The template that has these bytes, from before or read now. */
  #templateOf(reader: Reader, count: number): Template {
    const length = this.#gather(reader.bytes, count);
    const known = length < 0 ? undefined : this.#templates.find(this.#key, 0, length);
    if (known !== undefined) return known;
    const mark = reader.mark;
    const template = readTemplate(reader, this.#spans, count, this.#gateways, this.#memberships);
    if (length >= 0 && reader.sound(mark)) this.#templates.keep(this.#key, 0, length, template);
    return template;
  }

  /** Puts the parts one after the other into `key`. @returns their length, or -1 when there is no room. */
  #gather(bytes: Uint8Array, count: number): number {
    const key = this.#key;
    const spans = this.#spans;
    let length = 0;
    for (let span = 0; span < count; span += 2) {
      const from = spans[span] as number;
      const size = (spans[span + 1] as number) - from;
      if (length + size > keySize) return -1;
      for (let i = 0; i < size; i++) key[length + i] = bytes[from + i] as number;
      length += size;
    }
    return length;
  }

  #readLocality(reader: Reader): Locality {
    const mark = reader.mark;
    const outer = reader.enter();
    const { bytes, pos, end } = reader;
    let locality = this.#localities.find(bytes, pos, end);
    if (locality !== undefined) reader.pos = end;
    else {
      locality = readLocality(reader);
      if (reader.sound(mark)) this.#localities.keep(bytes, pos, end, locality);
    }
    reader.leave(outer, mark, 'locality');
    return locality;
  }
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
