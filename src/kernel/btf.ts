// SPDX-License-Identifier: Apache-2.0
// Reads BTF (the kernel's type format): from an object file's .BTF section or as the kernel hands it out.
import { KmeshError } from '../errors.ts';

export interface BtfMember {
  readonly name: string;
  readonly type: number;
  /** In bits. */
  readonly offset: number;
}

export interface BtfType {
  readonly id: number;
  readonly kind: BtfKind;
  readonly name: string;
  /** Bytes, for sized kinds; else 0. */
  readonly size: number;
  /** The type pointed to, aliased, or of an array's elements; else 0. */
  readonly type: number;
  /** Elements of an array. */
  readonly length: number;
  readonly members: readonly BtfMember[];
  /** Enumerators by name. */
  readonly values: ReadonlyMap<string, number>;
}

export interface Btf {
  readonly types: readonly BtfType[];
}

const kinds = [
  'void',
  'int',
  'pointer',
  'array',
  'struct',
  'union',
  'enum',
  'forward',
  'typedef',
  'volatile',
  'const',
  'restrict',
  'function',
  'prototype',
  'variable',
  'section',
  'float',
  'decl_tag',
  'type_tag',
  'enum64',
] as const;
export type BtfKind = (typeof kinds)[number];

const sized: ReadonlySet<BtfKind> = new Set<BtfKind>(['int', 'struct', 'union', 'enum', 'section', 'float', 'enum64']);
/** Bytes after the three words of a type: fixed, and for each of vlen. */
const tails: Partial<Record<BtfKind, readonly [number, number]>> = {
  int: [4, 0],
  array: [12, 0],
  struct: [0, 12],
  union: [0, 12],
  enum: [0, 8],
  prototype: [0, 8],
  variable: [4, 0],
  section: [0, 12],
  decl_tag: [4, 0],
  enum64: [0, 12],
};
const magic = 0xeb9f;
const bad = (why: string) => new KmeshError('KM_LAYOUT', `BTF cannot be read: ${why}`);

/** Parses a BTF blob of this machine's byte order (little-endian). KM_LAYOUT when it is none. */
export function parseBtf(blob: Uint8Array): Btf {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  if (blob.length < 24 || view.getUint16(0, true) !== magic) throw bad('no BTF header');
  const u32 = (at: number) => view.getUint32(at, true);
  const header = u32(4);
  const start = header + u32(8);
  const end = start + u32(12);
  const strings = header + u32(16);
  if (end > blob.length || strings + u32(20) > blob.length) throw bad('sections lie outside of it');
  const text = (offset: number): string => {
    const from = strings + offset;
    const to = blob.indexOf(0, from);
    return Buffer.from(blob.buffer, blob.byteOffset + from, to - from).toString('utf8');
  };
  const types: BtfType[] = [
    { id: 0, kind: 'void', name: 'void', size: 0, type: 0, length: 0, members: [], values: new Map() },
  ];
  let at = start;
  while (at < end) {
    const info = u32(at + 4);
    const count = info & 0xffff;
    const kind = kinds[(info >>> 24) & 0x1f];
    if (kind === undefined || kind === 'void') throw bad(`type ${types.length} is of an unknown kind`);
    const third = u32(at + 8);
    const tail = at + 12;
    const [fixed, each] = tails[kind] ?? [0, 0];
    const members: BtfMember[] = [];
    const values = new Map<string, number>();
    for (let i = 0; i < count; i++) {
      const one = tail + fixed + each * i;
      // With the kind flag the offset's top byte is a bit field's width.
      if (kind === 'struct' || kind === 'union') {
        members.push({
          name: text(u32(one)),
          type: u32(one + 4),
          offset: info >>> 31 ? u32(one + 8) & 0xffffff : u32(one + 8),
        });
      } else if (kind === 'enum') values.set(text(u32(one)), info >>> 31 ? view.getInt32(one + 4, true) : u32(one + 4));
    }
    types.push({
      id: types.length,
      kind,
      name: text(u32(at)),
      size: sized.has(kind) ? third : 0,
      type: kind === 'array' ? u32(tail) : sized.has(kind) ? 0 : third,
      length: kind === 'array' ? u32(tail + 8) : 0,
      members,
      values,
    });
    at = tail + fixed + each * count;
  }
  return { types };
}

/** The type with that id; void for one that is not there. */
export function typeOf(btf: Btf, id: number): BtfType {
  return btf.types[id] ?? (btf.types[0] as BtfType);
}

/** What a type is once typedefs and qualifiers are taken away. */
export function resolved(btf: Btf, id: number): BtfType {
  let type = typeOf(btf, id);
  while (['typedef', 'volatile', 'const', 'restrict', 'type_tag'].includes(type.kind)) type = typeOf(btf, type.type);
  return type;
}

/** Bytes that a value of the type takes. */
export function sizeOf(btf: Btf, id: number): number {
  const type = resolved(btf, id);
  if (type.kind === 'pointer') return 8;
  return type.kind === 'array' ? type.length * sizeOf(btf, type.type) : type.size;
}

/** The struct, union or enum of that name. */
export function findType(btf: Btf, kind: 'struct' | 'union' | 'enum', name: string): BtfType | undefined {
  return btf.types.find((type) => type.kind === kind && type.name === name);
}

/** A type as one text, by names, offsets and sizes: equal texts mean equal bytes. */
export function describeType(btf: Btf, id: number): string {
  const type = resolved(btf, id);
  if (type.kind === 'array') return `${describeType(btf, type.type)}[${type.length}]`;
  if (type.kind !== 'struct' && type.kind !== 'union') return `${type.kind}${sizeOf(btf, id)}`;
  const members = type.members.map((m) => `${m.name}@${m.offset}:${describeType(btf, m.type)}`);
  return `${type.kind}${type.size}{${members.join(',')}}`;
}

/** The .BTF section of a 64-bit little-endian ELF file. */
export function btfSection(elf: Uint8Array, name: string): Uint8Array {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  if (elf.length < 64 || view.getUint32(0, false) !== 0x7f454c46) {
    throw new KmeshError('KM_LOAD', `"${name}" is not an object file`);
  }
  const table = Number(view.getBigUint64(0x28, true));
  const entrySize = view.getUint16(0x3a, true);
  const count = view.getUint16(0x3c, true);
  const range = (index: number): readonly [number, number] => {
    const at = table + index * entrySize;
    return [Number(view.getBigUint64(at + 0x18, true)), Number(view.getBigUint64(at + 0x20, true))];
  };
  const [names] = range(view.getUint16(0x3e, true));
  for (let i = 0; i < count; i++) {
    const from = names + view.getUint32(table + i * entrySize, true);
    if (Buffer.from(elf.subarray(from, from + 5)).toString('latin1') !== '.BTF\0') continue;
    const [offset, size] = range(i);
    return elf.slice(offset, offset + size);
  }
  throw new KmeshError('KM_LAYOUT', `"${name}" carries no BTF`, { hint: 'build the objects with clang -g' });
}
