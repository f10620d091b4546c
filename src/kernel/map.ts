// SPDX-License-Identifier: Apache-2.0
// One kernel map: entries in batches where the kernel has them, one by one where it has not.
import type { KeyOf, MapName, ValueOfMap } from '../abi/maps.ts';
import { codecOf, isArray, isKeyless, isZero } from './codec.ts';
import type { MapHandle, WritableValue } from './dataplane.ts';
import { failure, type Libbpf, libbpf, stableBytes } from './libbpf.ts';
import { mapError } from './map-error.ts';

/** Entries in one system call: well under 5 ms (about 0.5 us each), and buffers of at most 256 KB. */
const batchEntries = 4096;
const batchBytes = 256 * 1024;
/** Entries of one read, of a walk that others may pause between two reads: well under a millisecond. */
const walkEntries = 512;
/** Moments when memory for an element or a bucket's lock is not to be had: asked again at once, this often. */
const transient: ReadonlySet<string> = new Set(['EBUSY', 'EAGAIN', 'EINTR', 'ENOMEM', 'EDEADLK', 'ETIMEDOUT']);
const attempts = 10;
/** The kernel has no batch operation for this type of map. */
const noBatch: ReadonlySet<string> = new Set(['ENOTSUPP', 'EOPNOTSUPP', 'EINVAL']);

/** Room for one batch, shared by the maps of one data plane: an operation is one synchronous call. */
export interface Scratch {
  /** At least `size` bytes; what they held is gone after the next call. */
  keys(size: number): Uint8Array;
  values(size: number): Uint8Array;
}

export function newScratch(): Scratch {
  const room = () => {
    let held = stableBytes(0);
    return (size: number) => {
      if (held.length < size) held = stableBytes(size);
      return held;
    };
  };
  return { keys: room(), values: room() };
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** What a walk over raw entries yields: `count` keys and values one after the other, valid until the next step. */
export interface RawBatch {
  readonly count: number;
  readonly keys: Uint8Array;
  readonly values: Uint8Array;
}

export interface RawMap {
  readonly fd: number;
  readonly keySize: number;
  readonly valueSize: number;
}

const slice = (map: RawMap): number => Math.max(64, Math.min(batchEntries, Math.floor(batchBytes / map.valueSize)));

/** Walks a map by single look-ups, for kernels and maps without lookup_batch. */
function* walkSingly(bpf: Libbpf, map: RawMap, fault: (errno: string) => Error): Generator<RawBatch> {
  const keys = stableBytes(map.keySize);
  const values = stableBytes(map.valueSize);
  const next = stableBytes(map.keySize);
  let from: Uint8Array | null = null;
  for (;;) {
    const answer = bpf.bpf_map_get_next_key(map.fd, from, next);
    if (answer < 0) {
      const errno = failure(answer);
      if (errno === 'ENOENT') return;
      throw fault(errno);
    }
    keys.set(next);
    from = keys;
    if (bpf.bpf_map_lookup_elem(map.fd, keys, values) === 0) yield { count: 1, keys, values };
  }
}

/**
 * Every entry, in batches; of arrays only the first `below`. Not a snapshot: what is written meanwhile may or may not be seen.
 * `fault` makes the error.
 */
export function* walkRaw(
  map: RawMap,
  fault: (errno: string) => Error,
  below = Number.POSITIVE_INFINITY,
): Generator<RawBatch> {
  const bpf = libbpf();
  let size = Math.min(walkEntries, slice(map));
  let keys = stableBytes(size * map.keySize);
  let values = stableBytes(size * map.valueSize);
  // A hash's position is a bucket number, an array's a key: room for either.
  const position = stableBytes(Math.max(8, map.keySize));
  const next = stableBytes(position.length);
  const count = new Uint32Array(1);
  let started = false;
  let left = below;
  while (left > 0) {
    count[0] = Math.min(size, left);
    const answer = bpf.bpf_map_lookup_batch(map.fd, started ? position : null, next, keys, values, count, null);
    const errno = answer < 0 ? failure(answer) : '';
    if (errno === 'ENOSPC') {
      // One bucket holds more than a batch.
      size *= 2;
      keys = stableBytes(size * map.keySize);
      values = stableBytes(size * map.valueSize);
      continue;
    }
    if (!started && noBatch.has(errno)) {
      yield* walkSingly(bpf, map, fault);
      return;
    }
    if (errno === 'EINTR' || errno === 'EAGAIN') continue;
    if (errno !== '' && errno !== 'ENOENT') throw fault(errno);
    left -= count[0];
    if (count[0] > 0) yield { count: count[0], keys, values };
    if (errno === 'ENOENT') return;
    position.set(next);
    started = true;
  }
}

/** How a batch of writes went: all done, or the errno at which entry. */
interface Written {
  readonly done: number;
  readonly errno?: string;
}

type Single = (i: number) => number;
type Batch = (from: number, count: Uint32Array) => number;

/** Runs entries from..total through `batch`, or through `single` once the kernel says that it has no batches for this map. */
function drive(total: number, batch: Batch | undefined, single: Single, skip: ReadonlySet<string>): Written {
  const count = new Uint32Array(1);
  let batching = batch;
  let done = 0;
  let tries = 0;
  while (done < total) {
    count[0] = total - done;
    const answer = batching ? batching(done, count) : single(done);
    if (answer === 0) {
      done = batching ? total : done + 1;
      tries = 0;
      continue;
    }
    const errno = failure(answer);
    if (batching && noBatch.has(errno) && done === 0) {
      batching = undefined;
      continue;
    }
    const before = done;
    // A call refused before its first entry leaves the count as it was.
    if (batching && done + count[0] < total) done += count[0];
    if (done > before) tries = 0;
    if (skip.has(errno)) done++;
    else if (!transient.has(errno) || ++tries >= attempts) return { done, errno };
  }
  return { done };
}

const none: ReadonlySet<string> = new Set();
const absent: ReadonlySet<string> = new Set(['ENOENT']);

/** Socket storage and the ring buffer: sockets() and nextMisses() read them. */
function keylessMap<M extends MapName>(name: M, fault: (operation: string) => Error): MapHandle<M> {
  const refuse = (operation: string) => (): never => {
    throw fault(operation);
  };
  const walk = refuse('walk');
  return {
    name,
    maxEntries: 0,
    get: refuse('lookup'),
    put: refuse('update'),
    delete: refuse('delete'),
    entries: walk,
    parts: walk,
    count: walk,
  };
}

/** The typed handle of the map behind `fd`, which stays the caller's. */
export function kernelMap<M extends MapName>(name: M, fd: number, maxEntries: number, scratch: Scratch): MapHandle<M> {
  const bpf = libbpf();
  const codec = codecOf(name);
  const raw: RawMap = { fd, keySize: codec.keySize, valueSize: codec.valueSize };
  const array = isArray(codec.type);
  const perBatch = slice(raw);
  const oneKey = stableBytes(raw.keySize);
  const oneValue = stableBytes(raw.valueSize);
  const keyView = viewOf(oneKey);
  const valueView = viewOf(oneValue);

  const fault = (operation: string, errno: string, done?: number, total?: number) =>
    mapError({
      map: name,
      operation,
      errno,
      maxEntries,
      ...(done === undefined ? {} : { done }),
      ...(total === undefined ? {} : { total }),
    });
  const part = (bytes: Uint8Array, at: number, size: number) => bytes.subarray(at * size, (at + 1) * size);

  /** Encodes and writes one slice; zeros where `valueAt` is absent. */
  const write = (
    keyAt: (i: number) => KeyOf<M>,
    valueAt: ((i: number) => WritableValue<M>) | undefined,
    total: number,
  ) => {
    const keys = scratch.keys(perBatch * raw.keySize);
    const values = scratch.values(perBatch * raw.valueSize);
    const keysView = viewOf(keys);
    const valuesView = viewOf(values);
    if (!valueAt) values.fill(0);
    for (let from = 0; from < total; from += perBatch) {
      const here = Math.min(perBatch, total - from);
      for (let i = 0; i < here; i++) {
        codec.writeKey(keyAt(from + i), keysView, i * raw.keySize);
        if (valueAt) codec.writeValue(valueAt(from + i), valuesView, i * raw.valueSize);
      }
      const batch: Batch = (at, count) =>
        bpf.bpf_map_update_batch(fd, keys.subarray(at * raw.keySize), values.subarray(at * raw.valueSize), count, null);
      const written = drive(
        here,
        here === 1 ? undefined : batch,
        (i) => bpf.bpf_map_update_elem(fd, part(keys, i, raw.keySize), part(values, i, raw.valueSize), 0),
        none,
      );
      if (written.errno) throw fault('update', written.errno, from + written.done, total);
    }
  };

  const walk = (below?: number): Generator<RawBatch> =>
    walkRaw(raw, (errno) => fault('walk', errno), array ? below : undefined);

  function* decoded({ count, keys, values }: RawBatch): IterableIterator<[KeyOf<M>, ValueOfMap<M>]> {
    for (let i = 0; i < count; i++) {
      if (array && isZero(values, i * raw.valueSize, raw.valueSize)) continue;
      yield [codec.readKey(keys, i * raw.keySize), codec.readValue(values, i * raw.valueSize)];
    }
  }

  if (isKeyless(codec.type)) return keylessMap(name, (operation) => fault(operation, 'ENOTSUPP'));
  return {
    name,
    maxEntries,
    get(key) {
      codec.writeKey(key, keyView, 0);
      const answer = bpf.bpf_map_lookup_elem(fd, oneKey, oneValue);
      if (answer === 0) return codec.readValue(oneValue, 0);
      const errno = failure(answer);
      if (errno === 'ENOENT') return undefined;
      throw fault('lookup', errno);
    },
    put(entries: readonly (readonly [KeyOf<M>, WritableValue<M>])[]) {
      const at = (i: number) => entries[i] as readonly [KeyOf<M>, WritableValue<M>];
      if (entries.length === 1) {
        const [key, value] = at(0);
        codec.writeKey(key, keyView, 0);
        codec.writeValue(value, valueView, 0);
        const written = drive(1, undefined, () => bpf.bpf_map_update_elem(fd, oneKey, oneValue, 0), none);
        if (written.errno) throw fault('update', written.errno, 0, 1);
        return;
      }
      write(
        (i) => at(i)[0],
        (i) => at(i)[1],
        entries.length,
      );
    },
    delete(list) {
      if (array) {
        const inside = list.filter((index) => (index as unknown as number) < maxEntries);
        write((i) => inside[i] as KeyOf<M>, undefined, inside.length);
        return;
      }
      const keys = scratch.keys(perBatch * raw.keySize);
      const view = viewOf(keys);
      for (let from = 0; from < list.length; from += perBatch) {
        const here = Math.min(perBatch, list.length - from);
        for (let i = 0; i < here; i++) codec.writeKey(list[from + i] as KeyOf<M>, view, i * raw.keySize);
        const batch: Batch = (at, count) => bpf.bpf_map_delete_batch(fd, keys.subarray(at * raw.keySize), count, null);
        const written = drive(
          here,
          here === 1 ? undefined : batch,
          (i) => bpf.bpf_map_delete_elem(fd, part(keys, i, raw.keySize)),
          absent,
        );
        if (written.errno) throw fault('delete', written.errno, from + written.done, list.length);
      }
    },
    *entries(below?: number): IterableIterator<[KeyOf<M>, ValueOfMap<M>]> {
      for (const batch of walk(below)) yield* decoded(batch);
    },
    *parts(below?: number): IterableIterator<Iterable<[KeyOf<M>, ValueOfMap<M>]>> {
      for (const batch of walk(below)) yield decoded(batch);
    },
    count() {
      let n = 0;
      for (const { count, values } of walk()) {
        if (!array) n += count;
        else for (let i = 0; i < count; i++) if (!isZero(values, i * raw.valueSize, raw.valueSize)) n++;
      }
      return n;
    },
  };
}
