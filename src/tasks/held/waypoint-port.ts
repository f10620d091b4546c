// SPDX-License-Identifier: Apache-2.0
// Ports where waypoints read a header: whether a client is kept from one, as the programs decide it.
import { frontendTag } from '../../abi/hash.ts';
import { protocolNumber, settingFlag } from '../../abi/structs.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';
import { type Address, addressBytes } from '../../net/address.ts';
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
  if (setting.flags & settingFlag.portsFull) {
    return `the map "waypoint_port" is full, and ${text} may be where a waypoint reads a header`;
  }
  const key = { addr: standIn(address) ?? address, port, protocol: protocolNumber.tcp };
  const held = plane.map('waypoint_port').get(key);
  if (!held) return undefined;
  const own = client !== undefined && client.workloadId !== 0 && client.workloadId === held.workload_id;
  if (own && held.tag === frontendTag(key)) return undefined;
  return `a waypoint reads a header at ${text}, which only connections through it get`;
}

/** For addresses that everybody has his own of (km_stand_in of bpf/lib/waypoint_port.bpf.h). */
function standIn(address: Address): string | undefined {
  if (['0.0.0.0', '::', '::1'].includes(address) || address.startsWith('127.')) return '::1';
  const [first, second = 0] = addressBytes(address);
  return first === 0xfe && second >> 6 === 2 ? 'fe80::' : undefined;
}
