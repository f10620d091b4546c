// SPDX-License-Identifier: Apache-2.0
// Waypoints in a plan: they are there before anything goes through them and stay as long as anything does; what they are told of services.
import { portFlag, protocolNumber } from '../abi/structs.ts';
import type { Steps } from '../mesh/steps.ts';
import type { Image } from './image.ts';
import type { PlanDraft } from './plan-draft.ts';
import type { BackendStep, Unit } from './plan-units.ts';
import { serviceTlvsOf } from './tlvs.ts';
import type { WantedDelta, WantedPort } from './wanted.ts';
import { isStandIn, isWaypoint } from './waypoint.ts';

/** Units between two pauses. */
const unitsAStep = 64;

/** Units in the order in which they are planned. */
export interface Ordered {
  /** Waypoints that come or change. */
  readonly first: readonly Unit[];
  readonly units: readonly Unit[];
  /** Waypoints that go. */
  readonly last: readonly Unit[];
}

/** Waypoints apart from what goes through them: in before it, out after it. */
export function* orderUnits(units: readonly Unit[]): Steps<Ordered> {
  const first: Unit[] = [];
  const last: Unit[] = [];
  const rest: Unit[] = [];
  let seen = 0;
  for (const unit of units) {
    if (++seen % unitsAStep === 0) yield;
    if (!unit.backends.some(({ name }) => isWaypoint(name))) {
      rest.push(unit);
      continue;
    }
    const part = (fits: (step: BackendStep) => boolean): Unit => ({ ...unit, backends: unit.backends.filter(fits) });
    const [comes, goes] = [part(({ wanted }) => wanted !== undefined), part(({ wanted }) => wanted === undefined)];
    if (comes.backends.length > 0) first.push(comes);
    if (goes.backends.length > 0) last.push(goes);
  }
  return { first, units: rest, last };
}

/** Why a unit cannot go through what it should; undefined: it can. */
export function missingWaypoint(draft: PlanDraft, delta: WantedDelta, unit: Unit): string | undefined {
  const { image } = draft;
  for (const { name, wanted } of unit.backends) {
    if (!wanted?.via) continue;
    const through = wanted.via.backend;
    const gone = delta.backends.has(through) && delta.backends.get(through) === undefined;
    const there = image.backends.has(through) || draft.ids.backend.idOf(through) !== undefined;
    if (gone || (!there && !delta.backends.has(through))) {
      return `backend ${name} goes through ${through}, which is not wanted`;
    }
    if (!there) return `backend ${name} goes through ${through}, which has no room`;
  }
  return undefined;
}

/** Waypoints of `unit` that something goes through once the plan is carried out. */
export function stillUsed(draft: PlanDraft, unit: Unit): readonly string[] {
  const left = new Map<string, number>();
  for (const { name } of unit.backends) left.set(name, draft.image.vias.get(name) ?? 0);
  if ([...left.values()].every((count) => count === 0)) return [];
  const nameOf = (id: number): string => draft.image.ids.backend.nameOf(id) ?? '';
  for (const { have, next } of draft.backends) {
    for (const [of, by] of [
      [have, -1],
      [next, 1],
    ] as const) {
      if (!of || of.viaId === 0) continue;
      const name = nameOf(of.viaId);
      const count = left.get(name);
      if (count !== undefined) left.set(name, count + by);
    }
  }
  return [...left].flatMap(([name, count]) => (count > 0 ? [name] : []));
}

const noTlvs = new Uint8Array();

function say(draft: PlanDraft, service: string, id: number): void {
  const tlvs = isStandIn(service) ? noTlvs : serviceTlvsOf(service);
  if (tlvs.length === 0) return;
  const value = { id, length: tlvs.length, tlvs };
  draft.count('waypoint_service');
  draft.ops.told.push({ kind: 'put', map: 'waypoint_service', key: id, value, about: `service ${service}` });
  draft.told.push([service, true]);
}

/** What waypoints are told of the services of a unit, as far as the first backend that goes through one comes, or the last goes. */
export function planTold(draft: PlanDraft, { backends }: Unit): void {
  const changes = new Map<string, number>();
  for (const { have, wanted } of backends) {
    if (have?.viaId) changes.set(have.service, (changes.get(have.service) ?? 0) - 1);
    if (wanted?.via) changes.set(wanted.service, (changes.get(wanted.service) ?? 0) + 1);
  }
  for (const [service, by] of changes) {
    const held = draft.image.told.get(service);
    const after = (held?.backends ?? 0) + by;
    const id = draft.ids.service.idOf(service) as number;
    if (after > 0 && !held?.written) say(draft, service, id);
    if (after > 0 || !held?.written) continue;
    draft.ops.toldOut.push({ kind: 'delete', map: 'waypoint_service', key: id, about: `service ${service}` });
    draft.told.push([service, false]);
  }
}

/** Services whose entry is not there although they go through a waypoint, as after a loss: told again where there is room. */
export function planLostTold(draft: PlanDraft, image: Image): void {
  const planned = new Set(draft.told.map(([service]) => service));
  for (const [service, { backends, written }] of image.told) {
    if (written || backends === 0 || planned.has(service)) continue;
    draft.begin();
    say(draft, service, image.ids.service.idOf(service) as number);
    draft.end();
  }
}

/** The entry of a port where a waypoint reads a header, or its end. */
export function planPort(
  draft: PlanDraft,
  key: string,
  have: WantedPort | undefined,
  next: WantedPort | undefined,
): void {
  const about = `waypoint port ${key}`;
  const { address, port } = (next ?? have) as WantedPort;
  const k = { addr: address, port, protocol: protocolNumber.tcp };
  if (next) {
    if (!have) draft.count('waypoint_port');
    const value = next.node ? portFlag.node : 0;
    draft.ops.port.push({
      kind: 'put',
      map: 'waypoint_port',
      key: k,
      value,
      about,
    });
  } else {
    draft.ops.portOut.push({ kind: 'delete', map: 'waypoint_port', key: k, about });
  }
  draft.ports.push({ key, have, next });
}

/** Bits of km_setting.ports for these ports. */
export function portFilter(ports: Iterable<number>): bigint {
  let bits = 0n;
  for (const port of ports) bits |= 1n << BigInt(port & 63);
  return bits;
}
