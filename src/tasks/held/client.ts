// SPDX-License-Identifier: Apache-2.0
// Who "--from" means: a process, a cgroup or a workload, and what the kernel knows of it as a client.
import { dirname } from 'node:path';
import { enrolledFlag } from '../../abi/structs.ts';
import { readEnrolments, workloadIdFinder } from '../../agent/enrolments.ts';
import type { Place } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import { cgroupId, cgroupPath } from '../../kernel/cgroup.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';
import { cgroupOfProcess, resolveCgroup, resolveCgroupRoot } from '../cgroup-path.ts';
import { readName, readNames } from './names.ts';

export interface HeldClient {
  /** Directory of the enrolled cgroup, else of the one asked for; '' when a workload was named that is not enrolled here. */
  readonly cgroup: string;
  /** 0n: not known. */
  readonly cgroupId: bigint;
  readonly enrolled: boolean;
  /** Enrolled as a waypoint. */
  readonly waypoint: boolean;
  readonly workloadId: number;
  /** uid; '' when it has no id. */
  readonly workload: string;
  readonly namespaceId: number;
  readonly namespace: string;
  readonly address4: string;
  readonly address6: string;
}

/** The nearest enrolled ancestor (or itself) of a cgroup directory, as the programs find it. */
function enrolledAncestor(plane: DataPlane, root: string, path: string): { path: string; id: bigint } | undefined {
  for (let at = path; at.length >= root.length; at = dirname(at)) {
    const id = cgroupId(at);
    if (plane.map('enrolled').get(id)) return { path: at, id };
    if (at === dirname(at)) break;
  }
  return undefined;
}

function clientOf(plane: DataPlane, cgroup: string, id: bigint, enrolled: boolean, workloadId: number): HeldClient {
  const client = workloadId === 0 ? undefined : plane.map('client').get(workloadId);
  const namespaceId = client?.namespace_id ?? 0;
  return {
    cgroup,
    cgroupId: id,
    enrolled,
    waypoint: enrolled && ((plane.map('enrolled').get(id)?.flags ?? 0) & enrolledFlag.waypoint) !== 0,
    workloadId,
    workload: readName(plane, 'workload', workloadId),
    namespaceId,
    namespace: readName(plane, 'namespace', namespaceId),
    address4: client?.addr4 ?? '',
    address6: client?.addr6 ?? '',
  };
}

function fromCgroup(plane: DataPlane, place: Place, path: string): HeldClient {
  const found = enrolledAncestor(plane, resolveCgroupRoot(place), path);
  if (!found) return clientOf(plane, path, cgroupId(path), false, 0);
  return clientOf(plane, found.path, found.id, true, plane.map('enrolled').get(found.id)?.workload_id ?? 0);
}

function fromWorkload(plane: DataPlane, name: string): HeldClient | undefined {
  for (const { cgroupId: id, workload } of readEnrolments(plane).values()) {
    if (workload !== name) continue;
    return clientOf(plane, cgroupPath(id) ?? '', id, true, plane.map('enrolled').get(id)?.workload_id ?? 0);
  }
  const id = workloadIdFinder(readNames(plane).all('workload'))(name);
  return id === 0 ? undefined : clientOf(plane, '', 0n, false, id);
}

/**
 * "4711" is a process; "shop/cart-1" a workload, if one is enrolled or known by that name; anything else a cgroup's path.
 * @throws KmeshError KM_NOT_FOUND or KM_CGROUP when it is none of them.
 */
export function findClient(plane: DataPlane, place: Place, from: string): HeldClient {
  if (/^\d+$/.test(from)) return fromCgroup(plane, place, cgroupOfProcess(Number(from)));
  const workload = /^[^/]+\/[^/]+$/.test(from) ? fromWorkload(plane, from) : undefined;
  if (workload) return workload;
  try {
    return fromCgroup(plane, place, resolveCgroup(place, { cgroup: from }));
  } catch (cause) {
    if (!(cause instanceof KmeshError) || cause.code !== 'KM_CGROUP') throw cause;
    throw new KmeshError('KM_NOT_FOUND', `"${from}" is no process, workload or cgroup that is known here`, {
      hint: '"kmeshctl enrolled" lists what is enrolled',
      cause,
    });
  }
}
