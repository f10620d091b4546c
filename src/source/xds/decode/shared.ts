// SPDX-License-Identifier: Apache-2.0
// Values found again by the bytes they were decoded from: what repeats over a hundred thousand resources is decoded and held once.

const firstSlots = 1024;
/** Room for about 130,000 values; then the place of another is taken, so neither memory nor time grows with what a server sends. */
const mostSlots = 1 << 18;
/** Longer ones are not kept. */
const maxBytes = 1024;
/** Slots looked at for one value: bytes made to collide cost no more than this. */
const probes = 8;

/** A table of at most `mostSlots` values. Keys are the bytes as text of one byte a character, which an engine holds compactly. */
export class Shared<T> {
  private keys: (string | undefined)[] = new Array(firstSlots);
  private values: (T | undefined)[] = new Array(firstSlots);
  private hashes = new Int32Array(firstSlots);
  private count = 0;
  /** Of the bytes that were last looked for. */
  private hash = 0;

  find(bytes: Uint8Array, start: number, end: number): T | undefined {
    const length = end - start;
    if (length > maxBytes) return undefined;
    let hash = 0x811c9dc5;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
    hash ^= hash >>> 15;
    this.hash = hash;
    const mask = this.hashes.length - 1;
    for (let slot = hash & mask, probe = 0; probe < probes; probe++, slot = (slot + 1) & mask) {
      const key = this.keys[slot];
      if (key === undefined) return undefined;
      if (this.hashes[slot] !== hash || key.length !== length) continue;
      let i = 0;
      while (i < length && key.charCodeAt(i) === bytes[start + i]) i++;
      if (i === length) return this.values[slot];
    }
    return undefined;
  }

  /** Keeps the value for the bytes that `find` was last asked for, and did not find. */
  keep(key: string, value: T): void {
    if (key.length > maxBytes) return;
    if (this.count * 2 >= this.hashes.length && this.hashes.length < mostSlots) this.grow();
    this.put(this.hash, key, value);
  }

  private put(hash: number, key: string, value: T): void {
    const mask = this.hashes.length - 1;
    let slot = hash & mask;
    for (let probe = 0; probe < probes && this.keys[slot] !== undefined; probe++) slot = (slot + 1) & mask;
    if (this.keys[slot] !== undefined) slot = hash & mask;
    else this.count++;
    this.keys[slot] = key;
    this.values[slot] = value;
    this.hashes[slot] = hash;
  }

  private grow(): void {
    const { keys, values, hashes } = this;
    const slots = hashes.length * 2;
    this.keys = new Array(slots);
    this.values = new Array(slots);
    this.hashes = new Int32Array(slots);
    this.count = 0;
    for (const [slot, key] of keys.entries()) {
      if (key !== undefined) this.put(hashes[slot] as number, key, values[slot] as T);
    }
  }
}
