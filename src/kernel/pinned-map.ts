// SPDX-License-Identifier: Apache-2.0
// Any pinned map as its own BTF describes it: no table of ours needed, so maps of another version can be read too.
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { backendFlag, backendHeader, slotsOfListed } from '../abi/structs.ts';
import { KmeshError } from '../errors.ts';
import { findType, parseBtf } from './btf.ts';
import { type BtfValue, decodeBtf } from './btf-value.ts';
import { possibleCpus } from './cpus.ts';
import { btfBytes, type MapInfo, mapInfo } from './info.ts';
import { walkRaw } from './map.ts';
import { added } from './percpu-map.ts';
import { openPin, pinFolders, pinNames } from './pins.ts';

/** bpf_map_type of linux/bpf.h, where the name matters here. */
const typeNames: Readonly<Record<number, string>> = {
  1: 'hash',
  2: 'array',
  6: 'percpu_array',
  9: 'lru_hash',
  11: 'lpm_trie',
  18: 'sockhash',
  24: 'sk_storage',
  27: 'ringbuf',
};

export interface PinnedEntry {
  readonly key: BtfValue;
  readonly value: BtfValue;
}

export interface PinnedMap {
  readonly name: string;
  readonly type: string;
  readonly info: MapInfo;
  /** False for maps that have no keys to walk, or nothing to copy: socket storage, sockets, the ring buffer. */
  readonly walkable: boolean;
  /** Every entry, as it is read; per-CPU values are added up, all-zero entries of arrays are left out. Hex text when raw. */
  entries(raw?: boolean): Generator<PinnedEntry>;
  close(): void;
}

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

/** Names of the maps pinned under `bpffs`, sorted. */
export function pinnedMapNames(bpffs: string): readonly string[] {
  return pinNames(pinFolders(bpffs).maps);
}

/** Slots behind the endpoints of the headers seen so far. */
interface Behind {
  readonly vias: Set<number>;
  readonly ports: Set<number>;
}

/** Opens a pinned map for reading. KM_NOT_FOUND when there is none of that name. */
export function openPinnedMap(bpffs: string, name: string): PinnedMap {
  const fd = openPin(join(pinFolders(bpffs).maps, name));
  if (fd === undefined) {
    throw new KmeshError('KM_NOT_FOUND', `no map "${name}" is pinned under ${bpffs}`, {
      hint: `there are: ${pinnedMapNames(bpffs).join(', ')}`,
    });
  }
  const info = mapInfo(fd);
  const type = typeNames[info.type] ?? `type ${info.type}`;
  const btf = info.btfId === 0 ? undefined : parseBtf(btfBytes(info.btfId));
  const perCpu = type === 'percpu_array';
  // The kernel writes as many, whatever there is room for.
  const cpus = perCpu ? possibleCpus() : 1;
  const step = Math.ceil(info.valueSize / 8) * 8;
  const valueSize = perCpu ? step * cpus : info.valueSize;
  const ranged = name === 'endpoint';
  const header = ranged && btf ? findType(btf, 'struct', 'km_backend_header') : undefined;

  const via = ranged && btf ? findType(btf, 'struct', 'km_backend_via') : undefined;
  const ports = ranged && btf ? findType(btf, 'struct', 'km_via_ports') : undefined;

  const decodeValue = (bytes: Uint8Array, key: BtfValue, headers: ReadonlySet<number>, behind: Behind): BtfValue => {
    if (!btf) return hex(bytes);
    if (headers.has(key as number)) {
      // Another version's header may differ from ours. Versions whose BTF does not tell it had ours.
      const value = header ? decodeBtf(btf, header.id, bytes) : { ...backendHeader.decode(bytes) };
      const { flags, count } = value as { readonly flags: number; readonly count: number };
      if (flags & backendFlag.via) behind.vias.add((key as number) + 1 + count);
      return value;
    }
    if (via && behind.vias.has(key as number)) {
      const value = decodeBtf(btf, via.id, bytes);
      const { listed = 0 } = value as { readonly listed?: number };
      for (let i = 1; i <= slotsOfListed(listed); i++) behind.ports.add((key as number) + i);
      return value;
    }
    if (ports && behind.ports.has(key as number)) return decodeBtf(btf, ports.id, bytes);
    if (!perCpu) return decodeBtf(btf, info.valueTypeId, bytes);
    let sum = decodeBtf(btf, info.valueTypeId, bytes);
    for (let cpu = 1; cpu < cpus; cpu++) sum = added(sum, decodeBtf(btf, info.valueTypeId, bytes, cpu * step));
    return sum;
  };

  function* entries(raw = false): Generator<PinnedEntry> {
    const map = { fd: fd as number, keySize: info.keySize, valueSize };
    const headers = ranged && !raw ? headerSlots(bpffs) : new Set<number>();
    const behind: Behind = { vias: new Set(), ports: new Set() };
    const fault = (errno: string) => new KmeshError('KM_MAP', `reading map "${name}" failed: ${errno}`);
    for (const { count, keys, values } of walkRaw(map, fault)) {
      for (let i = 0; i < count; i++) {
        const value = values.subarray(i * valueSize, (i + 1) * valueSize);
        if ((type === 'array' || perCpu) && value.every((b) => b === 0)) continue;
        const keyBytes = keys.subarray(i * info.keySize, (i + 1) * info.keySize);
        if (raw || !btf) {
          yield { key: hex(keyBytes), value: hex(value) };
          continue;
        }
        const key = decodeBtf(btf, info.keyTypeId, keyBytes);
        yield { key, value: decodeValue(value, key, headers, behind) };
      }
    }
  }

  return {
    name,
    type,
    info,
    walkable: type !== 'sk_storage' && type !== 'sockhash' && type !== 'ringbuf',
    entries,
    close: () => closeSync(fd),
  };
}

/** Slots of `endpoint` that hold a header: those that `backend` names. */
function headerSlots(bpffs: string): Set<number> {
  const backend = openPinnedMap(bpffs, 'backend');
  try {
    const slots = new Set<number>();
    for (const { value } of backend.entries()) slots.add((value as { readonly first: number }).first);
    return slots;
  } finally {
    backend.close();
  }
}
