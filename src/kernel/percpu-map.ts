// SPDX-License-Identifier: Apache-2.0
// Arrays of counters: one value for each CPU, read as their sum, member by member.
import type { KeyOf, MapName, ValueOfMap } from '../abi/maps.ts';
import { codecOf, isZero } from './codec.ts';
import type { MapHandle, WritableValue } from './dataplane.ts';
import { failure, libbpf, stableBytes } from './libbpf.ts';
import { walkRaw } from './map.ts';
import { mapError } from './map-error.ts';

/** Numbers, or structs of numbers: what members say together. */
export function added<T>(a: T, b: T): T {
  if (typeof a === 'bigint') return ((a as bigint) + (b as bigint)) as T;
  if (typeof a === 'number') return ((a as number) + (b as number)) as T;
  const out: Record<string, unknown> = {};
  for (const [member, value] of Object.entries(a as object)) out[member] = added(value, (b as typeof out)[member]);
  return out as T;
}

/** `get` sums over the CPUs; `put` leaves the value on one CPU and zero on the others. */
export function percpuMap<M extends MapName>(name: M, fd: number, maxEntries: number): MapHandle<M> {
  const bpf = libbpf();
  const codec = codecOf(name);
  const step = Math.ceil(codec.valueSize / 8) * 8;
  const cpus = bpf.libbpf_num_possible_cpus();
  const key = stableBytes(codec.keySize);
  const keyView = new DataView(key.buffer);
  const values = stableBytes(step * cpus);
  const view = new DataView(values.buffer);
  const fault = (operation: string, errno: string, done: number, total: number) =>
    mapError({ map: name, operation, errno, maxEntries, done, total });
  const sum = (bytes: Uint8Array, offset: number): ValueOfMap<M> => {
    let total = codec.readValue(bytes, offset);
    for (let cpu = 1; cpu < cpus; cpu++) total = added(total, codec.readValue(bytes, offset + cpu * step));
    return total;
  };
  const put = (entries: readonly (readonly [KeyOf<M>, WritableValue<M> | undefined])[]) => {
    entries.forEach(([index, value], i) => {
      values.fill(0);
      codec.writeKey(index, keyView, 0);
      if (value !== undefined) codec.writeValue(value, view, 0);
      const answer = bpf.bpf_map_update_elem(fd, key, values, 0);
      if (answer < 0) throw fault('update', failure(answer), i, entries.length);
    });
  };
  function* entries(below = maxEntries): IterableIterator<[KeyOf<M>, ValueOfMap<M>]> {
    const raw = { fd, keySize: codec.keySize, valueSize: values.length };
    for (const batch of walkRaw(raw, (errno) => fault('walk', errno, 0, 1), below)) {
      for (let i = 0; i < batch.count; i++) {
        const offset = i * values.length;
        if (!isZero(batch.values, offset, values.length)) {
          yield [codec.readKey(batch.keys, i * codec.keySize), sum(batch.values, offset)];
        }
      }
    }
  }
  return {
    name,
    maxEntries,
    get(index) {
      codec.writeKey(index, keyView, 0);
      const answer = bpf.bpf_map_lookup_elem(fd, key, values);
      if (answer === 0) return sum(values, 0);
      const errno = failure(answer);
      if (errno === 'ENOENT') return undefined;
      throw fault('lookup', errno, 0, 1);
    },
    put,
    delete: (keys) => put(keys.filter((index) => (index as number) < maxEntries).map((index) => [index, undefined])),
    entries,
    *parts(below) {
      yield entries(below);
    },
    count: () => [...entries()].length,
  };
}
