// SPDX-License-Identifier: Apache-2.0
// Who "--from" and "--to" mean, by their addresses.
import type { AdminClient } from '../../admin/client.ts';
import { podAddresses } from '../../agent/enforcement.ts';
import { readEnrolments } from '../../agent/enrolments.ts';
import type { Place } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';
import { type Address, parseAddress } from '../../net/address.ts';
import { parseSocketAddress } from '../../net/socket-address.ts';
import { findClient } from '../held/client.ts';

export interface Party {
  /** "namespace/name", or ''. */
  readonly workload: string;
  readonly addresses: readonly Address[];
}

const nameOf = /^[^/]+\/[^/]+$/;

/** Addresses of the pod that was enrolled as that workload, or that the agent says it has. */
async function addressesOf(plane: DataPlane, agent: AdminClient, name: string): Promise<readonly Address[]> {
  const pods = podAddresses(plane);
  for (const { workload, netns } of readEnrolments(plane).values()) {
    const own = workload === name ? pods.get(netns) : undefined;
    if (own) return [...own].sort();
  }
  try {
    for await (const { name: uid, fields } of agent.config({ kind: 'workload', filter: name })) {
      if (uid.endsWith(`/${name}`) && Array.isArray(fields.workloadIps)) return fields.workloadIps.map(String);
    }
  } catch (fault) {
    if (!(fault instanceof KmeshError) || fault.code !== 'KM_AGENT_UNREACHABLE') throw fault;
  }
  return [];
}

const unknown = (flag: string, what: string): KmeshError =>
  new KmeshError('KM_NOT_FOUND', `${flag}: no address of "${what}" is known here`, {
    hint:
      'give an address, or a workload of the list that "kmeshctl authz status" gives' +
      (flag === '--to'
        ? '. A service is judged by its pods, so name one of them; what its waypoint judges is shown by "kmeshctl waypoint status"'
        : ''),
  });

/** An address, "namespace/name" of a workload, a process id, or a cgroup. */
export async function findSource(plane: DataPlane, agent: AdminClient, place: Place, from: string): Promise<Party> {
  const address = parseAddress(from);
  if (address !== undefined) return { workload: '', addresses: [address] };
  if (nameOf.test(from)) {
    const addresses = await addressesOf(plane, agent, from);
    if (addresses.length > 0) return { workload: from, addresses };
  }
  const { workload, cgroupId, address4, address6 } = findClient(plane, place, from);
  const netns = readEnrolments(plane).get(cgroupId)?.netns;
  const own = (netns === undefined ? undefined : podAddresses(plane).get(netns)) ?? [];
  const addresses = own.length > 0 ? own : [address4, address6].filter((one) => one !== '');
  if (addresses.length === 0) throw unknown('--from', from);
  return { workload: workload.split('/').slice(-2).join('/'), addresses };
}

export interface Target extends Party {
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

/** "ADDRESS:PORT" or "NAMESPACE/NAME:PORT", with "/udp" or not. */
export async function findTarget(plane: DataPlane, agent: AdminClient, to: string): Promise<Target> {
  const [, where = '', tail] = /^(.*?)(?:\/(tcp|udp))?$/.exec(to) ?? [];
  const protocol = tail === 'udp' ? 'udp' : 'tcp';
  const socket = parseSocketAddress(where);
  if (socket) return { workload: '', addresses: [socket.address], port: socket.port, protocol };
  const [, name = '', digits] = /^([^/]+\/[^/]+):(\d{1,5})$/.exec(where) ?? [];
  const port = Number(digits);
  if (name === '' || port < 1 || port > 65535) {
    throw new KmeshError('KM_USAGE', `--to must be NS/NAME:PORT or ADDRESS:PORT, with /udp or not, got "${to}"`, {
      hint: 'IPv6 in brackets: [fd00::1]:53/udp',
    });
  }
  const addresses = await addressesOf(plane, agent, name);
  if (addresses.length === 0) throw unknown('--to', name);
  return { workload: name, addresses, port, protocol };
}
