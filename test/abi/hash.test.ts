// SPDX-License-Identifier: Apache-2.0
// The mixes of src/abi/hash.ts against values computed by bpf/lib/hash.bpf.h.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressHash, cgroupHash, enrolledFilter, filterMask, frontendTag, variantTag } from '../../src/abi/hash.ts';
import { addressOf } from '../../src/net/address.ts';

const anyAddress = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((b) => addressOf(b) as string);
const anyPort = fc.integer({ min: 0, max: 65535 });

describe('frontendTag', () => {
  it.each([
    ['10.96.0.1', 443, 6, 1184366468],
    ['10.96.0.1', 443, 17, 752242922],
    ['2001:db8::1', 53, 17, 2774107311],
    ['255.255.255.255', 65535, 6, 4219518291],
    ['fd00::ffff', 1, 6, 3533702360],
  ])('%s port %i protocol %i', (addr, port, protocol, tag) => {
    expect(frontendTag({ addr, port, protocol })).toBe(tag);
  });

  it('is an unsigned 32-bit number that depends on every part of the key', () => {
    fc.assert(
      fc.property(anyAddress, anyPort, anyPort, (addr, port, other) => {
        const tag = frontendTag({ addr, port, protocol: 6 });
        expect(tag).toBe(tag >>> 0);
        expect(frontendTag({ addr, port, protocol: 17 })).not.toBe(tag);
        expect(frontendTag({ addr, port: other, protocol: 6 }) === tag).toBe(other === port);
      }),
    );
  });
});

describe('variantTag', () => {
  it.each([
    ['10.96.0.1', 443, 0, 0, 1184366468],
    ['10.96.0.1', 443, 0, 7, 2300598458],
    ['10.1.0.0', 80, 112, 0xfffffff0, 1728294966],
  ])('%s port %i prefix %i namespace %i', (addr, port, prefix, namespace_id, tag) => {
    expect(variantTag({ addr, port, protocol: 6, prefix, namespace_id })).toBe(tag);
  });

  it('is the tag of the frontend for an exact address and every namespace', () => {
    fc.assert(
      fc.property(anyAddress, anyPort, (addr, port) => {
        const tag = variantTag({ addr, port, protocol: 6, prefix: 0, namespace_id: 0 });
        expect(tag).toBe(frontendTag({ addr, port, protocol: 6 }));
      }),
    );
  });
});

describe('source hash', () => {
  it.each([
    ['10.244.1.7', 1436970846],
    ['fd00:10:244::7', 1369548468],
  ])('addressHash(%s)', (addr, hash) => {
    expect(addressHash(addr)).toBe(hash);
  });

  it.each([
    [4711n, 2461742346],
    [0xfedcba9876543210n, 646162269],
  ])('cgroupHash(%i)', (id, hash) => {
    expect(cgroupHash(id)).toBe(hash);
  });
});

describe('filter of enrolled cgroups', () => {
  it.each([
    [1n, 50, 0x19n],
    [2n, 13, 0x20008010n],
    [4711n, 36, 0x80040000100n],
    [0xfedcba9876543210n, 14, 0x400004000400000n],
    [0x100000001n, 26, 0x200000002080000n],
  ])('filterMask(%i)', (id, word, mask) => {
    expect(filterMask(id)).toEqual({ word, mask });
  });

  it('holds its cgroups, and few others when a node is full of pods', () => {
    const ids = Array.from({ length: 250 }, (_, i) => BigInt(5000 + 23 * i));
    const filter = enrolledFilter(ids);
    const has = (id: bigint) => {
      const { word, mask } = filterMask(id);
      return ((filter[word] as bigint) & mask) === mask;
    };
    expect(ids.every(has)).toBe(true);
    const others = Array.from({ length: 10_000 }, (_, i) => BigInt(5001 + 23 * i)).filter(has);
    expect(others.length).toBeLessThan(100);
  });
});
