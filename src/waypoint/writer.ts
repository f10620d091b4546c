// SPDX-License-Identifier: Apache-2.0
// Writes the wire format of protobuf, one message inside the other, into one buffer that serves for all of them: thousands of resources are written
// at once.

const startBytes = 64 * 1024;
/** A buffer that grew beyond this is not kept. */
const mostKept = 1024 * 1024;
/** So long, a text takes less than 128 bytes, whatever it holds. */
const shortText = 42;

export class Writer {
  #bytes = Buffer.allocUnsafeSlow(startBytes);
  #at = 0;

  /** What `write` writes, as bytes of their own. `write` may do the same again. */
  take(write: () => void): Buffer {
    const from = this.#at;
    try {
      write();
      const out = Buffer.allocUnsafe(this.#at - from);
      this.#bytes.copy(out, 0, from, this.#at);
      return out;
    } finally {
      this.#at = from;
      if (from === 0 && this.#bytes.length > mostKept) this.#bytes = Buffer.allocUnsafeSlow(startBytes);
    }
  }

  /** A whole number that is not negative. */
  varint(value: number): void {
    this.#room(10);
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#at++] = (rest % 128) | 128;
      rest = rest < 0x80000000 ? rest >>> 7 : Math.floor(rest / 128);
    }
    this.#bytes[this.#at++] = rest;
  }

  /** int32 and int64; negative ones take ten bytes. */
  int(value: number): void {
    if (value >= 0) {
      this.varint(value);
      return;
    }
    this.#room(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 128n; rest >>= 7n) this.#bytes[this.#at++] = Number(rest & 127n) | 128;
    this.#bytes[this.#at++] = Number(rest);
  }

  double(value: number): void {
    this.#room(8);
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }

  /** With its length before it. */
  text(value: string): void {
    const { length } = value;
    if (length > shortText) {
      const size = Buffer.byteLength(value);
      this.varint(size);
      this.#room(size);
      this.#at += this.#bytes.write(value, this.#at);
      return;
    }
    this.#room(128);
    const bytes = this.#bytes;
    const from = this.#at;
    let at = from + 1;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code >= 128) {
        at = from + 1 + bytes.write(value, from + 1);
        break;
      }
      bytes[at++] = code;
    }
    bytes[from] = at - from - 1;
    this.#at = at;
  }

  /** With their length before them. */
  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** Begins what has its length before it; what this gives is for `close`. */
  open(): number {
    this.#room(1);
    return this.#at++;
  }

  close(from: number): void {
    const to = this.#at;
    const size = to - from - 1;
    if (size < 128) {
      this.#bytes[from] = size;
      return;
    }
    // The length takes more than the byte that was left for it.
    let more = 0;
    for (let rest = size; rest >= 128; rest = Math.floor(rest / 128)) more++;
    this.#room(more);
    this.#bytes.copyWithin(from + 1 + more, from + 1, to);
    this.#at = from;
    this.varint(size);
    this.#at = to + more;
  }

  #room(more: number): void {
    const needed = this.#at + more;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}
