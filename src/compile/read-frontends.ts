// SPDX-License-Identifier: Apache-2.0
// Frontends, ranges and variants as the pinned maps hold them, by name.
import { frontendTag, variantTag } from '../abi/hash.ts';
import type { ValueOfMap } from '../abi/maps.ts';
import { backendVariant, type Protocol, protocolNumber } from '../abi/structs.ts';
import type { Steps } from '../mesh/steps.ts';
import { type Address, isV4 } from '../net/address.ts';
import { frontendKey } from './frontend.ts';
import { type FrontendImage, type Image, throughVariants, unresolved } from './image.ts';
import type { DeleteOperation } from './operation.ts';
import { eachEntry, type Pins } from './pins.ts';

/** Bits of 128 of a range of `address`'s own family. */
export function prefixBits(address: Address, length: number): number {
  return isV4(address) ? length + 96 : length;
}

interface Place {
  readonly protocol: Protocol;
  readonly address: Address;
  readonly length: number | undefined;
  readonly port: number;
}

const protocols = new Map<number, Protocol>([
  [protocolNumber.tcp, 'tcp'],
  [protocolNumber.udp, 'udp'],
]);

/** What a kernel key says; undefined for one that is never written. `bits` of 128 for a range. */
function placeOf(addr: Address | '', port: number, protocol: number, bits: number | undefined): Place | undefined {
  const name = protocols.get(protocol);
  const address = addr === '' ? '::' : addr;
  if (!name) return undefined;
  if (bits === undefined) return { protocol: name, address, length: undefined, port };
  if (!isV4(address)) return { protocol: name, address, length: bits, port };
  return bits < 96 ? undefined : { protocol: name, address, length: bits - 96, port };
}

export interface ReadFrontends {
  readonly frontends: ReadonlyMap<string, FrontendImage>;
  readonly stray: readonly DeleteOperation[];
}

/** Everything in `frontend`, `cidr` and `variant`. An entry with a wrong tag, or an id without a name, leads to `unresolved`. */
export function* readFrontends(pins: Pins, image: Image): Steps<ReadFrontends> {
  const found = new Map<string, FrontendImage & { variants: Map<string, string> }>();
  const stray: DeleteOperation[] = [];

  const at = (place: Place) => {
    const key = frontendKey(place.protocol, place.address, place.length, place.port);
    let frontend = found.get(key);
    if (!frontend) {
      frontend = { ...place, backend: undefined, variants: new Map() };
      found.set(key, frontend);
    }
    return { key, frontend };
  };
  const nameIn = (value: ValueOfMap<'frontend'>, tag: number): string => {
    if (value.tag !== tag) return unresolved;
    return image.ids.backend.nameOf(value.backend_id) ?? unresolved;
  };
  const entry = (place: Place, value: ValueOfMap<'frontend'>, tag: number): void => {
    const { key, frontend } = at(place);
    const many = value.backend_id === backendVariant && value.tag === tag;
    found.set(key, { ...frontend, backend: many ? throughVariants : nameIn(value, tag) });
  };

  yield* eachEntry(pins, 'frontend', (key, value) => {
    const place = placeOf(key.addr, key.port, key.protocol, undefined);
    if (place) entry(place, value, frontendTag(key));
    else stray.push({ kind: 'delete', map: 'frontend', key, about: `frontend of protocol ${key.protocol}` });
  });
  yield* eachEntry(pins, 'cidr', (key, value) => {
    const bits = key.prefixlen - 32;
    const place = placeOf(key.addr, key.port, key.protocol, bits);
    if (place) entry(place, value, bits);
    else stray.push({ kind: 'delete', map: 'cidr', key, about: `range of ${bits} bits` });
  });
  yield* eachEntry(pins, 'variant', (key, value) => {
    // A prefix of 0 is an exact address, but no exact address is "::", and the range ::/0 has that and the prefix 0.
    const exact = key.prefix === 0 && key.addr !== '';
    const place = placeOf(key.addr, key.port, key.protocol, exact ? undefined : key.prefix);
    const namespace = key.namespace_id === 0 ? '' : image.ids.namespace.nameOf(key.namespace_id);
    if (!place || namespace === undefined) {
      if (namespace === undefined) image.ids.namespace.reserve(key.namespace_id);
      stray.push({ kind: 'delete', map: 'variant', key, about: `variant of namespace id ${key.namespace_id}` });
      return;
    }
    at(place).frontend.variants.set(namespace, nameIn(value, variantTag(key)));
  });
  return { frontends: found, stray };
}
