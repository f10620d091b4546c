// SPDX-License-Identifier: Apache-2.0
// Ordered kernel operations: what plan returns and an executor carries out.
import type { KeyOf, ValueOfMap } from '../abi/maps.ts';
import type { backendHeader, backendVia, viaPorts } from '../abi/structs.ts';
import type { AuthzMap } from './limited-maps.ts';

type Header = ReturnType<typeof backendHeader.decode>;
type Via = ReturnType<typeof backendVia.decode>;
type Ports = ReturnType<typeof viaPorts.decode>;

/**
 * Maps that the agent writes; `endpoint` slots may hold a header, or what it goes through and where not. Of `active`, `authz_hit` and `denial_limit` it clears the counts of ids
 * that are released.
 */
export type PlannedMap =
  | 'name'
  | 'maglev'
  | 'endpoint'
  | 'backend'
  | 'frontend'
  | 'variant'
  | 'cidr'
  | 'client'
  | 'waypoint_client'
  | 'waypoint_service'
  | 'waypoint_port'
  | 'setting'
  | 'active'
  | AuthzMap
  | 'authz_hit'
  | 'denial_limit';

export type PutOperation = {
  [M in PlannedMap]: {
    readonly kind: 'put';
    readonly map: M;
    readonly key: KeyOf<M>;
    readonly value: M extends 'endpoint' ? ValueOfMap<M> | Header | Via | Ports : ValueOfMap<M>;
    /** For people: "backend shop/cart.shop.svc.cluster.local:80/4". */
    readonly about: string;
  };
}[PlannedMap];

export type DeleteOperation = {
  [M in PlannedMap]: {
    readonly kind: 'delete';
    readonly map: M;
    readonly key: KeyOf<M>;
    readonly about: string;
  };
}[PlannedMap];

/** Wait until every program run that began before has ended (synchronize_rcu). What follows may reuse what was read. */
export interface GraceOperation {
  readonly kind: 'grace';
}

/** Write the time into authz_state: handshakes that began before are judged once more. */
export interface StampOperation {
  readonly kind: 'stamp';
}

export type Operation = PutOperation | DeleteOperation | GraceOperation;
export type AuthzOperation = PutOperation | DeleteOperation | StampOperation;
