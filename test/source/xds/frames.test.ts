// SPDX-License-Identifier: Apache-2.0
// Messages of gRPC out of pieces: wherever they are cut, and what is refused.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameFault, headOf, openFrames } from '../../../src/source/xds/frames.ts';

const framed = (messages: readonly Uint8Array[]): Buffer =>
  Buffer.concat(messages.flatMap((message) => [headOf(message.length), message]));

function* cut(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
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
      const frames = openFrames(100);
      const got = [...cut(framed(sent), lengths)].flatMap((piece) => frames.take(piece));
      expect(got.map((message) => [...message])).toEqual(sent.map((message) => [...message]));
    }),
  );
});

test('what has come is not written over by what comes next', () => {
  const frames = openFrames(100);
  const bytes = framed([Buffer.from('first'), Buffer.from('second')]);
  expect(frames.take(bytes.subarray(0, 7))).toEqual([]);
  const [first] = frames.take(bytes.subarray(7, 12));
  frames.take(bytes.subarray(12));
  expect(Buffer.from(first ?? []).toString()).toBe('first');
});

function faultOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error instanceof FrameFault ? [error.status, error.message] : error;
  }
}

test('a message that is too long is refused by its head, and one that is compressed', () => {
  expect(openFrames(10).take(headOf(10))).toEqual([]);
  expect(faultOf(() => openFrames(10).take(headOf(11)))).toEqual([
    'RESOURCE_EXHAUSTED',
    'Received message larger than max (11 vs 10)',
  ]);
  const compressed = headOf(3);
  compressed[0] = 1;
  expect(faultOf(() => openFrames(10).take(compressed))).toEqual([
    'INTERNAL',
    'Received a compressed message, which nobody asked for',
  ]);
});
