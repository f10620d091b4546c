// SPDX-License-Identifier: Apache-2.0
// What a plan that was carried out makes of the image.
import type { ValueOfMap } from '../abi/maps.ts';
import type { NameKind } from '../abi/structs.ts';
import type { Steps } from '../mesh/steps.ts';
import {
  type BackendImage,
  countFrontend,
  countVia,
  eachIdOf,
  type FrontendImage,
  type Image,
  type Leftovers,
  namespaceId,
  slotsOf,
} from './image.ts';
import type { CountedMap } from './limited-maps.ts';
import type { DeleteOperation } from './operation.ts';
import type { Change, PlanDraft } from './plan-draft.ts';
import type { WantedBackend, WantedClient } from './wanted.ts';

/** What a plan changes beyond its draft. */
export interface Outcome {
  readonly setting: ValueOfMap<'setting'>;
  readonly adopted: readonly (readonly [name: string, wanted: WantedBackend])[];
  readonly stray: readonly DeleteOperation[];
}

type EachId = (kind: NameKind, id: number) => void;

function idsOfFrontend(image: Image, frontend: FrontendImage, each: EachId): void {
  for (const namespace of frontend.variants.keys()) {
    const id = namespaceId(image.ids.namespace, namespace);
    if (id) each('namespace', id);
  }
}

function idsOfClient(image: Image, client: WantedClient, each: EachId): void {
  each('workload', image.ids.workload.idOf(client.workload) as number);
  const id = namespaceId(image.ids.namespace, client.namespace);
  if (id) each('namespace', id);
}

/** Entries between two pauses. */
const entriesAStep = 16;

/** Puts the next values in place; ids of the new are referred to before those of the old are dropped. */
function* exchange<T>(
  changes: readonly Change<T>[],
  held: Map<string, T>,
  idsOf: (value: T, each: EachId) => void,
  refer: EachId,
  drop: EachId,
): Steps<void> {
  let seen = 0;
  for (const { key, next } of changes) {
    if (++seen % entriesAStep === 0) yield;
    if (next === undefined) continue;
    idsOf(next, refer);
    held.set(key, next);
  }
  for (const { key, have, next } of changes) {
    if (++seen % entriesAStep === 0) yield;
    if (have !== undefined) idsOf(have, drop);
    if (next === undefined) held.delete(key);
  }
}

/** Commits `draft`; what it freed may be used again after a grace period. Half-way the image says nothing that holds. */
export function* commitPlan(draft: PlanDraft, outcome: Outcome): Steps<Leftovers> {
  const { image } = draft;
  yield* draft.commit();
  const dropped: [NameKind, number][] = [];
  const refer: EachId = (kind, id) => image.ids[kind].refer(id);
  const drop: EachId = (kind, id) => {
    if (image.ids[kind].drop(id)) dropped.push([kind, id]);
  };

  yield* exchange<BackendImage>(draft.backends, image.backends, eachIdOf, refer, drop);
  const namespaces = (f: FrontendImage, each: EachId): void => idsOfFrontend(image, f, each);
  yield* exchange<FrontendImage>(draft.frontends, image.frontends, namespaces, refer, drop);
  const ofClient = (c: WantedClient, each: EachId): void => idsOfClient(image, c, each);
  yield* exchange<WantedClient>(draft.clients, image.clients, ofClient, refer, drop);
  for (const { key, next } of draft.ports) {
    if (next) image.ports.set(key, next);
    else image.ports.delete(key);
  }
  let seen = 0;
  for (const { have, next } of draft.frontends) {
    if (++seen % entriesAStep === 0) yield;
    if (next) countFrontend(image, next, 1);
    if (have) countFrontend(image, have, -1);
  }
  for (const { have, next } of draft.backends) {
    if (++seen % entriesAStep === 0) yield;
    if (next) countVia(image, next, 1);
    if (have) countVia(image, have, -1);
  }
  for (const [service, written] of draft.told) {
    const backends = image.told.get(service)?.backends ?? 0;
    if (!written) image.counts.waypoint_service--;
    else image.counts.waypoint_service++;
    if (backends === 0 && !written) image.told.delete(service);
    else image.told.set(service, { backends, written });
  }
  for (const { have, next } of draft.clients) {
    image.counts.client += (next ? 1 : 0) - (have ? 1 : 0);
    image.counts.waypoint_client += (next?.identity ? 1 : 0) - (have?.identity ? 1 : 0);
  }
  for (const { have, next } of draft.ports) image.counts.waypoint_port += (next ? 1 : 0) - (have ? 1 : 0);
  for (const [name, wanted] of outcome.adopted) {
    if (++seen % entriesAStep === 0) yield;
    const have = image.backends.get(name);
    if (have) image.backends.set(name, { ...have, wanted, read: undefined });
  }
  image.setting = outcome.setting;
  if (outcome.stray.length > 0) {
    for (const { map } of outcome.stray) if (map in image.counts) image.counts[map as CountedMap]--;
    image.stray = [];
  }

  const endpointRanges: [number, number][] = [];
  const maglevRanges: [number, number][] = [];
  for (const { have } of draft.backends) {
    if (++seen % entriesAStep === 0) yield;
    if (!have || have.first === 0) continue;
    endpointRanges.push([have.first, slotsOf(have)]);
    if (have.maglevSlots > 0) maglevRanges.push([have.maglevFirst, have.maglevSlots]);
  }
  // Dropped by one entry and referred to by another of the same plan: still in use.
  const ids: [NameKind, number, number][] = [];
  for (const [kind, id] of dropped) {
    if (++seen % entriesAStep === 0) yield;
    const table = image.ids[kind];
    if (!table.used(id)) ids.push([kind, id, table.turn(id)]);
  }
  return { endpointRanges, maglevRanges, ids };
}
