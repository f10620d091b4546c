// SPDX-License-Identifier: Apache-2.0
// Ethernet frames, as far as programs on a pod's link look at them.
import { stableBytes } from '../../src/kernel/libbpf.ts';
import { addressBytes } from '../../src/net/address.ts';

export type Part = readonly number[] | Uint8Array;

export const bytesOf = (...parts: readonly Part[]): Uint8Array => {
  const out = stableBytes(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
};

const be16 = (n: number) => [n >>> 8, n & 255];

/** @param type of what it carries; tags before it are given with it: [0x8100, 0, 0x0800] */
export function frame(type: number | readonly number[], ...payload: readonly Part[]): Uint8Array {
  const types = typeof type === 'number' ? [type] : type;
  return bytesOf([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], types.flatMap(be16), ...payload);
}

const v4 = (address: string) => addressBytes(address).subarray(12);

export function ip4(source: string, destination: string, protocol: number, ...payload: readonly Part[]): Uint8Array {
  const length = 20 + payload.reduce((sum, part) => sum + part.length, 0);
  return frame(
    0x0800,
    [0x45, 0, ...be16(length), 0, 0, 0, 0, 64, protocol, 0, 0],
    v4(source),
    v4(destination),
    ...payload,
  );
}

export function ip6(source: string, destination: string, next: number, ...payload: readonly Part[]): Uint8Array {
  const length = payload.reduce((sum, part) => sum + part.length, 0);
  return frame(
    0x86dd,
    [0x60, 0, 0, 0, ...be16(length), next, 64],
    addressBytes(source),
    addressBytes(destination),
    ...payload,
  );
}

/** Ports, length, checksum; also the start of a TCP header. */
export const ports = (source: number, destination: number): number[] => [
  ...be16(source),
  ...be16(destination),
  0,
  8,
  0,
  0,
];

/** An extension header of 8 bytes, or more, before `next`. */
export const extension = (next: number, bytes = 8): number[] => [
  next,
  bytes / 8 - 1,
  ...new Array<number>(bytes - 2).fill(0),
];

export const icmp6 = (type: number, target: string): Uint8Array =>
  bytesOf([type, 0, 0, 0, 0, 0, 0, 0], addressBytes(target));

export function arp(sender: string, target: string): Uint8Array {
  return frame(0x0806, [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2], v4(sender), [0, 0, 0, 0, 0, 0], v4(target));
}
