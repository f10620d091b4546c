// SPDX-License-Identifier: Apache-2.0
// Copies the bytes of one map into another of the same form.
import type { MapName } from '../abi/maps.ts';
import { isZero } from './codec.ts';
import type { MapInfo } from './info.ts';
import { mapTypeCode } from './layout-check.ts';
import { failure, libbpf } from './libbpf.ts';
import { walkRaw } from './map.ts';
import { mapError } from './map-error.ts';

export interface MapEnd {
  readonly fd: number;
  readonly info: MapInfo;
}

/** BPF_NOEXIST: what is there already stays. */
const onlyMissing = 1;
const arrays: ReadonlySet<number> = new Set([mapTypeCode.array, mapTypeCode.percpu_array]);

/** Size of a value in a system call: of per-CPU maps one for each CPU. */
function valueBytes(info: MapInfo): number {
  if (info.type !== mapTypeCode.percpu_array) return info.valueSize;
  return Math.ceil(info.valueSize / 8) * 8 * libbpf().libbpf_num_possible_cpus();
}

/**
 * Writes every entry of `from` into `to` (of arrays: those that are not zero). KM_MAP_FULL when they do not fit. With `missing`
 * only what `to` does not hold yet. How many were written.
 */
export function copyMap(name: MapName, from: MapEnd, to: MapEnd, missing = false): number {
  const bpf = libbpf();
  const valueSize = valueBytes(from.info);
  const { keySize } = from.info;
  const array = arrays.has(from.info.type);
  const fault = (operation: string, errno: string) =>
    mapError({ map: name, operation, errno, maxEntries: to.info.maxEntries });
  let copied = 0;
  for (const { count, keys, values } of walkRaw({ fd: from.fd, keySize, valueSize }, (errno) => fault('walk', errno))) {
    // In one call where that is possible; what a refused batch has written already is written again.
    if (!missing && !(array && isZero(values, 0, count * valueSize))) {
      if (bpf.bpf_map_update_batch(to.fd, keys, values, Uint32Array.of(count), null) === 0) {
        copied += count;
        continue;
      }
    }
    for (let i = 0; i < count; i++) {
      if (array && isZero(values, i * valueSize, valueSize)) continue;
      const key = keys.subarray(i * keySize, (i + 1) * keySize);
      const value = values.subarray(i * valueSize, (i + 1) * valueSize);
      const answer = bpf.bpf_map_update_elem(to.fd, key, value, missing ? onlyMissing : 0);
      if (answer === 0) copied++;
      else {
        const errno = failure(answer);
        if (errno !== 'EEXIST') throw fault('update', errno);
      }
    }
  }
  return copied;
}
