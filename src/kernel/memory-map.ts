// SPDX-License-Identifier: Apache-2.0
// One map in memory, byte for byte as the kernel would hold it.
import type { KeyOf, MapName, ValueOfMap } from '../abi/maps.ts';
import { type Codec, codecOf, isArray, isKeyless, isZero } from './codec.ts';
import type { MapHandle, WritableValue } from './dataplane.ts';
import { type ErrnoName, mapError } from './map-error.ts';

/** Bytes by key bytes. `get` of an absent key is undefined; `put` answers an errno name when there is no room. */
interface Store {
  get(key: Uint8Array): Uint8Array | undefined;
  put(key: Uint8Array, value: Uint8Array): ErrnoName | undefined;
  delete(key: Uint8Array): void;
  entries(): IterableIterator<[Uint8Array, Uint8Array]>;
  count(): number;
}

const text = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
const bytesOf = (key: string): Uint8Array => Buffer.from(key, 'latin1');

function hashStore(maxEntries: number, evicts: boolean): Store {
  const held = new Map<string, Uint8Array>();
  return {
    get: (key) => held.get(text(key)),
    put(key, value) {
      const at = text(key);
      if (held.size >= maxEntries && !held.has(at)) {
        if (!evicts) return 'E2BIG';
        for (const oldest of held.keys()) {
          held.delete(oldest);
          break;
        }
      }
      held.set(at, value.slice());
      return undefined;
    },
    delete: (key) => void held.delete(text(key)),
    *entries() {
      // A copy of the keys: whoever walks may write.
      for (const key of [...held.keys()]) {
        const value = held.get(key);
        if (value) yield [bytesOf(key), value];
      }
    },
    count: () => held.size,
  };
}

function arrayStore(maxEntries: number, valueSize: number): Store {
  let held = new Uint8Array(Math.min(maxEntries, 64) * valueSize);
  const indexOf = (key: Uint8Array) => new DataView(key.buffer, key.byteOffset).getUint32(0, true);
  const store: Store = {
    get(key) {
      const index = indexOf(key);
      if (index >= maxEntries) return undefined;
      const at = index * valueSize;
      return at < held.length ? held.subarray(at, at + valueSize) : new Uint8Array(valueSize);
    },
    put(key, value) {
      const index = indexOf(key);
      if (index >= maxEntries) return 'E2BIG';
      const at = index * valueSize;
      if (at >= held.length) {
        const grown = new Uint8Array(
          Math.min(maxEntries, Math.max(index + 1, (2 * held.length) / valueSize)) * valueSize,
        );
        grown.set(held);
        held = grown;
      }
      held.set(value, at);
      return undefined;
    },
    delete(key) {
      const at = indexOf(key) * valueSize;
      if (at < held.length) held.fill(0, at, at + valueSize);
    },
    *entries() {
      for (let at = 0; at < held.length; at += valueSize) {
        if (isZero(held, at, valueSize)) continue;
        const key = new Uint8Array(4);
        new DataView(key.buffer).setUint32(0, at / valueSize, true);
        yield [key, held.subarray(at, at + valueSize)];
      }
    },
    count() {
      let n = 0;
      for (const _ of store.entries()) n++;
      return n;
    },
  };
  return store;
}

/** Bytes of a trie key with everything past its prefix cleared. */
function masked(key: Uint8Array, bits: number): Uint8Array {
  const out = key.slice();
  new DataView(out.buffer).setUint32(0, bits, true);
  for (let i = 4; i < out.length; i++) {
    const keep = Math.min(8, Math.max(0, bits - 8 * (i - 4)));
    out[i] = (out[i] as number) & (0xff << (8 - keep)) & 0xff;
  }
  return out;
}

function trieStore(maxEntries: number): Store {
  const held = new Map<string, { key: Uint8Array; value: Uint8Array }>();
  const lengthOf = (key: Uint8Array) => new DataView(key.buffer, key.byteOffset).getUint32(0, true);
  return {
    get(key) {
      for (let bits = Math.min(lengthOf(key), 8 * (key.length - 4)); bits >= 0; bits--) {
        const found = held.get(text(masked(key, bits)));
        if (found) return found.value;
      }
      return undefined;
    },
    put(key, value) {
      const bits = lengthOf(key);
      if (bits > 8 * (key.length - 4)) return 'EINVAL';
      const at = text(masked(key, bits));
      if (held.size >= maxEntries && !held.has(at)) return 'ENOSPC';
      held.set(at, { key: key.slice(), value: value.slice() });
      return undefined;
    },
    delete: (key) => void held.delete(text(masked(key, lengthOf(key)))),
    *entries() {
      for (const { key, value } of [...held.values()]) yield [key, value];
    },
    count: () => held.size,
  };
}

function storeOf<M extends MapName>(codec: Codec<M>, maxEntries: number): Store {
  if (isArray(codec.type)) return arrayStore(maxEntries, codec.valueSize);
  if (codec.type === 'lpm_trie') return trieStore(maxEntries);
  return hashStore(maxEntries, codec.type === 'lru_hash');
}

/** A handle whose next write can be made to fail. */
export interface MemoryMap<M extends MapName> extends MapHandle<M> {
  failNext(errno: ErrnoName, after: number): void;
  /** A value as it stands, undecoded. */
  bytes(key: KeyOf<M>): Uint8Array | undefined;
}

/** An empty map of `maxEntries`. */
export function memoryMap<M extends MapName>(name: M, maxEntries: number): MemoryMap<M> {
  const codec = codecOf(name);
  const store = storeOf(codec, maxEntries);
  const key = new Uint8Array(codec.keySize);
  const keyView = new DataView(key.buffer);
  const value = new Uint8Array(codec.valueSize);
  const valueView = new DataView(value.buffer);
  let fault: { errno: ErrnoName; after: number } | undefined;

  const fail = (operation: string, errno: string, done?: number, total?: number) =>
    mapError({
      map: name,
      operation,
      errno,
      maxEntries,
      ...(done === undefined ? {} : { done }),
      ...(total === undefined ? {} : { total }),
    });
  const write = (operation: string, total: number, one: (i: number) => ErrnoName | undefined): void => {
    const planned = fault;
    fault = undefined;
    for (let i = 0; i < total; i++) {
      const errno = planned && i >= planned.after ? planned.errno : one(i);
      if (errno) throw fail(operation, errno, i, total);
    }
  };
  const readable = (operation: string) => {
    // Only programs reach socket storage by key; sockets() walks it. A ring has no keys.
    if (isKeyless(codec.type)) throw fail(operation, 'ENOTSUPP');
  };

  function* entries(below = Number.POSITIVE_INFINITY): IterableIterator<[KeyOf<M>, ValueOfMap<M>]> {
    readable('walk');
    const bounded = isArray(codec.type);
    for (const [k, v] of store.entries())
      if (!bounded || (codec.readKey(k, 0) as number) < below) yield [codec.readKey(k, 0), codec.readValue(v, 0)];
  }

  return {
    name,
    maxEntries,
    failNext(errno, after) {
      fault = { errno, after };
    },
    bytes(k) {
      codec.writeKey(k, keyView, 0);
      return store.get(key)?.slice();
    },
    get(k) {
      readable('lookup');
      codec.writeKey(k, keyView, 0);
      const found = store.get(key);
      return found && codec.readValue(found, 0);
    },
    put(entries: readonly (readonly [KeyOf<M>, WritableValue<M>])[]) {
      readable('update');
      write('update', entries.length, (i) => {
        const [k, v] = entries[i] as (typeof entries)[number];
        codec.writeKey(k, keyView, 0);
        codec.writeValue(v, valueView, 0);
        return store.put(key, value);
      });
    },
    delete(keys) {
      readable('delete');
      write('delete', keys.length, (i) => {
        codec.writeKey(keys[i] as KeyOf<M>, keyView, 0);
        store.delete(key);
        return undefined;
      });
    },
    entries,
    *parts(below?: number) {
      yield entries(below);
    },
    count() {
      readable('walk');
      return store.count();
    },
  };
}
