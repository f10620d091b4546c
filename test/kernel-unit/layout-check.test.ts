// SPDX-License-Identifier: Apache-2.0
// BTF is read, and a table that differs from it in anything is refused by struct and field.
import { describe, expect, test } from 'vitest';
import type { Layout } from '../../src/abi/layout.ts';
import { reasons } from '../../src/abi/reasons.ts';
import { describeType, findType, parseBtf, sizeOf } from '../../src/kernel/btf.ts';
import { checkLayouts, checkMap, checkReasons, checkStruct, structLayouts } from '../../src/kernel/layout-check.ts';

interface Member {
  readonly name: string;
  readonly type: number;
  readonly offset: number;
}

/** Writes BTF: what clang does, for structs of integers and arrays of bytes. */
function btfWriter() {
  const strings: Buffer[] = [Buffer.from('\0')];
  const types: Buffer[] = [];
  const text = (value: string): number => {
    if (value === '') return 0;
    const at = strings.reduce((n, b) => n + b.length, 0);
    strings.push(Buffer.from(`${value}\0`));
    return at;
  };
  const words = (...list: number[]) => {
    const out = Buffer.alloc(4 * list.length);
    list.forEach((word, i) => {
      out.writeUInt32LE(word >>> 0, 4 * i);
    });
    return out;
  };
  const add = (kind: number, name: string, count: number, third: number, ...tail: number[]): number =>
    types.push(words(text(name), (kind << 24) | count, third, ...tail));
  return {
    integer: (name: string, size: number) => add(1, name, 0, size, size * 8),
    array: (element: number, length: number) => add(3, '', 0, 0, element, element, length),
    typedef: (name: string, type: number) => add(8, name, 0, type),
    struct: (name: string, size: number, members: readonly Member[]) =>
      add(4, name, members.length, size, ...members.flatMap((m) => [text(m.name), m.type, 8 * m.offset])),
    enumeration: (name: string, values: readonly string[]) =>
      add(6, name, values.length, 4, ...values.flatMap((value, i) => [text(value), i])),
    blob() {
      const body = Buffer.concat(types);
      const names = Buffer.concat(strings);
      const header = Buffer.concat([words(0x0001eb9f, 24), words(0, body.length, body.length, names.length)]);
      return new Uint8Array(Buffer.concat([header, body, names]));
    },
  };
}

type Change = (members: Member[]) => Member[];

/** BTF of the layouts as they stand in the tables, one of them changed. */
function btfOf(layouts: readonly Layout<unknown>[], changed = '', change: Change = (m) => m, grow = 0) {
  const writer = btfWriter();
  const byte = writer.typedef('__u8', writer.integer('unsigned char', 1));
  for (const layout of layouts) {
    const members = layout.fields.map((f) => ({ name: f.name, type: writer.array(byte, f.size), offset: f.offset }));
    const other = layout.name === changed;
    writer.struct(layout.name, layout.size + (other ? grow : 0), other ? change(members) : members);
  }
  return { writer, parse: () => parseBtf(writer.blob()) };
}

const reasonNames = [...reasons.map((name) => `KM_REASON_${name.toUpperCase()}`), 'KM_REASON_MAX'];
const layouts = structLayouts();
const endpoint = layouts.find((layout) => layout.name === 'km_endpoint') as Layout<unknown>;
const replace =
  (name: string, by: Partial<Member>): Change =>
  (list) =>
    list.map((m) => (m.name === name ? { ...m, ...by } : m));

describe('BTF', () => {
  test('structs, members, sizes and one text for a type', () => {
    const btf = btfOf([endpoint]).parse();
    const type = findType(btf, 'struct', 'km_endpoint')!;
    expect(type.size).toBe(32);
    expect(type.members.map((m) => [m.name, m.offset / 8, sizeOf(btf, m.type)])).toEqual(
      endpoint.fields.map((f) => [f.name, f.offset, f.size]),
    );
    expect(describeType(btf, type.id)).toBe(
      'struct32{addr@0:int1[16],port@128:int1[2],flags@144:int1[2],workload_id@160:int1[4],threshold@192:int1[4],alias@224:int1[4]}',
    );
  });

  test('what is no BTF is refused', () => {
    expect(() => parseBtf(new Uint8Array(8))).toThrow('no BTF header');
    const blob = btfOf([endpoint]).writer.blob();
    expect(() => parseBtf(blob.subarray(0, 60))).toThrow('lie outside');
  });
});

describe('structs', () => {
  test('all tables against their own image', () => {
    const { writer, parse } = btfOf(layouts);
    writer.enumeration('km_reason', reasonNames);
    expect(layouts.length).toBeGreaterThan(20);
    checkLayouts([parse()]);
  });

  test.each<[string, Change, number, string]>([
    [
      'moved',
      replace('port', { offset: 18 }),
      0,
      'field "port" is 2 bytes at 18 in the object, 2 bytes at 16 in the table',
    ],
    ['missing', (m) => m.slice(1), 0, 'field "addr" is not in the object'],
    ['new', (m) => [...m, { name: 'zone', type: 1, offset: 32 }], 4, 'field "zone" is not in the table'],
    ['renamed', replace('alias', { name: 'other' }), 0, 'field "alias" is not in the object'],
    [
      'of another size',
      replace('alias', { type: 1 }),
      0,
      'field "alias" is 1 bytes at 28 in the object, 4 bytes at 28',
    ],
    ['longer', (m) => m, 8, '40 bytes in the object, 32 in the table'],
  ])('a struct or field that is %s is named', (_, change, grow, message) => {
    const btf = btfOf(layouts, 'km_endpoint', change, grow).parse();
    const check = () => checkStruct(btf, endpoint);
    expect(check).toThrow(`struct km_endpoint: ${message}`);
    expect(check).toThrow(expect.objectContaining({ code: 'KM_LAYOUT' }) as Error);
  });

  test('a struct that no object knows', () => {
    const { writer, parse } = btfOf(layouts.filter((layout) => layout.name !== 'km_sock'));
    writer.enumeration('km_reason', reasonNames);
    expect(() => checkLayouts([parse()])).toThrow('struct km_sock: no object describes it');
  });
});

describe('reasons', () => {
  const withReasons = (names: readonly string[]) => {
    const writer = btfWriter();
    writer.enumeration('km_reason', names);
    return parseBtf(writer.blob());
  };

  test('the same names in the same order', () => {
    expect(checkReasons(withReasons(reasonNames))).toBe(true);
    expect(checkReasons(btfOf([endpoint]).parse())).toBe(false);
    const [first, second, ...rest] = reasonNames as [string, string, ...string[]];
    expect(() => checkReasons(withReasons([second, first, ...rest]))).toThrow(`enum km_reason: ${first} is 1`);
    expect(() => checkReasons(withReasons([...reasonNames, 'KM_REASON_EXTRA']))).toThrow(
      'KM_REASON_EXTRA is not in the table',
    );
    expect(() => checkReasons(withReasons(reasonNames.slice(0, -1)))).toThrow('KM_REASON_MAX is absent');
  });
});

describe('maps', () => {
  const shape = { type: 1, keySize: 20, valueSize: 8 };
  test.each([
    [{ ...shape, type: 9 }, 'map "frontend": type is 9'],
    [{ ...shape, keySize: 24 }, 'map "frontend": key size is 24'],
    [{ ...shape, valueSize: 16 }, 'map "frontend": value size is 16'],
  ])('of another type or size: %o', (other, message) => {
    checkMap('frontend', shape);
    expect(() => checkMap('frontend', other)).toThrow(message);
  });

  test('declared with another struct of the same size', () => {
    const { writer, parse } = btfOf(layouts);
    const wrong = writer.struct('km_other', 20, []);
    const btf = parse();
    const key = findType(btf, 'struct', 'km_frontend_key')!.id;
    checkMap('frontend', shape, btf, key);
    expect(() => checkMap('frontend', shape, btf, wrong)).toThrow('map "frontend": key struct is km_other');
  });
});
