// SPDX-License-Identifier: Apache-2.0
// Links with pins: attaching programs for as long as their pins are there, and taking them off.
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { KmeshError } from '../errors.ts';
import { cgroupPath } from './cgroup.ts';
import { podPrograms } from './hooks.ts';
import { linkInfo } from './info.ts';
import { attachCgroup, detachLink, openCgroup } from './link.ts';
import { openPin, type PinFolders, pin, pinNames, removeFolder, unpin, withPin } from './pins.ts';

/** A program to attach: what LoadedProgram has of it. */
export interface Attachable {
  readonly name: string;
  readonly fd: number;
  readonly attachType: number;
}

/** Attaches programs to the cgroup behind `cgroup` and pins the links in `folder`. */
export function attachAll(folder: string, cgroup: number, programs: readonly Attachable[]): void {
  for (const { name, fd, attachType } of programs) {
    const link = attachCgroup(name, fd, cgroup, attachType);
    try {
      pin(link, join(folder, name));
    } finally {
      closeSync(link);
    }
  }
}

/** A descriptor of the cgroup that the programs are attached to; the caller closes it. */
export function attachPoint(links: string): number {
  for (const name of pinNames(links)) {
    const id = withPin(join(links, name), linkInfo).cgroupId;
    const path = id === 0n ? undefined : cgroupPath(id);
    if (path !== undefined) return openCgroup(path);
  }
  throw new KmeshError('KM_ATTACH', 'no attached program tells which cgroup it is');
}

/** Detaches a pinned link at once and removes the pin. */
export function removeLink(path: string): void {
  const fd = openPin(path);
  if (fd === undefined) return;
  try {
    detachLink(fd);
    unpin(path);
  } finally {
    closeSync(fd);
  }
}

/** Detaches every link of a folder and removes the folder. */
export function removeLinks(folder: string): void {
  for (const name of pinNames(folder)) removeLink(join(folder, name));
  removeFolder(folder);
}

/** A pinned link, and the name of the program that it runs. */
export interface PinnedLink {
  readonly path: string;
  readonly program: string;
}

/** Every link: those for the whole node first, then those of pods. */
export function pinnedLinks(folders: PinFolders): PinnedLink[] {
  return [
    ...pinNames(folders.links).map((name) => ({ path: join(folders.links, name), program: name })),
    ...podPrograms.flatMap((program) =>
      pinNames(folders[program]).map((name) => ({ path: join(folders[program], name), program })),
    ),
  ];
}
