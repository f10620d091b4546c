// SPDX-License-Identifier: Apache-2.0
// Addresses: canonical text in the model, 16 bytes (IPv4 as v4-mapped) in the kernel.
import ipaddr from 'ipaddr.js';

/** Canonical text of an IPv4 or IPv6 address: "10.0.0.1", "2001:db8::1" (RFC 5952). A v4-mapped IPv6 address is written as IPv4. */
export type Address = string;

const V4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/** The four bytes of dotted IPv4 text, or undefined. Leading zeros are refused (they mean octal to some readers). */
function parseV4(text: string): [number, number, number, number] | undefined {
  const m = V4.exec(text);
  if (!m) return undefined;
  const bytes: number[] = [];
  for (let i = 1; i <= 4; i++) {
    const part = m[i] as string;
    const n = Number(part);
    if (n > 255 || (part.length > 1 && part[0] === '0')) return undefined;
    bytes.push(n);
  }
  return bytes as [number, number, number, number];
}

/** Canonical text of `text`, or undefined when it is no address (zones such as fe80::1%eth0 are refused). */
export function parseAddress(text: string): Address | undefined {
  if (parseV4(text)) return text;
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  const v6 = ipaddr.IPv6.parse(text);
  return v6.isIPv4MappedAddress() ? v6.toIPv4Address().toString() : v6.toRFC5952String();
}

/** True for the canonical text of an IPv4 address. */
export function isV4(address: Address): boolean {
  return !address.includes(':');
}

/** The 16 bytes of a canonical address, IPv4 as v4-mapped, written at `offset`. */
export function writeAddress(address: Address, out: Uint8Array, offset = 0): void {
  const v4 = parseV4(address);
  if (v4) {
    out.fill(0, offset, offset + 10);
    out[offset + 10] = 0xff;
    out[offset + 11] = 0xff;
    out.set(v4, offset + 12);
    return;
  }
  out.set(ipaddr.IPv6.parse(address).toByteArray(), offset);
}

/** The 16 bytes of a canonical address. */
export function addressBytes(address: Address): Uint8Array {
  const out = new Uint8Array(16);
  writeAddress(address, out);
  return out;
}

/** Canonical text of 4 or 16 bytes in network order at `offset`; undefined for any other length. */
export function addressOf(bytes: Uint8Array, offset = 0, length = bytes.length - offset): Address | undefined {
  const at = (i: number) => bytes[offset + i] as number;
  if (length === 4) return `${at(0)}.${at(1)}.${at(2)}.${at(3)}`;
  if (length !== 16) return undefined;
  let mapped = at(10) === 0xff && at(11) === 0xff;
  for (let i = 0; mapped && i < 10; i++) mapped = at(i) === 0;
  if (mapped) return `${at(12)}.${at(13)}.${at(14)}.${at(15)}`;
  return new ipaddr.IPv6(Array.from(bytes.subarray(offset, offset + 16))).toRFC5952String();
}
