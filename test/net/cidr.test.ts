// SPDX-License-Identifier: Apache-2.0
// Ranges against arithmetic on big integers.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressBytes, addressOf, isV4 } from '../../src/net/address.ts';
import {
  addressBits,
  cidrContains,
  cidrCovers,
  cidrText,
  coversMapped,
  maskAddress,
  parseCidr,
} from '../../src/net/cidr.ts';

const v4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((b) => addressOf(b) as string);
const v6 = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((b) => addressOf(b) as string)
  .filter((a) => !isV4(a));
const ranged = fc.oneof(fc.tuple(v4, fc.integer({ min: 0, max: 32 })), fc.tuple(v6, fc.integer({ min: 0, max: 128 })));

/** The address as a number of its own family. */
function numberOf(address: string): bigint {
  const bytes = addressBytes(address).subarray(isV4(address) ? 12 : 0);
  return bytes.reduce((n, b) => (n << 8n) | BigInt(b), 0n);
}

const masked = (n: bigint, bits: number, length: number): bigint =>
  (n >> BigInt(bits - length)) << BigInt(bits - length);

describe('ranges', () => {
  test('masking clears exactly the host bits', () => {
    fc.assert(
      fc.property(ranged, ([address, length]) => {
        const first = maskAddress(address, length);
        expect(numberOf(first)).toBe(masked(numberOf(address), addressBits(address), length));
        expect(maskAddress(first, length)).toBe(first);
      }),
    );
  });

  test('text and back', () => {
    fc.assert(
      fc.property(ranged, ([address, length]) => {
        const parsed = parseCidr(`${address}/${length}`);
        expect(parsed).toEqual({ address: maskAddress(address, length), length });
        const text = cidrText(address, length);
        if (length < addressBits(address)) expect(parseCidr(text)).toEqual(parsed);
        else expect(text).toBe(address);
      }),
    );
  });

  test('a range contains what shares its prefix, and nothing of the other family', () => {
    fc.assert(
      fc.property(ranged, fc.oneof(v4, v6), fc.integer({ min: 0, max: 127 }), ([address, length], other, flip) => {
        const range = { address: maskAddress(address, length), length };
        const bits = addressBits(address);
        const shares = (a: string) =>
          isV4(a) === isV4(address) && masked(numberOf(a), bits, length) === masked(numberOf(address), bits, length);
        expect(cidrContains(range, address)).toBe(true);
        expect(cidrContains(range, other)).toBe(shares(other));
        const bytes = addressBytes(address);
        const bit = (isV4(address) ? 96 : 0) + (flip % bits);
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (0x80 >> (bit & 7));
        const flipped = addressOf(bytes) as string;
        fc.pre(isV4(flipped) === isV4(address));
        expect(cidrContains(range, flipped)).toBe(flip % bits >= length);
      }),
    );
  });

  test('of two ranges around one address the shorter covers the longer', () => {
    fc.assert(
      fc.property(ranged, fc.integer({ min: 0, max: 128 }), ([address, length], other) => {
        const second = Math.min(other, addressBits(address));
        const a = { address: maskAddress(address, length), length };
        const b = { address: maskAddress(address, second), length: second };
        expect(cidrCovers(a, b)).toBe(length <= second);
        expect(cidrCovers(b, a)).toBe(second <= length);
      }),
    );
  });

  test.each([
    ['10.1.2.3/16', '10.1.0.0/16'],
    ['10.1.2.3/32', '10.1.2.3'],
    ['10.1.2.3/0', '0.0.0.0/0'],
    ['2001:DB8:1::1/32', '2001:db8::/32'],
    ['::ffff:10.1.2.3/112', '10.1.0.0/16'],
    ['::ffff:10.1.2.3/95', '::fffe:0:0/95'],
    ['::ffff:10.1.2.3/0', '::/0'],
    ['::1/128', '::1'],
  ])('%s is %s', (text, canonical) => {
    const range = parseCidr(text) as { address: string; length: number };
    expect(cidrText(range.address, range.length)).toBe(canonical);
  });

  test.each([
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '::/129',
    '/8',
    'x/8',
    '10.0.0.0/8/8',
    '::ffff:1.2.3.4/129',
  ])('"%s" is no range', (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });

  test.each([
    ['::/0', true],
    ['::/80', true],
    ['::/81', false],
    ['::8000:0:0/81', true],
    ['::fffe:0:0/95', true],
    ['2001:db8::/32', false],
    ['0.0.0.0/0', false],
  ])('%s takes in the v4-mapped space: %s', (text, covers) => {
    expect(coversMapped(parseCidr(text) as { address: string; length: number })).toBe(covers);
  });
});
