// SPDX-License-Identifier: Apache-2.0
// The network of a lab: one namespace with a bridge, and a namespace for each pod, joined to it by veth. The host's own
// routing, addresses and interfaces are not touched.
import { readdir } from 'node:fs/promises';
import type { Address } from '../net/address.ts';
import { runCommand } from './process.ts';

const netnsFolder = '/run/netns';
const switchName = 'switch';

export interface PodAddresses {
  readonly address4?: Address;
  readonly address6?: Address;
}

/** Path of a pod's (or the switch's) namespace. */
export const netnsPath = (lab: string, pod: string): string => `${netnsFolder}/${lab}-${pod}`;

const ip = (args: readonly string[], lines: readonly string[]) =>
  runCommand('KM_NETNS', 'ip', [...args, '-batch', '-'], `${lines.join('\n')}\n`);

/** Makes the namespace that joins the pods. @throws KmeshError KM_NETNS */
export async function makeSwitch(lab: string): Promise<void> {
  await ip([], [`netns add ${lab}-${switchName}`]);
  await ip(['-n', `${lab}-${switchName}`], ['link add br0 type bridge mcast_snooping 0', 'link set br0 up']);
}

/**
 * Makes a pod's namespace: `eth0` with its addresses (usable at once: no duplicate address detection) and a default
 * route of each family. Service addresses lead nowhere, but source address selection wants a route before a connect is
 * judged. `port` numbers the bridge ports. @throws KmeshError KM_NETNS
 */
export async function makePodNetwork(lab: string, pod: string, port: number, addresses: PodAddresses): Promise<void> {
  const netns = `${lab}-${pod}`;
  await ip([], [`netns add ${netns}`]);
  await ip(
    ['-n', `${lab}-${switchName}`],
    [`link add port${port} type veth peer name eth0 netns ${netns}`, `link set port${port} master br0 up`],
  );
  const lines = ['link set lo up', 'link set eth0 addrgenmode none', 'link set eth0 up'];
  if (addresses.address4 !== undefined) {
    lines.push(`addr add ${addresses.address4}/24 dev eth0`, 'route add default dev eth0');
  }
  if (addresses.address6 !== undefined) {
    lines.push(`addr add ${addresses.address6}/64 dev eth0 nodad`, 'route add ::/0 dev eth0');
  }
  await ip(['-n', netns], lines);
}

/** Removes the namespaces of a lab, as far as they exist; with them go the veth pairs. @throws KmeshError KM_NETNS */
export async function removeNetwork(lab: string, pod = ''): Promise<void> {
  const names = (await namespaces()).filter((name) => (pod ? name === `${lab}-${pod}` : name.startsWith(`${lab}-`)));
  if (names.length > 0)
    await ip(
      ['-force'],
      names.map((name) => `netns del ${name}`),
    );
}

/** Names of the namespaces that have one. */
export async function namespaces(): Promise<string[]> {
  try {
    return await readdir(netnsFolder);
  } catch {
    return [];
  }
}
