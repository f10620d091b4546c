// SPDX-License-Identifier: Apache-2.0
// A plan being made: what it claims of ids, ranges and room, and its operations by stage. The image stays as it is.
import type { NameKind } from '../abi/structs.ts';
import type { Steps } from '../mesh/steps.ts';
import type { IdDraft } from './ids.ts';
import { type BackendImage, type FrontendImage, type Image, nameKinds } from './image.ts';
import { type CountedMap, type LimitedMap, serviceMaps } from './limited-maps.ts';
import { partCountOf } from './names.ts';
import type { Step } from './plan-steps.ts';
import type { RangeDraft } from './ranges.ts';
import type { WantedClient, WantedPort } from './wanted.ts';

/** Stages in the order in which their operations run; each may rely on all before it. */
export const stages = [
  'name',
  'maglev',
  'endpoint',
  'told',
  'setting',
  'port',
  'waypointFlip',
  'flip',
  'variant',
  'frontend',
  'cidr',
  'client',
  'beforeFrontendOut',
  'frontendOut',
  'beforeVariantOut',
  'variantOut',
  'clientOut',
  'beforeBackendOut',
  'backendOut',
  'toldOut',
  'portOut',
  'settingOut',
  'strayOut',
] as const;
export type Stage = (typeof stages)[number];

export interface Change<T> {
  readonly key: string;
  readonly have: T | undefined;
  readonly next: T | undefined;
}

/** Room that one unit lacks. */
export interface Shortage {
  readonly map: LimitedMap;
  /** Entries, ids, or slots in a row. */
  readonly needed: number;
  readonly free: number;
  /** Not in a row: of several ranges. */
  readonly apart?: boolean;
}

export interface PlanDraft {
  readonly image: Image;
  readonly ops: Readonly<Record<Stage, Step[]>>;
  readonly backends: Change<BackendImage>[];
  readonly frontends: Change<FrontendImage>[];
  readonly clients: Change<WantedClient>[];
  readonly ports: Change<WantedPort>[];
  /** Services whose entry for waypoints is written (true) or removed. */
  readonly told: (readonly [service: string, written: boolean])[];
  readonly ids: Readonly<Record<NameKind, IdDraft>>;
  /** The id of a name, a new one (and the entries of its name) if it has none. Some number when there is no room: the unit will be refused. */
  claim(kind: NameKind, name: string): number;
  /** Start of `length` free slots in a row; some number when there are none. */
  allocate(map: 'endpoint' | 'maglev', length: number): number;
  /** Slots that are free, wherever. */
  freeSlots(map: 'endpoint' | 'maglev'): number;
  /** Says that one more entry will be in `map`. */
  count(map: CountedMap): void;
  /** The next generation. */
  generation(): number;
  /** Begins a unit: all or nothing of it is kept. */
  begin(): void;
  /** Ends the unit. What it lacks, if anything: nothing of it is kept then. */
  end(): Shortage | undefined;
  /** Ends planning: the names that were claimed become operations. */
  close(): void;
  /** Makes ids, ranges and counts real. */
  commit(): Steps<void>;
}

/** Where each map stands in a list of counts: begin() and end() go through them for every unit. */
const position = Object.fromEntries(serviceMaps.map((map, i) => [map, i])) as Record<LimitedMap, number>;
type Counts = number[];
const zeros = (): Counts => serviceMaps.map(() => 0);
const more = (counts: Counts, map: LimitedMap, by = 1): void => {
  const at = position[map];
  counts[at] = (counts[at] as number) + by;
};

/** An empty draft over `image`. */
export function draftPlan(image: Image): PlanDraft {
  const ids = Object.fromEntries(nameKinds.map((kind) => [kind, image.ids[kind].draft()])) as Record<NameKind, IdDraft>;
  const ranges: Record<'endpoint' | 'maglev', RangeDraft> = {
    endpoint: image.endpointRanges.draft(),
    maglev: image.maglevRanges.draft(),
  };
  const ops = Object.fromEntries(stages.map((stage) => [stage, [] as Step[]])) as Record<Stage, Step[]>;
  const backends: Change<BackendImage>[] = [];
  const frontends: Change<FrontendImage>[] = [];
  const clients: Change<WantedClient>[] = [];
  const ports: Change<WantedPort>[] = [];
  const told: PlanDraft['told'] = [];
  const lists: { length: number }[] = [...Object.values(ops), backends, frontends, clients, ports, told];
  const backendIds = image.sizes.backend <= image.sizes.robin ? 'backend' : 'robin';
  const idMap: Record<NameKind, LimitedMap> = {
    workload: 'active',
    backend: backendIds,
    service: 'name',
    namespace: 'name',
    identity: 'name',
    policy: 'name',
  };

  // What all units before took, and what this one needs. Deletions come last, so they make no room for their own plan.
  const taken = zeros();
  const needed = zeros();
  let noRange: Shortage | undefined;
  const failed = new Set<string>();
  let generation = image.generation;
  const marks = { lists: lists.map(() => 0), ids: nameKinds.map(() => 0), endpoint: 0, maglev: 0 };

  const freeIn = (map: LimitedMap): number => {
    const own = taken[position[map]] as number;
    if (map in image.counts) return image.sizes[map] - image.counts[map as CountedMap] - own;
    return (map === 'active' ? image.ids.workload : image.ids.backend).free - own;
  };

  const abandon = (): void => {
    for (const [i, list] of lists.entries()) list.length = marks.lists[i] as number;
    for (const [i, kind] of nameKinds.entries()) ids[kind].rollback(marks.ids[i] as number);
    ranges.endpoint.rollback(marks.endpoint);
    ranges.maglev.rollback(marks.maglev);
  };

  return {
    image,
    ops,
    backends,
    frontends,
    clients,
    ports,
    told,
    ids,
    claim(kind, name) {
      const id = ids[kind].claim(name, () => {
        more(needed, idMap[kind]);
        // A service's or namespace's id is limited by its name alone: count it once.
        more(needed, 'name', partCountOf(name) - (idMap[kind] === 'name' ? 1 : 0));
      });
      if (id !== undefined) return id;
      const key = `${kind} ${name}`;
      if (!failed.has(key)) {
        failed.add(key);
        more(needed, idMap[kind]);
      }
      return 1;
    },
    allocate(map, length) {
      const start = ranges[map].allocate(length);
      if (start !== undefined) return start;
      noRange ??= { map, needed: length, free: ranges[map].largestFree() };
      return 1;
    },
    freeSlots: (map) => ranges[map].totalFree(),
    count(map) {
      more(needed, map);
    },
    generation() {
      generation = generation >= 0xffffffff ? 1 : generation + 1;
      return generation;
    },
    begin() {
      needed.fill(0);
      noRange = undefined;
      failed.clear();
      for (let i = 0; i < lists.length; i++) marks.lists[i] = (lists[i] as { length: number }).length;
      for (let i = 0; i < nameKinds.length; i++) marks.ids[i] = ids[nameKinds[i] as NameKind].mark();
      marks.endpoint = ranges.endpoint.mark();
      marks.maglev = ranges.maglev.mark();
    },
    end() {
      let short = noRange;
      for (let i = 0; i < needed.length && !short; i++) {
        const need = needed[i] as number;
        if (need === 0) continue;
        const map = serviceMaps[i] as LimitedMap;
        const free = freeIn(map);
        if (need > free) short = { map, needed: need, free: Math.max(0, free) };
      }
      if (short) abandon();
      else for (let i = 0; i < needed.length; i++) taken[i] = (taken[i] as number) + (needed[i] as number);
      return short;
    },
    close() {
      const entries = taken[position.name] as number;
      if (entries === 0) return;
      ops.name.push({
        kind: 'names',
        named: nameKinds.map((kind) => [kind, ids[kind].fresh()] as const),
        entries,
      });
    },
    commit: () =>
      committing([...nameKinds.map((kind) => ids[kind]), ranges.endpoint, ranges.maglev], () => {
        image.counts.name += taken[position.name] as number;
        image.generation = generation;
      }),
  };
}

function* committing(drafts: readonly { commit(): Steps<void> }[], then: () => void): Steps<void> {
  for (const draft of drafts) yield* draft.commit();
  then();
}
