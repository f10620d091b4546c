// SPDX-License-Identifier: Apache-2.0
// Compares the tables of src/abi with the BTF of what is about to be loaded, or of what is pinned.
import type { Layout } from '../abi/layout.ts';
import { type MapName, type MapType, maps } from '../abi/maps.ts';
import { reasons } from '../abi/reasons.ts';
import * as structs from '../abi/structs.ts';
import { KmeshError } from '../errors.ts';
import { type Btf, describeType, findType, resolved, sizeOf } from './btf.ts';

/** enum bpf_map_type */
export const mapTypeCode: Readonly<Record<MapType, number>> = {
  hash: 1,
  array: 2,
  percpu_array: 6,
  lru_hash: 9,
  lpm_trie: 11,
  sockhash: 18,
  sk_storage: 24,
  ringbuf: 27,
};

/** A map as an object declares it or as the kernel holds it. */
export interface MapShape {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
}

const refuse = (message: string) =>
  new KmeshError('KM_LAYOUT', message, {
    hint: 'programs and kmeshctl are of different builds: "kmeshctl upgrade" swaps those that are loaded, "npm run build" makes both anew',
  });

const isLayout = (value: unknown): value is Layout<unknown> =>
  typeof value === 'object' && value !== null && 'fields' in value && 'encodeInto' in value;

/** Every struct of src/abi/structs.ts (bare scalars have no fields). */
export function structLayouts(): readonly Layout<unknown>[] {
  return (Object.values(structs) as unknown[]).filter(isLayout).filter((layout) => layout.fields.length > 0);
}

/** Throws KM_LAYOUT naming the struct and the field that differs; false when `btf` does not know the struct. */
export function checkStruct(btf: Btf, layout: Layout<unknown>): boolean {
  const found = findType(btf, 'struct', layout.name);
  if (!found) return false;
  const what = `struct ${layout.name}`;
  const members = new Map(found.members.map((m) => [m.name, m]));
  for (const field of layout.fields) {
    const member = members.get(field.name);
    if (!member) throw refuse(`${what}: field "${field.name}" is not in the object`);
    members.delete(field.name);
    const size = sizeOf(btf, member.type);
    if (member.offset !== 8 * field.offset || size !== field.size) {
      throw refuse(
        `${what}: field "${field.name}" is ${size} bytes at ${member.offset / 8} in the object, ${field.size} bytes at ${field.offset} in the table`,
      );
    }
  }
  for (const name of members.keys()) throw refuse(`${what}: field "${name}" is not in the table`);
  if (found.size !== layout.size) {
    throw refuse(`${what}: ${found.size} bytes in the object, ${layout.size} in the table`);
  }
  return true;
}

/** Throws KM_LAYOUT naming the reason whose number differs; false when `btf` does not know enum km_reason. */
export function checkReasons(btf: Btf): boolean {
  const found = findType(btf, 'enum', 'km_reason');
  if (!found) return false;
  const wanted = [...reasons.map((name) => `KM_REASON_${name.toUpperCase()}`), 'KM_REASON_MAX'];
  wanted.forEach((name, number) => {
    const held = found.values.get(name);
    if (held !== number)
      throw refuse(`enum km_reason: ${name} is ${held ?? 'absent'} in the object, ${number} in the table`);
  });
  for (const name of found.values.keys()) {
    if (!wanted.includes(name)) throw refuse(`enum km_reason: ${name} is not in the table`);
  }
  return true;
}

/** Key and value of a map as one text; of `endpoint` also the header that some slots hold. Equal texts, equal bytes. */
export function mapLayout(name: string, btf: Btf, keyType: number, valueType: number): string {
  const header = name === 'endpoint' ? findType(btf, 'struct', 'km_backend_header') : undefined;
  const text = `${describeType(btf, keyType)} -> ${describeType(btf, valueType)}`;
  return header ? `${text} or ${describeType(btf, header.id)}` : text;
}

/** Throws KM_LAYOUT when the map's kernel type, key or value size, or the structs it is declared with are not the table's. */
export function checkMap(name: MapName, shape: MapShape, btf?: Btf, keyType = 0, valueType = 0): void {
  const wanted = maps[name];
  const compare = (what: string, held: number | string, table: number | string) => {
    if (held !== table)
      throw refuse(`map "${name}": ${what} is ${held} in the kernel or object, ${table} in the table`);
  };
  compare('type', shape.type, mapTypeCode[wanted.type]);
  compare('key size', shape.keySize, wanted.key.size);
  compare('value size', shape.valueSize, wanted.value.size);
  if (!btf) return;
  const named = (what: string, id: number, layout: { name: string; fields: readonly unknown[] }) => {
    if (id !== 0 && layout.fields.length > 0) compare(what, resolved(btf, id).name, layout.name);
  };
  named('key struct', keyType, wanted.key);
  named('value struct', valueType, wanted.value);
}

/**
 * Compares every struct of src/abi and enum km_reason with the objects' BTF.
 * Each must be known to at least one object; all that know it must agree.
 */
export function checkLayouts(objects: readonly Btf[]): void {
  for (const layout of structLayouts()) {
    const known = objects.filter((btf) => checkStruct(btf, layout));
    if (known.length === 0) throw refuse(`struct ${layout.name}: no object describes it`);
  }
  if (objects.filter(checkReasons).length === 0) throw refuse('enum km_reason: no object describes it');
}
