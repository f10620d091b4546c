// SPDX-License-Identifier: Apache-2.0
// What a client that dials an address gets, found in wanted entries the way the programs find it in the maps.
import type { Protocol } from '../abi/structs.ts';
import { type Address, isItself } from '../net/address.ts';
import { addressBits, maskAddress } from '../net/cidr.ts';
import { frontendKey } from './frontend.ts';
import type { Wanted, WantedFrontend } from './wanted.ts';

export interface Found {
  readonly frontend: WantedFrontend;
  /** Name of the backend; undefined: none that clients of this namespace see, so their connections are left alone. */
  readonly backend: string | undefined;
}

/** The frontend for `address`: itself, else that of all its ports, else the longest range around it. */
function findFrontend(
  wanted: Pick<Wanted, 'frontends'>,
  protocol: Protocol,
  address: Address,
  port: number,
): WantedFrontend | undefined {
  const exact = wanted.frontends.get(frontendKey(protocol, address, undefined, port));
  if (exact) return exact;
  const all = wanted.frontends.get(frontendKey(protocol, address, undefined, 0));
  if (all || isItself(address)) return all;
  for (let length = addressBits(address) - 1; length >= 0; length--) {
    const found = wanted.frontends.get(frontendKey(protocol, maskAddress(address, length), length, port));
    if (found) return found;
  }
  return undefined;
}

/** Frontend and backend for a client of `namespace`; undefined: the mesh does not know this destination. */
export function lookup(
  wanted: Pick<Wanted, 'frontends'>,
  namespace: string,
  protocol: Protocol,
  address: Address,
  port: number,
): Found | undefined {
  const frontend = findFrontend(wanted, protocol, address, port);
  if (!frontend) return undefined;
  const { backend } = frontend;
  if (typeof backend === 'string') return { frontend, backend };
  return { frontend, backend: backend.get(namespace) ?? backend.get('') };
}
