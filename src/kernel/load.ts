// SPDX-License-Identifier: Apache-2.0
// Loading from nothing, and taking everything away again.
import { closeSync, existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { MapName } from '../abi/maps.ts';
import { abiVersion, settingValue } from '../abi/structs.ts';
import { KmeshError } from '../errors.ts';
import { deviceHooks, isPodProgram, lookupHook, messageHook } from './hooks.ts';
import { failure, libbpf, stableBytes } from './libbpf.ts';
import { openCgroup } from './link.ts';
import { attachToMap } from './message-hook.ts';
import {
  isIterator,
  type LoadedProgram,
  type LoadedPrograms,
  type Objects,
  objectFolder,
  openObjects,
} from './objects.ts';
import { isLoaded } from './pinned.ts';
import { attachAll, removeLink, removeLinks } from './pinned-links.ts';
import { openPinnedMap } from './pinned-map.ts';
import { makeFolder, makeRoot, movePin, type PinFolders, pin, pinFolders, pinNames, removeFolder } from './pins.ts';
import type { MapSizes } from './sizes.ts';
import { endWaiting } from './sockets.ts';
import { isUdpHook } from './udp-hooks.ts';
import { type LoadedVersion, pinVersion } from './version.ts';

export interface LoadOptions {
  readonly bpffs: string;
  /** cgroup2 directory that programs are attached to. */
  readonly cgroupRoot: string;
  /** Of kmeshctl, for the version record. */
  readonly version: string;
  /** Milliseconds since the epoch, for the version record. */
  readonly now: number;
  readonly sizes?: MapSizes;
  /** Folder of *.bpf.o; default: dist/bpf of this installation. */
  readonly objects?: string;
  /** Attach the UDP hooks as well (default false: the agent does when a service needs them). */
  readonly udpHooks?: boolean;
}

/** Attached to the cgroup root for as long as it is loaded. The others need a pin of their own. */
export function isAlwaysAttached(program: LoadedProgram): boolean {
  const { name } = program;
  return !isIterator(program) && !isUdpHook(name) && !isPodProgram(name) && name !== messageHook.name;
}

/** The record of these objects. */
export function versionRecord(objects: Objects, options: { version: string; now: number }): LoadedVersion {
  return {
    version: options.version,
    hash: objects.hash,
    abi: abiVersion,
    loadedAt: new Date(options.now).toISOString(),
  };
}

/** Puts the ABI version into the map setting, the rest of which stays. */
export function writeSetting(fd: number): void {
  const value = stableBytes(settingValue.size);
  const key = stableBytes(4);
  const bpf = libbpf();
  const nothing = { flags: 0, ports: 0n };
  const held = bpf.bpf_map_lookup_elem(fd, key, value) === 0 ? settingValue.decode(value) : nothing;
  value.set(settingValue.encode({ ...held, abi_version: abiVersion }));
  const answer = bpf.bpf_map_update_elem(fd, key, value, 0);
  if (answer < 0) throw new KmeshError('KM_MAP', `map "setting": update failed: ${failure(answer)}`);
}

/** Pins every map in `folder`. */
function pinMaps(folder: string, loaded: LoadedPrograms): void {
  for (const [name, fd] of loaded.maps) pin(fd, join(folder, name));
}

/** Removes what a load that was cut short has left; what a complete one made stays. The caller holds the lock. */
export function recoverLoad(bpffs: string): void {
  const folders = pinFolders(bpffs);
  if (!existsSync(folders.loading)) return;
  if (!existsSync(folders.links)) {
    removeFolder(folders.maps);
    removeFolder(folders.progs);
  }
  removeLinks(join(folders.loading, 'links'));
  removeFolder(join(folders.loading, 'progs'));
  removeFolder(join(folders.loading, 'maps'));
  removeFolder(folders.loading);
}

/** What `load` would do: opens and checks the objects, touches nothing. The caller closes it. */
export function planLoad(options: Pick<LoadOptions, 'objects' | 'sizes'>): Objects {
  return openObjects(options.objects ?? objectFolder(), options.sizes);
}

/**
 * Loads, attaches and pins. Everything is made in a folder of its own and moved into place, links last: a load that fails
 * leaves nothing, one that is killed is taken away by the next (recoverLoad). The caller holds the lock.
 */
export function load(options: LoadOptions): LoadedVersion {
  const { bpffs } = options;
  const folders = pinFolders(bpffs);
  makeRoot(bpffs);
  recoverLoad(bpffs);
  if (isLoaded(bpffs)) throw new KmeshError('KM_ALREADY_LOADED', `programs are loaded already under "${bpffs}"`);
  const staged = (name: string) => join(folders.loading, name);
  let objects: Objects | undefined;
  try {
    objects = planLoad(options);
    const record = versionRecord(objects, options);
    const loaded = objects.load(new Map<MapName, number>());
    for (const name of ['maps', 'progs', 'links']) makeFolder(staged(name));
    pinMaps(staged('maps'), loaded);
    pinVersion(staged('maps'), record);
    writeSetting(loaded.maps.get('setting') as number);
    for (const program of loaded.programs)
      if (!isAlwaysAttached(program)) pin(program.fd, join(staged('progs'), program.name));
    attachToMap(loaded);
    const attached = loaded.programs.filter((p) => isAlwaysAttached(p) || (options.udpHooks && isUdpHook(p.name)));
    const cgroup = openCgroup(options.cgroupRoot);
    try {
      attachAll(staged('links'), cgroup, attached);
    } finally {
      closeSync(cgroup);
    }
    for (const name of ['maps', 'progs', 'links'] as const) movePin(staged(name), folders[name]);
    removeFolder(folders.loading);
    return record;
  } catch (cause) {
    recoverLoad(bpffs);
    removeRoot(bpffs);
    throw cause;
  } finally {
    objects?.close();
  }
}

/** Detaches and unpins everything under `bpffs`, and removes the folder unless it is a mount point. Twice is no fault. */
export function unload(bpffs: string): void {
  const folders = pinFolders(bpffs);
  recoverLoad(bpffs);
  // Before what knows of them: cut short in between, pods would stay closed with nobody to open them.
  removeLinks(folders[lookupHook.name]);
  // Those of devices go when the kernel gets to it: at once would take it a while for each.
  for (const { name } of deviceHooks) removeFolder(folders[name]);
  endConnections(folders, bpffs);
  removeLinks(folders.links);
  removeLinks(folders.linksNext);
  for (const folder of ['progs', 'progsNext', 'progsOld', 'maps', 'mapsNext', 'mapsOld'] as const)
    removeFolder(folders[folder]);
  removeRoot(bpffs);
}

/** No connection begins any more that needs the other programs, and those that cannot do without them end. */
function endConnections(folders: PinFolders, bpffs: string): void {
  if (!pinNames(folders.maps).includes('enrolled')) return;
  for (const name of ['connect4', 'connect6']) removeLink(join(folders.links, name));
  // Read by its own BTF: it may be of any version.
  const enrolled = openPinnedMap(bpffs, 'enrolled');
  try {
    endWaiting(
      folders.progs,
      [...enrolled.entries()].map(({ key }) => key as bigint),
    );
  } finally {
    enrolled.close();
  }
}

/** Removes the instance's folder when nothing is left in it. */
function removeRoot(bpffs: string): void {
  if (!existsSync(bpffs) || readdirSync(bpffs).length > 0) return;
  try {
    rmdirSync(bpffs);
  } catch (cause) {
    // EBUSY: the bpffs is mounted right here.
    if ((cause as NodeJS.ErrnoException).code !== 'EBUSY') throw cause;
  }
}
