// SPDX-License-Identifier: Apache-2.0
// The map of counters: one value for each CPU, read as their sum.
import type { KeyOf, ValueOfMap } from '../abi/maps.ts';
import type { MapHandle } from './dataplane.ts';
import { failure, libbpf, stableBytes } from './libbpf.ts';
import { mapError } from './map-error.ts';

/** `get` sums over the CPUs; `put` leaves the value on one CPU and zero on the others. */
export function percpuMap(fd: number, maxEntries: number): MapHandle<'reason'> {
  const bpf = libbpf();
  const key = stableBytes(4);
  const keyView = new DataView(key.buffer);
  const values = stableBytes(8 * bpf.libbpf_num_possible_cpus());
  const view = new DataView(values.buffer);
  const fault = (operation: string, errno: string, done: number, total: number) =>
    mapError({ map: 'reason', operation, errno, maxEntries, done, total });

  const get = (index: KeyOf<'reason'>): ValueOfMap<'reason'> | undefined => {
    keyView.setUint32(0, index, true);
    const answer = bpf.bpf_map_lookup_elem(fd, key, values);
    if (answer < 0) {
      const errno = failure(answer);
      if (errno === 'ENOENT') return undefined;
      throw fault('lookup', errno, 0, 1);
    }
    let sum = 0n;
    for (let at = 0; at < values.length; at += 8) sum += view.getBigUint64(at, true);
    return sum;
  };
  const put = (entries: readonly (readonly [number, bigint])[]) => {
    entries.forEach(([index, value], i) => {
      values.fill(0);
      keyView.setUint32(0, index, true);
      view.setBigUint64(0, value, true);
      const answer = bpf.bpf_map_update_elem(fd, key, values, 0);
      if (answer < 0) throw fault('update', failure(answer), i, entries.length);
    });
  };
  function* entries(below = maxEntries): IterableIterator<[number, bigint]> {
    for (let index = 0; index < Math.min(below, maxEntries); index++) {
      const value = get(index);
      if (value) yield [index, value];
    }
  }
  return {
    name: 'reason',
    maxEntries,
    get,
    put,
    delete: (keys) => put(keys.filter((index) => index < maxEntries).map((index) => [index, 0n])),
    entries,
    *parts(below) {
      yield entries(below);
    },
    count: () => [...entries()].length,
  };
}
