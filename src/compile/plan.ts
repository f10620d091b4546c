// SPDX-License-Identifier: Apache-2.0
// (want, have) -> ordered operations, and what they make of the image.
import { abiVersion, settingFlag } from '../abi/structs.ts';
import type { Steps } from '../mesh/steps.ts';
import { commitPlan, type Outcome } from './commit.ts';
import { sameClient } from './compile.ts';
import { backendsBehind, type Image, type Leftovers, type OnMiss } from './image.ts';
import type { DeleteOperation } from './operation.ts';
import { type Change, draftPlan, type PlanDraft, type Shortage, stages } from './plan-draft.ts';
import { claimingWorkloads, planBackend, planBackendOut, planClient, planFrontend } from './plan-entries.ts';
import { type Operations, operationsOf, type Step } from './plan-steps.ts';
import { planWaits, type Totals, totalsOf } from './plan-totals.ts';
import { type Unit, unitsOf } from './plan-units.ts';
import {
  missingWaypoint,
  orderUnits,
  planLostTold,
  planPort,
  planTold,
  portFilter,
  stillUsed,
} from './plan-waypoints.ts';
import { viaSlots } from './range-layout.ts';
import { endpointsLeft } from './read-names.ts';
import type { Wanted, WantedDelta } from './wanted.ts';

/** Something that was left as it is, whole, while the rest of the delta was planned. */
export interface Refusal {
  /** Services it concerns ("namespace/hostname"); empty for a client or port. */
  readonly services: readonly string[];
  /** The client it concerns, or ''. */
  readonly workload: string;
  /** The port of a waypoint that it concerns. */
  readonly port?: string;
  /** What has no room; undefined: the delta contradicts itself, as `reason` says. */
  readonly shortage: Shortage | undefined;
  /** For people, without the names above. */
  readonly reason: string;
  /** What to plan again when there is room. */
  readonly backends: readonly string[];
  readonly frontends: readonly string[];
}

/** One entry that a plan adds, changes or removes. */
export interface PlannedChange {
  readonly what: 'backend' | 'frontend' | 'client' | 'waypoint port' | 'setting' | 'stray';
  /** Backend name, frontend key text, uid; for a stray what it is. */
  readonly name: string;
  readonly change: 'add' | 'change' | 'remove';
}

export interface Plan {
  /** In order. Ends with a grace operation when `frees`: what comes after it is commit's leftovers. */
  readonly ops: Operations;
  readonly refused: readonly Refusal[];
  /** Something becomes free once the plan is carried out and a grace period has passed. */
  readonly frees: boolean;
  /** An endpoint left a backend that UDP frontends lead to: connected UDP sockets may still use it. */
  readonly udpEndpointsLeft: boolean;
  /** UDP frontends once the plan is carried out. */
  readonly udpFrontends: number;
  /** What it changes, by name. */
  changes(): readonly PlannedChange[];
  /** Makes the image what the kernel holds once all `ops` were carried out; the leftovers are for settle(). To be called once, before the next plan. */
  commit(): Steps<Leftovers>;
}

/** A step of the work that planning does between two pauses: endpoints and entries. */
const workAStep = 64;
/** The same inside of a service: few have as much. */
const mostAStep = 256;

/** Why the unit cannot be planned whatever room there is. */
function* contradiction(image: Image, delta: WantedDelta, unit: Unit): Steps<string | undefined> {
  const refused = unit.backends.find(({ wanted }) => wanted?.refused !== undefined);
  if (refused) return refused.wanted?.refused;
  let seen = 0;
  const stays = (name: string): boolean =>
    delta.backends.has(name) ? delta.backends.get(name) !== undefined : image.backends.has(name);
  for (const { key, next } of unit.frontends) {
    if (++seen % workAStep === 0) yield;
    if (!next) continue;
    for (const name of backendsBehind(next))
      if (!stays(name)) return `frontend ${key} leads to backend ${name}, which is not wanted`;
  }
  const removed = unit.backends.filter((b) => b.wanted === undefined);
  if (removed.length === 0) return undefined;
  const left = new Map<string, number>();
  for (const { name } of removed) left.set(name, image.leads.get(name)?.all ?? 0);
  for (const { have } of unit.frontends) {
    if (have)
      for (const name of backendsBehind(have)) if (left.has(name)) left.set(name, (left.get(name) as number) - 1);
  }
  for (const [name, all] of left) if (all > 0) return `backend ${name} is not wanted, but a frontend leads to it`;
  return undefined;
}

/** True when a frontend is led from a backend that goes to another one: a program may still be between the two look-ups. */
function leadsAway(unit: Unit): boolean {
  const removed = new Set<string>();
  for (const b of unit.backends) if (!b.wanted) removed.add(b.name);
  if (removed.size === 0) return false;
  return unit.frontends.some(({ have, next }) => {
    if (!have || !next) return false;
    for (const name of backendsBehind(have)) if (removed.has(name)) return true;
    return false;
  });
}

/** What the ranges of several backends lack all together: they are not even laid out then. */
function lackingSlots(draft: PlanDraft, { backends }: Unit): Shortage | undefined {
  if (backends.length < 2) return undefined;
  let needed = 0;
  for (const { wanted } of backends) if (wanted) needed += wanted.endpoints.length + 1 + viaSlots(wanted.via);
  if (needed === 0) return undefined;
  const free = draft.freeSlots('endpoint');
  return needed > free ? { map: 'endpoint', needed, free, apart: true } : undefined;
}

function* planUnit(draft: PlanDraft, delta: WantedDelta, unit: Unit): Steps<Refusal | undefined> {
  const refusal = (shortage: Shortage | undefined, reason: string): Refusal => ({
    services: unit.services.toSorted(),
    workload: '',
    shortage,
    reason,
    backends: unit.backends.map((b) => b.name),
    frontends: unit.frontends.map((f) => f.key),
  });
  const wrong = (yield* contradiction(draft.image, delta, unit)) ?? missingWaypoint(draft, delta, unit);
  if (wrong) return refusal(undefined, wrong);
  const lacking = lackingSlots(draft, unit);
  if (lacking) return refusal(lacking, shortageText(lacking));
  draft.begin();
  const idsOf = claimingWorkloads(draft);
  let work = 0;
  for (const { name, have, wanted } of unit.backends) {
    work += (wanted?.endpoints.length ?? 0) + 2;
    if (work >= mostAStep) {
      work = 0;
      yield;
    }
    if (wanted) planBackend(draft, wanted, have, idsOf);
    else if (have) planBackendOut(draft, name, have);
  }
  planTold(draft, unit);
  for (const { key, have, next } of unit.frontends) {
    if (++work % workAStep === 0) yield;
    planFrontend(draft, key, have, next);
  }
  if (leadsAway(unit) && draft.ops.beforeBackendOut.length === 0) draft.ops.beforeBackendOut.push({ kind: 'grace' });
  const short = draft.end();
  return short && refusal(short, shortageText(short));
}

/** What went through it was left as it is. */
function keptWaypoint(unit: Unit, used: readonly string[]): Refusal {
  return {
    services: unit.services,
    workload: '',
    shortage: undefined,
    reason: `not wanted, but something goes through ${used.join(', ')}`,
    backends: unit.backends.map((b) => b.name),
    frontends: [],
  };
}

/** "map "endpoint" has no room: 101 slots in a row needed, 57 free" */
function shortageText({ map, needed, free, apart }: Shortage): string {
  const slots = apart ? 'slots' : 'slots in a row';
  const [one, many] = map === 'endpoint' || map === 'maglev' ? ['slot', slots] : ['entry', 'entries'];
  const what = needed === 1 ? one : many;
  return `map "${map}" has no room: ${needed} ${what} needed, ${free} free`;
}

function* planClients(draft: PlanDraft, delta: WantedDelta, refused: Refusal[]): Steps<void> {
  let seen = 0;
  for (const [workload, next] of delta.clients) {
    if (++seen % workAStep === 0) yield;
    const have = draft.image.clients.get(workload);
    if (next ? have && sameClient(have, next) : !have) continue;
    draft.begin();
    planClient(draft, workload, have, next);
    const shortage = draft.end();
    if (shortage) {
      const reason = shortageText(shortage);
      refused.push({ services: [], workload, shortage, reason, backends: [], frontends: [] });
    }
  }
}

/** Ports of waypoints. Refused ones are closed for everybody who goes there by himself, see planSetting. */
function* planPorts(draft: PlanDraft, delta: WantedDelta, refused: Refusal[]): Steps<void> {
  let seen = 0;
  for (const [key, next] of delta.ports) {
    if (++seen % workAStep === 0) yield;
    const have = draft.image.ports.get(key);
    if (next ? have && have.node === next.node : !have) continue;
    draft.begin();
    planPort(draft, key, have, next);
    const shortage = draft.end();
    if (!shortage) continue;
    const reason = shortageText(shortage);
    refused.push({ services: [], workload: '', port: key, shortage, reason, backends: [], frontends: [] });
  }
}

const missFlags: Readonly<Record<OnMiss, number>> = {
  off: 0,
  direct: settingFlag.onDemand,
  refuse: settingFlag.onDemand | settingFlag.missRefuse,
};

/** The filter of all waypoints' ports. Those that were refused are in it, too: while there are any, what it says is refused without a look-up. */
function planPortFilter(draft: PlanDraft, delta: WantedDelta, refused: readonly Refusal[]) {
  const ports = new Map<string, number>();
  for (const [key, { port }] of draft.image.ports) ports.set(key, port);
  for (const { key, next } of draft.ports) {
    if (next) ports.set(key, next.port);
    else ports.delete(key);
  }
  let full = false;
  for (const { port: key } of refused) {
    const missing = key === undefined ? undefined : delta.ports.get(key);
    if (key === undefined || !missing) continue;
    full = true;
    ports.set(key, missing.port);
  }
  return { filter: portFilter(ports.values()), full };
}

/**
 * Ranges, entries for all ports, and ports of waypoints are looked up only while flags or a filter say that there are any: these come before the first and go
 * after the last.
 */
function planSetting(
  draft: PlanDraft,
  delta: WantedDelta,
  refused: readonly Refusal[],
  totals: Totals,
): Outcome['setting'] {
  const { image, ops } = draft;
  const ranges = image.counts.cidr + totals.ranges;
  const anyPorts = image.anyPorts + totals.anyPorts;
  const before = image.setting;
  const { filter: ports, full } = planPortFilter(draft, delta, refused);
  const flags =
    (ranges > 0 ? settingFlag.cidr : 0) |
    (anyPorts > 0 ? settingFlag.anyPort : 0) |
    (full ? settingFlag.portsFull : 0) |
    missFlags[image.onMiss];
  if (flags === before.flags && ports === before.ports && before.abi_version === abiVersion) return before;
  const set = (stage: Step[], value: typeof before): void =>
    void stage.push({ kind: 'put', map: 'setting', key: 0, value, about: 'setting' });
  const value = { abi_version: abiVersion, flags, ports };
  const both = { ...value, flags: flags | before.flags, ports: ports | before.ports };
  const more = both.flags !== before.flags || both.ports !== before.ports;
  if (more) set(ops.setting, both);
  if (!more || both.flags !== flags || both.ports !== ports) set(ops.settingOut, value);
  return value;
}

function* udpEndpointsLeft(draft: PlanDraft): Steps<boolean> {
  let seen = 0;
  for (const { key, have, next } of draft.backends) {
    if (++seen % workAStep === 0) yield;
    const udp = draft.image.leads.get(key)?.udp ?? 0;
    if (have !== undefined && udp > 0 && endpointsLeft(draft.image, have, next)) return true;
  }
  return false;
}

function changesOf(draft: PlanDraft, setting: boolean, stray: readonly DeleteOperation[]): PlannedChange[] {
  const of = <T>(what: PlannedChange['what'], changes: readonly Change<T>[]): PlannedChange[] =>
    changes.map(({ key, have, next }) => ({
      what,
      name: key,
      change: have === undefined ? 'add' : next === undefined ? 'remove' : 'change',
    }));
  return [
    ...of('backend', draft.backends),
    ...of('frontend', draft.frontends),
    ...of('client', draft.clients),
    ...of('waypoint port', draft.ports),
    ...(setting ? [{ what: 'setting', name: 'setting', change: 'change' } as const] : []),
    ...stray.map((op) => ({ what: 'stray', name: `${op.map}: ${op.about}`, change: 'remove' }) as const),
  ];
}

/**
 * The plan for `delta`, in steps (each `yield` is a place to pause; the image must not change meanwhile).
 * `everything`: entries that nothing explains are deleted too.
 */
export function* planning(image: Image, delta: WantedDelta, everything = false): Steps<Plan> {
  const draft = draftPlan(image);
  const refused: Refusal[] = [];
  const { units, adopted } = yield* unitsOf(image, delta);
  let work = 0;
  const { first, units: others, last } = yield* orderUnits(units);
  for (const unit of [...first, ...others]) {
    const refusal = yield* planUnit(draft, delta, unit);
    if (refusal) refused.push(refusal);
    for (const { wanted } of unit.backends) work += wanted?.endpoints.length ?? 0;
    work += 2 * unit.backends.length + unit.frontends.length;
    if (work < workAStep) continue;
    work = 0;
    yield;
  }
  for (const unit of last) {
    const used = stillUsed(draft, unit);
    if (used.length > 0) refused.push(keptWaypoint(unit, used));
    else yield* planUnit(draft, delta, unit);
    // A program may have read what went through it just before.
    if (draft.ops.beforeBackendOut.length === 0) draft.ops.beforeBackendOut.push({ kind: 'grace' });
  }
  if (everything) planLostTold(draft, image);
  yield* planPorts(draft, delta, refused);
  yield* planClients(draft, delta, refused);
  draft.close();
  const totals = yield* totalsOf(draft);
  planWaits(draft, totals);
  yield;
  const setting = planSetting(draft, delta, refused, totals);
  const stray = everything ? image.stray : [];
  draft.ops.strayOut.push(...notWritten(draft, stray));
  const udpLeft = yield* udpEndpointsLeft(draft);
  const { frees } = totals;
  const ops = yield* operationsOf([...stages.map((stage) => draft.ops[stage]), frees ? [{ kind: 'grace' }] : []]);
  return {
    ops,
    refused,
    frees,
    udpEndpointsLeft: udpLeft,
    udpFrontends: image.udpFrontends + totals.udp,
    changes: () => changesOf(draft, setting !== image.setting, stray),
    commit: () => commitPlan(draft, { setting, adopted, stray }),
  };
}

/** Strays but for those that are written anew: they are explained now, and go last. */
function notWritten({ ops }: PlanDraft, stray: readonly DeleteOperation[]): readonly DeleteOperation[] {
  if (stray.length === 0) return stray;
  const written = new Set<string>();
  for (const step of [...ops.told, ...ops.client]) if (step.kind === 'put') written.add(`${step.map} ${step.key}`);
  return stray.filter(({ map, key }) => typeof key !== 'number' || !written.has(`${map} ${key}`));
}

/** Everything that `image` holds and `wanted` does not, as not wanted; and all of `wanted`. */
function* deltaOf(image: Image, wanted: Wanted): Steps<WantedDelta> {
  function* whole<T>(
    have: ReadonlyMap<string, unknown>,
    want: ReadonlyMap<string, T>,
  ): Steps<Map<string, T | undefined>> {
    const out = new Map<string, T | undefined>();
    let seen = 0;
    for (const [key, value] of want) {
      out.set(key, value);
      if (++seen % workAStep === 0) yield;
    }
    for (const key of have.keys()) {
      if (!want.has(key)) out.set(key, undefined);
      if (++seen % workAStep === 0) yield;
    }
    return out;
  }
  return {
    backends: yield* whole(image.backends, wanted.backends),
    frontends: yield* whole(image.frontends, wanted.frontends),
    clients: yield* whole(image.clients, wanted.clients),
    ports: yield* whole(image.ports, wanted.ports),
  };
}

/** The plan for all that is wanted, in steps: whatever else the kernel holds goes. Does not change `image`. */
export function* planningAll(image: Image, wanted: Wanted): Steps<Plan> {
  return yield* planning(image, yield* deltaOf(image, wanted), true);
}
