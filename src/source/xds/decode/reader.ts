// SPDX-License-Identifier: Apache-2.0
// A cursor over protobuf bytes that never throws: bytes that make no sense end the message they are in, and are told as a fault with its field.
import { isUtf8 } from 'node:buffer';
import { Shared } from './shared.ts';

/** More than anybody reads; the rest is counted. */
const maxFaults = 50;
/** As deep as other readers go into groups, which nobody writes. */
const maxGroups = 100;
/** Field numbers of a message -> their names, for faults. */
export type FieldNames = Readonly<Record<number, string>>;

const nothing = Buffer.alloc(0);
const noFaults: readonly string[] = [];

export class Reader {
  bytes: Buffer = nothing;
  pos = 0;
  end = 0;
  /** Why the rest of the message that is being read cannot be; '' while it can. */
  #bad = '';
  #high = false;
  #dropped = 0;
  #faults: { field: string; readonly reason: string }[] = [];
  readonly #strings = new Shared<string>();

  open(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.pos = start;
    this.end = end;
    this.#bad = '';
    this.#dropped = 0;
    if (this.#faults.length > 0) this.#faults = [];
  }

  /** Lets go of the bytes. @returns every fault of the message, if any. */
  close(): readonly string[] {
    this.settle();
    this.bytes = nothing;
    if (this.#faults.length === 0) return noFaults;
    const texts = this.#faults.map(({ field, reason }) => (field === '' ? reason : `${field}: ${reason}`));
    if (this.#dropped > 0) texts.push(`and ${this.#dropped} more faults`);
    return texts;
  }

  /** Faults so far. */
  get mark(): number {
    return this.#faults.length;
  }

  /** True when nothing was wrong since `mark`, so that what was read may be kept for the next that has the same bytes. */
  sound(mark: number): boolean {
    return this.#faults.length === mark && this.#bad === '';
  }

  fault(field: string, reason: string): void {
    if (this.#faults.length < maxFaults) this.#faults.push({ field, reason });
    else this.#dropped++;
  }

  more(): boolean {
    return this.pos < this.end;
  }

  /** Begins the message that comes next. @returns what `leave` needs. */
  enter(): number {
    const outer = this.end;
    const length = this.#length();
    if (this.#bad === '') this.end = this.pos + length;
    return outer;
  }

  /** Bytes made no sense, so the message ended there; true until that is told. */
  get broken(): boolean {
    return this.#bad !== '';
  }

  /** Tells that bytes made no sense as a fault of the message that is being read. */
  settle(): void {
    if (this.#bad === '') return;
    this.fault('', this.#bad);
    this.#bad = '';
  }

  /** Ends the message begun by `enter`. Faults since `mark` get its name in front. */
  leave(outer: number, mark: number, field: string, index = -1): void {
    this.settle();
    this.pos = this.end;
    this.end = outer;
    if (this.#faults.length === mark) return;
    const path = index < 0 ? field : `${field}[${index}]`;
    if (path === '') return;
    for (const fault of this.#faults.slice(mark)) fault.field = fault.field === '' ? path : `${path}.${fault.field}`;
  }

  /** Field number and wire type of what comes next; 0 when there is nothing more. */
  tag(): number {
    const tag = this.#varint() >>> 0;
    if (this.#high || (tag >>> 3 === 0 && this.#bad === '')) this.#fail('field number 0 or too large');
    return this.#bad === '' ? tag : 0;
  }

  uint32(): number {
    return this.#varint() >>> 0;
  }

  int32(): number {
    return this.#varint();
  }

  bool(): boolean {
    return this.#varint() !== 0 || this.#high;
  }

  /** Text that repeats from resource to resource, or is `guess`. */
  text(field: string, guess = ''): string {
    const length = this.#length();
    if (length === 0) return '';
    const start = this.pos;
    this.pos += length;
    if (length === guess.length && this.#is(guess, start)) return guess;
    const known = this.#strings.find(this.bytes, start, this.pos);
    if (known !== undefined) return known;
    const text = this.#fresh(field, start);
    if (text !== '') this.#strings.keep(this.bytes, start, this.pos, text);
    return text;
  }

  /** Text that is like no other, but for `guess`. */
  ownText(field: string, guess = ''): string {
    const length = this.#length();
    if (length === 0) return '';
    const start = this.pos;
    this.pos += length;
    return length === guess.length && this.#is(guess, start) ? guess : this.#fresh(field, start);
  }

  /** Passes over bytes with a length, whose start is `pos` less what is returned. */
  span(): number {
    const length = this.#length();
    this.pos += length;
    return length;
  }

  /** Passes over a field that is not known; a known one of another wire type is a fault. */
  other(tag: number, names: FieldNames): void {
    const name = names[tag >>> 3];
    if (name !== undefined) this.fault(name, `wire type ${tag & 7} is not that of this field`);
    this.skip(tag);
  }

  skip(tag: number): void {
    let groups = 0;
    for (let next = tag; this.#bad === ''; next = this.tag()) {
      switch (next & 7) {
        case 0:
          this.#varint();
          break;
        case 1:
          this.#pass(8);
          break;
        case 2:
          this.span();
          break;
        case 3:
          if (++groups > maxGroups) this.#fail('groups too deep');
          break;
        case 4:
          if (--groups < 0) this.#fail('end of a group that was not begun');
          break;
        case 5:
          this.#pass(4);
          break;
        default:
          this.#fail(`wire type ${next & 7}`);
      }
      if (groups === 0) return;
    }
  }

  /** True when the bytes from `start` on are those of `text`, all of it ASCII. */
  #is(text: string, start: number): boolean {
    const { bytes } = this;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code !== bytes[start + i] || code > 127) return false;
    }
    return true;
  }

  /** Text of what lies between `start` and `pos`. */
  #fresh(field: string, start: number): string {
    const { bytes, pos } = this;
    for (let i = start; i < pos; i++) {
      if ((bytes[i] as number) < 128) continue;
      if (isUtf8(bytes.subarray(start, pos))) return bytes.toString('utf8', start, pos);
      this.fault(field, 'not UTF-8');
      return '';
    }
    return bytes.toString('latin1', start, pos);
  }

  #fail(reason: string): number {
    if (this.#bad === '') this.#bad = reason;
    this.pos = this.end;
    return 0;
  }

  #pass(length: number): void {
    if (length > this.end - this.pos) this.#fail('cut short');
    else this.pos += length;
  }

  /** Length of what comes next, which is there. */
  #length(): number {
    const length = this.#varint() >>> 0;
    if (this.#high || length > this.end - this.pos) return this.#fail('cut short');
    return length;
  }

  /** Low 32 bits; `high` says whether there are more. */
  #varint(): number {
    const { bytes, end } = this;
    let pos = this.pos;
    let byte = pos < end ? (bytes[pos++] as number) : 0x100;
    this.#high = false;
    if (byte < 0x80) {
      this.pos = pos;
      return byte;
    }
    let low = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      if (pos >= end) return this.#fail('cut short');
      if (shift > 63) return this.#fail('number of more than 10 bytes');
      byte = bytes[pos++] as number;
      if (shift < 32) low |= (byte & 0x7f) << shift;
      if (shift > 28 ? (byte & 0x7f) !== 0 : shift === 28 && (byte & 0x7f) > 15) this.#high = true;
    }
    this.pos = pos;
    return low;
  }
}
