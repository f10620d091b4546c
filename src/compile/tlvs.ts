// SPDX-License-Identifier: Apache-2.0
// What a PROXY header tells a waypoint beside addresses, ready to be sent: type, length of two bytes, value.
import type { ValueOfMap } from '../abi/maps.ts';
import { clientTlvs, serviceTlvs } from '../abi/structs.ts';

/** SPIFFE id of the client, as Istio's node proxy writes it. */
const identityType = 0xd0;
/** Namespace and host name of the service that was dialled: of the range that is left to applications. */
const namespaceType = 0xe0;
const hostnameType = 0xe1;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The parts that are not empty; nothing when they are longer than `most` together. */
function tlvs(parts: readonly (readonly [type: number, text: string])[], most: number): Uint8Array {
  const bytes: number[] = [];
  for (const [type, text] of parts) {
    if (text === '') continue;
    const value = encoder.encode(text);
    bytes.push(type, value.length >> 8, value.length & 0xff, ...value);
  }
  return Uint8Array.from(bytes.length > most ? [] : bytes);
}

/** What is told of a client; empty: there is nothing to tell. */
export function clientTlvsOf(identity: string): Uint8Array {
  return tlvs([[identityType, identity]], clientTlvs);
}

/** The same of a service by its key "namespace/hostname". */
export function serviceTlvsOf(key: string): Uint8Array {
  const slash = key.indexOf('/');
  const parts = [
    [namespaceType, key.slice(0, slash)],
    [hostnameType, key.slice(slash + 1)],
  ] as const;
  return tlvs(parts, serviceTlvs);
}

type Told = Pick<ValueOfMap<'waypoint_client'>, 'length' | 'tlvs'>;

/** The identity that a client's entry tells; '?' for one that nobody here wrote. */
export function identityIn({ length, tlvs }: Told): string {
  const identity = decoder.decode(tlvs.subarray(3, length));
  return sameBytes(tlvs.subarray(0, length), clientTlvsOf(identity)) ? identity : '?';
}

/** Whether an entry tells just this. */
export function tells({ length, tlvs }: Told, bytes: Uint8Array): boolean {
  return sameBytes(tlvs.subarray(0, length), bytes);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
