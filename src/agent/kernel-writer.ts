// SPDX-License-Identifier: Apache-2.0
// The image and the kernel behind it: plans are carried out, what they free waits for its grace period, ids for their last user.
import { setTimeout as pause } from 'node:timers/promises';
import type { ValueOfMap } from '../abi/maps.ts';
import type { NameKind } from '../abi/structs.ts';
import type { AuthzLeft } from '../compile/authz/commit.ts';
import { type AuthzDelta, type AuthzIndex, everythingAuthz, isNothing } from '../compile/authz/compile.ts';
import { type AuthzRefusal, kernelAsks, notePods } from '../compile/authz/image.ts';
import { type AuthzPlan, planningAuthz } from '../compile/authz/plan.ts';
import { releasingAuthz } from '../compile/authz/release.ts';
import { fillOf, type Image, type Leftovers, needsUdpHooks, type OnMiss, settle } from '../compile/image.ts';
import type { LimitedMap, MapFill } from '../compile/limited-maps.ts';
import type { AuthzOperation, Operation } from '../compile/operation.ts';
import { type Plan, planning, planningAll, type Refusal } from '../compile/plan.ts';
import { idleIds, planRelease } from '../compile/plan-release.ts';
import { readImage } from '../compile/read-image.ts';
import type { Wanted, WantedDelta } from '../compile/wanted.ts';
import { KmeshError } from '../errors.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import type { Address } from '../net/address.ts';
import { execute } from './execute.ts';
import { type Fills, fillWatch } from './fill-watch.ts';
import { graceQueue } from './grace.ts';
import { idsInUse } from './in-use.ts';
import { lacksRoom, nothing, withRefused } from './refused.ts';
import { givenUp, inSlices, inTurns, untilStopped } from './slices.ts';

export interface WriterOptions {
  readonly plane: DataPlane;
  /** Stops between two slices. */
  readonly signal: AbortSignal;
  /** Runs `work` while no other method of the writer is under way. */
  readonly alone: (work: () => Promise<void>) => void;
  /** Something waits that should not wait for long. */
  readonly hurry: () => boolean;
  /** Room was freed while something is refused. */
  readonly onRoom: () => void;
  /** Verdicts are others, and nobody waits for them. */
  readonly onJudged: () => void;
  /** What becomes of connections to what is not known (default: nothing is asked for). */
  readonly onMiss?: OnMiss | undefined;
  readonly onNearlyFull: ((map: LimitedMap, fill: MapFill) => void) | undefined;
  readonly onFailure: (error: unknown) => void;
}

/** The kernel as it was read, and what would make it what is wanted. */
export interface Survey {
  readonly fresh: Image;
  readonly plan: Plan;
  /** Of verdicts; undefined: it has to wait until `plan` is carried out, as both may take the same ids. */
  readonly verdicts: AuthzPlan | undefined;
}

/** One method at a time, or the image and the kernel part. What fails leaves the image void: the next call reads the kernel. */
export interface KernelWriter {
  /** Brings `delta` into the kernel; everything that is wanted if the kernel has to be read first. Entries written or deleted. */
  bring(delta: WantedDelta, wanted: Wanted, authz: AuthzWork): Promise<number>;
  /** undefined: given up because `stop` said so. */
  survey(wanted: Wanted, index: AuthzIndex, stop: () => boolean): Promise<Survey | undefined>;
  /** What would make the verdicts of a survey what is wanted; not to be carried out. */
  planAuthz(survey: Survey, index: AuthzIndex): Promise<AuthzPlan>;
  /** Carries out a survey's plan and takes what it read as the image; then the same for verdicts, by the plan that it resolves to. */
  adopt(survey: Survey, index: AuthzIndex): Promise<AuthzPlan>;
  /** Frees idle ids that nothing names; how many. Stops half-way when something is in a hurry. */
  release(): Promise<number>;
  /** Goes on with another data plane, whose maps are read before anything is planned. */
  use(plane: DataPlane): void;
  readonly plane: DataPlane;
  /** The kernel was read: names without an id have none. */
  readonly known: boolean;
  /** Id by which the kernel knows a name. */
  idOf(kind: NameKind, name: string): number | undefined;
  nameOf(kind: NameKind, id: number): string | undefined;
  /** All names of a kind with their ids. */
  names(kind: NameKind): Iterable<readonly [name: string, id: number]>;
  fill(): Fills | undefined;
  /** Waits for grace periods, not for what is done after them. */
  graces(): Promise<void>;
  /** Waits for a walk over UDP sockets that is due, not for its end. */
  sweeps(): Promise<void>;
  /** Something waits for a grace period, or for that walk. */
  readonly waiting: boolean;
  readonly refused: readonly Refusal[];
  readonly refusedVerdicts: readonly AuthzRefusal[];
  /** What the kernel judges by asks who sources are. */
  readonly asks: boolean;
  /** Whether verdicts may be others than at the last call. */
  takeJudged(): boolean;
  readonly idleIds: number;
  readonly udpHooks: boolean | undefined;
}

/** What is wanted of verdicts. */
export interface AuthzWork {
  readonly index: AuthzIndex;
  readonly delta: AuthzDelta;
  /** The map pod_address, when others may have written it. */
  readonly pods: readonly (readonly [Address, ValueOfMap<'pod_address'>])[] | undefined;
}

/** A plan that was carried out, and what it freed. */
interface Done {
  readonly on: Image;
  readonly left?: Leftovers;
  readonly authz?: AuthzLeft;
  readonly udpEndpointsLeft: boolean;
}

/** Ids released at once: what is in a hurry waits for no more. */
const idsAtOnce = 256;
/** Between two walks over the UDP sockets of all pods: what a push takes away in many parts is looked for once. */
const sweepEveryMs = 100;
/** So many more idle ids than at the last look are released without being asked. */
const manyIdle = 4096;

const idleIn = (image: Image): number => Object.values(image.ids).reduce((sum, table) => sum + table.idleCount, 0);

export function openWriter(options: WriterOptions): KernelWriter {
  const { signal, alone, hurry, onRoom, onJudged, onFailure } = options;
  const { onMiss = 'off' } = options;
  let { plane } = options;
  let image: Image | undefined;
  /** The image is not what the kernel holds: it must be read before anything is planned. */
  let stale = true;
  let refused: readonly Refusal[] = [];
  let judged = false;
  /** Some pod is judged. */
  let judging = false;
  let udpHooks: boolean | undefined;
  let idleSeen = 0;
  const watch = fillWatch(options.onNearlyFull);
  const waiting = graceQueue(() => plane.grace(), onFailure);

  /** Replies to datagrams of judged pods are known by what they sent. */
  const needsHooks = (on: Image): boolean => judging || needsUdpHooks(on);
  const refusedVerdicts = (): readonly AuthzRefusal[] => image?.authz.refused ?? [];

  const setHooks = (on: boolean): void => {
    if (udpHooks === on) return;
    plane.setUdpHooks(on);
    udpHooks = on;
  };

  const read = async (stop?: () => boolean) => {
    // Ranges that nothing refers to are free only when no program can still be reading them.
    await plane.grace();
    const fresh = await inSlices(readImage(plane, image?.generation), stop);
    if (fresh !== givenUp) fresh.onMiss = onMiss;
    return fresh;
  };

  /** What was carried out before a grace period that has passed by now. */
  let settled: Done[] = [];
  /** Connected UDP sockets may still use endpoints that have left, and every program that chose one of these has ended. */
  let sweepDue = false;
  let sweptAt = Number.NEGATIVE_INFINITY;
  let sweepLater: Promise<void> | undefined;
  const sweep = (): void => {
    if (!sweepDue) return;
    const left = sweptAt + sweepEveryMs - performance.now();
    if (left > 0) {
      sweepLater ??= pause(left, undefined, { signal, ref: false }).then(
        () => {
          sweepLater = undefined;
          alone(async () => sweep());
        },
        // The next writer sweeps.
        () => {},
      );
      return;
    }
    sweepDue = false;
    plane.sweepUdp();
    sweptAt = performance.now();
  };
  const settleDone = async (): Promise<void> => {
    const done = settled;
    settled = [];
    for (const { on, left, authz } of done) {
      // Read anew meanwhile: in that image it is free already.
      if (left && image === on && !stale) await inTurns(settle(on, left));
      if (!authz || image !== on || stale) continue;
      const release = await inTurns(releasingAuthz(on, authz));
      await carry(release.ops);
      await inTurns(release.commit());
      stale = false;
      // Addresses that nobody owns any more.
      if (authz.sources.length > 0) {
        judged = true;
        onJudged();
      }
    }
    if (image && !stale && !needsHooks(image)) setHooks(false);
    // Not before the grace period: a program that was choosing just then could connect to an endpoint that has left.
    sweepDue ||= done.some((d) => d.udpEndpointsLeft);
    sweep();
  };

  const afterGrace = async (): Promise<void> => {
    if (settled.length === 0) return;
    await settleDone();
    const idle = image ? idleIn(image) : 0;
    idleSeen = Math.min(idleSeen, idle);
    if (idle - idleSeen >= manyIdle) await release(hurry);
    if (lacksRoom(refused) || refusedVerdicts().length > 0) onRoom();
  };

  /** The image is void until the caller says otherwise. */
  const carry = async (ops: Iterable<Operation | AuthzOperation>): Promise<void> => {
    stale = true;
    const { complete } = await execute(plane, ops, { signal, skipLastGrace: true });
    if (!complete) throw new KmeshError('KM_BUSY', 'stopped before everything was written');
  };

  /** The plan itself does not wait: dozens of them would grow old meanwhile. */
  const settleLater = (done: Done): void => {
    waiting.add(() => {
      settled.push(done);
      alone(afterGrace);
    });
  };

  const carryOut = async (on: Image, plan: Plan): Promise<void> => {
    if (plan.udpFrontends > 0 || needsHooks(on)) setHooks(true);
    await carry(plan.ops);
    const left = await inTurns(plan.commit());
    image = on;
    stale = false;
    refused = plan.refused;
    if (plan.frees) settleLater({ on, left, udpEndpointsLeft: plan.udpEndpointsLeft });
    else {
      if (!needsHooks(on)) setHooks(false);
      sweep();
    }
    watch.look(fillOf(on), [...plan.refused, ...on.authz.refused]);
  };

  const release = async (stop: () => boolean): Promise<number> => {
    if (!image || stale || idleIn(image) === 0) return 0;
    const on = image;
    const idle = idleIds(on, idsInUse(plane));
    for (let freed = 0; freed < idle.length; freed += idsAtOnce) {
      if (freed > 0 && stop()) return freed;
      const plan = planRelease(on, idle.slice(freed, freed + idsAtOnce));
      stale = true;
      const { complete } = await execute(plane, plan.ops, { signal });
      if (!complete) return freed;
      plan.commit();
      stale = false;
    }
    idleSeen = idleIn(on);
    return idle.length;
  };

  const carryOutAuthz = async (on: Image, plan: AuthzPlan): Promise<void> => {
    if (needsHooks(on)) setHooks(true);
    // Some may be written when it fails.
    judged ||= plan.sources || plan.destinations.length > 0;
    await carry(plan.ops);
    const authz = await inTurns(plan.commit());
    stale = false;
    if (plan.frees) settleLater({ on, authz, udpEndpointsLeft: false });
    watch.look(fillOf(on), [...refused, ...plan.refused]);
  };

  /** What waits for a grace period, and idle ids with their names, may be all the room that is missing. True: there is more now. */
  const makeRoom = async (): Promise<boolean> => {
    const waited = waiting.busy || settled.length > 0;
    await waiting.idle();
    await settleDone();
    return (await release(() => false)) > 0 || waited;
  };

  const bringAuthz = async (on: Image, everything: boolean, { index, delta, pods }: AuthzWork): Promise<number> => {
    if (pods && !everything) notePods(on.authz, pods, (address) => plane.map('authz_dest').get(address) !== undefined);
    if (!everything && !pods && isNothing(delta) && on.authz.refused.length === 0) return 0;
    let plan = await inTurns(planningAuthz(on, index, everything ? everythingAuthz : delta));
    let operations = 0;
    for (let tries = 0; ; tries++) {
      await carryOutAuthz(on, plan);
      operations += plan.ops.length;
      // What was refused is planned again by itself.
      if (plan.refused.length === 0 || tries > 0 || !(await makeRoom())) return operations;
      plan = await inTurns(planningAuthz(on, index, delta));
    }
  };

  return {
    async bring(delta, wanted, authz) {
      judging = authz.index.resolved.length > 0;
      const everything = stale || !image;
      const have = everything || !image ? ((await read()) as Image) : image;
      // Who wrote before may have ended between the change and the sweep that follows it.
      if (everything) sweepDue ||= have.backends.size > 0;
      let plan = await untilStopped(
        everything ? planningAll(have, wanted) : planning(have, withRefused(delta, refused, wanted)),
        signal,
      );
      let operations = 0;
      for (let tries = 0; ; tries++) {
        await carryOut(have, plan);
        operations += plan.ops.length;
        if (!lacksRoom(plan.refused) || tries > 0 || !(await makeRoom())) break;
        plan = await untilStopped(planning(have, withRefused(nothing, plan.refused, wanted)), signal);
      }
      return operations + (await bringAuthz(have, everything, authz));
    },
    async survey(wanted, index, stop) {
      const fresh = await read(stop);
      if (fresh === givenUp) return undefined;
      const plan = await inSlices(planningAll(fresh, wanted), stop);
      if (plan === givenUp) return undefined;
      if (plan.ops.length > 0) return { fresh, plan, verdicts: undefined };
      const verdicts = await inSlices(planningAuthz(fresh, index, everythingAuthz), stop);
      return verdicts === givenUp ? undefined : { fresh, plan, verdicts };
    },
    // Nothing is carried out: whatever ids it takes.
    planAuthz: async ({ fresh, verdicts }, index) =>
      verdicts ?? (await inTurns(planningAuthz(fresh, index, everythingAuthz))),
    async adopt({ fresh, plan, verdicts: planned }, index) {
      judging = index.resolved.length > 0;
      await carryOut(fresh, plan);
      idleSeen = 0;
      const verdicts = planned ?? (await inTurns(planningAuthz(fresh, index, everythingAuthz)));
      await carryOutAuthz(fresh, verdicts);
      return verdicts;
    },
    release: () => release(hurry),
    use(next) {
      stale = true;
      udpHooks = undefined;
      watch.forget();
      plane = next;
    },
    get plane() {
      return plane;
    },
    get known() {
      return image !== undefined;
    },
    idOf: (kind, name) => image?.ids[kind].idOf(name),
    nameOf: (kind, id) => image?.ids[kind].nameOf(id),
    names: (kind) => image?.ids[kind].names() ?? [],
    fill: () => image && fillOf(image),
    graces: () => waiting.idle(),
    sweeps: async () => sweepLater,
    get waiting() {
      return waiting.busy || (sweepLater !== undefined && !signal.aborted);
    },
    get refused() {
      return refused;
    },
    get refusedVerdicts() {
      return refusedVerdicts();
    },
    get asks() {
      return image !== undefined && kernelAsks(image.authz);
    },
    takeJudged() {
      const was = judged;
      judged = false;
      return was;
    },
    get idleIds() {
      return image ? idleIn(image) : 0;
    },
    get udpHooks() {
      return udpHooks;
    },
  };
}
