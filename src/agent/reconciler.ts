// SPDX-License-Identifier: Apache-2.0
// Keeps the kernel at what the model says: changes in, operations out, one batch after the other.
import { setTimeout as pause } from 'node:timers/promises';
import { type AuthzIndex, compilingAuthz, noAuthz, nothingAuthz } from '../compile/authz/compile.ts';
import { noEnforcement } from '../compile/authz/enforcement.ts';
import { defaultAuthzOptions } from '../compile/authz/holding.ts';
import { type CompileIndex, compiling, emptyIndex, wantedOf } from '../compile/compile.ts';
import type { WantedDelta } from '../compile/wanted.ts';
import { KmeshError, messageOf } from '../errors.ts';
import { applying, emptyModel, modelOf } from '../mesh/apply.ts';
import type { Change, Model } from '../mesh/model.ts';
import { type Difference, differencesOf, verdictDifferencesOf } from './drift.ts';
import { type AuthzWork, openWriter, type Survey } from './kernel-writer.ts';
import type { EnforcementNow, Outcome, Reconciler, ReconcilerOptions } from './reconciler-api.ts';
import { nothing } from './refused.ts';
import { serial } from './serial.ts';
import { breath, inTurns, shortenSlices, sliceIsOver, untilStopped } from './slices.ts';
import { openWaiting } from './waiting.ts';
import type { Ticket } from './waiting-ledger.ts';
import type { Part } from './waiting-part.ts';

/** Somebody who waits for an outcome. */
interface Submitted extends Ticket {
  operations: number;
  resolve(outcome: Outcome): void;
}

/** What is to be brought into the kernel next, and whose it is. */
interface Taken {
  readonly part: Part;
  readonly delta: WantedDelta;
  readonly authz: AuthzWork;
}

const untouched = { workloads: new Set<string>(), policies: new Set<string>() };

/** So many batches of short lists go before the next part of a long one. */
const mostInARow = 4;
/** A part of a long list should take so many milliseconds: what is urgent waits for half of that on average. */
const partMs = 1;

/** How much of a long list goes at once, by what it took before. */
function openPace() {
  let work = 64;
  return {
    get work() {
      return work;
    },
    took(done: number, ms: number): void {
      const fits = (done * partMs) / Math.max(ms, 0.1);
      work = Math.round(Math.min(4096, Math.max(16, (work + fits) / 2)));
    },
  };
}

/** A comparison makes way for changes that often, then it is finished first: all of them wait for it. */
const mostPostponed = 3;
/** Nobody waits for a repair: it seeks a quiet moment for about a minute, waiting twice as long each time. */
const mostRepairsPostponed = 8;
const usualRepairPauseMs = 250;

function asError(error: unknown): KmeshError {
  if (error instanceof KmeshError) return error;
  return new KmeshError('KM_INTERNAL', messageOf(error), { cause: error });
}

/** A reconciler that has done nothing yet. */
export function openReconciler(options: ReconcilerOptions): Reconciler {
  let { view } = options;
  let model: Model = emptyModel;
  let index: CompileIndex = emptyIndex;
  let authz: AuthzIndex = noAuthz;
  /** What it was compiled for. */
  let enforcing: EnforcementNow = { enforcement: noEnforcement, pods: [] };
  let started = false;
  let error: KmeshError | undefined;
  let repairs = 0;
  let batches = 0;

  let replacement: readonly Change[] | undefined;
  let recompile = false;
  let queued: Promise<void> | undefined;
  /** Batches of short lists since the last part of a long one. */
  let shortInARow = 0;
  const pace = openPace();
  const seldom = { most: mostRepairsPostponed, pauseMs: options.repairPauseMs ?? usualRepairPauseMs };
  const authzOptions = options.authz?.options ?? defaultAuthzOptions;
  /** Told after the next batch that begins, whatever it is; and after the one that is under way. */
  let calling: Submitted[] = [];
  let watching: Submitted[] = [];
  /** All that were not told yet. */
  const submitted = new Set<Submitted>();
  const waiting = openWaiting((ticket) => void watching.push(ticket as Submitted));
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
    alone: (then) => {
      // A grace period may end behind close(): then nobody may go in any more.
      if (!signal.aborted) void work.run(() => inside(then)).catch(fail);
    },
    hurry: () => waiting.urgent,
    onRoom: () => enqueue(),
    onJudged: () => void tell(0),
    onMiss: options.onMiss,
    onNearlyFull: options.onNearlyFull,
    onFailure: fail,
  });

  /** What is to be done next: all of it, or of long lists a part. */
  const choose = (): 'all' | 'urgent' | 'bulk' => {
    // What moved the node may be among what waits: seen from there, things must be as they are there.
    if (recompile) return 'all';
    return waiting.urgent && (shortInARow < mostInARow || !waiting.bulk) ? 'urgent' : 'bulk';
  };

  /** Applies and compiles what is next. The model and the index change in one step at the end; after a failure it waits again. */
  const take = async (): Promise<Taken> => {
    const [all, anew, at] = [replacement, recompile, view];
    const now = options.authz?.read(writer.plane) ?? enforcing;
    const lane = choose();
    watching.push(...calling);
    calling = [];
    replacement = undefined;
    recompile = false;
    let part: Part = { changes: [], tickets: new Map(), work: 0 };
    try {
      let next = model;
      if (all) next = await untilStopped(modelOf(all), signal);
      else part = await inTurns(waiting.take(model, lane, pace.work));
      shortInARow = lane === 'urgent' ? shortInARow + 1 : 0;
      const applied = part.changes.length > 0 ? await untilStopped(applying(next, part.changes), signal) : undefined;
      next = applied?.model ?? next;
      const touched = all || anew ? 'everything' : applied?.touched;
      const begun = started || all !== undefined;
      const compiled = begun && touched ? await untilStopped(compiling(index, next, at, touched), signal) : undefined;
      const judging = {
        ...{ model: next, view: at, enforcement: now.enforcement, options: authzOptions },
        kernelAsks: writer.asks,
      };
      const verdicts = begun
        ? await untilStopped(compilingAuthz(authz, judging, touched ?? untouched), signal)
        : { index: authz, delta: nothingAuthz };
      model = next;
      index = compiled?.index ?? index;
      authz = verdicts.index;
      started = begun;
      const pods = now === enforcing ? undefined : now.pods;
      enforcing = now;
      return { delta: compiled?.delta ?? nothing, part, authz: { ...verdicts, pods } };
    } catch (cause) {
      // What was to be replaced as a whole meanwhile is void.
      if (!replacement) waiting.putBack(part);
      replacement ??= all;
      recompile ||= anew;
      throw cause;
    }
  };

  /** A piece of work on the kernel. Pins that were replaced are read and brought up to what is wanted. */
  const inside = async <T>(piece: () => Promise<T>): Promise<T> => {
    const entered = await options.enter?.(writer.plane);
    try {
      if (entered && entered.plane !== writer.plane) {
        writer.use(entered.plane);
        enqueue();
      }
      return await piece();
    } finally {
      entered?.leave();
    }
  };

  const tell = (operations: number): Outcome => {
    const outcome = { operations, refused: writer.refused, error, judged: writer.takeJudged() };
    options.onBatch?.(outcome);
    return outcome;
  };

  /** Tells all whose changes are carried out; after a failure everybody: what they asked for is tried again with the next batch. */
  const settle = (part: Part | undefined, outcome: Outcome): void => {
    const { operations } = outcome;
    for (const [ticket, count] of part?.tickets ?? []) {
      const one = ticket as Submitted;
      one.operations += operations;
      one.left -= count;
      if (one.left === 0) watching.push(one);
    }
    const done = error || signal.aborted ? [...submitted] : watching;
    watching = [];
    for (const one of done) {
      submitted.delete(one);
      one.resolve({ ...outcome, operations: one.operations || operations });
    }
  };

  const batch = async (): Promise<Outcome> => {
    let operations = 0;
    let part: Part | undefined;
    const begun = performance.now();
    try {
      const taken = await take();
      part = taken.part;
      if (started && !signal.aborted) {
        operations = await writer.bring(taken.delta, wantedOf(index), taken.authz).catch((cause: unknown) => {
          if (signal.aborted) throw cause;
          fail(cause);
          // Once more from what the kernel really holds.
          return writer.bring(nothing, wantedOf(index), taken.authz);
        });
        batches++;
        shortenSlices();
        if (shortInARow === 0 && part.work > 0) pace.took(part.work, performance.now() - begun);
        recover();
      }
    } catch (cause) {
      fail(cause);
    }
    const outcome = tell(operations);
    settle(part, outcome);
    if (!outcome.error && !signal.aborted && !waiting.empty) enqueue();
    return outcome;
  };

  const enqueue = (): void => {
    queued ??= work.run(async () => {
      // Whatever came in between counts too.
      if (sliceIsOver()) await breath();
      queued = undefined;
      try {
        await inside(batch);
      } catch (cause) {
        // Not even entered: what waits stays so.
        fail(cause);
        settle(undefined, { operations: 0, refused: writer.refused, error, judged: false });
      }
    });
  };

  /** Resolves with what comes of `changes`, or of the next batch if there are none. */
  const enlist = (changes: readonly Change[]): Promise<Outcome> =>
    new Promise((resolve) => {
      const one: Submitted = { left: changes.length, operations: 0, resolve };
      submitted.add(one);
      if (changes.length > 0) waiting.add(changes, one);
      else calling.push(one);
      enqueue();
    });

  /** Hands a survey to `then` while nothing else is under way. Changes that wait go first, but only so often. */
  const surveyed = async <T>(
    none: T,
    { most, pauseMs }: { readonly most: number; readonly pauseMs: number },
    then: (survey: Survey) => Promise<T> | T,
  ): Promise<T> => {
    for (let tries = 0; !signal.aborted; tries++) {
      const stop = (): boolean => signal.aborted || (queued !== undefined && tries < most);
      const result = await work.run(() =>
        inside(async () => {
          if (!started) return { value: none };
          // What was enrolled meanwhile would look like a stray.
          if (options.authz && options.authz.read(writer.plane) !== enforcing) await batch();
          const survey = await writer.survey(wantedOf(index), authz, stop);
          return survey && { value: await then(survey) };
        }),
      );
      if (result) return result.value;
      await queued;
      if (pauseMs > 0) await pause(pauseMs * 2 ** tries, undefined, { signal, ref: false }).catch(() => {});
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
    get authz() {
      return authz;
    },
    wanted: () => ({ ...wantedOf(index), backends: index.backends }),
    submit: enlist,
    replaceAll(changes) {
      replacement = changes;
      waiting.clear();
      calling = [...submitted];
      return enlist([]);
    },
    setView(next) {
      view = next;
      recompile = true;
      return enlist([]);
    },
    compare: () =>
      surveyed<readonly Difference[]>([], { most: mostPostponed, pauseMs: 0 }, async (survey) => {
        const verdicts = await writer.planAuthz(survey, authz);
        return [...differencesOf(survey.plan), ...verdictDifferencesOf(verdicts)];
      }),
    repair: () =>
      surveyed<readonly Difference[]>([], seldom, async (survey) => {
        const verdicts = await writer.adopt(survey, authz).catch((cause: unknown) => {
          fail(cause);
          throw cause;
        });
        const found = [...differencesOf(survey.plan), ...verdictDifferencesOf(verdicts)];
        repairs += found.filter((d) => d.state !== 'refused').length;
        recover();
        const operations = survey.plan.ops.length + verdicts.ops.length;
        if (operations > 0) tell(operations);
        return found;
      }),
    reclaim: () =>
      work.run(() =>
        inside(async () => {
          const freed = await writer.release();
          if (freed > 0 && writer.refused.length + writer.refusedVerdicts.length > 0) enqueue();
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
    get known() {
      return writer.known;
    },
    idOf: writer.idOf,
    nameOf: writer.nameOf,
    names: writer.names,
    fill: () => writer.fill(),
    status: () => ({
      started,
      batches,
      repairs,
      refused: writer.refused,
      refusedVerdicts: writer.refusedVerdicts,
      error,
      idleIds: writer.idleIds,
      udpHooks: writer.udpHooks,
    }),
    async idle() {
      // A batch may leave something to a grace period, and what comes after that may queue a batch.
      while (work.busy || writer.waiting) {
        await work.idle();
        await writer.graces();
        await writer.sweeps();
      }
    },
    async close() {
      stopping.abort();
      await work.idle();
    },
  };
}
