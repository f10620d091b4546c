// SPDX-License-Identifier: Apache-2.0
// What was in use before this agent: it is asked for first, so that a restart forgets nothing.
import type { ValueOfMap } from '../abi/maps.ts';
import { missState, nameKind } from '../abi/structs.ts';
import { joinName } from '../compile/names.ts';
import { isStandIn } from '../compile/waypoint.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import type { Steps } from '../mesh/steps.ts';
import type { Address } from '../net/address.ts';

export interface HeldBefore {
  /** Keys of services. */
  readonly services: ReadonlySet<string>;
  /** Addresses that lead to a service, and those that the mesh was asked about in vain. */
  readonly addresses: ReadonlySet<Address>;
}

const entriesAStep = 256;

/** Reads the frontends, the names of services, and the answers of before. */
export function* readHeldBefore(plane: DataPlane): Steps<HeldBefore> {
  const addresses = new Set<Address>();
  const services = new Set<string>();
  let seen = 0;
  for (const [{ addr }] of plane.map('frontend').entries()) {
    if (addr !== '') addresses.add(addr);
    if (++seen % entriesAStep === 0) yield;
  }
  for (const [addr, { state }] of plane.map('miss').entries()) {
    if (addr !== '' && state === missState.answered) addresses.add(addr);
    if (++seen % entriesAStep === 0) yield;
  }
  const parts = new Map<number, ValueOfMap<'name'>[]>();
  for (const [{ id, kind, part }, value] of plane.map('name').entries()) {
    if (++seen % entriesAStep === 0) yield;
    if (kind !== nameKind.service) continue;
    const held = parts.get(id) ?? [];
    held[part] = value;
    parts.set(id, held);
  }
  for (const held of parts.values()) {
    const name = joinName(held);
    // Stand-ins for waypoints are no services.
    if (name !== undefined && !isStandIn(name)) services.add(name);
  }
  return { services, addresses };
}
