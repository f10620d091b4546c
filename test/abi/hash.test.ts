// SPDX-License-Identifier: Apache-2.0
// The mixes of src/abi/hash.ts against values computed by bpf/lib/hash.bpf.h.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressHash, cgroupHash, enrolledFilter, filterBit, frontendTag, variantTag } from '../../src/abi/hash.ts';
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
    [1n, 2531],
    [2n, 966],
    [4711n, 2286],
    [0xfedcba9876543210n, 1422],
    [0x100000001n, 1505],
  ])('filterBit(%i)', (id, bit) => {
    expect(filterBit(id)).toBe(bit);
  });

  it('has the bits of its cgroups and no others', () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })), (ids) => {
        const bits = new Set(ids.map(filterBit));
        const filter = enrolledFilter(ids);
        for (let bit = 0; bit < 64 * filter.length; bit++) {
          const set = (((filter[bit >> 6] as bigint) >> BigInt(bit & 63)) & 1n) === 1n;
          if (set !== bits.has(bit)) throw new Error(`bit ${bit}`);
        }
      }),
    );
  });
});
