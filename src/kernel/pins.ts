// SPDX-License-Identifier: Apache-2.0
// The pins of one instance: where they are, making, opening and removing them.
import { closeSync, existsSync, readdirSync, renameSync, rmdirSync, statfsSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KmeshError } from '../errors.ts';
import { makeFolder as makeFolders } from '../make-folder.ts';
import { failure, libbpf } from './libbpf.ts';
import { libc } from './libc.ts';

/** BPF_FS_MAGIC of linux/magic.h */
const bpffsMagic = 0xcafe4a11;

/** The bpffs refuses names with a dot, hence the underscores. */
export interface PinFolders {
  readonly maps: string;
  readonly links: string;
  /** Links of the program `authz`, by the inode of a pod's network namespace. */
  readonly authz: string;
  /** Links of programs on devices: inode of the pod's namespace, of the host side's, and index of the device, joined by "_". */
  readonly spoof: string;
  readonly no_group: string;
  /** Iterators, and what is attached only at times: UDP hooks, programs of pods. During a swap `progsNext` holds every new program. */
  readonly progs: string;
  readonly mapsNext: string;
  readonly progsNext: string;
  /** Links of programs that the version before did not have. */
  readonly linksNext: string;
  readonly mapsOld: string;
  readonly progsOld: string;
  /** What `load` makes before it is complete. */
  readonly loading: string;
}

export function pinFolders(bpffs: string): PinFolders {
  const at = (name: string) => join(bpffs, name);
  return {
    maps: at('maps'),
    links: at('links'),
    authz: at('authz'),
    spoof: at('spoof'),
    no_group: at('no_group'),
    progs: at('progs'),
    mapsNext: at('maps_next'),
    progsNext: at('progs_next'),
    linksNext: at('links_next'),
    mapsOld: at('maps_old'),
    progsOld: at('progs_old'),
    loading: at('loading'),
  };
}

const reason = (cause: unknown): string => (cause as NodeJS.ErrnoException).code ?? String(cause);

function tried<T>(what: string, path: string, body: () => T): T {
  try {
    return body();
  } catch (cause) {
    throw new KmeshError('KM_PIN', `${what} "${path}" failed: ${reason(cause)}`, { cause });
  }
}

/** True when `path`, or the nearest folder above it that exists, lies on a bpffs. */
export function onBpffs(path: string): boolean {
  let at = path;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return statfsSync(at).type === bpffsMagic;
}

/** Throws KM_MOUNT when `bpffs` is on no bpffs; makes the folder when it is missing. */
export function makeRoot(bpffs: string): void {
  if (!onBpffs(bpffs)) {
    throw new KmeshError('KM_MOUNT', `"${bpffs}" is not on a bpffs`, {
      hint: `mount one: mount -t bpf bpf ${dirname(bpffs)}`,
    });
  }
  makeFolder(bpffs);
}

/** Throws KM_MOUNT when a mount at `folder` would hide what is in it. */
export function refuseHiding(folder: string): void {
  if (!existsSync(folder) || readdirSync(folder).length === 0) return;
  throw new KmeshError('KM_MOUNT', `"${folder}" is no bpffs, and one mounted there would hide the files in it`, {
    hint: 'give a --bpffs whose parent is empty, is not there yet, or is a bpffs, such as /sys/fs/bpf/kmesh',
  });
}

/** Mounts a bpffs at `folder`, which is made when missing. Nothing is done when one is there. */
export function mountBpffs(folder: string): void {
  try {
    makeFolders(folder);
  } catch (cause) {
    throw new KmeshError('KM_MOUNT', `a bpffs cannot be mounted at "${folder}": making it failed: ${reason(cause)}`, {
      hint: 'give a --bpffs whose parent can be made, or is a folder, such as /sys/fs/bpf/kmesh',
      cause,
    });
  }
  if (statfsSync(folder).type === bpffsMagic) return;
  if (libc().mount('bpf', folder, 'bpf', 0, null) < 0) {
    throw new KmeshError('KM_MOUNT', `mounting a bpffs at "${folder}" failed: ${libc().errno()}`);
  }
}

/** What the kernel itself pins on a bpffs (CONFIG_BPF_PRELOAD). */
const preloaded: ReadonlySet<string> = new Set(['maps.debug', 'progs.debug']);

/** Takes a bpffs at `folder` away when nothing is pinned on it any more. False: something is, or it is in use. */
export function unmountBpffs(folder: string): boolean {
  if (!existsSync(folder) || statfsSync(folder).type !== bpffsMagic) return false;
  if (readdirSync(folder).some((name) => !preloaded.has(name))) return false;
  return libc().umount2(folder, 0) === 0;
}

export function makeFolder(path: string): void {
  tried('making the folder', path, () => makeFolders(path, 0o700));
}

/** Pins the map, program or link behind `fd` at `path`, which must be free. */
export function pin(fd: number, path: string): void {
  const answer = libbpf().bpf_obj_pin(fd, path);
  if (answer < 0) throw new KmeshError('KM_PIN', `pinning "${path}" failed: ${failure(answer)}`);
}

/** A descriptor of what is pinned at `path`; the caller closes it. undefined when nothing is. */
export function openPin(path: string): number | undefined {
  const fd = libbpf().bpf_obj_get(path);
  if (fd >= 0) return fd;
  const errno = failure(fd);
  if (errno === 'ENOENT') return undefined;
  throw new KmeshError('KM_PIN', `opening the pin "${path}" failed: ${errno}`);
}

/** Calls `body` with a descriptor of the pin and closes it; KM_PIN when there is none. */
export function withPin<T>(path: string, body: (fd: number) => T): T {
  const fd = openPin(path);
  if (fd === undefined) throw new KmeshError('KM_PIN', `nothing is pinned at "${path}"`);
  try {
    return body(fd);
  } finally {
    closeSync(fd);
  }
}

/** Names of the pins in a folder, sorted; none when the folder is missing. */
export function pinNames(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

export function unpin(path: string): void {
  if (existsSync(path)) tried('removing the pin', path, () => unlinkSync(path));
}

/** Removes a folder of pins. */
export function removeFolder(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) unpin(join(folder, name));
  tried('removing the folder', folder, () => rmdirSync(folder));
}

/** Moves a folder or a pin; the new name must be free. */
export function movePin(from: string, to: string): void {
  tried('moving the pin', from, () => renameSync(from, to));
}
