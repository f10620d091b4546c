// SPDX-License-Identifier: Apache-2.0
// Addresses: text to 16 bytes and back, what is refused.
import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressBytes, addressOf, isV4, parseAddress, writeAddress } from '../../src/net/address.ts';
import { parsePort, parseSocketAddress, socketAddressText } from '../../src/net/socket-address.ts';

const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
/** Few distinct values, so that runs of zeros and the mapped prefix occur. */
const sparse16 = fc
  .array(fc.constantFrom(0, 0, 0, 0xff, 1), { minLength: 16, maxLength: 16 })
  .map((a) => Uint8Array.from(a));
const mapped = fc
  .uint8Array({ minLength: 4, maxLength: 4 })
  .map((v4) => Uint8Array.of(...new Array(10).fill(0), 255, 255, ...v4));

describe('addresses', () => {
  test('16 bytes to text and back', () => {
    fc.assert(
      fc.property(fc.oneof(bytes16, sparse16, mapped), (bytes) => {
        const text = addressOf(bytes) as string;
        expect(addressBytes(text)).toEqual(bytes);
        expect(parseAddress(text)).toBe(text);
        expect(isIP(text)).toBe(isV4(text) ? 4 : 6);
      }),
    );
  });

  test('every text that names an IPv4 or IPv6 address is canonical after parsing once', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const parsed = parseAddress(text) as string;
        expect(isIP(parsed)).not.toBe(0);
        expect(parseAddress(parsed)).toBe(parsed);
        expect(addressOf(addressBytes(parsed))).toBe(parsed);
      }),
    );
  });

  test('what the system takes for no address is refused', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('0', '1', '9', 'a', 'f', ':', '.', '/', '%', ' '), maxLength: 20 }),
        (text) => {
          if (isIP(text) === 0) expect(parseAddress(text)).toBeUndefined();
        },
      ),
    );
  });

  test('two texts of one address are one', () => {
    fc.assert(
      fc.property(bytes16, (bytes) => {
        const groups = Array.from(
          { length: 8 },
          (_, i) => ((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number),
        );
        const long = groups.map((g) => g.toString(16).padStart(4, '0').toUpperCase()).join(':');
        expect(parseAddress(long)).toBe(addressOf(bytes));
      }),
    );
  });

  test.each([
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['::', '::'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
  ])('%s is %s', (text, canonical) => {
    expect(parseAddress(text)).toBe(canonical);
  });

  test.each([
    '',
    '10.0.0',
    '10.0.0.256',
    '10.0.0.01',
    '0x0a.0.0.1',
    'fe80::1%eth0',
    '1::2::3',
    ':::',
    '10.0.0.1/8',
    ' 10.0.0.1',
  ])('"%s" is no address', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test('bytes around the written ones stay', () => {
    const out = new Uint8Array(20).fill(7);
    writeAddress('10.0.0.1', out, 2);
    expect([...out]).toEqual([7, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1, 7, 7]);
    expect(addressOf(out, 14, 4)).toBe('10.0.0.1');
    expect(addressOf(out, 0, 5)).toBeUndefined();
  });
});

describe('socket addresses', () => {
  test('text and back', () => {
    fc.assert(
      fc.property(fc.oneof(bytes16, mapped), fc.integer({ min: 1, max: 65535 }), (bytes, port) => {
        const address = addressOf(bytes) as string;
        expect(parseSocketAddress(socketAddressText(address, port))).toEqual({ address, port });
      }),
    );
  });

  test.each([
    '10.0.0.1',
    '10.0.0.1:',
    '10.0.0.1:0',
    '10.0.0.1:65536',
    '::1:80',
    '[10.0.0.1]:80',
    '[::1]',
    '[::1]80',
    ':80',
    'a:80',
  ])('"%s" is refused', (text) => {
    expect(parseSocketAddress(text)).toBeUndefined();
  });

  test.each([
    ['80', 80],
    ['65535', 65535],
    ['65536', undefined],
    ['0', undefined],
    ['080', undefined],
    ['', undefined],
    ['8o', undefined],
  ])('port "%s" is %s', (text, port) => {
    expect(parsePort(text)).toBe(port);
  });
});
