// SPDX-License-Identifier: Apache-2.0
// Every map: kernel type, key, value. Source name = kernel name = pin name.
import { type Layout, scalar, u32 } from './layout.ts';
import * as s from './structs.ts';

export type MapType =
  | 'hash'
  | 'lru_hash'
  | 'array'
  | 'percpu_array'
  | 'lpm_trie'
  | 'sk_storage'
  | 'sockhash'
  | 'ringbuf';

export interface MapDescriptor<K, V> {
  readonly name: string;
  readonly type: MapType;
  readonly key: Layout<K>;
  readonly value: Layout<V>;
}

const map = <K, V>(name: string, type: MapType, key: Layout<K>, value: Layout<V>): MapDescriptor<K, V> => ({
  name,
  type,
  key,
  value,
});

export const maps = {
  frontend: map('frontend', 'hash', s.frontendKey, s.frontendValue),
  variant: map('variant', 'hash', s.variantKey, s.frontendValue),
  cidr: map('cidr', 'lpm_trie', s.cidrKey, s.frontendValue),
  backend: map('backend', 'array', s.u32Key, s.backendValue),
  /** Slots hold struct km_backend_header, km_endpoint or km_backend_via: read with `backendHeader`, `endpointValue`, `backendVia`. */
  endpoint: map('endpoint', 'array', s.u32Key, s.endpointValue),
  maglev: map('maglev', 'array', s.u32Key, s.maglevValue),
  setting: map('setting', 'array', s.u32Key, s.settingValue),
  enrolled: map('enrolled', 'hash', s.u64Key, s.enrolledValue),
  level: map('level', 'array', s.u32Key, s.levelValue),
  client: map('client', 'hash', s.u32Key, s.clientValue),
  sock: map('sock', 'sk_storage', scalar('int', u32), s.sockValue),
  reason: map('reason', 'percpu_array', s.u32Key, s.u64Value),
  active: map('active', 'array', s.u32Key, s.activeValue),
  robin: map('robin', 'array', s.u32Key, s.u64Value),
  affinity: map('affinity', 'lru_hash', s.affinityKey, s.affinityValue),
  udp_flow: map('udp_flow', 'lru_hash', s.udpKey, s.udpFlowValue),
  udp_reverse: map('udp_reverse', 'lru_hash', s.udpKey, s.udpReverseValue),
  waypoint_sock: map('waypoint_sock', 'sockhash', s.u64Key, s.u64Value),
  waypoint_client: map('waypoint_client', 'hash', s.u32Key, s.waypointClient),
  waypoint_service: map('waypoint_service', 'hash', s.u32Key, s.waypointService),
  waypoint_port: map('waypoint_port', 'hash', s.frontendKey, s.u32Value),
  miss: map('miss', 'lru_hash', s.addressKey, s.missValue),
  misses: map('misses', 'ringbuf', s.nothing, s.nothing),
  authz_dest: map('authz_dest', 'hash', s.addressKey, s.authzDest),
  authz_stack: map('authz_stack', 'array', s.u32Key, s.authzStack),
  authz_set: map('authz_set', 'array', s.u32Key, s.authzSet),
  authz_source: map('authz_source', 'hash', s.addressKey, s.authzSource),
  authz_value: map('authz_value', 'hash', s.authzValueKey, s.authzValue),
  authz_range: map('authz_range', 'lpm_trie', s.authzRangeKey, s.authzRange),
  authz_word: map('authz_word', 'array', s.u32Key, s.u64Value),
  authz_member: map('authz_member', 'array', s.u32Key, s.u32Value),
  authz_state: map('authz_state', 'array', s.u32Key, s.authzState),
  authz_hit: map('authz_hit', 'percpu_array', s.u32Key, s.authzHit),
  denial_limit: map('denial_limit', 'percpu_array', s.u32Key, s.denialLimit),
  denials: map('denials', 'ringbuf', s.nothing, s.nothing),
  pod_address: map('pod_address', 'hash', s.addressKey, s.podValue),
  sent: map('sent', 'lru_hash', s.sentKey, s.u64Value),
  listening: map('listening', 'array', s.u32Key, s.listeningValue),
  enrolment: map('enrolment', 'hash', s.u64Key, s.enrolmentValue),
  name: map('name', 'hash', s.nameKey, s.nameValue),
} as const;

export type MapName = keyof typeof maps;
export type KeyOf<M extends MapName> = (typeof maps)[M]['key'] extends Layout<infer K> ? K : never;
export type ValueOfMap<M extends MapName> = (typeof maps)[M] extends MapDescriptor<unknown, infer V> ? V : never;
