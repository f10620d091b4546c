// SPDX-License-Identifier: Apache-2.0
// The data plane over what is pinned: opens what is there, creates nothing.
import { closeSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { type KeyOf, type MapName, maps } from '../abi/maps.ts';
import { type Reason, reasons } from '../abi/reasons.ts';
import { abiVersion, backendHeader, backendVia, viaPorts } from '../abi/structs.ts';
import { KmeshError } from '../errors.ts';
import type { DataPlane, MapHandle } from './dataplane.ts';
import { openDenials } from './denials.ts';
import { type Enforcement, enforce, isJudged, listEnforced } from './enforcement.ts';
import { netnsFinder } from './find-netns.ts';
import { openGrace } from './grace.ts';
import { type MapInfo, mapInfo } from './info.ts';
import { collect, keepEnforced } from './keep-enforced.ts';
import { checkMap } from './layout-check.ts';
import { failure, libbpf, stableBytes } from './libbpf.ts';
import { kernelMap, newScratch } from './map.ts';
import { mapError } from './map-error.ts';
import { openMisses } from './misses.ts';
import { percpuMap } from './percpu-map.ts';
import { openPin, type PinFolders, pinFolders, pinNames } from './pins.ts';
import type { PodNetwork } from './pod-network.ts';
import { type PinnedProgram, pinnedPrograms } from './programs.ts';
import { deniedNetns, hasHandshakes, listOlder, listSockets, recheckTcp, sweepStaleUdp } from './sockets.ts';
import { setUdpHooks, udpHooksOn } from './udp-hooks.ts';
import { type LoadedVersion, readVersion } from './version.ts';

export interface PinnedDataPlane extends DataPlane {
  readonly bpffs: string;
  readonly version: LoadedVersion;
  readonly udpHooks: boolean;
  /** The map as the kernel describes it: id, flags, BTF. */
  info(map: MapName): MapInfo;
  /** Descriptor of a map, for raw reading; closed by close(). */
  fd(map: MapName): number;
  /** False once another process has swapped maps: this one's writes would reach nothing. Open again then. */
  isCurrent(): boolean;
  programs(): PinnedProgram[];
  /** What comes to the pod behind this descriptor is judged from now on, and what it sends must be from its addresses: what those are. */
  enforce(netnsFd: number): PodNetwork;
  /** Takes that off again, of all but those `wanted`. */
  collect(wanted: ReadonlySet<bigint>): void;
}

interface OpenMap {
  readonly fd: number;
  readonly info: MapInfo;
}

const upgradeHint = '"kmeshctl upgrade" swaps them for those of this version';

/** Nothing is there that could be opened. */
export const notLoaded = (bpffs: string): KmeshError =>
  new KmeshError('KM_NOT_LOADED', `no programs are loaded under "${bpffs}"`, { hint: '"kmeshctl load" loads them' });

function openMaps(folder: string): Map<MapName, OpenMap> {
  const opened = new Map<MapName, OpenMap>();
  try {
    for (const name of Object.keys(maps) as MapName[]) {
      const path = join(folder, name);
      const fd = openPin(path);
      if (fd === undefined) {
        throw new KmeshError('KM_VERSION_MISMATCH', `map "${name}" is not pinned at "${path}"`, {
          hint: upgradeHint,
        });
      }
      const info = mapInfo(fd);
      opened.set(name, { fd, info });
      checkMap(name, info);
    }
    return opened;
  } catch (cause) {
    for (const { fd } of opened.values()) closeSync(fd);
    throw cause;
  }
}

/** A data plane over the maps pinned in `folder`. */
export function openMapsIn(bpffs: string, folders: PinFolders, folder: string, progs: string): PinnedDataPlane {
  const version = readVersion(folder);
  if (!version) throw notLoaded(bpffs);
  if (version.abi !== abiVersion) {
    throw new KmeshError('KM_VERSION_MISMATCH', `what is loaded under "${bpffs}" is of kmeshctl ${version.version}`, {
      hint: upgradeHint,
    });
  }
  const opened = openMaps(folder);
  const scratch = newScratch();
  const handles = new Map<MapName, MapHandle<MapName>>();
  const grace = openGrace();
  const at = (name: MapName) => opened.get(name) as OpenMap;
  const slotKey = stableBytes(4);
  const slotValue = stableBytes(backendHeader.size);

  const map = <M extends MapName>(name: M): MapHandle<M> => {
    let handle = handles.get(name);
    if (!handle) {
      const { fd, info } = at(name);
      handle = (maps[name].type === 'percpu_array'
        ? percpuMap(name, fd, info.maxEntries)
        : kernelMap(name, fd, info.maxEntries, scratch)) as unknown as MapHandle<MapName>;
      handles.set(name, handle);
    }
    return handle as unknown as MapHandle<M>;
  };
  /** Of the map endpoint; zeros beyond its end. */
  const slotBytes = (slot: number): Uint8Array => {
    new DataView(slotKey.buffer).setUint32(0, slot, true);
    const answer = libbpf().bpf_map_lookup_elem(at('endpoint').fd, slotKey, slotValue);
    if (answer === 0) return slotValue;
    const errno = failure(answer);
    if (errno === 'ENOENT') return new Uint8Array(slotValue.length);
    throw mapError({ map: 'endpoint', operation: 'lookup', errno, maxEntries: at('endpoint').info.maxEntries });
  };
  const misses = openMisses({
    ring: () => at('misses').fd,
    lost: () => map('reason').get(reasons.indexOf('miss_lost') as KeyOf<'reason'>) ?? 0n,
    held: () => map('miss').entries(),
  });
  const denials = openDenials(() => at('denials').fd);
  const enforcement: Enforcement = {
    folders,
    addresses: map('pod_address'),
    destinations: map('authz_dest'),
    state: map('authz_state'),
    finder: netnsFinder(),
  };
  const enforced = () => {
    const all = [...listEnforced(folders)].filter(([, { judged }]) => judged);
    return new Map(all.map(([netns, { guarded }]) => [netns, guarded]));
  };
  const enrolledIds = () => [...map('enrolled').entries()].map(([id]) => id);

  return {
    bpffs,
    version,
    map,
    info: (name) => at(name).info,
    fd: (name) => at(name).fd,
    header: (slot) => backendHeader.decode(slotBytes(slot)),
    via: (slot) => backendVia.decode(slotBytes(slot)),
    ports: (slot) => viaPorts.decode(slotBytes(slot)),
    reasons() {
      const counters = map('reason');
      return new Map<Reason, bigint>(reasons.map((reason, i) => [reason, counters.get(i as KeyOf<'reason'>) ?? 0n]));
    },
    grace: () => grace.wait(),
    sockets: () => listSockets(progs, at('sock').fd),
    sweepUdp: () => sweepStaleUdp(progs, enrolledIds()).length,
    olderSockets: () => listOlder(progs, enrolledIds()),
    setUdpHooks: (on) => setUdpHooks(folders, on),
    get udpHooks() {
      return udpHooksOn(folders);
    },
    isCurrent() {
      for (const [name, { info }] of opened) {
        const fd = openPin(join(folders.maps, name));
        if (fd === undefined) return false;
        try {
          if (mapInfo(fd).id !== info.id) return false;
        } finally {
          closeSync(fd);
        }
      }
      return true;
    },
    programs: () => pinnedPrograms(bpffs),
    nextMisses: () => misses.next(),
    enforced,
    keepEnforced: (wanted) => keepEnforced(enforcement, wanted),
    enforce: (netnsFd) => enforce(enforcement, netnsFd),
    collect: (wanted) => void collect(enforcement, wanted),
    denied: () => deniedNetns(progs, at('sock').fd),
    handshakes: (netns) => isJudged(folders, netns) && hasHandshakes(enforcement.finder, netns),
    recheck: (netns) =>
      recheckTcp(
        progs,
        enforcement.finder,
        [...netns].filter((inode) => isJudged(folders, inode)),
      ),
    denials: () => denials.drain(),
    close() {
      misses.close();
      denials.close();
      grace.close();
      for (const { fd } of opened.values()) closeSync(fd);
      opened.clear();
    },
  };
}

/** True when something is loaded under `bpffs`, whatever its version. */
export function isLoaded(bpffs: string): boolean {
  return pinNames(pinFolders(bpffs).links).length > 0;
}

/** Version of what is loaded; undefined when nothing is. */
export function loadedVersion(bpffs: string): LoadedVersion | undefined {
  return isLoaded(bpffs) ? readVersion(pinFolders(bpffs).maps) : undefined;
}

/** Opens what is loaded under `bpffs`. KM_NOT_LOADED, KM_VERSION_MISMATCH, KM_LAYOUT. */
export function openPinned(bpffs: string): PinnedDataPlane {
  const folders = pinFolders(bpffs);
  if (!isLoaded(bpffs)) throw notLoaded(bpffs);
  // In the middle of a swap there is a moment between two renames: what was switched to is still called next.
  const between = !existsSync(folders.maps) && existsSync(folders.mapsNext);
  return openMapsIn(bpffs, folders, between ? folders.mapsNext : folders.maps, folders.progs);
}
