// SPDX-License-Identifier: Apache-2.0
// Pods whose inbound connections are judged: the links on their network namespaces and on the devices that they are reached by.
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyOf, ValueOfMap } from '../abi/maps.ts';
import { KmeshError } from '../errors.ts';
import type { MapHandle } from './dataplane.ts';
import type { NetnsFinder } from './find-netns.ts';
import { deviceHooks } from './hooks.ts';
import { linkInfo } from './info.ts';
import { attachDevice, attachNetns } from './link.ts';
import { inNetns, isHostNetns, netnsInode } from './netns.ts';
import { removeLink } from './pinned-links.ts';
import { makeFolder, openPin, type PinFolders, pin, pinNames, withPin } from './pins.ts';
import { type HostSide, type PodAddress, type PodNetwork, readPodNetwork } from './pod-network.ts';

/** What is attached for one pod. */
export interface Enforced {
  /** The program that judges is attached to its network namespace. */
  readonly judged: boolean;
  /** Devices of the host by which its packets come in, with all programs attached. */
  readonly guarded: readonly HostSide[];
  /** Something of it was attached to what is gone. */
  readonly broken: boolean;
}

/** What it takes to attach for pods. */
export interface Enforcement {
  readonly folders: PinFolders;
  readonly addresses: MapHandle<'pod_address'>;
  readonly destinations: MapHandle<'authz_dest'>;
  readonly state: MapHandle<'authz_state'>;
  readonly finder: NetnsFinder;
}

/** What a pinned link is attached to; 0: that is gone, or the pin is. */
function targetOf(path: string): number {
  const fd = openPin(path);
  if (fd === undefined) return 0;
  try {
    return linkInfo(fd).target;
  } finally {
    closeSync(fd);
  }
}

const deviceName = (netns: bigint, host: HostSide): string => `${netns}_${host.netns}_${host.ifindex}`;

function hostSide(name: string): HostSide {
  const [, netns = '0', ifindex = '0'] = name.split('_');
  return { netns: BigInt(netns), ifindex: Number(ifindex) };
}

/** Names in the folders of devices, by the inode of the pod's namespace. */
function deviceNames(folders: PinFolders): Map<bigint, Set<string>> {
  const found = new Map<bigint, Set<string>>();
  for (const { name: program } of deviceHooks) {
    for (const name of pinNames(folders[program])) {
      const netns = BigInt(name.split('_')[0] ?? 0);
      found.set(netns, (found.get(netns) ?? new Set()).add(name));
    }
  }
  return found;
}

/** True while what comes to the namespace with that inode is judged. */
export function isJudged(folders: PinFolders, netns: bigint): boolean {
  return targetOf(join(folders.authz, `${netns}`)) !== 0;
}

/** Everything that is pinned, by the inode of the pod's network namespace. */
export function listEnforced(folders: PinFolders): Map<bigint, Enforced> {
  const devices = deviceNames(folders);
  const found = new Map<bigint, Enforced>();
  for (const netns of new Set([...pinNames(folders.authz).map(BigInt), ...devices.keys()])) {
    const names = [...(devices.get(netns) ?? [])];
    const whole = names.filter((name) => deviceHooks.every((hook) => targetOf(join(folders[hook.name], name)) !== 0));
    const judged = isJudged(folders, netns);
    found.set(netns, { judged, guarded: whole.map(hostSide), broken: !judged || whole.length < names.length });
  }
  return found;
}

/** Pins what `attach` makes as `name`, in place of a link whose target is gone; a living one stays. */
function attachOnce(folder: string, name: string, attach: () => number): void {
  const path = join(folder, name);
  makeFolder(folder);
  if (targetOf(path) !== 0) return;
  removeLink(path);
  const link = attach();
  try {
    pin(link, path);
  } finally {
    closeSync(link);
  }
}

const entryOf = (netns: bigint, host: HostSide | undefined): ValueOfMap<'pod_address'> => ({
  netns: Number(netns),
  host_netns: Number(host?.netns ?? 0n),
  ifindex: host?.ifindex ?? 0,
  flags: 0,
});

function addressesOf({ addresses }: Enforcement, netns: bigint): KeyOf<'pod_address'>[] {
  const found: KeyOf<'pod_address'>[] = [];
  for (const [address, pod] of addresses.entries()) if (BigInt(pod.netns) === netns) found.push(address);
  return found;
}

/** Inode of the namespace that has an address as far as is known. */
function ownerOf({ addresses }: Enforcement, address: KeyOf<'pod_address'>): bigint | undefined {
  const pod = addresses.get(address);
  return pod && BigInt(pod.netns);
}

/** Who may configure its own interfaces gets no other judged pod's address by that. An agent knows whose it is. */
function notTaken(at: Enforcement, netns: bigint, found: readonly PodAddress[]): readonly PodAddress[] {
  return found.filter(({ address }) => {
    const owner = ownerOf(at, address);
    return owner === undefined || owner === netns || !isJudged(at.folders, owner);
  });
}

function attachDevices({ folders, finder }: Enforcement, netns: bigint, host: HostSide): void {
  const hostFd = finder.open(host.netns);
  if (hostFd === undefined) return; // gone meanwhile, and the pair with it
  try {
    for (const { name, attachType } of deviceHooks) {
      withPin(join(folders.progs, name), (program) =>
        attachOnce(folders[name], deviceName(netns, host), () =>
          inNetns(hostFd, () => attachDevice(name, program, host.ifindex, attachType)),
        ),
      );
    }
  } finally {
    closeSync(hostFd);
  }
}

/**
 * From now on what comes to the pod behind `netnsFd` is judged, and what it sends must come from its own addresses. What is attached
 * already stays. KM_NETNS for the host's network.
 */
export function enforce(at: Enforcement, netnsFd: number): PodNetwork {
  if (isHostNetns(netnsFd)) {
    throw new KmeshError('KM_NETNS', "connections to the host's own network cannot be judged", {
      hint: '--authz off: what is in it stays open to everybody',
    });
  }
  const { folders, addresses, destinations } = at;
  const netns = netnsInode(netnsFd);
  const network = readPodNetwork(netnsFd);
  const judged = isJudged(folders, netns);
  const before = judged ? [] : addressesOf(at, netns);
  const own = notTaken(at, netns, network.addresses);
  // Verdicts on whoever had them before are not its own.
  const fresh = own.filter(({ address }) => !judged || ownerOf(at, address) !== netns);
  destinations.delete(fresh.map(({ address }) => address));
  // Before the devices are guarded: the pod's packets must find its addresses.
  addresses.put(own.map(({ address, host }) => [address, entryOf(netns, host)]));
  // A namespace that is gone may have had the same inode.
  const kept = new Set(own.map(({ address }) => address));
  addresses.delete(before.filter((address) => !kept.has(address)));
  withPin(join(folders.progs, 'authz'), (program) =>
    attachOnce(folders.authz, `${netns}`, () => attachNetns('authz', program, netnsFd)),
  );
  for (const host of network.hosts) attachDevices(at, netns, host);
  dropDead(folders, netns);
  // Handshakes that began before are judged at their end. Programs read the same clock.
  at.state.put([[0, { flags: 0, ...at.state.get(0), changed_ns: process.hrtime.bigint() }]]);
  return network;
}

/** Removes pins whose device is gone: another has taken its place. */
function dropDead(folders: PinFolders, netns: bigint): void {
  for (const { name: program } of deviceHooks) {
    for (const name of pinNames(folders[program])) {
      const path = join(folders[program], name);
      if (name.startsWith(`${netns}_`) && targetOf(path) === 0) removeLink(path);
    }
  }
}

/** Takes off all that is attached for a pod, then its addresses. */
export function release(at: Enforcement, netns: bigint): void {
  const { folders } = at;
  for (const name of deviceNames(folders).get(netns) ?? [])
    for (const { name: program } of deviceHooks) removeLink(join(folders[program], name));
  removeLink(join(folders.authz, `${netns}`));
  at.addresses.delete(addressesOf(at, netns));
}
