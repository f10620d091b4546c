// SPDX-License-Identifier: Apache-2.0
// Names as the map `name` holds them: parts of 60 bytes of UTF-8, the whole length in part 0.
import type { ValueOfMap } from '../abi/maps.ts';
import { namePartLength } from '../abi/structs.ts';

type NamePart = ValueOfMap<'name'>;

// biome-ignore lint/suspicious/noControlCharactersInRegex: any ASCII character is one byte of UTF-8
const ascii = /^[\x00-\x7f]*$/;
const encoder = new TextEncoder();
/** Nothing of a name is a mark that may be left out. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Writes a name whose characters are one byte each; false when they are not. An encoder takes ten times as long for so few. */
function writeAscii(name: string, out: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code > 0x7f) return false;
    out[i] = code;
  }
  return true;
}

/** The parts of a name, in order; at least one. The first holds the length in bytes, the others 0. */
export function nameParts(name: string): NamePart[] {
  const text = new Uint8Array(namePartLength);
  if (name.length <= namePartLength && writeAscii(name, text)) return [{ length: name.length, text }];
  const bytes = encoder.encode(name);
  const parts: NamePart[] = [];
  for (let at = 0; at < bytes.length; at += namePartLength) {
    const part = new Uint8Array(namePartLength);
    part.set(bytes.subarray(at, at + namePartLength));
    parts.push({ length: at === 0 ? bytes.length : 0, text: part });
  }
  return parts;
}

/** Parts that a name of `length` bytes has. */
export function partCount(length: number): number {
  return Math.max(1, Math.ceil(length / namePartLength));
}

/** Parts that `name` has. */
export function partCountOf(name: string): number {
  return partCount(ascii.test(name) ? name.length : encoder.encode(name).length);
}

/** The name whose parts these are, in order; undefined when one is missing or too many are there. */
export function joinName(parts: readonly (NamePart | undefined)[]): string | undefined {
  const first = parts[0];
  if (!first || parts.length !== partCount(first.length)) return undefined;
  if (parts.length === 1) return decoder.decode(first.text.subarray(0, first.length));
  const bytes = new Uint8Array(parts.length * namePartLength);
  for (const [i, part] of parts.entries()) {
    if (!part) return undefined;
    bytes.set(part.text, i * namePartLength);
  }
  return decoder.decode(bytes.subarray(0, first.length));
}
