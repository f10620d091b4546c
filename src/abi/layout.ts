// SPDX-License-Identifier: Apache-2.0
// Tables that describe a C struct: its type, its bytes, and the offsets that are compared with the object's BTF.
import { type Address, addressOf, setAddress } from '../net/address.ts';

/** One field: size in bytes, and how a value stands in a buffer. Little-endian unless the name says `be`. */
export interface Field<T> {
  readonly size: number;
  readonly align: number;
  /** Written as zero, left out of the type and of decoded values. */
  readonly pad?: true;
  read(view: DataView, offset: number): T;
  write(view: DataView, offset: number, value: T): void;
}

const number = (
  size: 1 | 2 | 4,
  read: (v: DataView, o: number) => number,
  write: (v: DataView, o: number, n: number) => void,
): Field<number> => ({ size, align: size, read, write });

export const u8 = number(
  1,
  (v, o) => v.getUint8(o),
  (v, o, n) => v.setUint8(o, n),
);
export const u16 = number(
  2,
  (v, o) => v.getUint16(o, true),
  (v, o, n) => v.setUint16(o, n, true),
);
export const u32 = number(
  4,
  (v, o) => v.getUint32(o, true),
  (v, o, n) => v.setUint32(o, n, true),
);
/** Network order in memory, host number in TypeScript: a port. */
export const be16 = number(
  2,
  (v, o) => v.getUint16(o, false),
  (v, o, n) => v.setUint16(o, n, false),
);
export const u64: Field<bigint> = {
  size: 8,
  align: 8,
  read: (v, o) => v.getBigUint64(o, true),
  write: (v, o, n) => v.setBigUint64(o, n, true),
};
export const s64: Field<bigint> = {
  size: 8,
  align: 8,
  read: (v, o) => v.getBigInt64(o, true),
  write: (v, o, n) => v.setBigInt64(o, n, true),
};

/** No bytes at all. */
export const none: Field<undefined> = { size: 0, align: 1, read: () => undefined, write: () => undefined };

/** union km_addr. '' is the all-zero address: "none". */
export const addr: Field<Address | ''> = {
  size: 16,
  align: 4,
  read(view, offset) {
    let any = 0;
    for (let i = 0; i < 16; i++) any |= view.getUint8(offset + i);
    if (any === 0) return '';
    return addressOf(new Uint8Array(view.buffer, view.byteOffset + offset, 16)) as Address;
  },
  write(view, offset, value) {
    if (value === '') for (let i = 0; i < 16; i += 4) view.setUint32(offset + i, 0);
    else setAddress(view, offset, value);
  },
};

/** `n` u16 in a row. */
export const u16s = (n: number): Field<readonly number[]> => ({
  size: 2 * n,
  align: 2,
  read: (v, o) => Array.from({ length: n }, (_, i) => v.getUint16(o + 2 * i, true)),
  write: (v, o, values) => {
    for (let i = 0; i < n; i++) v.setUint16(o + 2 * i, values[i] ?? 0, true);
  },
});

/** `n` u32 in a row. */
export const u32s = (n: number): Field<readonly number[]> => ({
  size: 4 * n,
  align: 4,
  read: (v, o) => Array.from({ length: n }, (_, i) => v.getUint32(o + 4 * i, true)),
  write: (v, o, values) => {
    for (let i = 0; i < n; i++) v.setUint32(o + 4 * i, values[i] ?? 0, true);
  },
});

/** `n` u64 in a row. */
export const u64s = (n: number): Field<readonly bigint[]> => ({
  size: 8 * n,
  align: 8,
  read: (v, o) => Array.from({ length: n }, (_, i) => v.getBigUint64(o + 8 * i, true)),
  write: (v, o, values) => {
    for (let i = 0; i < n; i++) v.setBigUint64(o + 8 * i, values[i] ?? 0n, true);
  },
});

/** `n` raw bytes. */
export const bytes = (n: number): Field<Uint8Array> => ({
  size: n,
  align: 1,
  read: (v, o) => new Uint8Array(v.buffer, v.byteOffset + o, n).slice(),
  write: (v, o, value) => new Uint8Array(v.buffer, v.byteOffset + o, n).set(value.subarray(0, n)),
});

/** `n` bytes that are always zero. */
export const pad = (n: 1 | 2 | 4 | 20): Field<never> & { pad: true } => ({
  size: n,
  align: Math.min(n, 4),
  pad: true,
  read: () => undefined as never,
  write: (v, o) => {
    for (let i = 0; i < n; i++) v.setUint8(o + i, 0);
  },
});

type Fields = Readonly<
  Record<
    string,
    | Field<never>
    | Field<number>
    | Field<bigint>
    | Field<string>
    | Field<Uint8Array>
    | Field<readonly number[]>
    | Field<readonly bigint[]>
  >
>;
type PadKeys<F> = { [K in keyof F]: F[K] extends { pad: true } ? K : never }[keyof F];
export type ValueOf<F> = { readonly [K in Exclude<keyof F, PadKeys<F>>]: F[K] extends Field<infer T> ? T : never };

export interface FieldLayout {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

/** A C struct (or a bare scalar) as bytes. */
export interface Layout<T> {
  /** Name in C without `struct`; for a scalar the C type (`__u32`). */
  readonly name: string;
  readonly size: number;
  readonly fields: readonly FieldLayout[];
  encodeInto(value: T, view: DataView, offset: number): void;
  encode(value: T): Uint8Array;
  decode(buffer: Uint8Array, offset?: number): T;
}

const viewOf = (b: Uint8Array) => new DataView(b.buffer, b.byteOffset, b.byteLength);

/** The layout of `struct name` with fields in C order; offsets follow natural alignment, and gaps are a mistake (use pad). */
export function struct<F extends Fields>(name: string, fields: F): Layout<ValueOf<F>> {
  const names = Object.keys(fields);
  const list: { name: string; offset: number; field: Field<unknown> }[] = [];
  let end = 0;
  let align = 1;
  for (const key of names) {
    const field = fields[key] as Field<unknown>;
    if (end % field.align !== 0) throw new Error(`struct ${name}: hole before ${key} at ${end}: name it with pad()`);
    list.push({ name: key, offset: end, field });
    end += field.size;
    align = Math.max(align, field.align);
  }
  if (end % align !== 0) throw new Error(`struct ${name}: ${end} bytes is no multiple of ${align}: end it with pad()`);
  const size = end;
  const encodeInto = (value: ValueOf<F>, view: DataView, offset: number): void => {
    for (const f of list) f.field.write(view, offset + f.offset, (value as Record<string, unknown>)[f.name]);
  };
  return {
    name,
    size,
    fields: list.map((f) => ({ name: f.name, offset: f.offset, size: f.field.size })),
    encodeInto,
    encode(value) {
      const out = new Uint8Array(size);
      encodeInto(value, viewOf(out), 0);
      return out;
    },
    decode(buffer, offset = 0) {
      const view = viewOf(buffer);
      const out: Record<string, unknown> = {};
      for (const f of list) if (!f.field.pad) out[f.name] = f.field.read(view, offset + f.offset);
      return out as ValueOf<F>;
    },
  };
}

/** A map key or value that is a bare scalar. */
export function scalar<T>(name: string, field: Field<T>): Layout<T> {
  return {
    name,
    size: field.size,
    fields: [],
    encodeInto: (value, view, offset) => field.write(view, offset, value),
    encode(value) {
      const out = new Uint8Array(field.size);
      field.write(viewOf(out), 0, value);
      return out;
    },
    decode: (buffer, offset = 0) => field.read(viewOf(buffer), offset),
  };
}
