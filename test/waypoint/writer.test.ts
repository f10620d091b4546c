// SPDX-License-Identifier: Apache-2.0
// What is written, read by another implementation of protobuf.
import fc from 'fast-check';
import protobuf from 'protobufjs/minimal.js';
import { expect, test } from 'vitest';
import { Writer } from '../../src/waypoint/writer.ts';

const writer = new Writer();

test.each([0, 1, 127, 128, 16_383, 16_384, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1])('%d is a varint', (value) => {
  const reader = protobuf.Reader.create(writer.take(() => writer.varint(value)));
  expect(reader.uint32()).toBe(value);
  expect(reader.pos).toBe(reader.len);
});

test.each([0, 1, -1, -128, 2 ** 31 - 1, -(2 ** 31)])('%d is an int32', (value) => {
  const reader = protobuf.Reader.create(writer.take(() => writer.int(value)));
  expect(reader.int32()).toBe(value);
  expect(reader.pos).toBe(reader.len);
});

test('seconds that need more than 32 bits', () => {
  const bytes = writer.take(() => writer.varint(2 ** 40 + 5));
  expect(Number(protobuf.Reader.create(bytes).uint64())).toBe(2 ** 40 + 5);
});

test('doubles', () => {
  for (const value of [0, -1.5, Math.PI, 1e300]) {
    expect(protobuf.Reader.create(writer.take(() => writer.double(value))).double()).toBe(value);
  }
});

const texts = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.string({ minLength: 35, maxLength: 50 }),
  fc.nat({ max: 200_000 }).map((n) => 'é'.repeat(n % 7) + 'x'.repeat(n)),
);

/** A tree of texts, as messages inside each other. */
type Tree = string | readonly Tree[];
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof({ depthSize: 'small' }, texts, fc.array(tie('tree'), { maxLength: 5 })),
}));

function write(value: Tree): void {
  if (typeof value === 'string') {
    writer.varint(10);
    writer.text(value);
    return;
  }
  writer.varint(18);
  const from = writer.open();
  for (const one of value) write(one);
  writer.close(from);
}

function read(reader: protobuf.Reader, end: number): Tree[] {
  const out: Tree[] = [];
  while (reader.pos < end)
    out.push(reader.uint32() === 10 ? reader.string() : read(reader, reader.uint32() + reader.pos));
  return out;
}

test('messages inside messages, whatever their lengths', () => {
  fc.assert(
    fc.property(tree, (value) => {
      const bytes = writer.take(() => write(value));
      expect(read(protobuf.Reader.create(bytes), bytes.length)).toEqual([value]);
    }),
    { numRuns: 300 },
  );
});

test('bytes are written while others are, and what throws leaves nothing behind', () => {
  const inner = (): Buffer => writer.take(() => writer.text('in'));
  const outer = writer.take(() => {
    writer.text('a');
    writer.bytes(inner());
    expect(() =>
      writer.take(() => {
        writer.text('lost');
        throw new Error('no');
      }),
    ).toThrow('no');
    writer.text('b');
  });
  const reader = protobuf.Reader.create(outer);
  expect([reader.string(), reader.bytes().toString(), reader.string()]).toEqual(['a', '\u0002in', 'b']);
  expect(reader.pos).toBe(reader.len);
});
