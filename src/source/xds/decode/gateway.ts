// SPDX-License-Identifier: Apache-2.0
// istio.workload.GatewayAddress: where a waypoint or network gateway is. Few are different, so equal bytes are one value.
import type { GatewayAddress, GatewayDestination } from '../../../mesh/gateway.ts';
import { addressAt } from './addresses.ts';
import { maxPort } from './ports.ts';
import type { FieldNames, Reader } from './reader.ts';
import { Shared } from './shared.ts';

const gatewayFields: FieldNames = { 1: 'hostname', 2: 'address', 3: 'hbone_mtls_port' };
const hostnameFields: FieldNames = { 1: 'namespace', 2: 'hostname' };
const addressFields: FieldNames = { 1: 'network', 2: 'address', 3: 'length' };

export class Gateways {
  readonly #known = new Shared<GatewayAddress>();

  /** Reads the message that comes next; undefined when there is anything wrong with it. */
  read(reader: Reader, field: string, index = -1): GatewayAddress | undefined {
    const mark = reader.mark;
    const outer = reader.enter();
    const { bytes, pos, end } = reader;
    let gateway = this.#known.find(bytes, pos, end);
    if (gateway !== undefined) reader.pos = end;
    else {
      gateway = readGateway(reader);
      // Reading it has looked for nothing in this table since.
      if (gateway !== undefined && reader.sound(mark)) this.#known.keep(bytes, pos, end, gateway);
    }
    reader.leave(outer, mark, field, index);
    return reader.mark === mark ? gateway : undefined;
  }
}

function readGateway(reader: Reader): GatewayAddress | undefined {
  let destination: GatewayDestination | undefined;
  let named = false;
  let hboneMtlsPort = 0;
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        named = true;
        destination = readHostname(reader);
        break;
      case (2 << 3) | 2:
        named = true;
        destination = readAddress(reader);
        break;
      case (3 << 3) | 0:
        hboneMtlsPort = reader.uint32();
        break;
      default:
        reader.other(tag, gatewayFields);
    }
  }
  // 0 is what an unset one is; nothing dials it before a waypoint is used.
  if (hboneMtlsPort > maxPort) reader.fault('hbone_mtls_port', `${hboneMtlsPort}, must be at most ${maxPort}`);
  if (!named) reader.fault('', 'neither hostname nor address');
  return destination && { destination, hboneMtlsPort };
}

function readHostname(reader: Reader): GatewayDestination {
  const mark = reader.mark;
  const outer = reader.enter();
  let namespace = '';
  let hostname = '';
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        namespace = reader.text('namespace');
        break;
      case (2 << 3) | 2:
        hostname = reader.text('hostname');
        break;
      default:
        reader.other(tag, hostnameFields);
    }
  }
  reader.leave(outer, mark, 'hostname');
  return { kind: 'hostname', namespace, hostname };
}

function readAddress(reader: Reader): GatewayDestination | undefined {
  const mark = reader.mark;
  const outer = reader.enter();
  let network = '';
  let start = reader.pos;
  let length = 0;
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        network = reader.text('network');
        break;
      case (2 << 3) | 2:
        length = reader.span();
        start = reader.pos - length;
        break;
      // A gateway is one address, whatever the length says.
      case (3 << 3) | 0:
        reader.uint32();
        break;
      default:
        reader.other(tag, addressFields);
    }
  }
  const address = addressAt(reader, start, length, 'address');
  reader.leave(outer, mark, 'address');
  return address === '' ? undefined : { kind: 'address', network, address };
}
