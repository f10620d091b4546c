// SPDX-License-Identifier: Apache-2.0
// What a reconciler takes and gives.
import type { ValueOfMap } from '../abi/maps.ts';
import type { NameKind } from '../abi/structs.ts';
import type { AuthzIndex } from '../compile/authz/compile.ts';
import type { Enforcement } from '../compile/authz/enforcement.ts';
import type { AuthzOptions } from '../compile/authz/holding.ts';
import type { AuthzRefusal } from '../compile/authz/image.ts';
import type { OnMiss } from '../compile/image.ts';
import type { LimitedMap, MapFill } from '../compile/limited-maps.ts';
import type { Refusal } from '../compile/plan.ts';
import type { Wanted, WantedBackend } from '../compile/wanted.ts';
import type { KmeshError } from '../errors.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import type { Change, Model, NodeView } from '../mesh/model.ts';
import type { Table } from '../mesh/table.ts';
import type { Address } from '../net/address.ts';
import type { Difference } from './drift.ts';
import type { Fills } from './fill-watch.ts';

export interface ReconcilerOptions {
  readonly plane: DataPlane;
  readonly view: NodeView;
  /**
   * Called before each piece of work that touches the kernel, `leave` after it. May give another data plane when the pins were replaced
   * meanwhile. What it throws counts as a failure to write.
   */
  readonly enter?: (plane: DataPlane) => Promise<Entered>;
  /** What becomes of connections to what is not known (default: nothing is asked for). */
  readonly onMiss?: OnMiss | undefined;
  /** Which pods are judged, and how; absent: none are. */
  readonly authz?: AuthzSource | undefined;
  /** How long a repair waits at first before it tries again after changes that came in between (default 250 ms). */
  readonly repairPauseMs?: number;
  /** A map is 80 % full, or something did not fit into it: once each time it comes to that. */
  readonly onNearlyFull?: (map: LimitedMap, fill: MapFill) => void;
  /** The kernel could not be brought to what is wanted, or could be again (undefined). */
  readonly onError?: (error: KmeshError | undefined) => void;
  /** After every batch and every repair that wrote something, before `leave`. */
  readonly onBatch?: (outcome: Outcome) => void;
}

export interface AuthzSource {
  readonly options: AuthzOptions;
  /** What is enrolled now. Called at the begin of each batch, when nobody else enrols: cheap when nothing changed. */
  read(plane: DataPlane): EnforcementNow;
}

export interface EnforcementNow {
  /** The same object as before while it says the same. */
  readonly enforcement: Enforcement;
  /** The map pod_address as it was read with it. */
  readonly pods: readonly (readonly [Address, ValueOfMap<'pod_address'>])[];
}

/** Leave to touch the kernel. */
export interface Entered {
  readonly plane: DataPlane;
  leave(): void;
}

/** What came of a batch of changes, or of all batches of a submission. */
export interface Outcome {
  /** Entries written or deleted, others' in the same batches included. */
  readonly operations: number;
  /** Everything that does not fit now, of this batch or an earlier one. */
  readonly refused: readonly Refusal[];
  /** The kernel could not be written: what is wanted is tried again with the next batch or repair. */
  readonly error: KmeshError | undefined;
  /** Verdicts on connections may be others now. */
  readonly judged: boolean;
}

export interface ReconcilerStatus {
  /** The first replaceAll was taken up. */
  readonly started: boolean;
  readonly batches: number;
  /** Differences that repair() put right so far. */
  readonly repairs: number;
  readonly refused: readonly Refusal[];
  /** Verdicts that are not as wanted: those of before stand. */
  readonly refusedVerdicts: readonly AuthzRefusal[];
  readonly error: KmeshError | undefined;
  /** Ids that wait for their last user to end. */
  readonly idleIds: number;
  /** Whether the UDP hooks were attached or detached; undefined before either. */
  readonly udpHooks: boolean | undefined;
}

/** What is wanted; its backends as a table, which tells what changed since another. */
export interface WantedNow extends Wanted {
  readonly backends: Table<WantedBackend>;
}

export interface Reconciler {
  readonly model: Model;
  readonly view: NodeView;
  /** What is judged with, of pods that are. */
  readonly authz: AuthzIndex;
  /** All that is wanted in the kernel now. */
  wanted(): WantedNow;
  /**
   * Applies changes. A long list goes in parts, and shorter ones that come meanwhile go in between; a later change takes the place of one
   * of the same name that still waits. Resolves when all were carried out or gave way. Nothing is written before the first replaceAll.
   */
  submit(changes: readonly Change[]): Promise<Outcome>;
  /** These changes alone are the model from now on, in one piece: whatever else the kernel holds goes. */
  replaceAll(changes: readonly Change[]): Promise<Outcome>;
  /** Another view of the node: everything is compiled again. */
  setView(view: NodeView): Promise<Outcome>;
  /** Reads the whole kernel and says how it differs from what is wanted. Nothing before the first replaceAll. */
  compare(): Promise<readonly Difference[]>;
  /** The same, and puts right what can be. What was different. While changes keep coming it seeks a quiet moment, for about a minute. */
  repair(): Promise<readonly Difference[]>;
  /** Frees ids that nothing names any more; how many. To be called every few seconds. */
  reclaim(): Promise<number>;
  /** Runs `change` while nothing else touches the maps, and goes on with the data plane that it resolves to. */
  swap(change: (plane: DataPlane) => Promise<DataPlane>): Promise<Outcome>;
  /** False until the kernel was read. */
  readonly known: boolean;
  /** The id by which the kernel knows a name; undefined for one it does not know, and before it was read. */
  idOf(kind: NameKind, name: string): number | undefined;
  nameOf(kind: NameKind, id: number): string | undefined;
  names(kind: NameKind): Iterable<readonly [name: string, id: number]>;
  /** Before the kernel was read: undefined. */
  fill(): Fills | undefined;
  status(): ReconcilerStatus;
  /** Resolves when nothing is under way, grace periods included. */
  idle(): Promise<void>;
  /** Stops at the next pause and waits for it; the kernel stays as it is then. */
  close(): Promise<void>;
}
