// SPDX-License-Identifier: Apache-2.0
// Are the pins of one instance whole, and is what they hold laid out as this kmeshctl believes?
import { existsSync } from 'node:fs';
import type { Layout } from '../abi/layout.ts';
import { type MapName, maps } from '../abi/maps.ts';
import { KmeshError } from '../errors.ts';
import { checkMap, checkStruct } from './layout-check.ts';
import { isLoaded } from './pinned.ts';
import { onBpffs, pinFolders, pinNames } from './pins.ts';
import { closeHeld, type HeldMap, openHeld } from './swap-plan.ts';
import { type LoadedVersion, readVersion } from './version.ts';

export interface PinState {
  readonly onBpffs: boolean;
  readonly loaded: boolean;
  readonly version: LoadedVersion | undefined;
  /** Programs attached by a pinned link, by name. */
  readonly links: readonly string[];
  /** What differs from the tables, as one line each; none: all maps match. */
  readonly faults: readonly string[];
  /** Folders of a load or swap that was cut short: the next command that changes something clears up. */
  readonly leftovers: readonly string[];
}

function mapFault(name: MapName, held: HeldMap | undefined): string | undefined {
  if (!held) return `map "${name}" is not pinned`;
  const { info, btf } = held;
  try {
    checkMap(name, info, btf, info.keyTypeId, info.valueTypeId);
    const { key, value } = maps[name];
    for (const layout of [key, value] as readonly Layout<unknown>[])
      if (btf && layout.fields.length > 0) checkStruct(btf, layout);
    return undefined;
  } catch (cause) {
    if (cause instanceof KmeshError) return cause.message;
    throw cause;
  }
}

/** Reads the pins under `bpffs`; changes nothing. */
export function checkPins(bpffs: string): PinState {
  const folders = pinFolders(bpffs);
  if (!onBpffs(bpffs)) {
    return { onBpffs: false, loaded: false, version: undefined, links: [], faults: [], leftovers: [] };
  }
  const loaded = isLoaded(bpffs);
  const held = openHeld(folders.maps);
  try {
    const faults = loaded ? (Object.keys(maps) as MapName[]).map((name) => mapFault(name, held.get(name))) : [];
    const unfinished = ['loading', 'mapsNext', 'progsNext', 'linksNext', 'mapsOld', 'progsOld'] as const;
    return {
      onBpffs: true,
      loaded,
      version: loaded ? readVersion(folders.maps) : undefined,
      links: pinNames(folders.links),
      faults: faults.filter((fault) => fault !== undefined),
      leftovers: unfinished.map((name) => folders[name]).filter((path) => existsSync(path)),
    };
  } finally {
    closeHeld(held);
  }
}
