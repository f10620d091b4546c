// SPDX-License-Identifier: Apache-2.0
// Messages of gRPC out of pieces: wherever they are cut, and that the library does put them together like this.
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { realTimers } from '../../../src/source/timers.ts';
import { openMessages } from '../../../src/source/xds/placed-messages.ts';
import { openTransport } from '../../../src/source/xds/transport.ts';
import { openAdsServer, prefixOf } from '../../support/ads-server.ts';

afterEach(() => vi.restoreAllMocks());

const framed = (message: Uint8Array): Buffer => Buffer.concat([prefixOf(Buffer.from(message)), message]);

function* cut(bytes: Buffer, lengths: readonly number[]): Generator<Buffer> {
  let at = 0;
  for (const length of lengths) {
    yield bytes.subarray(at, at + length);
    at += length;
  }
  yield bytes.subarray(at);
}

test('messages come out as they went in, wherever their bytes are cut', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 0, max: 30 })), (sent, lengths) => {
      const each = sent.map(framed);
      const { take } = openMessages(40);
      const got = [...cut(Buffer.concat(each), lengths)].flatMap((piece) => take(piece));
      expect(got.map((message) => message.toString('hex'))).toEqual(each.map((message) => message.toString('hex')));
    }),
  );
});

test('what has come is not written over by what comes next', () => {
  const { take } = openMessages(100);
  const bytes = Buffer.concat(['first', 'second'].map((text) => framed(Buffer.from(text))));
  expect(take(bytes.subarray(0, 7))).toEqual([]);
  const [first] = take(bytes.subarray(7, 12));
  take(bytes.subarray(12));
  expect(first?.subarray(5).toString()).toBe('first');
});

test('a message that is too long is refused by its head', () => {
  expect(openMessages(10).take(prefixOf(Buffer.alloc(10)))).toEqual([]);
  expect(() => openMessages(10).take(prefixOf(Buffer.alloc(11)))).toThrow(
    'Received message larger than max (11 vs 10)',
  );
  expect(openMessages(-1).take(prefixOf(Buffer.alloc(1 << 20)))).toEqual([]);
});

test('a large message that comes in many pieces is never joined', async () => {
  const size = 4 << 20;
  const server = await openAdsServer({
    async onStream(stream) {
      const piece = Buffer.alloc(64 << 10, 'x');
      await stream.sendRaw(prefixOf({ length: size } as Buffer));
      for (let sent = 0; sent < size; sent += piece.length) await stream.sendRaw(piece);
    },
  });
  const stream = openTransport({ host: '127.0.0.1', port: server.port, headers: [] }, realTimers).open({
    clusterId: '',
  });
  try {
    const joined = vi.spyOn(Buffer, 'concat');
    const message = await stream.next();
    expect(message?.length).toBe(size);
    expect(Buffer.from(message ?? []).equals(Buffer.alloc(size, 'x'))).toBe(true);
    const longest = Math.max(0, ...joined.mock.results.map(({ value }) => (value as Buffer).length));
    expect(longest).toBeLessThan(size / 4);
  } finally {
    stream.cancel();
    await server.close();
  }
});
