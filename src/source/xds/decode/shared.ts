// SPDX-License-Identifier: Apache-2.0
// Values found again by the bytes they were decoded from: what repeats over a hundred thousand resources is decoded and held once.

const firstSlots = 1 << 10;
/** Room for about 130,000 values and their bytes; then it begins anew, so that it does not grow with what a server sends. */
const mostSlots = 1 << 18;
const mostBytes = 1 << 24;
/** Longer ones are not kept. */
const longest = 1024;
/** Slots looked at for one value: bytes made to collide cost no more than this. */
const probes = 8;

/** Up to so many bytes are compared here; a call out of the engine costs about as much. */
const byHand = 64;

/** Numbers a slot holds: hash, where its bytes begin, how many (0: the slot is free), which value. */
const stride = 4;

export class Shared<T> {
  #slots = new Int32Array(firstSlots * stride);
  #bytes = Buffer.alloc(firstSlots);
  #used = 0;
  #values: T[] = [];
  /** Of the bytes that were last looked for. */
  #hash = 0;

  find(bytes: Uint8Array, start: number, end: number): T | undefined {
    const length = end - start;
    if (length === 0 || length > longest) return undefined;
    const hash = hashOf(bytes, start, end);
    this.#hash = hash;
    const slots = this.#slots;
    const mask = slots.length / stride - 1;
    for (let slot = hash & mask, probe = 0; probe < probes; probe++, slot = (slot + 1) & mask) {
      const at = slot * stride;
      const size = slots[at + 2];
      if (size === 0) return undefined;
      if (slots[at] === hash && size === length && this.#holds(slots[at + 1] as number, bytes, start, length)) {
        return this.#values[slots[at + 3] as number];
      }
    }
    return undefined;
  }

  /** Keeps the value for the bytes that `find` was last asked for, and did not find. */
  keep(bytes: Uint8Array, start: number, end: number, value: T): void {
    const length = end - start;
    if (length === 0 || length > longest) return;
    if (this.#values.length * 2 * stride >= this.#slots.length) this.#grow();
    if (this.#used + length > mostBytes) this.#clear();
    if (this.#used + length > this.#bytes.length) {
      const more = Buffer.alloc(Math.max(this.#bytes.length * 2, this.#used + length));
      more.set(this.#bytes);
      this.#bytes = more;
    }
    if (!this.#put(this.#hash, this.#used, length, this.#values.length)) return;
    this.#bytes.set(bytes.subarray(start, end), this.#used);
    this.#used += length;
    this.#values.push(value);
  }

  #holds(at: number, bytes: Uint8Array, start: number, length: number): boolean {
    const held = this.#bytes;
    if (length > byHand) return held.compare(bytes, start, start + length, at, at + length) === 0;
    for (let i = 0; i < length; i++) if (held[at + i] !== bytes[start + i]) return false;
    return true;
  }

  /** False when there is no free slot near. */
  #put(hash: number, at: number, length: number, value: number): boolean {
    const slots = this.#slots;
    const mask = slots.length / stride - 1;
    for (let slot = hash & mask, probe = 0; probe < probes; probe++, slot = (slot + 1) & mask) {
      if (slots[slot * stride + 2] !== 0) continue;
      slots.set([hash, at, length, value], slot * stride);
      return true;
    }
    return false;
  }

  #grow(): void {
    const old = this.#slots;
    if (old.length >= mostSlots * stride) {
      this.#clear();
      return;
    }
    this.#slots = new Int32Array(old.length * 2);
    for (let at = 0; at < old.length; at += stride) {
      const length = old[at + 2] as number;
      if (length > 0) this.#put(old[at] as number, old[at + 1] as number, length, old[at + 3] as number);
    }
  }

  #clear(): void {
    this.#slots = new Int32Array(firstSlots * stride);
    this.#bytes = Buffer.alloc(firstSlots);
    this.#used = 0;
    this.#values = [];
  }
}

function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  let i = start;
  for (; i + 3 < end; i += 4) {
    const four =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    hash = Math.imul(hash ^ four, 0x01000193);
    // The top bits of what was multiplied count for most.
    hash ^= hash >>> 15;
  }
  for (; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash ^ (hash >>> 15);
}
