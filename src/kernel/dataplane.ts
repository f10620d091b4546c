// SPDX-License-Identifier: Apache-2.0
// The kernel as the rest of the program sees it. memory.ts and pinned.ts implement it and pass the same contract suite.
import type { KeyOf, MapName, ValueOfMap } from '../abi/maps.ts';
import type { Reason } from '../abi/reasons.ts';
import type {
  backendHeader,
  backendVia,
  denialRecord,
  missRecord,
  oldRecord,
  sockRecord,
  viaPorts,
} from '../abi/structs.ts';
import type { KmeshError } from '../errors.ts';
import type { HostSide } from './pod-network.ts';

export type HeaderSlot = ReturnType<typeof backendHeader.decode>;
export type ViaSlot = ReturnType<typeof backendVia.decode>;
export type PortsSlot = ReturnType<typeof viaPorts.decode>;
export type SockRecord = ReturnType<typeof sockRecord.decode>;
export type OldRecord = ReturnType<typeof oldRecord.decode>;
export type MissRecord = ReturnType<typeof missRecord.decode>;
export type Denial = ReturnType<typeof denialRecord.decode>;

/** Values that may be written: endpoint slots take a header or what follows the endpoints, too. */
export type WritableValue<M extends MapName> = M extends 'endpoint'
  ? ValueOfMap<M> | HeaderSlot | ViaSlot | PortsSlot
  : ValueOfMap<M>;

/** One map. Every failure is a KmeshError (KM_MAP, KM_MAP_FULL) naming map, operation and errno. */
export interface MapHandle<M extends MapName> {
  readonly name: M;
  readonly maxEntries: number;
  get(key: KeyOf<M>): ValueOfMap<M> | undefined;
  /** Writes all, in order, by one batch where the kernel has it; on failure says how many were written. */
  put(entries: readonly (readonly [KeyOf<M>, WritableValue<M>])[]): void;
  /** Deletes those that exist; missing ones are no fault. Arrays: writes zeros. */
  delete(keys: readonly KeyOf<M>[]): void;
  /** Everything (arrays: only non-zero entries, and only indexes less than `below`), read in batches; not a snapshot. */
  entries(below?: number): IterableIterator<[KeyOf<M>, ValueOfMap<M>]>;
  /** The same in parts, each what one read of the kernel gave (maybe nothing), to be used up before the next. */
  parts(below?: number): IterableIterator<Iterable<[KeyOf<M>, ValueOfMap<M>]>>;
  /** Number of entries (arrays: non-zero ones). */
  count(): number;
}

/** What keepEnforced did. */
export interface Kept {
  /** Namespaces where something was attached. */
  readonly attached: number;
  /** Namespaces of which all was taken off. */
  readonly removed: number;
  /** Cgroups whose namespace is gone and whose processes are in another one, which is judged now: its inode. To be written down. */
  readonly moved: ReadonlyMap<bigint, bigint>;
  /** One for each cgroup that could not be helped. */
  readonly faults: readonly KmeshError[];
}

export interface DataPlane {
  map<M extends MapName>(name: M): MapHandle<M>;
  /** An endpoint slot read as a header. */
  header(slot: number): HeaderSlot;
  /** An endpoint slot read as what says which waypoint comes before a backend. */
  via(slot: number): ViaSlot;
  /** An endpoint slot read as ports that it lists. */
  ports(slot: number): PortsSlot;
  /** Reason counters summed over CPUs. */
  reasons(): ReadonlyMap<Reason, bigint>;
  /** Resolves once every program run that had begun has ended. Never blocks the event loop. */
  grace(): Promise<void>;
  /** Socket storage of every mesh socket. */
  sockets(): SockRecord[];
  /** Destroys connected UDP sockets whose endpoint left its backend, in the netns of every enrolled cgroup. How many. */
  sweepUdp(): number;
  /** TCP connections and UDP sockets of enrolled cgroups that were made before enrolment and are not in the mesh. */
  olderSockets(): OldRecord[];
  /** Attaches (true) or detaches the UDP hooks (sendmsg, recvmsg): they cost every UDP sender on the node. */
  setUdpHooks(on: boolean): void;
  /**
   * Addresses that programs want asked for; at first all that no answer was written for yet. Waits for some, but resolves with none every
   * few seconds, for whoever has to look around, and at once after close(). One call at a time. An address may come more than once.
   */
  nextMisses(): Promise<readonly MissRecord[]>;
  /** Pods whose inbound connections are judged, by the inode of their network namespace: devices whose packets must be the pod's own. */
  enforced(): ReadonlyMap<bigint, readonly HostSide[]>;
  /**
   * Makes these the namespaces where connections are judged: their inodes, by enrolled cgroup. Attaches what is missing where a process of
   * the cgroup is, takes off all else. Cheap when there is nothing to do. The caller holds the lock.
   */
  keepEnforced(wanted: ReadonlyMap<bigint, bigint>): Kept;
  /**
   * Namespaces with open inbound connections that are denied now: one walk over sockets in the mesh, where recheck() walks all sockets of the
   * machine for each. Connections older than the enrolment are among them once recheck() has been there.
   */
  denied(): ReadonlySet<bigint>;
  /** True while a handshake is under way there that a peer began: denied() cannot tell of those. False where nobody is judged. */
  handshakes(netns: bigint): boolean;
  /**
   * Judges the open inbound connections in these namespaces again, and handshakes under way, and destroys what is denied now: that. Those not
   * enforced are left out.
   */
  recheck(netns: Iterable<bigint>): Denial[];
  /** Denied connections since the last call. One process may ask. */
  denials(): Denial[];
  close(): void;
}
