// SPDX-License-Identifier: Apache-2.0
// Addresses: canonical text in the model, 16 bytes (IPv4 as v4-mapped) in the kernel.
import ipaddr from 'ipaddr.js';

/** Canonical text of an IPv4 or IPv6 address: "10.0.0.1", "2001:db8::1" (RFC 5952). A v4-mapped IPv6 address is written as IPv4. */
export type Address = string;

const dot = 46;
const zero = 48;

/**
 * The four bytes of dotted IPv4 text as one 32-bit number, or -1. Leading zeros are refused (they mean octal to some readers).
 * By hand: a regular expression took a tenth of the time in which a large mesh is written to the kernel.
 */
function parseV4(text: string): number {
  let value = 0;
  let part = 0;
  let digits = 0;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === dot) {
      if (digits === 0 || ++dots > 3) return -1;
      value = value * 256 + part;
      part = 0;
      digits = 0;
      continue;
    }
    if (code < zero || code > zero + 9 || (digits > 0 && part === 0)) return -1;
    part = part * 10 + code - zero;
    digits++;
    if (part > 255) return -1;
  }
  return dots === 3 && digits > 0 ? value * 256 + part : -1;
}

/** Canonical text of `text`, or undefined when it is no address (zones such as fe80::1%eth0 are refused). */
export function parseAddress(text: string): Address | undefined {
  if (parseV4(text) >= 0) return text;
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  const v6 = ipaddr.IPv6.parse(text);
  return v6.isIPv4MappedAddress() ? v6.toIPv4Address().toString() : v6.toRFC5952String();
}

/** True for 127.0.0.0/8 and ::1, by which a network calls itself, and for 0.0.0.0 and ::, where connect() goes to these (bpf/lib/addr.bpf.h). */
export function isItself(address: Address): boolean {
  return address.startsWith('127.') || address === '::1' || address === '0.0.0.0' || address === '::';
}

/** True for the canonical text of an IPv4 address. */
export function isV4(address: Address): boolean {
  return !address.includes(':');
}

/** The 16 bytes of a canonical address, IPv4 as v4-mapped, written at `offset`. */
export function writeAddress(address: Address, out: Uint8Array, offset = 0): void {
  const v4 = parseV4(address);
  if (v4 >= 0) {
    out.fill(0, offset, offset + 10);
    out[offset + 10] = 0xff;
    out[offset + 11] = 0xff;
    out[offset + 12] = v4 >>> 24;
    out[offset + 13] = v4 >>> 16;
    out[offset + 14] = v4 >>> 8;
    out[offset + 15] = v4;
    return;
  }
  out.set(ipaddr.IPv6.parse(address).toByteArray(), offset);
}

/** The same by way of a view, at `offset` in it: nothing is allocated for IPv4, of which a large mesh has hundreds of thousands. */
export function setAddress(view: DataView, offset: number, address: Address): void {
  const v4 = parseV4(address);
  if (v4 < 0) {
    writeAddress(address, new Uint8Array(view.buffer, view.byteOffset + offset, 16));
    return;
  }
  view.setUint32(offset, 0);
  view.setUint32(offset + 4, 0);
  view.setUint32(offset + 8, 0xffff);
  view.setUint32(offset + 12, v4);
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
