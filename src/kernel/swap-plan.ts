// SPDX-License-Identifier: Apache-2.0
// What a swap would do: which maps are kept, which are made anew and why.
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { type MapName, maps } from '../abi/maps.ts';
import { KmeshError } from '../errors.ts';
import { type Btf, parseBtf } from './btf.ts';
import { btfBytes, type MapInfo, mapInfo } from './info.ts';
import { mapLayout, mapTypeCode } from './layout-check.ts';
import type { DeclaredMap } from './objects.ts';
import { openPin, pinNames } from './pins.ts';
import { isSizable, type MapSizes } from './sizes.ts';
import { versionPin } from './version.ts';

/** A map as it is pinned now. */
export interface HeldMap {
  readonly fd: number;
  readonly info: MapInfo;
  /** Keys and values as DeclaredMap.layout has them; '' without BTF. */
  readonly layout: string;
  readonly btf: Btf | undefined;
}

export interface Replacement {
  readonly map: MapName;
  /** Entries before (0: there was no such map) and after. */
  readonly from: number;
  readonly to: number;
  /** False: entries have another form, or there are none; what should be in it must be written anew. */
  readonly copied: boolean;
}

export interface SwapPlan {
  readonly kept: readonly MapName[];
  readonly replaced: readonly Replacement[];
  /** Pinned now, not in the new objects. */
  readonly dropped: readonly string[];
}

/** Every pinned map of the folder, also those that the table does not know; the caller closes them. */
export function openHeld(folder: string): Map<string, HeldMap> {
  const parsed = new Map<number, Btf>();
  const held = new Map<string, HeldMap>();
  for (const name of pinNames(folder)) {
    const fd = name === versionPin ? undefined : openPin(join(folder, name));
    if (fd === undefined) continue;
    const info = mapInfo(fd);
    let btf = parsed.get(info.btfId);
    if (!btf && info.btfId !== 0) {
      btf = parseBtf(btfBytes(info.btfId));
      parsed.set(info.btfId, btf);
    }
    const layout = btf ? mapLayout(name, btf, info.keyTypeId, info.valueTypeId) : '';
    held.set(name, { fd, info, layout, btf });
  }
  return held;
}

export function closeHeld(held: ReadonlyMap<string, HeldMap>): void {
  for (const { fd } of held.values()) closeSync(fd);
}

/** Sizes for the new objects: those asked for, else those that the pinned maps have. */
export function swapSizes(held: ReadonlyMap<string, HeldMap>, asked: MapSizes): MapSizes {
  const sizes: Partial<Record<MapName, number>> = {};
  for (const name of Object.keys(maps) as MapName[]) {
    const entries = asked[name] ?? held.get(name)?.info.maxEntries;
    if (isSizable(name) && entries !== undefined) sizes[name] = entries;
  }
  return sizes;
}

const sameShape = (declared: DeclaredMap, { info }: HeldMap): boolean =>
  declared.type === info.type && declared.keySize === info.keySize && declared.valueSize === info.valueSize;

/**
 * Socket storage holds what cannot be made again (who a socket is, what it dialled), so it stays whatever comes. Programs
 * may know less of it than it holds, never more.
 */
function checkStorage(declared: DeclaredMap, held: HeldMap): void {
  if (declared.layout === held.layout) return;
  const refuse = (why: string) =>
    new KmeshError('KM_LAYOUT', `map "sock": ${why}, and open sockets cannot be carried over`, {
      hint: '"kmeshctl unload --force", then "kmeshctl load": connections that are open stay, but show the endpoint as their peer',
    });
  if (declared.valueSize > held.info.valueSize) {
    throw refuse(`its values have ${held.info.valueSize} bytes, the new programs use ${declared.valueSize}`);
  }
  if (held.layout === '') throw refuse('it does not say what its values are');
  const now = storageMembers(held.layout);
  const wanted = storageMembers(declared.layout);
  const common = Math.min(now.used.length, wanted.used.length);
  const alike = now.used.slice(0, common).join() === wanted.used.slice(0, common).join();
  const added = wanted.used[common];
  // What is new stands where nothing was: zero in every open socket.
  const fits = added === undefined || offsetOf(added) >= now.reservedAt;
  if (!alike || !fits) throw refuse('its values have another layout');
}

const offsetOf = (member: string): number => Number(/@(\d+):/.exec(member)?.[1]);

/** Members of the value's struct as describeType has them, and the bit where those that are not used yet begin. */
function storageMembers(layout: string): { readonly used: readonly string[]; readonly reservedAt: number } {
  const value = layout.split(' -> ')[1] ?? '';
  // Commas of the members' own structs are within braces.
  const members = value.slice(value.indexOf('{') + 1, -1).split(/,(?![^{]*\})/);
  const reserved = members.find((member) => member.startsWith('reserved@'));
  return {
    used: members.filter((member) => member !== reserved),
    reservedAt: reserved === undefined ? Number.POSITIVE_INFINITY : offsetOf(reserved),
  };
}

/** Compares what is pinned with what the new objects declare. KM_LAYOUT when socket storage could not be kept. */
export function planSwap(held: ReadonlyMap<string, HeldMap>, declared: ReadonlyMap<MapName, DeclaredMap>): SwapPlan {
  const kept: MapName[] = [];
  const replaced: Replacement[] = [];
  for (const [map, wanted] of declared) {
    const now = held.get(map);
    if (map === 'sock' && now) {
      checkStorage(wanted, now);
      kept.push(map);
      continue;
    }
    const same = now !== undefined && sameShape(wanted, now) && (now.layout === '' || now.layout === wanted.layout);
    if (same && now.info.maxEntries === wanted.maxEntries && now.info.flags === wanted.flags) kept.push(map);
    else {
      // A ring has nothing that could be read twice, and sockets can be put into another map by programs only.
      const copied = same && wanted.type !== mapTypeCode.ringbuf && wanted.type !== mapTypeCode.sockhash;
      replaced.push({ map, from: now?.info.maxEntries ?? 0, to: wanted.maxEntries, copied });
    }
  }
  return { kept, replaced, dropped: [...held.keys()].filter((name) => !declared.has(name as MapName)) };
}
