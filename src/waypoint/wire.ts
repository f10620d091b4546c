// SPDX-License-Identifier: Apache-2.0
// Messages of protobuf from plain objects, by tables of fields: what kind a field is and its number.
import protobuf from 'protobufjs/minimal.js';

type Writer = protobuf.Writer;
type Write<T> = (writer: Writer, value: T) => void;

/** Writes a value with its tag. */
export interface Field<T> {
  readonly write: Write<T>;
}

/** Writes the fields of a message. */
export type Message<T> = Write<T>;

const varint = 0;
const fixed64 = 1;
const delimited = 2;

const tag = (number: number, type: number): number => (number << 3) | type;

function nested<T>(writer: Writer, number: number, body: Write<T>, value: T): void {
  writer.uint32(tag(number, delimited)).fork();
  body(writer, value);
  writer.ldelim();
}

/** Every field of T has to be there. */
export function message<T>(table: { readonly [K in keyof T]-?: Field<Exclude<T[K], undefined>> }): Message<T> {
  const fields = Object.entries(table) as [keyof T, Field<unknown>][];
  return (writer, value) => {
    for (const [key, { write }] of fields) if (value[key] !== undefined) write(writer, value[key]);
  };
}

export const text = (number: number): Field<string> => ({
  write: (writer, value) => void writer.uint32(tag(number, delimited)).string(value),
});
/** uint32, and enums. */
export const whole = (number: number): Field<number> => ({
  write: (writer, value) => void writer.uint32(tag(number, varint)).uint32(value),
});
export const int = (number: number): Field<number> => ({
  write: (writer, value) => void writer.uint32(tag(number, varint)).int32(value),
});
export const flag = (number: number): Field<boolean> => ({
  write: (writer, value) => void writer.uint32(tag(number, varint)).bool(value),
});
export const double = (number: number): Field<number> => ({
  write: (writer, value) => void writer.uint32(tag(number, fixed64)).double(value),
});

export const inner = <T>(number: number, body: Message<T>): Field<T> => ({
  write: (writer, value) => nested(writer, number, body, value),
});
/** A message whose bytes are kept as long as it is: of many in a list only those that are new are written anew. */
export function remembered<T extends object>(number: number, body: Message<T>): Field<T> {
  const known = new WeakMap<T, Uint8Array>();
  return {
    write: (writer, value) => {
      const bytes = known.get(value) ?? bytesOf(body, value);
      known.set(value, bytes);
      writer.uint32(tag(number, delimited)).bytes(bytes);
    },
  };
}

/** A message that is looked up when it is written: messages may hold themselves. */
export const later = <T>(number: number, body: () => Message<T>): Field<T> => ({
  write: (writer, value) => nested(writer, number, body(), value),
});
export const list = <T>(field: Field<T>): Field<readonly T[]> => ({
  write: (writer, values) => {
    for (const value of values) field.write(writer, value);
  },
});
export const wholes = (number: number): Field<readonly number[]> => ({
  write: (writer, values) => {
    writer.uint32(tag(number, delimited)).fork();
    for (const value of values) writer.uint32(value);
    writer.ldelim();
  },
});

/** google.protobuf.UInt32Value and BoolValue. */
export const wrappedWhole = (number: number): Field<number> => inner(number, whole(1).write);
export const wrappedFlag = (number: number): Field<boolean> => inner(number, flag(1).write);

/** google.protobuf.Duration from milliseconds. */
export const duration = (number: number): Field<number> =>
  inner(number, (writer, ms) => {
    const seconds = Math.floor(ms / 1000);
    writer.uint32(tag(1, varint)).int64(seconds);
    writer.uint32(tag(2, varint)).int32((ms - seconds * 1000) * 1_000_000);
  });

/** A map from text to messages, in the order of its keys, so that equal maps are equal bytes. */
export const mapOf = <T>(number: number, body: Message<T>): Field<Readonly<Record<string, T>>> => ({
  write: (writer, value) => {
    for (const key of Object.keys(value).sort()) {
      writer.uint32(tag(number, delimited)).fork();
      writer.uint32(tag(1, delimited)).string(key);
      nested(writer, 2, body, value[key] as T);
      writer.ldelim();
    }
  },
});

const prefix = 'type.googleapis.com/';

/** google.protobuf.Any of one of several types. */
export const anyOf =
  <A extends { readonly type: string; readonly value: unknown }>(
    types: {
      readonly [K in A['type']]: Message<never>;
    },
  ): Message<A> =>
  (writer, value) => {
    writer.uint32(tag(1, delimited)).string(prefix + value.type);
    nested(writer, 2, types[value.type as A['type']] as Message<unknown>, value.value);
  };

export function bytesOf<T>(body: Message<T>, value: T): Uint8Array {
  const writer = protobuf.Writer.create();
  body(writer, value);
  return writer.finish();
}
