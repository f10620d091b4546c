// SPDX-License-Identifier: Apache-2.0
// Everything at a glance: what is loaded, how full it is, what was counted, and what the agent says.
import type { MapName } from '../abi/maps.ts';
import type { Reason } from '../abi/reasons.ts';
import { adminClient } from '../admin/client.ts';
import type { AgentStatus, ErrorBody } from '../admin/types.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import { openPinned } from '../kernel/pinned.ts';
import { pinFolders } from '../kernel/pins.ts';
import { pinnedPrograms } from '../kernel/programs.ts';
import { type LoadedVersion, readVersion } from '../kernel/version.ts';
import { type MapUse, mapUse } from './held/fill.ts';

export type { AgentStatus } from '../admin/types.ts';
export type { MapUse } from './held/fill.ts';

export interface ProgramStatus {
  readonly name: string;
  readonly id: number;
  /** Iterators, UDP hooks while nobody needs them, and what judges pods while none is judged are loaded but not attached. */
  readonly attached: boolean;
}

export interface Status {
  /** Absent: nothing is loaded here. */
  readonly loaded?: LoadedVersion;
  readonly programs: readonly ProgramStatus[];
  readonly maps: readonly MapUse[];
  /** Enrolled cgroups. */
  readonly enrolled: number;
  /** Why programs did what they did, since they were loaded; only what was counted. */
  readonly reasons: readonly { readonly reason: Reason; readonly count: bigint }[];
  /** Set when what is loaded cannot be read by this version: no maps and reasons then. */
  readonly kernelFault?: ErrorBody;
  /** Absent: none answers. */
  readonly agent?: AgentStatus;
  /** Set when an agent is there but does not answer as it should. */
  readonly agentFault?: ErrorBody;
}

/** Needs no agent, and nothing loaded. */
export async function showStatus(_env: Env, { place }: { readonly place: Place }): Promise<Status> {
  const kernel = kernelStatus(place);
  try {
    return { ...kernel, agent: await adminClient(place.runDir).status({}) };
  } catch (fault) {
    if (!(fault instanceof KmeshError)) throw fault;
    if (fault.code === 'KM_AGENT_UNREACHABLE' && !isLive(fault)) return kernel;
    return { ...kernel, agentFault: bodyOf(fault) };
  }
}

function bodyOf({ code, message, hint }: KmeshError): ErrorBody {
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}

/** False when there is no socket, or nobody behind it. */
function isLive(fault: KmeshError): boolean {
  const code = (fault.cause as NodeJS.ErrnoException | undefined)?.code;
  return code !== 'ENOENT' && code !== 'ECONNREFUSED';
}

function kernelStatus(place: Place): Omit<Status, 'agent' | 'agentFault'> {
  const loaded = readVersion(pinFolders(place.bpffs).maps);
  if (!loaded) return { programs: [], maps: [], enrolled: 0, reasons: [] };
  const programs = pinnedPrograms(place.bpffs).map(({ name, id, attached }) => ({ name, id, attached }));
  let plane: DataPlane;
  try {
    plane = openPinned(place.bpffs);
  } catch (fault) {
    if (!(fault instanceof KmeshError)) throw fault;
    return { loaded, programs, maps: [], enrolled: 0, reasons: [], kernelFault: bodyOf(fault) };
  }
  try {
    const maps = mapUse(plane);
    return {
      loaded,
      programs,
      maps,
      enrolled: maps.find((m) => m.name === ('enrolled' satisfies MapName))?.used ?? 0,
      reasons: [...plane.reasons()].filter(([, count]) => count > 0n).map(([reason, count]) => ({ reason, count })),
    };
  } finally {
    plane.close();
  }
}
