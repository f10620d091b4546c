// SPDX-License-Identifier: Apache-2.0
// Which addresses are automatic ones, by the ranges that Istio takes them from.
import type { Address } from '../../../src/net/address.ts';
import { cidrContains, parseCidr } from '../../../src/net/cidr.ts';

const ranges = ['240.240.0.0/16', '2001:2::/48'].map((text) => parseCidr(text));

export function isAutomatic(address: Address): boolean {
  return ranges.some((range) => range !== undefined && cidrContains(range, address));
}
