// SPDX-License-Identifier: Apache-2.0
// The messages of proto/ by another implementation, to make bytes with and to compare with.
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { openDecoder } from '../../../src/source/xds/decode/decoder.ts';
import { type Checked, type RawResource, type TypeName, typeUrls } from '../../../src/source/xds/types.ts';

const root = new protobuf.Root();
root.loadSync(
  ['workload', 'authorization', 'discovery'].map((name) =>
    join(import.meta.dirname, '..', '..', '..', 'proto', `${name}.proto`),
  ),
);
root.resolveAll();

export const types = {
  address: root.lookupType('istio.workload.Address'),
  authorization: root.lookupType('istio.security.Authorization'),
  response: root.lookupType('envoy.service.discovery.v3.DeltaDiscoveryResponse'),
  request: root.lookupType('envoy.service.discovery.v3.DeltaDiscoveryRequest'),
};

/** Fields by their names in camel case, enums by name or number. */
export function encode(type: keyof typeof types, fields: object): Uint8Array {
  return types[type].encode(types[type].fromObject(fields)).finish();
}

export function resource(type: TypeName, name: string, body: Uint8Array): RawResource {
  return { name, version: '1', aliases: [], typeUrl: typeUrls[type], bytes: body, start: 0, end: body.length };
}

/** Checks one resource with a decoder of its own. */
export function check(type: TypeName, name: string, fields: object): Checked {
  return openDecoder().check(type, resource(type, name, encode(type, fields)));
}

export const checkWorkload = (fields: object): Checked =>
  check('address', 'k//Pod/shop/cart-1', { workload: { uid: 'k//Pod/shop/cart-1', ...fields } });

export const checkService = (fields: object): Checked =>
  check('address', 'shop/cart.shop', { service: { namespace: 'shop', hostname: 'cart.shop', ...fields } });

export const checkPolicy = (fields: object): Checked =>
  check('authorization', 'shop/only-web', { namespace: 'shop', name: 'only-web', ...fields });

/** The rule of one clause with one match. */
export const checkMatch = (match: object): Checked => checkPolicy({ rules: [{ clauses: [{ matches: [match] }] }] });

/** Bytes by hand: "0a 03 61 62 63". */
export const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
