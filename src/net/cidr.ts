// SPDX-License-Identifier: Apache-2.0
// Ranges of addresses: canonical text "10.1.0.0/16" with the host bits zero, lengths in bits of the address's own family.
import { type Address, addressBytes, addressOf, isV4, parseAddress } from './address.ts';

/** A range of addresses. `address` is its first one. */
export interface Cidr {
  readonly address: Address;
  /** Bits that are fixed: 0..32 for IPv4, 0..128 for IPv6. */
  readonly length: number;
}

/** Bits in an address of this family. */
export function addressBits(address: Address): 32 | 128 {
  return isV4(address) ? 32 : 128;
}

/** Bits before the address's own ones in its 16-byte form: what to add to a length to get a prefix of the 16 bytes. */
function lead(address: Address): 0 | 96 {
  return isV4(address) ? 96 : 0;
}

function clearBits(bytes: Uint8Array, from: number): void {
  for (let bit = from; bit < 128; bit = (bit | 7) + 1) {
    const keep = 0xff00 >> (bit & 7);
    bytes[bit >> 3] = (bytes[bit >> 3] as number) & keep;
  }
}

/** First address of the range that `length` bits of `address` fix. */
export function maskAddress(address: Address, length: number): Address {
  if (length >= addressBits(address)) return address;
  const bytes = addressBytes(address);
  clearBits(bytes, length + lead(address));
  return addressOf(bytes) as Address;
}

/**
 * The range written as "address/length" (host bits are cleared), or undefined when it is none.
 * A v4-mapped range (::ffff:10.0.0.0/104) is the IPv4 one (10.0.0.0/8).
 */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits)) return undefined;
  const written = text.slice(0, slash);
  const address = parseAddress(written);
  if (address === undefined) return undefined;
  let length = Number(digits);
  if (isV4(address) && written.includes(':')) {
    if (length > 128) return undefined;
    if (length >= 96) length -= 96;
    else {
      // Shorter than the mapped prefix: a range of IPv6 addresses.
      const bytes = addressBytes(address);
      clearBits(bytes, length);
      return { address: addressOf(bytes) as Address, length };
    }
  }
  if (length > addressBits(address)) return undefined;
  return { address: maskAddress(address, length), length };
}

/** Canonical text of a range; a range of one address is written as that address. */
export function cidrText(address: Address, length: number | undefined): string {
  if (length === undefined || length >= addressBits(address)) return address;
  return `${maskAddress(address, length)}/${length}`;
}

/** True when `address` lies in `range`. Never across families. */
export function cidrContains(range: Cidr, address: Address): boolean {
  return isV4(range.address) === isV4(address) && maskAddress(address, range.length) === range.address;
}

/** True when every address of `inner` lies in `outer`. */
export function cidrCovers(outer: Cidr, inner: Cidr): boolean {
  return outer.length <= inner.length && cidrContains(outer, inner.address);
}

/** True for a range of IPv6 addresses that, in the 16-byte form, takes in every IPv4 address as well: ::/0 to ::/80 and the like. */
export function coversMapped(range: Cidr): boolean {
  if (isV4(range.address) || range.length > 96) return false;
  // Not canonical text: the mapped space itself as 16 bytes.
  const bytes = addressBytes('0.0.0.0');
  clearBits(bytes, range.length);
  return addressOf(bytes) === range.address;
}
