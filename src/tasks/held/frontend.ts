// SPDX-License-Identifier: Apache-2.0
// Frontends as the programs find them: exact, then ranges, then variants by the client's namespace.
import { backendNone, backendVariant, type Protocol, protocolNumber } from '../../abi/structs.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';
import { type Address, isItself, isV4 } from '../../net/address.ts';
import { maskAddress } from '../../net/cidr.ts';

export interface HeldFrontend {
  readonly protocol: Protocol;
  readonly address: Address;
  /** Set: a range, in bits of the address's own family. */
  readonly length?: number;
  readonly port: number;
  /** 0: nobody answers here. */
  readonly backendId: number;
  /** Set: this holds for clients of one namespace only (0: for those without an entry of their own). */
  readonly namespaceId?: number;
}

const protocolOf = (n: number): Protocol => (n === protocolNumber.udp ? 'udp' : 'tcp');

/** Bits of the address's own family from bits of its 16-byte form. */
const ownLength = (address: Address, bits: number): number => (isV4(address) ? Math.max(0, bits - 96) : bits);
const fullLength = (address: Address, length: number): number => (isV4(address) ? length + 96 : length);

/** Every frontend, variants as entries of their own. */
export function* readFrontends(plane: DataPlane): Generator<HeldFrontend, void, undefined> {
  for (const [key, value] of plane.map('frontend').entries()) {
    if (value.backend_id === backendVariant || key.addr === '') continue;
    yield { protocol: protocolOf(key.protocol), address: key.addr, port: key.port, backendId: value.backend_id };
  }
  for (const [key, value] of plane.map('cidr').entries()) {
    if (value.backend_id === backendVariant) continue;
    // The all-zero address reads as '': here it is the range ::/0.
    const address = key.addr === '' ? '::' : key.addr;
    const length = ownLength(address, key.prefixlen - 32);
    yield { protocol: protocolOf(key.protocol), address, length, port: key.port, backendId: value.backend_id };
  }
  for (const [key, value] of plane.map('variant').entries()) {
    const address = key.addr === '' ? '::' : key.addr;
    yield {
      protocol: protocolOf(key.protocol),
      address,
      ...(key.prefix === 0 ? {} : { length: ownLength(address, key.prefix) }),
      port: key.port,
      backendId: value.backend_id,
      namespaceId: key.namespace_id,
    };
  }
}

/** The frontend that a client of that namespace meets; undefined: the mesh does not know the destination. */
export function findHeldFrontend(
  plane: DataPlane,
  protocol: Protocol,
  dialled: Address,
  port: number,
  namespaceId: number,
): HeldFrontend | undefined {
  const number = protocolNumber[protocol];
  let address = dialled;
  let length: number | undefined;
  const exact = plane.map('frontend');
  let value = exact.get({ addr: dialled, port, protocol: number });
  // All ports of an address that have none of their own.
  value ??= exact.get({ addr: dialled, port: 0, protocol: number });
  if (!value && !isItself(dialled)) {
    value = plane.map('cidr').get({ prefixlen: 32 + 128, addr: dialled, port, protocol: number });
    // The tag of a range's entry is its length in bits of the 16-byte form.
    length = value && ownLength(dialled, value.tag);
    if (length !== undefined) address = maskAddress(dialled, length);
  }
  if (!value) return undefined;
  const base = { protocol, address, port, ...(length === undefined ? {} : { length }) };
  if (value.backend_id !== backendVariant) return { ...base, backendId: value.backend_id };
  const prefix = length === undefined ? 0 : fullLength(address, length);
  for (const namespace of namespaceId === 0 ? [0] : [namespaceId, 0]) {
    const own = plane.map('variant').get({ addr: address, port, protocol: number, prefix, namespace_id: namespace });
    if (own) return { ...base, backendId: own.backend_id, namespaceId: namespace };
  }
  return { ...base, backendId: backendNone };
}
