// SPDX-License-Identifier: Apache-2.0
// Which ranges lie around an address: by the lengths in use, not by trying every range.
import { addressBits, type Cidr, cidrText, parseCidr } from '../net/cidr.ts';

/** The addresses that a text of the model's owners names. */
export function rangeOf(text: string): Cidr {
  return parseCidr(text) ?? { address: text, length: addressBits(text) };
}

/** True for the text of a range of more than one address. */
export function isRange(text: string): boolean {
  return text.includes('/');
}

/** Texts of the `ranges` that take in all of `inner` and more, longest first. */
export type Cover = (inner: Cidr) => readonly string[];

/** Looks up ranges around an address among `ranges`, a table keyed by their texts. */
export function coverOf(ranges: {
  has(text: string): boolean;
  values(): Iterable<Cidr>;
  readonly size: number;
}): Cover {
  if (ranges.size === 0) return () => [];
  const lengths = { 32: new Set<number>(), 128: new Set<number>() };
  for (const range of ranges.values()) lengths[addressBits(range.address)].add(range.length);
  const sorted = {
    32: [...lengths[32]].sort((a, b) => b - a),
    128: [...lengths[128]].sort((a, b) => b - a),
  };
  return (inner) => {
    const found: string[] = [];
    for (const length of sorted[addressBits(inner.address)]) {
      if (length >= inner.length) continue;
      const text = cidrText(inner.address, length);
      if (ranges.has(text)) found.push(text);
    }
    return found;
  };
}
