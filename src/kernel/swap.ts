// SPDX-License-Identifier: Apache-2.0
// Other programs, or larger maps, in place of those that run, without a moment in which neither does its work.
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import type { MapName } from '../abi/maps.ts';
import type { DataPlane } from './dataplane.ts';
import { openGrace } from './grace.ts';
import { messageHook } from './hooks.ts';
import { mapInfo } from './info.ts';
import { isAlwaysAttached, versionRecord, writeSetting } from './load.ts';
import { attachToMap } from './message-hook.ts';
import { type LoadedPrograms, type Objects, objectFolder, openObjects } from './objects.ts';
import { isLoaded, notLoaded, openMapsIn, type PinnedDataPlane } from './pinned.ts';
import { attachAll, attachPoint } from './pinned-links.ts';
import { makeFolder, type PinFolders, pin, pinFolders, pinNames, withPin } from './pins.ts';
import { copyAndSettle } from './program-state.ts';
import type { MapSizes } from './sizes.ts';
import { closeHeld, type HeldMap, openHeld, planSwap, type SwapPlan, swapSizes } from './swap-plan.ts';
import { recover, settleFolders, switchLinks, undoSwap } from './swap-recovery.ts';
import { type LoadedVersion, pinVersion, readVersion } from './version.ts';

export interface SwapOptions {
  readonly bpffs: string;
  /** Of kmeshctl, and milliseconds since the epoch: for the version record. */
  readonly version: string;
  readonly now: number;
  /** New sizes; the other maps keep theirs. */
  readonly sizes?: MapSizes;
  /** Folder of *.bpf.o; default: dist/bpf of this installation. */
  readonly objects?: string;
  /**
   * Writes what cannot be copied: maps of `plan.replaced` that are not `copied`. Nothing reads the staged maps yet; when it
   * throws, everything stays as it was. What it answers is called once no old program runs any more.
   */
  fill?(staged: DataPlane, plan: SwapPlan): Late | Promise<Late>;
}

/** Carries over what the old programs wrote after the fill. */
// biome-ignore lint/suspicious/noConfusingVoidType: most have nothing to answer
export type Late = (() => void) | void;

export interface SwapReport extends SwapPlan {
  readonly before: LoadedVersion | undefined;
  readonly after: LoadedVersion;
}

interface Opened {
  readonly folders: PinFolders;
  readonly held: Map<string, HeldMap>;
  readonly objects: Objects;
  readonly plan: SwapPlan;
  close(): void;
}

function openSwap(options: Pick<SwapOptions, 'bpffs' | 'sizes' | 'objects'>): Opened {
  const { bpffs } = options;
  if (!isLoaded(bpffs)) throw notLoaded(bpffs);
  const folders = pinFolders(bpffs);
  const held = openHeld(folders.maps);
  let objects: Objects | undefined;
  try {
    objects = openObjects(options.objects ?? objectFolder(), swapSizes(held, options.sizes ?? {}));
    const opened = objects;
    const close = () => {
      opened.close();
      closeHeld(held);
    };
    return { folders, held, objects, plan: planSwap(held, objects.maps), close };
  } catch (cause) {
    objects?.close();
    closeHeld(held);
    throw cause;
  }
}

/** What `swap` would do; touches nothing. */
export function previewSwap(options: Pick<SwapOptions, 'bpffs' | 'sizes' | 'objects'>): SwapPlan & { hash: string } {
  const opened = openSwap(options);
  try {
    return { ...opened.plan, hash: opened.objects.hash };
  } finally {
    opened.close();
  }
}

/** Pins maps and programs of the new set where nothing looks yet, and attaches programs that the old set did not have. */
function stage({ folders }: Opened, loaded: LoadedPrograms, record: LoadedVersion): void {
  // This folder first and away last: recoverSwap tells by its programs on which side a swap stands.
  makeFolder(folders.progsNext);
  for (const { name, fd } of loaded.programs) pin(fd, join(folders.progsNext, name));
  makeFolder(folders.mapsNext);
  for (const [name, fd] of loaded.maps) pin(fd, join(folders.mapsNext, name));
  pinVersion(folders.mapsNext, record);
}

function attachNew({ folders }: Opened, loaded: LoadedPrograms): void {
  const linked = pinNames(folders.links);
  const fresh = loaded.programs.filter((p) => isAlwaysAttached(p) && !linked.includes(p.name));
  if (fresh.length === 0) return;
  makeFolder(folders.linksNext);
  const cgroup = attachPoint(folders.links);
  try {
    attachAll(folders.linksNext, cgroup, fresh);
  } finally {
    closeSync(cgroup);
  }
}

/**
 * Loads the objects beside what runs, fills the new maps, points each pinned link at its new program (each in one step), and
 * renames. Maps whose form and size stay are shared; socket storage always is. A failure before the first link is switched
 * changes nothing; a process killed at any point leaves what recoverSwap undoes or finishes. The caller holds the lock, and
 * opens the data plane anew afterwards.
 */
export async function swap(options: SwapOptions): Promise<SwapReport> {
  const { bpffs } = options;
  recover(bpffs);
  const opened = openSwap(options);
  const { folders, held, objects, plan } = opened;
  const grace = openGrace();
  let staged: PinnedDataPlane | undefined;
  try {
    const before = readVersion(folders.maps);
    const after = versionRecord(objects, options);
    const settle: (() => void)[] = [];
    try {
      const shared = plan.kept.map((name) => [name, (held.get(name) as HeldMap).fd] as const);
      const loaded = await objects.loadLater(new Map<MapName, number>(shared));
      stage(opened, loaded, after);
      for (const { map, copied } of plan.replaced) {
        const fd = loaded.maps.get(map) as number;
        if (copied) settle.push(copyAndSettle(map, held.get(map) as HeldMap, { fd, info: mapInfo(fd) }));
      }
      // The old program stays on a map that is kept until nothing of the old set runs any more.
      if (!plan.kept.includes(messageHook.map)) attachToMap(loaded);
      if (options.fill) {
        staged = openMapsIn(bpffs, folders, folders.mapsNext, folders.progsNext);
        const late = await options.fill(staged, plan);
        if (late) settle.push(late);
      }
      attachNew(opened, loaded);
      switchLinks(folders);
    } catch (cause) {
      undoSwap(folders);
      throw cause;
    }
    // From here on it is done: what fails below is reported, but not undone.
    try {
      await grace.wait();
      for (const step of settle) step();
    } finally {
      settleFolders(folders);
    }
    withPin(join(folders.maps, 'setting'), writeSetting);
    return { ...plan, before, after };
  } finally {
    staged?.close();
    grace.close();
    opened.close();
  }
}
