// SPDX-License-Identifier: Apache-2.0
// IP addresses and ranges from the bytes of a message, in the one canonical form of the model.
import { type Address, addressOf, isV4 } from '../../../net/address.ts';
import type { Cidr } from '../../../net/cidr.ts';
import type { Reader } from './reader.ts';

/** The address that `length` bytes from `start` on are; a fault and '' when they are none. `index`: among the field's. */
export function addressAt(reader: Reader, start: number, length: number, field: string, index = -1): Address {
  const address = addressOf(reader.bytes, start, length);
  if (address !== undefined) return address;
  reader.fault(index < 0 ? field : `${field}[${index}]`, `${length} bytes, must be 4 or 16`);
  return '';
}

/** The range that the first `bits` of 4 or 16 bytes fix, its host bits zero; of IPv4 when it is a v4-mapped one. Undefined: more bits than there are. */
export function rangeOf(bytes: Uint8Array, bits: number): Cidr | undefined {
  if (bits > bytes.length * 8) return undefined;
  const first = Uint8Array.from(bytes, (byte, i) => byte & (0xff00 >> Math.min(Math.max(bits - i * 8, 0), 8)));
  const address = addressOf(first);
  if (address === undefined) return undefined;
  return { address, length: isV4(address) && bytes.length === 16 ? bits - 96 : bits };
}
