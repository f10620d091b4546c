// SPDX-License-Identifier: Apache-2.0
// Bytes to values by the BTF that came with them: what dumps show, also of maps that another version made.
import { addressOf } from '../net/address.ts';
import { type Btf, resolved, sizeOf, typeOf } from './btf.ts';

/** A decoded value: numbers up to 32 bits as number, 64 bits as bigint, structs by member, km_addr as text, bytes as they are. */
export type BtfValue =
  | number
  | bigint
  | string
  | Uint8Array
  | readonly BtfValue[]
  | { readonly [member: string]: BtfValue };

/** Typedefs of network-order integers (linux/types.h). */
const networkOrder: ReadonlySet<string> = new Set(['__be16', '__be32', '__be64']);
/** Members that only fill holes. */
const padding = /^pad\d*$/;

function integer(view: DataView, offset: number, size: number, little: boolean, signed: boolean): number | bigint {
  if (size === 1) return signed ? view.getInt8(offset) : view.getUint8(offset);
  if (size === 2) return signed ? view.getInt16(offset, little) : view.getUint16(offset, little);
  if (size === 4) return signed ? view.getInt32(offset, little) : view.getUint32(offset, little);
  return signed ? view.getBigInt64(offset, little) : view.getBigUint64(offset, little);
}

/** The names a type goes by on its way through typedefs. */
function aliases(btf: Btf, id: number): readonly string[] {
  const names: string[] = [];
  for (let type = typeOf(btf, id); ; type = typeOf(btf, type.type)) {
    if (type.kind === 'typedef') names.push(type.name);
    else if (!['volatile', 'const', 'restrict', 'type_tag'].includes(type.kind)) return names;
  }
}

/** Signed integers of this project's structs are __s8 … __s64 or int. */
const signedNames: ReadonlySet<string> = new Set([
  '__s8',
  '__s16',
  '__s32',
  '__s64',
  'int',
  'long long',
  'signed char',
  'short',
]);

/** The value of type `id` that stands at `offset` of `bytes`. */
export function decodeBtf(btf: Btf, id: number, bytes: Uint8Array, offset = 0): BtfValue {
  const type = resolved(btf, id);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (type.kind === 'union' && type.name === 'km_addr') {
    return bytes.subarray(offset, offset + 16).every((b) => b === 0) ? '' : (addressOf(bytes, offset, 16) as string);
  }
  if (type.kind === 'int' || type.kind === 'enum') {
    const names = aliases(btf, id);
    const little = !names.some((name) => networkOrder.has(name));
    return integer(
      view,
      offset,
      type.size,
      little,
      names.length === 0 ? signedNames.has(type.name) : names.some((n) => signedNames.has(n)),
    );
  }
  if (type.kind === 'array') {
    const size = sizeOf(btf, type.type);
    if (size === 1) return bytes.slice(offset, offset + type.length);
    return Array.from({ length: type.length }, (_, i) => decodeBtf(btf, type.type, bytes, offset + i * size));
  }
  if (type.kind === 'struct') {
    const out: Record<string, BtfValue> = {};
    for (const member of type.members) {
      if (!padding.test(member.name)) out[member.name] = decodeBtf(btf, member.type, bytes, offset + member.offset / 8);
    }
    return out;
  }
  return bytes.slice(offset, offset + sizeOf(btf, id));
}
