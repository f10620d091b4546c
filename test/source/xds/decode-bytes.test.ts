// SPDX-License-Identifier: Apache-2.0
// Bytes that make no sense, by accident or on purpose.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openDecoder } from '../../../src/source/xds/decode/decoder.ts';
import { readResponse } from '../../../src/source/xds/decode/response.ts';
import { bytesOf, encode, resource } from './decode-messages.ts';
import { anyAddress, anyAuthorization } from './decode-random.ts';

const faultsOf = (hex: string, type: 'address' | 'authorization' = 'address') => {
  const checked = openDecoder().check(type, resource(type, 'a', bytesOf(hex)));
  return checked.ok ? [] : checked.faults;
};

/** The body of a workload with the uid "a": its bytes, with more in front. */
const withUid = (hex: string) => {
  const inner = `${hex} a2 01 01 61`.replaceAll(' ', '');
  return `0a ${(inner.length / 2).toString(16).padStart(2, '0')} ${inner}`;
};

test.each<[string, string]>([
  ['a varint', withUid('c0 06 ff ff ff ff ff ff ff ff ff 01')],
  ['eight bytes', withUid('c1 06 00 00 00 00 00 00 00 00')],
  ['bytes', withUid('c2 06 02 ff ff')],
  ['four bytes', withUid('c5 06 00 00 00 00')],
  ['groups', withUid('c3 06 cb 06 08 01 cc 06 c4 06')],
])('an unknown field of %s is passed over', (_, hex) => {
  expect(faultsOf(hex)).toEqual([]);
});

test.each<[string, string, string[]]>([
  ['nothing', '', ['neither workload nor service']],
  ['a message cut short', '0a 05 a2 01', ['cut short', 'uid: missing']],
  ['a length cut short', '0a', ['cut short', 'uid: missing']],
  ['a length beyond 32 bits', '0a ff ff ff ff ff 01', ['cut short', 'uid: missing']],
  ['text cut short', '0a 03 a2 01 05', ['cut short', 'uid: missing']],
  ['text that is not UTF-8', withUid('12 02 c3 28'), ['namespace: not UTF-8']],
  ['text with half a surrogate', withUid('0a 03 ed a0 80'), ['name: not UTF-8']],
  [
    'an endless number',
    withUid('28 80 80 80 80 80 80 80 80 80 80 80 01'),
    ['uid: missing', 'number of more than 10 bytes'],
  ],
  ['field 0', withUid('00 01'), ['uid: missing', 'field number 0 or too large']],
  ['a field number beyond 29 bits', withUid('f8 ff ff ff ff 01 00'), ['uid: missing', 'field number 0 or too large']],
  ['wire type 7', withUid('c7 06'), ['uid: missing', 'wire type 7']],
  ['a group that is not ended', withUid('c3 06'), ['uid: missing', 'cut short']],
  ['a group that was not begun', withUid('c4 06'), ['uid: missing', 'end of a group that was not begun']],
  [
    'a known field of another wire type',
    withUid('28 01 2a 01 00 a0 01 07'),
    ['tunnel_protocol: wire type 2 is not that of this field', 'uid: wire type 0 is not that of this field'],
  ],
  [
    'faults inside one field, and more after it',
    withUid('42 02 0a 05 c2 01 03 0a 09 61 88 01 05'),
    ['waypoint.hostname: cut short', 'locality: cut short', 'status: unknown value 5'],
  ],
])('%s is a fault', (_, hex, faults) => {
  expect(new Set(faultsOf(hex))).toEqual(new Set(faults));
});

test('faults are told up to a number, the rest is counted', () => {
  const addresses = Array.from({ length: 100_000 }, () => Buffer.from([1]));
  const body = encode('address', { workload: { uid: 'a', addresses } });
  const checked = openDecoder().check('address', resource('address', 'a', body));
  const faults = checked.ok ? [] : checked.faults;
  expect(faults).toHaveLength(51);
  expect(faults.at(-1)).toBe('and 99950 more faults');
});

test('a text of a peer is quoted and cut', () => {
  const body = encode('address', { workload: { uid: `\n${'x'.repeat(1000)}` } });
  const checked = openDecoder().check('address', resource('address', 'a', body));
  expect(checked).toEqual({
    ok: false,
    faults: [`uid: ${JSON.stringify(`\n${'x'.repeat(99)}…`)} is not the name of the resource`],
  });
});

test('a body of another type is refused', () => {
  const raw = { ...resource('address', 'a', bytesOf('')), typeUrl: 'type.googleapis.com/istio.security.Authorization' };
  expect(openDecoder().check('address', raw)).toEqual({
    ok: false,
    faults: [
      'type URL "type.googleapis.com/istio.security.Authorization", must be "type.googleapis.com/istio.workload.Address"',
    ],
  });
});

test('groups as deep as the message are refused, not followed', () => {
  const body = Buffer.alloc(1 << 20, 0x0b);
  for (const type of ['address', 'authorization'] as const) {
    const checked = openDecoder().check(type, resource(type, 'a', body));
    expect(checked.ok).toBe(false);
  }
  expect(() => [...readResponse(body)]).toThrow('a response cannot be read');
});

test('what is wrong with bytes is told again when they come again', () => {
  const decoder = openDecoder();
  // A locality, a waypoint, services and policies with faults, then without.
  for (const hex of ['c2 01 03 0a 09 61', '42 02 18 01', 'b2 01 03 0a 01 78', '82 01 02 c3 28']) {
    const bad = resource('address', 'a', bytesOf(withUid(hex)));
    const first = decoder.check('address', bad);
    expect(first.ok).toBe(false);
    expect(decoder.check('address', bad)).toEqual(first);
  }
  expect(decoder.check('address', resource('address', 'a', bytesOf(withUid('')))).ok).toBe(true);
});

const mutations = fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom('set', 'insert', 'remove', 'cut')), {
  minLength: 1,
  maxLength: 4,
});

function mutate(body: Uint8Array, changes: readonly (readonly [number, number, string])[]): Uint8Array {
  let bytes = [...body];
  for (const [where, value, kind] of changes) {
    const at = bytes.length === 0 ? 0 : where % bytes.length;
    if (kind === 'set') bytes[at] = value;
    else if (kind === 'insert') bytes.splice(at, 0, value);
    else if (kind === 'remove') bytes.splice(at, 1);
    else bytes = bytes.slice(0, at);
  }
  return Uint8Array.from(bytes);
}

test.each([
  ['address', anyAddress],
  ['authorization', anyAuthorization],
] as const)('no bytes throw or hang: %s', (type, any) => {
  const decoder = openDecoder();
  const look = (body: Uint8Array) => {
    const checked = decoder.check(type, resource(type, 'a', body));
    if (!checked.ok) expect(checked.faults.length).toBeGreaterThan(0);
    const raw = [{ name: 'a', resource: { type_url: 'x', value: body } }];
    for (const bytes of [body, mutate(encode('response', { resources: raw }), [[body.length, 7, 'set']])]) {
      try {
        for (const _ of readResponse(bytes));
      } catch (error) {
        expect(error).toMatchObject({ code: 'KM_XDS' });
      }
    }
  };
  fc.assert(
    fc.property(any, fc.array(mutations, { minLength: 10, maxLength: 10 }), (fields, all) => {
      const body = encode(type, fields);
      for (const changes of all) look(mutate(body, changes));
    }),
    { numRuns: 600 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), look), { numRuns: 5000 });
});
