// SPDX-License-Identifier: Apache-2.0
// Whether connections to a workload's own addresses have a waypoint to go through, by what the maps hold.
import { protocolNumber } from '../../abi/structs.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';
import type { Otherwise } from '../../mesh/gateway.ts';
import { readBackend } from './backend.ts';
import { readName } from './names.ts';

export interface UnusableBefore {
  /** Name of the waypoint's backend. */
  readonly waypoint: string;
  /** What becomes of connections. */
  readonly instead: Otherwise;
}

/** Of a workload of this node; undefined: it has no waypoint of its own, or one that can be used. */
export function unusableBefore(plane: DataPlane, workloadId: number): UnusableBefore | undefined {
  const client = workloadId === 0 ? undefined : plane.map('client').get(workloadId);
  for (const addr of [client?.addr4, client?.addr6]) {
    // A frontend with port 0 stands for every port of it.
    const found = addr && plane.map('frontend').get({ addr, port: 0, protocol: protocolNumber.tcp });
    const via = found && found.backend_id !== 0 ? readBackend(plane, found.backend_id, false)?.via : undefined;
    if (!via) continue;
    const way = readBackend(plane, via.backendId, false);
    if (way && way.endpoints.length > 0) continue;
    return { waypoint: readName(plane, 'backend', via.backendId), instead: via.direct ? 'direct' : 'refuse' };
  }
  return undefined;
}
