// SPDX-License-Identifier: Apache-2.0
// The data plane without a kernel: sizes are enforced and faults can be ordered, for tests and dry runs.
import type { KeyOf, MapName } from '../abi/maps.ts';
import { type Reason, reasons } from '../abi/reasons.ts';
import { backendHeader, backendVia, missState, viaPorts } from '../abi/structs.ts';
import type { DataPlane, Denial, MapHandle, MissRecord, OldRecord, SockRecord } from './dataplane.ts';
import type { ErrnoName } from './map-error.ts';
import { type MemoryMap, memoryMap } from './memory-map.ts';
import { defaultSizes, type MapSizes } from './sizes.ts';

export interface MemoryDataPlane extends DataPlane {
  /** What sockets(), olderSockets() and sweepUdp() answer from now on. */
  setSockets(records: readonly SockRecord[]): void;
  setOlderSockets(records: readonly OldRecord[]): void;
  setSweep(destroyed: number): void;
  /** The next put or delete of `map` fails with `errno` after writing `after` entries. */
  failNext(map: MapName, errno: ErrnoName, after?: number): void;
  /** What a program would do that does not know an address. */
  miss(record: MissRecord): void;
  /** What a program would do that denies a connection. */
  deny(record: Denial): void;
  /** What denied() answers from now on. */
  setDenied(netns: Iterable<bigint>): void;
  /** Where handshakes() says that some are under way, from now on. */
  setHandshakes(netns: Iterable<bigint>): void;
  /** What recheck() destroys in an enforced namespace from now on. */
  setRecheck(denied: (netns: bigint) => readonly Denial[]): void;
  readonly udpHooks: boolean;
  /** How often grace() and sweepUdp() were called. */
  readonly graces: number;
  readonly sweeps: number;
}

/** An empty data plane with maps of the default sizes or of `sizes`. */
export function openMemory(sizes: MapSizes = {}): MemoryDataPlane {
  const held = new Map<MapName, MemoryMap<MapName>>();
  let sockets: readonly SockRecord[] = [];
  let older: readonly OldRecord[] = [];
  let destroyed = 0;
  let udpHooks = false;
  const missed: MissRecord[] = [];
  let missWaiter: (() => void) | undefined;
  let missesRead = false;
  let closed = false;
  let graces = 0;
  let sweeps = 0;
  const denied: Denial[] = [];
  let deniedIn: ReadonlySet<bigint> = new Set();
  let handshakesIn: ReadonlySet<bigint> = new Set();
  let rechecked: (netns: bigint) => readonly Denial[] = () => [];
  let judged: ReadonlySet<bigint> = new Set();

  const mapOf = <M extends MapName>(name: M): MemoryMap<M> => {
    let found = held.get(name);
    if (!found) {
      found = memoryMap(name, sizes[name] ?? defaultSizes[name]) as unknown as MemoryMap<MapName>;
      held.set(name, found);
    }
    return found as unknown as MemoryMap<M>;
  };

  return {
    map: <M extends MapName>(name: M): MapHandle<M> => mapOf(name),
    header(slot) {
      return backendHeader.decode(mapOf('endpoint').bytes(slot) ?? new Uint8Array(backendHeader.size));
    },
    via(slot) {
      return backendVia.decode(mapOf('endpoint').bytes(slot) ?? new Uint8Array(backendVia.size));
    },
    ports(slot) {
      return viaPorts.decode(mapOf('endpoint').bytes(slot) ?? new Uint8Array(viaPorts.size));
    },
    reasons() {
      const counts = new Map<Reason, bigint>();
      reasons.forEach((reason, i) => {
        counts.set(reason, mapOf('reason').get(i as KeyOf<'reason'>) ?? 0n);
      });
      return counts;
    },
    async grace() {
      graces++;
      await new Promise<void>((resolve) => setImmediate(resolve));
    },
    sockets: () => [...sockets],
    olderSockets: () => [...older],
    sweepUdp() {
      sweeps++;
      return destroyed;
    },
    setUdpHooks(on) {
      udpHooks = on;
    },
    async nextMisses() {
      if (!missesRead) {
        missesRead = true;
        missed.length = 0;
        for (const [addr, value] of mapOf('miss').entries())
          if (value.state === missState.asked) missed.push({ addr, ...value });
      }
      if (missed.length === 0 && !closed) {
        await new Promise<void>((resolve) => {
          missWaiter = resolve;
        });
      }
      return missed.splice(0);
    },
    enforced: () => new Map([...judged].map((netns) => [netns, []])),
    keepEnforced(wanted) {
      const now = new Set(wanted.values());
      const attached = [...now].filter((netns) => !judged.has(netns)).length;
      const removed = [...judged].filter((netns) => !now.has(netns)).length;
      judged = now;
      return { attached, removed, moved: new Map(), faults: [] };
    },
    denied: () => deniedIn,
    handshakes: (netns) => judged.has(netns) && handshakesIn.has(netns),
    recheck: (netns) => [...netns].filter((inode) => judged.has(inode)).flatMap(rechecked),
    denials: () => denied.splice(0),
    close() {
      closed = true;
      missWaiter?.();
    },
    deny(record) {
      denied.push(record);
    },
    setDenied(netns) {
      deniedIn = new Set(netns);
    },
    setHandshakes(netns) {
      handshakesIn = new Set(netns);
    },
    setRecheck(found) {
      rechecked = found;
    },
    miss(record) {
      mapOf('miss').put([[record.addr, { since_ns: record.since_ns, state: record.state }]]);
      missed.push(record);
      missWaiter?.();
    },
    setSockets(records) {
      sockets = records;
    },
    setOlderSockets(records) {
      older = records;
    },
    setSweep(count) {
      destroyed = count;
    },
    failNext: (map, errno, after = 0) => mapOf(map).failNext(errno, after),
    get udpHooks() {
      return udpHooks;
    },
    get graces() {
      return graces;
    },
    get sweeps() {
      return sweeps;
    },
  };
}
