// SPDX-License-Identifier: Apache-2.0
// Fields that hold addresses and ranges.
import { isItself, parseAddress } from '../../net/address.ts';
import { addressBits, parseCidr } from '../../net/cidr.ts';
import { type Field, parsed } from './fields.ts';
import type { Path } from './node.ts';
import type { AddressOrRange } from './objects.ts';
import type { Reading } from './reading.ts';

/** A canonical address. */
export const address: Field<string> = parsed('an IPv4 or IPv6 address', parseAddress);

/** An address, or a range whose host bits are cleared; a range of one address is that address. */
export function parseAddressOrRange(text: string): AddressOrRange | undefined {
  const single = parseAddress(text);
  if (single !== undefined) return { address: single };
  const range = parseCidr(text);
  return range && range.length === addressBits(range.address) ? { address: range.address } : range;
}

/** By these everybody calls himself: they lead nowhere else. */
export function warnOfItself(given: readonly AddressOrRange[], path: Path, reading: Reading): void {
  given.forEach(({ address, length }, i) => {
    if (!isItself(length === undefined ? address : `${address}/${length}`)) return;
    reading.warnAt([...path, i], 'has no effect: by this address everybody calls himself');
  });
}

export const aRange = 'an address or a range such as 10.1.0.0/16';
export const addressOrRange: Field<AddressOrRange> = parsed(aRange, parseAddressOrRange);
