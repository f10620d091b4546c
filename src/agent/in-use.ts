// SPDX-License-Identifier: Apache-2.0
// Ids that live sockets and enrolled cgroups name: none of them may become another's.
import type { IdsInUse } from '../compile/plan-release.ts';
import type { DataPlane } from '../kernel/dataplane.ts';

/** Reads the storage of every mesh socket and the map of enrolled cgroups. */
export function idsInUse(plane: DataPlane): IdsInUse {
  const workloads = new Set<number>();
  const backends = new Set<number>();
  const services = new Set<number>();
  for (const socket of plane.sockets()) {
    workloads.add(socket.workload_id);
    workloads.add(socket.peer_workload_id);
    backends.add(socket.backend_id);
    services.add(socket.service_id);
  }
  for (const [, { workload_id }] of plane.map('enrolled').entries()) workloads.add(workload_id);
  return { workloads, backends, services };
}
