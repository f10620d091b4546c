// SPDX-License-Identifier: Apache-2.0
// Messages of the control plane by reflection over proto/: what tests encode and decode shares no code with the agent.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { parseAddress } from '../../src/net/address.ts';
import { type TypeName, typeUrls } from '../../src/source/xds/types.ts';
import { project } from './project.ts';

const folder = join(project, 'proto');
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => (target.startsWith('google/') ? target : join(folder, target));
root.loadSync(['discovery.proto', 'workload.proto', 'authorization.proto']);

const requestType = root.lookupType('envoy.service.discovery.v3.DeltaDiscoveryRequest');
const responseType = root.lookupType('envoy.service.discovery.v3.DeltaDiscoveryResponse');
const bodyTypes = {
  address: root.lookupType('istio.workload.Address'),
  authorization: root.lookupType('istio.security.Authorization'),
};

/** A decoded DeltaDiscoveryRequest; what is not there is empty. */
export interface AdsRequest {
  readonly node?: { readonly id: string; readonly metadata?: { readonly fields: Record<string, unknown> } };
  readonly typeUrl: string;
  readonly resourceNamesSubscribe: readonly string[];
  readonly resourceNamesUnsubscribe: readonly string[];
  readonly initialResourceVersions: Readonly<Record<string, string>>;
  readonly responseNonce: string;
  readonly errorDetail?: { readonly code: number; readonly message: string };
}

export interface AdsResource {
  readonly name: string;
  readonly version: string;
  readonly aliases?: readonly string[];
  readonly resource: { readonly type_url: string; readonly value: Uint8Array };
}

export interface AdsResponse {
  readonly systemVersionInfo?: string;
  readonly typeUrl: string;
  readonly nonce: string;
  readonly resources?: readonly AdsResource[];
  readonly removedResources?: readonly string[];
}

export function decodeRequest(bytes: Uint8Array): AdsRequest {
  return requestType.toObject(requestType.decode(bytes), { defaults: true, arrays: true, objects: true }) as AdsRequest;
}

export function encodeResponse(response: AdsResponse): Uint8Array {
  return responseType.encode(responseType.fromObject(response)).finish();
}

/** A resource as istiod makes it: the version of an address is a hash of its bytes, a policy has none. */
export function resourceOf(type: TypeName, name: string, body: object, aliases?: readonly string[]): AdsResource {
  const value = bodyTypes[type].encode(bodyTypes[type].fromObject(body)).finish();
  const version = type === 'address' ? createHash('sha256').update(value).digest('hex').slice(0, 16) : '';
  return { name, version, ...(aliases && { aliases }), resource: { type_url: typeUrls[type], value } };
}

/** One whose body is no message at all. */
export function garbageOf(
  type: TypeName,
  name: string,
  value = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x01]),
): AdsResource {
  const version = createHash('sha256').update(value).digest('hex').slice(0, 16);
  return { name, version, resource: { type_url: typeUrls[type], value } };
}

export function addressBytes(text: string): Buffer {
  const address = parseAddress(text);
  if (address?.includes(':')) throw new Error('IPv4 only here');
  return Buffer.from(text.split('.').map(Number));
}

/** A pod with the aliases that it is asked for by. */
export function podResource(name: string, ip: string, more: object = {}): AdsResource {
  const uid = `Kubernetes//Pod/shop/${name}`;
  const workload = { uid, name, namespace: 'shop', addresses: [addressBytes(ip)], clusterId: 'Kubernetes', ...more };
  return resourceOf('address', uid, { workload }, [`/${ip}`]);
}

export function serviceResource(name: string, ip: string, more: object = {}): AdsResource {
  const hostname = `${name}.shop.svc.cluster.local`;
  const service = {
    name,
    namespace: 'shop',
    hostname,
    addresses: [{ network: '', address: addressBytes(ip) }],
    ports: [{ servicePort: 80, targetPort: 8080 }],
    ...more,
  };
  return resourceOf('address', `shop/${hostname}`, { service }, [`/${ip}`]);
}

export function policyResource(name: string, more: object = {}): AdsResource {
  return resourceOf('authorization', `shop/${name}`, { name, namespace: 'shop', scope: 1, action: 1, ...more });
}
