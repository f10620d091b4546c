// SPDX-License-Identifier: Apache-2.0
// Keys and values of each map as bytes; endpoint slots take any of four structs.
import type { Layout } from '../abi/layout.ts';
import { type KeyOf, type MapName, type MapType, maps, type ValueOfMap } from '../abi/maps.ts';
import { backendHeader, backendVia, viaPorts } from '../abi/structs.ts';
import type { HeaderSlot, PortsSlot, ViaSlot, WritableValue } from './dataplane.ts';

export interface Codec<M extends MapName> {
  readonly name: M;
  readonly type: MapType;
  readonly keySize: number;
  readonly valueSize: number;
  writeKey(key: KeyOf<M>, view: DataView, offset: number): void;
  writeValue(value: WritableValue<M>, view: DataView, offset: number): void;
  readKey(buffer: Uint8Array, offset: number): KeyOf<M>;
  readValue(buffer: Uint8Array, offset: number): ValueOfMap<M>;
}

/** True for maps that hold every index from 0 to their size: nothing is absent, only zero. */
export function isArray(type: MapType): boolean {
  return type === 'array' || type === 'percpu_array';
}

/** True for maps that cannot be read or written by key from here. */
export function isKeyless(type: MapType): boolean {
  return type === 'sk_storage' || type === 'sockhash' || type === 'ringbuf';
}

const isHeader = (value: object): value is HeaderSlot => 'generation' in value;
const isVia = (value: object): value is ViaSlot => 'backend_id' in value;
const isPorts = (value: object): value is PortsSlot => 'ports' in value;

/** The bytes of map `name`. */
export function codecOf<M extends MapName>(name: M): Codec<M> {
  const key = maps[name].key as unknown as Layout<KeyOf<M>>;
  const value = maps[name].value as unknown as Layout<WritableValue<M>>;
  return {
    name,
    type: maps[name].type,
    keySize: key.size,
    valueSize: value.size,
    writeKey: key.encodeInto,
    writeValue:
      name === 'endpoint'
        ? (v, view, offset) => {
            if (isHeader(v as object)) backendHeader.encodeInto(v as HeaderSlot, view, offset);
            else if (isVia(v as object)) backendVia.encodeInto(v as ViaSlot, view, offset);
            else if (isPorts(v as object)) viaPorts.encodeInto(v as PortsSlot, view, offset);
            else value.encodeInto(v, view, offset);
          }
        : value.encodeInto,
    readKey: key.decode,
    readValue: value.decode as (buffer: Uint8Array, offset: number) => ValueOfMap<M>,
  };
}

/** True when `size` bytes at `offset` are all zero. */
export function isZero(buffer: Uint8Array, offset: number, size: number): boolean {
  for (let i = offset; i < offset + size; i++) if (buffer[i] !== 0) return false;
  return true;
}
