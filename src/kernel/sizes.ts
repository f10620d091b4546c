// SPDX-License-Identifier: Apache-2.0
// How many entries each map holds, and which option of `load` raises it.
import type { MapName } from '../abi/maps.ts';
import { reasons } from '../abi/reasons.ts';

/** Entries by map; what is left out keeps its default. */
export type MapSizes = Partial<Readonly<Record<MapName, number>>>;

/** max_entries as bpf/maps/*.bpf.h declares them (a test compares). */
export const defaultSizes: Readonly<Record<MapName, number>> = {
  frontend: 131072,
  variant: 16384,
  cidr: 16384,
  backend: 131072,
  endpoint: 393216,
  maglev: 262144,
  setting: 1,
  enrolled: 16384,
  level: 1,
  client: 16384,
  sock: 0,
  reason: reasons.length,
  active: 262144,
  robin: 131072,
  affinity: 16384,
  udp_flow: 16384,
  udp_reverse: 16384,
  waypoint_sock: 65536,
  waypoint_client: 16384,
  waypoint_service: 16384,
  waypoint_port: 4096,
  miss: 16384,
  misses: 65536,
  authz_dest: 4096,
  authz_stack: 4096,
  authz_set: 8192,
  authz_source: 131072,
  authz_value: 65536,
  authz_range: 65536,
  authz_word: 524288,
  authz_member: 262144,
  authz_state: 1,
  authz_hit: 4096,
  denial_limit: 4096,
  denials: 131072,
  pod_address: 4096,
  sent: 16384,
  listening: 1024,
  enrolment: 16384,
  name: 524288,
};

/** Maps whose size is part of their meaning. */
const fixed: ReadonlySet<MapName> = new Set<MapName>([
  'setting',
  'level',
  'sock',
  'reason',
  'misses',
  'authz_state',
  'listening',
  'denials',
]);

/** True when the size of `map` may be chosen. */
export function isSizable(map: MapName): boolean {
  return !fixed.has(map);
}

/** The option of `load` and `upgrade` that sets the size of `map`. */
export function sizeFlag(map: MapName): string | undefined {
  if (!isSizable(map)) return undefined;
  if (map === 'frontend') return '--max-frontends';
  if (map === 'endpoint') return '--max-endpoints';
  if (map === 'backend' || map === 'robin') return '--max-services';
  return `--map-size ${map}=N`;
}
