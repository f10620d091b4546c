// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { writeRequest } from '../../../src/source/xds/decode/request.ts';
import { readResponse } from '../../../src/source/xds/decode/response.ts';
import { type RawResource, type Request, typeUrls } from '../../../src/source/xds/types.ts';
import { bytesOf, encode, types } from './decode-messages.ts';

function finish<T>(steps: Generator<undefined, T>): { value: T; slices: number } {
  for (let slices = 0; ; slices++) {
    const step = steps.next();
    if (step.done) return { value: step.value, slices };
  }
}
const read = (fields: object) => finish(readResponse(encode('response', fields))).value;
const write = (request: Request) =>
  types.request.toObject(types.request.decode(finish(writeRequest(request)).value)) as Record<string, unknown>;

const bodyOf = ({ bytes, start, end }: RawResource) => Buffer.from(bytes.subarray(start, end)).toString();

test('a response is taken apart', () => {
  const response = read({
    systemVersionInfo: 'v9',
    typeUrl: typeUrls.address,
    nonce: 'n1',
    resources: [
      {
        name: 'a',
        version: '7',
        aliases: ['east/10.0.0.1', 'x'],
        resource: { type_url: typeUrls.address, value: Buffer.from('abc') },
      },
      {},
      { name: 'kärt', resource: { type_url: 'other' } },
    ],
    removedResources: ['b', 'c/d'],
  });
  const lies = { bytes: expect.anything(), start: expect.any(Number), end: expect.any(Number) };
  expect(response).toEqual({
    typeUrl: typeUrls.address,
    nonce: 'n1',
    systemVersion: 'v9',
    resources: [
      { name: 'a', version: '7', aliases: ['east/10.0.0.1', 'x'], typeUrl: typeUrls.address, ...lies },
      { name: '', version: '', aliases: [], typeUrl: '', ...lies },
      { name: 'kärt', version: '', aliases: [], typeUrl: 'other', ...lies },
    ],
    removed: ['b', 'c/d'],
  });
  expect(response.resources.map(bodyOf)).toEqual(['abc', '', '']);
});

test('an empty response, and fields that are not known', () => {
  const nothing = { typeUrl: '', nonce: '', systemVersion: '', resources: [], removed: [] };
  expect(read({})).toEqual(nothing);
  // control_plane (7) and a field of a later version, also inside a resource.
  const bytes = bytesOf('3a 03 0a 01 78 c0 06 01 12 05 42 03 61 62 63');
  expect(finish(readResponse(bytes)).value).toMatchObject({ resources: [{ name: '' }] });
});

test('bodies stay where they are, also in bytes that begin inside a buffer', () => {
  const bytes = encode('response', { resources: [{ resource: { value: Buffer.from('abc') } }] });
  const inside = new Uint8Array(bytes.length + 5);
  inside.set(bytes, 5);
  const { resources } = finish(readResponse(inside.subarray(5))).value;
  expect(resources.map(bodyOf)).toEqual(['abc']);
  expect(resources[0]?.bytes.buffer).toBe(inside.buffer);
});

test.each([
  ['0a 05 61', 'cut short'],
  ['0a 02 c3 28', 'system_version_info: not UTF-8'],
  ['10 01', 'resources: wire type 0 is not that of this field'],
  ['12 04 1a 02 c3 28', 'resources[0].name: not UTF-8'],
  ['12 00 12 05 12 03 0a 02 61', 'resources[1].resource: cut short'],
  ['32 02 c3 28', 'removed_resources: not UTF-8'],
])('bytes that are no response: %s', (hex, reason) => {
  expect(() => finish(readResponse(bytesOf(hex)))).toThrow(`a response cannot be read: ${reason}`);
});

test('many resources and removed names come in slices', () => {
  const resources = Array.from({ length: 5000 }, (_, i) => ({ name: `n${i}` }));
  const removedResources = resources.map(({ name }) => name);
  const { value, slices } = finish(readResponse(encode('response', { resources, removedResources })));
  expect(value.resources.map((r) => r.name)).toEqual(removedResources);
  expect(value.removed).toEqual(removedResources);
  expect(slices).toBeGreaterThanOrEqual(10);
});

test('the first request of a stream', () => {
  const initialVersions = new Map([
    ['a', '1'],
    ['shop/cart.shop', ''],
  ]);
  const metadata = {
    NAME: 'z',
    INSTANCE_IPS: '10.0.0.1',
    FLAG: true,
    N: 2.5,
    NONE: null,
    LIST: ['a', 1],
    MAP: { a: {} },
  };
  const written = write({
    type: 'address',
    node: { id: 'ztunnel~10.0.0.1~z.ns~ns.svc.cluster.local', metadata },
    subscribe: ['*', 'x'],
    unsubscribe: ['*'],
    initialVersions,
  });
  expect(written).toMatchObject({
    typeUrl: 'type.googleapis.com/istio.workload.Address',
    node: { id: 'ztunnel~10.0.0.1~z.ns~ns.svc.cluster.local' },
    resourceNamesSubscribe: ['*', 'x'],
    resourceNamesUnsubscribe: ['*'],
    initialResourceVersions: { a: '1', 'shop/cart.shop': '' },
  });
  expect(written).not.toHaveProperty('responseNonce');
  expect(written).not.toHaveProperty('errorDetail');
  const { fields } = (written.node as { metadata: { fields: object } }).metadata;
  expect(fields).toEqual({
    NAME: { stringValue: 'z' },
    INSTANCE_IPS: { stringValue: '10.0.0.1' },
    FLAG: { boolValue: true },
    N: { numberValue: 2.5 },
    NONE: { nullValue: 0 },
    LIST: { listValue: { values: [{ stringValue: 'a' }, { numberValue: 1 }] } },
    MAP: { structValue: { fields: { a: { structValue: {} } } } },
  });
});

test('an ACK and a NACK', () => {
  const typeUrl = 'type.googleapis.com/istio.security.Authorization';
  expect(write({ type: 'authorization', nonce: 'n1' })).toEqual({ typeUrl, responseNonce: 'n1' });
  const error = { code: 3, message: 'a: name: not UTF-8; b: ü' };
  expect(write({ type: 'authorization', nonce: 'n2', error })).toEqual({
    typeUrl,
    responseNonce: 'n2',
    errorDetail: error,
  });
});

test('a hundred thousand versions are written in slices', () => {
  const initialVersions = new Map(Array.from({ length: 20_000 }, (_, i) => [`name-${i}`, `${i}`] as const));
  const { value, slices } = finish(writeRequest({ type: 'address', initialVersions }));
  expect(slices).toBe(20);
  const written = types.request.toObject(types.request.decode(value));
  expect(written.initialResourceVersions).toEqual(Object.fromEntries(initialVersions));
});

test('metadata of any depth is written, what lies too deep left out', () => {
  let deep: Record<string, unknown> = { end: true };
  for (let i = 0; i < 50_000; i++) deep = i % 2 === 0 ? { list: [deep] } : { deep };
  expect(() => write({ type: 'address', node: { id: 'x', metadata: deep } })).not.toThrow();
});

test('metadata as JSON comes back', () => {
  const plain = (value: unknown): unknown => {
    const { structValue, listValue, ...scalar } = value as Record<string, { fields?: object; values?: unknown[] }>;
    if (structValue) return object(structValue.fields ?? {});
    if (listValue) return (listValue.values ?? []).map(plain);
    return 'nullValue' in scalar ? null : Object.values(scalar)[0];
  };
  const object = (fields: object): object =>
    Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, plain(value)]));
  const json = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }), { noNullPrototype: true });
  fc.assert(
    fc.property(json, (metadata) => {
      // The other implementation cannot hold such a key.
      fc.pre(!JSON.stringify(metadata).includes('__proto__'));
      const { node } = write({ type: 'address', node: { id: 'x', metadata } }) as {
        node: { metadata: { fields?: object } };
      };
      expect(JSON.stringify(object(node.metadata.fields ?? {}))).toBe(JSON.stringify(metadata));
    }),
    { numRuns: 200 },
  );
});
