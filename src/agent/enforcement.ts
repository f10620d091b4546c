// SPDX-License-Identifier: Apache-2.0
// How enrolled cgroups are enforced, as the maps that programs read say it.
import type { EnforcementState } from '../admin/authz.ts';
import type { Enrolment } from '../compile/enrolment.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import type { Address } from '../net/address.ts';

/** Inode of a network namespace -> addresses of the pod there. */
export function podAddresses(plane: DataPlane): Map<bigint, Address[]> {
  const out = new Map<bigint, Address[]>();
  for (const [address, { netns }] of plane.map('pod_address').entries()) {
    const inode = BigInt(netns);
    const list = out.get(inode);
    if (list) list.push(address);
    else out.set(inode, [address]);
  }
  return out;
}

/** Says of an enrolment how it is enforced. Pending: some address of the pod has no policies yet, or none is known. */
export function enforcementIn(plane: DataPlane): (enrolment: Pick<Enrolment, 'authz' | 'netns'>) => EnforcementState {
  const addresses = podAddresses(plane);
  const destinations = plane.map('authz_dest');
  return ({ authz, netns }) => {
    if (!authz) return 'off';
    const own = addresses.get(netns) ?? [];
    return own.length > 0 && own.every((address) => destinations.get(address) !== undefined) ? 'on' : 'pending';
  };
}
