// SPDX-License-Identifier: Apache-2.0
// Ports where waypoints read a header: whether a client is kept from one, as the programs decide it.
import { clientFlag, portFlag, protocolNumber, settingFlag } from '../../abi/structs.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';
import { type Address, addressBytes, isItself } from '../../net/address.ts';
import { socketAddressText } from '../../net/socket-address.ts';
import type { HeldClient } from './client.ts';

/** Why the client may not reach `address` and `port` without a header; undefined: it may. */
export function keptFrom(
  plane: DataPlane,
  client: HeldClient | undefined,
  address: Address,
  port: number,
): string | undefined {
  const setting = plane.map('setting').get(0);
  if (client?.enrolled === false || !setting || ((setting.ports >> BigInt(port & 63)) & 1n) === 0n) return undefined;
  const text = socketAddressText(address, port);
  const itself = isItself(address);
  const full = (setting.flags & settingFlag.portsFull) !== 0;
  const lost = `the map "waypoint_port" is full, and ${text} may be where a waypoint reads a header`;
  if (full && !itself) return lost;
  const addr = itself ? '::1' : isOfLink(address) ? 'fe80::' : address;
  const flags = plane.map('waypoint_port').get({ addr, port, protocol: protocolNumber.tcp });
  const why = `a waypoint reads a header at ${text}, which only connections through it get`;
  if (flags !== undefined && !itself) return why;
  const meant = client?.waypoint || (isOnNode(plane, client) && (flags === undefined || (flags & portFlag.node) !== 0));
  if (!meant) return undefined;
  return flags === undefined ? (full ? lost : undefined) : why;
}

/** One whose network is not known may be in the node's. */
function isOnNode(plane: DataPlane, client: HeldClient | undefined): boolean {
  const self = client && plane.map('client').get(client.workloadId);
  return self === undefined || (self.flags & clientFlag.node) !== 0;
}

function isOfLink(address: Address): boolean {
  const [first, second = 0] = addressBytes(address);
  return first === 0xfe && second >> 6 === 2;
}
