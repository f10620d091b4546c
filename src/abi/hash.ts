// SPDX-License-Identifier: Apache-2.0
// The two 32-bit mixes that programs compute too (bpf/lib/hash.bpf.h): the tag of a frontend entry, and the source hash.
import { setAddress } from '../net/address.ts';
import type { KeyOf } from './maps.ts';
import { filterWords } from './structs.ts';

type Words = readonly [number, number, number, number];

/** w0..w3 are little-endian words, as the programs (little-endian machines only) read the bytes. */
function mix([w0, w1, w2, w3]: Words, low: number, namespaceId: number): number {
  let t =
    Math.imul(w0, 0x9e3779b1) ^
    Math.imul(w1, 0x85ebca77) ^
    Math.imul(w2, 0xc2b2ae3d) ^
    Math.imul(w3, 0x27d4eb2f) ^
    Math.imul(low, 0x165667b1) ^
    Math.imul(namespaceId, 0x9e3779b1);
  t ^= t >>> 15;
  t = Math.imul(t, 0x2c1b3c6d);
  t ^= t >>> 12;
  return t >>> 0;
}

const bytes = new DataView(new ArrayBuffer(16));

function wordsOf(address: string): Words {
  if (address === '') return [0, 0, 0, 0];
  setAddress(bytes, 0, address);
  return [bytes.getUint32(0, true), bytes.getUint32(4, true), bytes.getUint32(8, true), bytes.getUint32(12, true)];
}

/** The port's two network-order bytes read as a little-endian number, then protocol and prefix length above it. */
const lowWord = (port: number, protocol: number, prefix: number): number =>
  ((port & 0xff) << 8) | (port >>> 8) | (protocol << 16) | (prefix << 24);

/** km_frontend_tag: what struct km_frontend.tag must be for an entry of the map frontend. Unsigned 32 bits. */
export function frontendTag(key: KeyOf<'frontend'>): number {
  return mix(wordsOf(key.addr), lowWord(key.port, key.protocol, 0), 0);
}

/** km_variant_tag: the same for an entry of the map variant. */
export function variantTag(key: KeyOf<'variant'>): number {
  return mix(wordsOf(key.addr), lowWord(key.port, key.protocol, key.prefix), key.namespace_id);
}

/** km_addr_tag: of entries of authz_dest and authz_source. */
export function addressTag(address: string): number {
  return mix(wordsOf(address), 0, 0);
}

/** km_authz_value_tag: of an entry of authz_value. */
export function authzValueTag(key: KeyOf<'authz_value'>): number {
  return mix([key.set, key.value, 0, 0], 0, 0);
}

/** km_address_hash: the source hash of a client whose own address is known. Unsigned 32 bits. */
export function addressHash(address: string): number {
  return mix(wordsOf(address), 0, 0);
}

/** km_cgroup_hash: the source hash of a client without an address of the destination's family. */
export function cgroupHash(cgroupId: bigint): number {
  return mix([Number(cgroupId & 0xffffffffn), Number((cgroupId >> 32n) & 0xffffffffn), 0, 0], 0, 0);
}

/** km_filter_mask: which bits of which word of km_level.filter stand for a cgroup. */
export function filterMask(cgroupId: bigint): { readonly word: number; readonly mask: bigint } {
  const high = Math.imul(Number((cgroupId >> 32n) & 0xffffffffn), 0x85ebca77);
  let h = Math.imul(Number(cgroupId & 0xffffffffn) ^ high, 0x9e3779b1);
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  const bit = (shift: number) => 1n << BigInt((h >>> shift) & 63);
  return { word: h >>> 26, mask: bit(20) | bit(14) | bit(8) };
}

/** km_level.filter for these enrolled cgroups. */
export function enrolledFilter(cgroupIds: Iterable<bigint>): bigint[] {
  const words = new Array<bigint>(filterWords).fill(0n);
  for (const id of cgroupIds) {
    const { word, mask } = filterMask(id);
    words[word] = (words[word] as bigint) | mask;
  }
  return words;
}
