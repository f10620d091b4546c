// SPDX-License-Identifier: Apache-2.0
// Which waypoints are in use and what their endpoints follow from: what has to be compiled again when something changes.
import type { Touched } from '../mesh/model.ts';
import type { Steps } from '../mesh/steps.ts';
import { emptyTable, type Table } from '../mesh/table.ts';
import type { Address } from '../net/address.ts';
import type { Source, WaypointUse } from './waypoint.ts';

/** Persistent, as all of an index. */
export interface WaypointIndex {
  /** "service KEY" or "address ADDRESS" that goes through a waypoint -> names of the backends that it uses. */
  readonly usedBy: Table<readonly string[]>;
  /** Backend name -> what it stands for, and how many use it. */
  readonly uses: Table<WaypointUse>;
  /** Backend name -> what it follows from. */
  readonly sources: Table<readonly Source[]>;
  /** The same the other way round. */
  readonly followers: Table<readonly string[]>;
  /** uid of a workload with a waypoint -> its addresses. */
  readonly addresses: Table<readonly Address[]>;
  /** Address -> uids of those. */
  readonly workloads: Table<readonly string[]>;
}

export const emptyWaypoints: WaypointIndex = {
  usedBy: emptyTable(),
  uses: emptyTable(),
  sources: emptyTable(),
  followers: emptyTable(),
  addresses: emptyTable(),
  workloads: emptyTable(),
};

/** A backend that something uses. */
export type Used = Omit<WaypointUse, 'count'> & { readonly name: string };

export interface WaypointEditor {
  /** What `user` goes through now. */
  use(user: string, backends: readonly Used[]): void;
  /** What a waypoint's endpoints follow from now. */
  follow(name: string, sources: readonly Source[]): void;
  /** Addresses at which a workload with a waypoint has to be found; those of before and of now are `moved`. */
  place(uid: string, addresses: readonly Address[]): void;
  readonly moved: ReadonlySet<Address>;
  /** Something that its frontends follow from changed: its addresses are `moved`. */
  move(uid: string): void;
  /** uids of those with an address. */
  workloadsAt(address: Address): readonly string[];
  /** Backends that came into use, are used no more, or follow from something that was touched. */
  stale(): ReadonlySet<string>;
  useOf(name: string): WaypointUse | undefined;
  close(): Steps<WaypointIndex>;
}

const none: readonly never[] = [];

/** `addressesOf`: those of a workload that was touched. */
export function editWaypoints(
  before: WaypointIndex,
  touched: Touched | 'everything',
  addressesOf: (uid: string) => readonly Address[],
): WaypointEditor {
  const usedBy = before.usedBy.edit();
  const uses = before.uses.edit();
  const sources = before.sources.edit();
  const followers = before.followers.edit();
  const addresses = before.addresses.edit();
  const workloads = before.workloads.edit();
  const changed = new Set<string>();
  const moved = new Set<Address>();

  const count = ({ name, ...use }: Used, by: 1 | -1): void => {
    const held = uses.get(name);
    const next = (held?.count ?? 0) + by;
    if (next === 0) uses.delete(name);
    else uses.set(name, { ...use, count: next });
    if (next === 0 || !held) changed.add(name);
  };
  const file = (key: string, name: string, how: 'add' | 'remove', into: typeof followers): void => {
    const held = into.get(key) ?? none;
    const next = how === 'add' ? [...held, name] : held.filter((n) => n !== name);
    if (next.length === 0) into.delete(key);
    else into.set(key, next);
  };

  return {
    moved,
    use(user, backends) {
      const had = usedBy.get(user) ?? none;
      const names = backends.map(({ name }) => name);
      if (had.length === 0 && names.length === 0) return;
      for (const used of backends) if (!had.includes(used.name)) count(used, 1);
      for (const name of had) {
        const use = uses.get(name);
        if (!names.includes(name) && use) count({ name, ...use }, -1);
      }
      if (names.length === 0) usedBy.delete(user);
      else if (had.length !== names.length || had.some((name, i) => name !== names[i])) usedBy.set(user, names);
    },
    follow(name, now) {
      const had = sources.get(name) ?? none;
      for (const source of had) if (!now.includes(source)) file(source, name, 'remove', followers);
      for (const source of now) if (!had.includes(source)) file(source, name, 'add', followers);
      if (now.length === 0) sources.delete(name);
      else sources.set(name, now);
    },
    place(uid, now) {
      const had = addresses.get(uid) ?? none;
      for (const address of had) {
        moved.add(address);
        if (!now.includes(address)) file(address, uid, 'remove', workloads);
      }
      for (const address of now) {
        moved.add(address);
        if (!had.includes(address)) file(address, uid, 'add', workloads);
      }
      if (now.length > 0) addresses.set(uid, now);
      else if (had.length > 0) addresses.delete(uid);
    },
    move(uid) {
      for (const address of addresses.get(uid) ?? none) moved.add(address);
    },
    workloadsAt: (address) => workloads.get(address) ?? none,
    stale() {
      const all = new Set(following(before, touched, addressesOf));
      for (const name of changed) all.add(name);
      return all;
    },
    useOf: (name) => uses.get(name),
    close: () => closing({ usedBy, uses, sources, followers, addresses, workloads }),
  };
}

/** Names of backends that follow from something that was touched. */
function* following(
  { uses, followers }: WaypointIndex,
  touched: Touched | 'everything',
  addressesOf: (uid: string) => readonly Address[],
): Generator<string> {
  if (touched === 'everything') {
    yield* uses.keys();
    return;
  }
  if (followers.size === 0) return;
  for (const key of touched.services) yield* followers.get(`service ${key}`) ?? none;
  for (const address of touched.addresses) yield* followers.get(`address ${address}`) ?? none;
  for (const uid of touched.workloads) {
    yield* followers.get(`workload ${uid}`) ?? none;
    for (const address of addressesOf(uid)) yield* followers.get(`address ${address}`) ?? none;
  }
}

type Edited = { readonly [K in keyof WaypointIndex]: Pick<ReturnType<WaypointIndex[K]['edit']>, 'close'> };

function* closing(edited: Edited): Steps<WaypointIndex> {
  return {
    usedBy: yield* edited.usedBy.close(),
    uses: yield* edited.uses.close(),
    sources: yield* edited.sources.close(),
    followers: yield* edited.followers.close(),
    addresses: yield* edited.addresses.close(),
    workloads: yield* edited.workloads.close(),
  };
}
