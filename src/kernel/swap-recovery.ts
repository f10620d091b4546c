// SPDX-License-Identifier: Apache-2.0
// The end of a swap, and what becomes of one that was cut short. Which side it stands on is told by the programs that links run.
import { closeSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { linkInfo, programInfo } from './info.ts';
import { openLinkedProgram, updateLink } from './link.ts';
import { recoverLoad } from './load.ts';
import { attachPinned } from './message-hook.ts';
import { type PinnedLink, pinnedLinks, removeLink, removeLinks } from './pinned-links.ts';
import { movePin, type PinFolders, pinFolders, pinNames, removeFolder, unpin, withPin } from './pins.ts';
import { isUdpHook } from './udp-hooks.ts';

export type Recovery = 'nothing' | 'undone' | 'finished';

const programIdOf = (path: string): number => withPin(path, (fd) => programInfo(fd).id);
const linkedIdOf = (path: string): number => withPin(path, (fd) => linkInfo(fd).programId);

/** Links that the new set has a program for. */
function switchable(folders: PinFolders): PinnedLink[] {
  const fresh = new Set(pinNames(folders.progsNext));
  return pinnedLinks(folders).filter(({ program }) => fresh.has(program));
}

/** Tells links whose program is the new one from those that are behind. */
function switchedOf(folders: PinFolders): (link: PinnedLink) => boolean {
  const ids = new Map<string, number>();
  return ({ path, program }) => {
    const id = ids.get(program) ?? programIdOf(join(folders.progsNext, program));
    ids.set(program, id);
    return linkedIdOf(path) === id;
  };
}

/** True when some link runs a program of the new set. */
function begun(folders: PinFolders): boolean {
  return switchable(folders).some(switchedOf(folders));
}

/** Points every link at its new program. When one fails, those before it get their old one back. */
export function switchLinks(folders: PinFolders): void {
  const switched: { readonly link: PinnedLink; readonly old: number }[] = [];
  const point = ({ path, program }: PinnedLink, fd: number) => withPin(path, (link) => updateLink(program, link, fd));
  const isSwitched = switchedOf(folders);
  try {
    for (const link of switchable(folders)) {
      if (isSwitched(link)) continue;
      const old = withPin(link.path, (fd) => openLinkedProgram(link.program, fd));
      switched.push({ link, old });
      withPin(join(folders.progsNext, link.program), (program) => point(link, program));
    }
  } catch (cause) {
    for (const { link, old } of switched.reverse()) point(link, old);
    throw cause;
  } finally {
    for (const { old } of switched) closeSync(old);
  }
}

/** Moves the new folders to where the old ones were. Every step leaves a state that this function goes on from. */
export function settleFolders(folders: PinFolders): void {
  if (existsSync(folders.progsNext)) {
    const fresh = pinNames(folders.progsNext);
    for (const { path, program } of pinnedLinks(folders)) if (!fresh.includes(program)) removeLink(path);
    for (const name of pinNames(folders.linksNext)) movePin(join(folders.linksNext, name), join(folders.links, name));
    removeFolder(folders.linksNext);
    if (existsSync(folders.progs)) movePin(folders.progs, folders.progsOld);
    movePin(folders.progsNext, folders.progs);
  }
  if (existsSync(folders.mapsNext)) {
    if (existsSync(folders.maps)) movePin(folders.maps, folders.mapsOld);
    movePin(folders.mapsNext, folders.maps);
  }
  // What stays attached is kept by its link; the others need their pin.
  const linked = pinNames(folders.links);
  for (const name of pinNames(folders.progs)) {
    if (linked.includes(name) && !isUdpHook(name)) unpin(join(folders.progs, name));
  }
  attachPinned(folders);
  removeFolder(folders.progsOld);
  removeFolder(folders.mapsOld);
}

/** Takes away all that a swap made before it switched the first link. */
export function undoSwap(folders: PinFolders): void {
  removeLinks(folders.linksNext);
  removeFolder(folders.mapsNext);
  removeFolder(folders.progsNext);
}

/** False while a swap or a load is under way, and after one that was cut short. */
export function isWhole(bpffs: string): boolean {
  const { mapsNext, progsNext, linksNext, mapsOld, progsOld, loading } = pinFolders(bpffs);
  return ![mapsNext, progsNext, linksNext, mapsOld, progsOld, loading].some((path) => existsSync(path));
}

/** Finishes or undoes a swap that was cut short. The caller holds the lock. */
export function recoverSwap(bpffs: string): Recovery {
  if (isWhole(bpffs)) return 'nothing';
  const folders = pinFolders(bpffs);
  const { progsNext, mapsOld, progsOld } = folders;
  const renaming = existsSync(mapsOld) || existsSync(progsOld);
  if (!renaming && !begun(folders)) {
    undoSwap(folders);
    return 'undone';
  }
  if (existsSync(progsNext)) switchLinks(folders);
  settleFolders(folders);
  return 'finished';
}

/** Whatever was cut short under `bpffs`, a load or a swap, is brought to an end. The caller holds the lock. */
export function recover(bpffs: string): Recovery {
  recoverLoad(bpffs);
  return recoverSwap(bpffs);
}
