// SPDX-License-Identifier: Apache-2.0
// Maps with a size that can run out: which there are, how large, how full.

/** Maps of services whose entries are counted (the others are arrays: ids and ranges say what is used). */
export const countedMaps = [
  'frontend',
  'variant',
  'cidr',
  'client',
  'waypoint_client',
  'waypoint_service',
  'waypoint_port',
  'name',
] as const;
export type CountedMap = (typeof countedMaps)[number];

/** As plans of services see them. `active` limits workload ids, `robin` and `backend` backend ids. */
export const serviceMaps = [...countedMaps, 'backend', 'robin', 'active', 'endpoint', 'maglev'] as const;
export type ServiceMap = (typeof serviceMaps)[number];

/** Those that say what connections are judged by. Of arrays sets and stacks are numbers, words and members ranges. */
export const authzMaps = [
  'authz_dest',
  'authz_stack',
  'authz_set',
  'authz_source',
  'authz_value',
  'authz_range',
  'authz_word',
  'authz_member',
  'pod_address',
] as const;
export type AuthzMap = (typeof authzMaps)[number];

export const limitedMaps = [...serviceMaps, ...authzMaps] as const;
export type LimitedMap = ServiceMap | AuthzMap;

/** Maps of verdicts in which one thing takes slots in a row. */
export const rangedMaps = ['authz_stack', 'authz_set', 'authz_word', 'authz_member'] as const;
export type RangedMap = (typeof rangedMaps)[number];

/** Entries that each map has room for. */
export type Sizes = Readonly<Record<LimitedMap | 'authz_hit', number>>;
export type AuthzSizes = Readonly<Record<AuthzMap | 'authz_hit', number>>;

export interface MapFill {
  /** Entries, ids or slots. */
  readonly used: number;
  readonly size: number;
  /** 0..1, ranges only: 1 - largest free block / free slots. */
  readonly fragmentation: number;
  /** Largest number of entries that one service could still take. */
  readonly largestFree: number;
}
