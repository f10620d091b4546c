// SPDX-License-Identifier: Apache-2.0
// Keeps the kernel at what the model says: changes in, operations out, one batch after the other.

import type { NameKind } from '../abi/structs.ts';
import { type CompileIndex, compileTouched, emptyIndex, wantedOf } from '../compile/compile.ts';
import type { LimitedMap, MapFill } from '../compile/image.ts';
import type { Refusal } from '../compile/plan.ts';
import type { Wanted, WantedDelta } from '../compile/wanted.ts';
import { KmeshError } from '../errors.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import { apply, emptyModel } from '../mesh/apply.ts';
import type { Change, Model, NodeView, Touched } from '../mesh/model.ts';
import { type Difference, differencesOf } from './drift.ts';
import type { Fills } from './fill-watch.ts';
import { openWriter, type Survey } from './kernel-writer.ts';
import { nothing } from './refused.ts';
import { serial } from './serial.ts';

export interface ReconcilerOptions {
  readonly plane: DataPlane;
  readonly view: NodeView;
  /**
   * Called before each piece of work that touches the kernel, `leave` after it. May give another data plane when the pins were replaced
   * meanwhile. What it throws counts as a failure to write.
   */
  readonly enter?: (plane: DataPlane) => Promise<Entered>;
  /** A map is 80 % full, or something did not fit into it: once each time it comes to that. */
  readonly onNearlyFull?: (map: LimitedMap, fill: MapFill) => void;
  /** The kernel could not be brought to what is wanted, or could be again (undefined). */
  readonly onError?: (error: KmeshError | undefined) => void;
  /** After every batch and every repair that wrote something, before `leave`. */
  readonly onBatch?: (outcome: Outcome) => void;
}

/** Leave to touch the kernel. */
export interface Entered {
  readonly plane: DataPlane;
  leave(): void;
}

/** What came of a batch of changes. */
export interface Outcome {
  /** Entries written or deleted. */
  readonly operations: number;
  /** Everything that does not fit now, of this batch or an earlier one. */
  readonly refused: readonly Refusal[];
  /** The kernel could not be written: what is wanted is tried again with the next batch or repair. */
  readonly error: KmeshError | undefined;
}

export interface ReconcilerStatus {
  /** The first replaceAll was taken up. */
  readonly started: boolean;
  readonly batches: number;
  /** Differences that repair() put right so far. */
  readonly repairs: number;
  readonly refused: readonly Refusal[];
  readonly error: KmeshError | undefined;
  /** Ids that wait for their last user to end. */
  readonly idleIds: number;
  /** Whether the UDP hooks were attached or detached; undefined before either. */
  readonly udpHooks: boolean | undefined;
}

export interface Reconciler {
  readonly model: Model;
  readonly view: NodeView;
  /** All that is wanted in the kernel now. */
  wanted(): Wanted;
  /** Applies changes; those that come while a batch is carried out go together into the next. Nothing is written before the first replaceAll. */
  submit(changes: readonly Change[]): Promise<Outcome>;
  /** These changes alone are the model from now on: whatever else the kernel holds goes. */
  replaceAll(changes: readonly Change[]): Promise<Outcome>;
  /** Another view of the node: everything is compiled again. */
  setView(view: NodeView): Promise<Outcome>;
  /** Reads the whole kernel and says how it differs from what is wanted. Nothing before the first replaceAll. */
  compare(): Promise<readonly Difference[]>;
  /** The same, and puts right what can be. What was different. */
  repair(): Promise<readonly Difference[]>;
  /** Frees ids that nothing names any more; how many. To be called every few seconds. */
  reclaim(): Promise<number>;
  /** Runs `change` while nothing else touches the maps, and goes on with the data plane that it resolves to. */
  swap(change: (plane: DataPlane) => Promise<DataPlane>): Promise<Outcome>;
  /** The id by which the kernel knows a name; undefined for one it does not know, and before it was read. */
  idOf(kind: NameKind, name: string): number | undefined;
  names(kind: NameKind): Iterable<readonly [name: string, id: number]>;
  /** Before the kernel was read: undefined. */
  fill(): Fills | undefined;
  status(): ReconcilerStatus;
  /** Resolves when nothing is under way, grace periods included. */
  idle(): Promise<void>;
  /** Stops at the next pause and waits for it; the kernel stays as it is then. */
  close(): Promise<void>;
}

/** A comparison makes way for changes that often, then it is finished first. */
const mostPostponed = 3;

function asError(error: unknown): KmeshError {
  if (error instanceof KmeshError) return error;
  return new KmeshError('KM_INTERNAL', error instanceof Error ? error.message : String(error), { cause: error });
}

/** A reconciler that has done nothing yet. */
export function openReconciler(options: ReconcilerOptions): Reconciler {
  let { view } = options;
  let model: Model = emptyModel;
  let index: CompileIndex = emptyIndex;
  let started = false;
  let error: KmeshError | undefined;
  let repairs = 0;
  let batches = 0;

  let pending: Change[] = [];
  let replacement: readonly Change[] | undefined;
  let recompile = false;
  let queued: Promise<Outcome> | undefined;
  const work = serial();
  const stopping = new AbortController();
  const { signal } = stopping;

  const fail = (cause: unknown): void => {
    error = asError(cause);
    if (!signal.aborted) options.onError?.(error);
  };
  const recover = (): void => {
    if (error) options.onError?.(undefined);
    error = undefined;
  };

  const writer = openWriter({
    plane: options.plane,
    signal,
    alone: (then) => void work.run(() => inside(then)).catch(fail),
    onRoom: () => void enqueue(),
    onNearlyFull: options.onNearlyFull,
    onFailure: fail,
  });

  /** Applies and compiles what is pending. */
  const take = (): WantedDelta => {
    const [changes, all] = [pending, replacement];
    let touched: Touched | 'everything' | undefined = recompile || all ? 'everything' : undefined;
    pending = [];
    replacement = undefined;
    // Until it is compiled: after a failure nothing that was touched is forgotten.
    recompile = true;
    if (all) {
      model = apply(emptyModel, all).model;
      started = true;
    }
    if (changes.length > 0) {
      const applied = apply(model, changes);
      model = applied.model;
      touched ??= applied.touched;
    }
    if (!started) return nothing;
    const compiled = touched && compileTouched(index, model, view, touched);
    recompile = false;
    if (!compiled) return nothing;
    index = compiled.index;
    return compiled.delta;
  };

  /** A piece of work on the kernel. Pins that were replaced are read and brought up to what is wanted. */
  const inside = async <T>(piece: () => Promise<T>): Promise<T> => {
    const entered = await options.enter?.(writer.plane);
    try {
      if (entered && entered.plane !== writer.plane) {
        writer.use(entered.plane);
        void enqueue();
      }
      return await piece();
    } finally {
      entered?.leave();
    }
  };

  const tell = (operations: number): Outcome => {
    const outcome = { operations, refused: writer.refused, error };
    options.onBatch?.(outcome);
    return outcome;
  };

  const batch = async (): Promise<Outcome> => {
    let operations = 0;
    try {
      const delta = take();
      if (started && !signal.aborted) {
        operations = await writer.bring(delta, wantedOf(index)).catch((cause: unknown) => {
          if (signal.aborted) throw cause;
          fail(cause);
          // Once more from what the kernel really holds.
          return writer.bring(nothing, wantedOf(index));
        });
        batches++;
        recover();
      }
    } catch (cause) {
      fail(cause);
    }
    return tell(operations);
  };

  const enqueue = (): Promise<Outcome> => {
    queued ??= work.run(async () => {
      queued = undefined;
      try {
        return await inside(batch);
      } catch (cause) {
        // Not even entered: what is pending stays so.
        fail(cause);
        return { operations: 0, refused: writer.refused, error };
      }
    });
    return queued;
  };

  /** Hands a survey to `then` while nothing else is under way. Changes that wait go first, but only so often. */
  const surveyed = async <T>(none: T, then: (survey: Survey) => Promise<T> | T): Promise<T> => {
    for (let tries = 0; !signal.aborted; tries++) {
      const stop = (): boolean => signal.aborted || (queued !== undefined && tries < mostPostponed);
      const result = await work.run(() =>
        inside(async () => {
          if (!started) return { value: none };
          const survey = await writer.survey(wantedOf(index), stop);
          return survey && { value: await then(survey) };
        }),
      );
      if (result) return result.value;
      await queued;
    }
    return none;
  };

  return {
    get model() {
      return model;
    },
    get view() {
      return view;
    },
    wanted: () => wantedOf(index),
    submit(changes) {
      for (const change of changes) pending.push(change);
      return enqueue();
    },
    replaceAll(changes) {
      replacement = changes;
      pending = [];
      return enqueue();
    },
    setView(next) {
      view = next;
      recompile = true;
      return enqueue();
    },
    compare: () => surveyed<readonly Difference[]>([], ({ plan }) => differencesOf(plan)),
    repair: () =>
      surveyed<readonly Difference[]>([], async (survey) => {
        const found = differencesOf(survey.plan);
        await writer.adopt(survey).catch((cause: unknown) => {
          fail(cause);
          throw cause;
        });
        repairs += found.filter((d) => d.state !== 'refused').length;
        recover();
        if (survey.plan.ops.length > 0) tell(survey.plan.ops.length);
        return found;
      }),
    reclaim: () =>
      work.run(() =>
        inside(async () => {
          const freed = await writer.release();
          if (freed > 0 && writer.refused.length > 0) void enqueue();
          return freed;
        }),
      ),
    swap: (change) =>
      work.run(() =>
        inside(async () => {
          await writer.graces();
          writer.use(await change(writer.plane));
          return batch();
        }),
      ),
    idOf: writer.idOf,
    names: writer.names,
    fill: () => writer.fill(),
    status: () => ({
      started,
      batches,
      repairs,
      refused: writer.refused,
      error,
      idleIds: writer.idleIds,
      udpHooks: writer.udpHooks,
    }),
    async idle() {
      // A batch may leave something to a grace period, and what comes after that may queue a batch.
      while (work.busy || writer.waiting) {
        await work.idle();
        await writer.graces();
      }
    },
    async close() {
      stopping.abort();
      await work.idle();
    },
  };
}
