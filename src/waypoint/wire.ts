// SPDX-License-Identifier: Apache-2.0
// Messages of protobuf from plain objects, by tables of fields: what kind a field is and its number.
import { Writer } from './writer.ts';

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
  writer.varint(tag(number, delimited));
  const from = writer.open();
  body(writer, value);
  writer.close(from);
}

/** Every field of T has to be there. */
export function message<T>(table: { readonly [K in keyof T]-?: Field<Exclude<T[K], undefined>> }): Message<T> {
  const keys = Object.keys(table) as (keyof T)[];
  const writes = keys.map((key) => (table[key] as Field<unknown>).write);
  return (writer, value) => {
    for (let i = 0; i < keys.length; i++) {
      const one = value[keys[i] as keyof T];
      if (one !== undefined) (writes[i] as Write<unknown>)(writer, one);
    }
  };
}

const tagged = <T>(number: number, type: number, write: Write<T>): Field<T> => ({
  write: (writer, value) => {
    writer.varint(tag(number, type));
    write(writer, value);
  },
});
export const text = (number: number): Field<string> => tagged(number, delimited, (writer, value) => writer.text(value));
export const bytes = (number: number): Field<Uint8Array> =>
  tagged(number, delimited, (writer, value) => writer.bytes(value));
/** uint32, and enums. */
export const whole = (number: number): Field<number> => tagged(number, varint, (writer, value) => writer.varint(value));
export const int = (number: number): Field<number> => tagged(number, varint, (writer, value) => writer.int(value));
export const flag = (number: number): Field<boolean> =>
  tagged(number, varint, (writer, value) => writer.varint(value ? 1 : 0));
export const double = (number: number): Field<number> =>
  tagged(number, fixed64, (writer, value) => writer.double(value));

export const inner = <T>(number: number, body: Message<T>): Field<T> => ({
  write: (writer, value) => nested(writer, number, body, value),
});
/** A message whose bytes are kept as long as it is: of many in a list only those that are new are written anew. */
export function remembered<T extends object>(number: number, body: Message<T>): Field<T> {
  const known = new WeakMap<T, Uint8Array>();
  return {
    write: (writer, value) => {
      const bytes = known.get(value) ?? bytesOf(body, value, writer);
      known.set(value, bytes);
      writer.varint(tag(number, delimited));
      writer.bytes(bytes);
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
    writer.varint(tag(number, delimited));
    const from = writer.open();
    for (const value of values) writer.varint(value);
    writer.close(from);
  },
});

/** google.protobuf.UInt32Value and BoolValue. */
export const wrappedWhole = (number: number): Field<number> => inner(number, whole(1).write);
export const wrappedFlag = (number: number): Field<boolean> => inner(number, flag(1).write);

/** google.protobuf.Duration from milliseconds. */
export const duration = (number: number): Field<number> =>
  inner(number, (writer, ms) => {
    const seconds = Math.floor(ms / 1000);
    writer.varint(tag(1, varint));
    writer.int(seconds);
    writer.varint(tag(2, varint));
    writer.int((ms - seconds * 1000) * 1_000_000);
  });

/** A map from text to messages, in the order of its keys, so that equal maps are equal bytes. */
export const mapOf = <T>(number: number, body: Message<T>): Field<Readonly<Record<string, T>>> => ({
  write: (writer, value) => {
    for (const key of Object.keys(value).sort()) {
      writer.varint(tag(number, delimited));
      const from = writer.open();
      writer.varint(tag(1, delimited));
      writer.text(key);
      nested(writer, 2, body, value[key] as T);
      writer.close(from);
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
    writer.varint(tag(1, delimited));
    writer.text(prefix + value.type);
    nested(writer, 2, types[value.type as A['type']] as Message<unknown>, value.value);
  };

/** Who encodes many messages hands over a `writer` for all of them: each has a buffer of its own. */
export function bytesOf<T>(body: Message<T>, value: T, writer = new Writer()): Buffer {
  return writer.take(() => body(writer, value));
}
