// SPDX-License-Identifier: Apache-2.0
// On demand: what programs miss is asked for, answers go back to them, and what is in use is asked about again.
import { setTimeout as pause } from 'node:timers/promises';
import { missState } from '../abi/structs.ts';
import type { DemandStatus } from '../admin/types.ts';
import type { DataPlane, MissRecord } from '../kernel/dataplane.ts';
import type { GatewayAddress } from '../mesh/gateway.ts';
import type { Change, Model } from '../mesh/model.ts';
import type { Address } from '../net/address.ts';
import { type HeldBefore, readHeldBefore } from './demand-held.ts';
import { podAddresses } from './enforcement.ts';
import { readEnrolments } from './enrolments.ts';
import { openTimesMeter } from './known-times.ts';
import { faultFacts, type Log } from './log.ts';
import { inTurns } from './slices.ts';

/** Takes wishes by name: "NETWORK/ADDRESS", "NAMESPACE/HOSTNAME" of a service, uid of a workload. */
export interface DemandSource {
  /** Those not asked for yet. */
  want(names: Iterable<string>): void;
  /** Those asked for before, too. */
  again(names: Iterable<string>): void;
  unwant(names: Iterable<string>): void;
}

export interface DemandSettings {
  readonly onMiss: 'direct' | 'refuse';
  /** Of this node: addresses that are dialled here are of that network. */
  readonly network: string;
  readonly clusterId: string;
}

export interface DemandOptions extends DemandSettings {
  readonly log: Log;
  /** What was current when the kernel was last touched. */
  readonly plane: () => DataPlane;
  /** Runs `work` under the lock with what is current. */
  readonly inside: <T>(work: (plane: DataPlane) => T) => Promise<T>;
  readonly model: () => Model;
  /** CLOCK_MONOTONIC, which the programs read too. */
  readonly clock: () => bigint;
  readonly limits?: Partial<DemandLimits>;
}

export interface DemandLimits {
  /** Addresses that no service has, or that nobody has answered for: so many are remembered. */
  readonly unknown: number;
  /** Milliseconds between two questions about everything in use: control planes do not tell of new workloads of a service. */
  readonly refreshMs: number;
  /** Milliseconds for which questions that are put again are gathered. */
  readonly gatherMs: number;
}

export interface Demand {
  /** Begins to ask: at first for what was in use before. To be called at once after the source was opened. */
  start(source: DemandSource): void;
  /** Changes that the source is about to tell. */
  noticed(changes: readonly Change[]): void;
  /** Names that the source has resources for, other names of theirs among them, and names that it has nothing for. Both are in the kernel. */
  answered(present: Iterable<string>, absent: readonly string[]): void;
  /** Something may have been enrolled or taken out. */
  enrolled(): void;
  status(): DemandStatus;
  close(): void;
}

const defaults: DemandLimits = { unknown: 8192, refreshMs: 60_000, gatherMs: 1_000 };
const retryMs = 1_000;

/** An address that is asked for. */
interface Wish {
  readonly address: Address;
  /** No answer yet. */
  waiting: boolean;
  /** When it was dialled first; undefined: nobody waits. */
  readonly dialledAt: bigint | undefined;
  /** In use before this agent: not forgotten before it is answered, or what the kernel holds of it would go. */
  readonly heldBefore: boolean;
}

/** Waypoints that changes name, as control planes know them. */
function* namesOfWaypoints(changes: readonly Change[]): Generator<string> {
  for (const change of changes) {
    const asked: (GatewayAddress | undefined)[] = [];
    if (change.kind === 'put-workload') asked.push(change.workload.waypoint);
    if (change.kind === 'put-service') {
      const { waypoint, weightedWaypoints: several } = change.service;
      asked.push(waypoint, ...several.map(({ destination }) => destination));
    }
    for (const at of asked) {
      const to = at?.destination;
      if (to?.kind === 'hostname') yield `${to.namespace}/${to.hostname}`;
      if (to?.kind === 'address') yield `${to.network}/${to.address}`;
    }
  }
}

/** Reads what was in use before; the source is not to be opened earlier. */
export async function openDemand(options: DemandOptions): Promise<Demand> {
  return demandOver(options, await inTurns(readHeldBefore(options.plane())));
}

function demandOver(options: DemandOptions, before: HeldBefore): Demand {
  const { log, network, clusterId, clock } = options;
  const limits = { ...defaults, ...options.limits };
  const times = openTimesMeter();
  /** By name, those asked for longest ago first. */
  const wishes = new Map<string, Wish>();
  /** Keys of services that were in use before. */
  const services = new Set(before.services);
  /** Names of what services and workloads that are known go through: nobody dials it, so that nothing else asks for it. */
  const waypoints = new Set<string>();
  let pods: ReadonlySet<string> = new Set();
  let podsEpoch: bigint | undefined;
  let source: DemandSource | undefined;
  let sweepAt = limits.unknown;
  let forgotten = 0;
  let closed = false;

  const nameOf = (address: Address): string => `${network}/${address}`;
  const owners = (address: Address): readonly string[] => options.model().owners.get(address) ?? [];

  const unwant = (names: readonly string[]): void => {
    if (names.length === 0) return;
    for (const name of names) due.delete(name);
    source?.unwant(names);
  };

  // What is asked again waits a little for more of its kind.
  const due = new Set<string>();
  let gathering: NodeJS.Timeout | undefined;
  const askAgain = (name: string): void => {
    due.add(name);
    gathering ??= setTimeout(() => {
      gathering = undefined;
      if (due.size > 0) source?.again([...due]);
      due.clear();
    }, limits.gatherMs).unref();
  };
  const refresh = setInterval(() => {
    for (const [name, { address, waiting }] of wishes) if (!waiting && owners(address).length > 0) askAgain(name);
    for (const key of services) askAgain(key);
    for (const name of waypoints) if (!services.has(name)) askAgain(name);
  }, limits.refreshMs).unref();

  const write = (work: (plane: DataPlane) => void): void => {
    options.inside(work).catch((fault) => {
      // Whoever dials them reports them again.
      if (!closed) log.warn(faultFacts(fault), 'answers could not be written');
    });
  };
  const mark = (addresses: readonly Address[]): void => {
    if (addresses.length === 0) return;
    write((plane) => {
      const since_ns = clock();
      plane.map('miss').put(addresses.map((address) => [address, { since_ns, state: missState.answered }]));
    });
  };

  /**
   * Forgets addresses that no service has, the oldest first, when there are too many. Those that wait for an answer count as well: while the
   * control plane is away none comes. Whoever dials a forgotten one again has it asked for again.
   */
  const sweep = (): void => {
    const unknown = [...wishes].filter(
      ([, { address, waiting, heldBefore }]) => !(waiting && heldBefore) && owners(address).length === 0,
    );
    const gone = unknown.slice(0, Math.max(0, unknown.length - Math.ceil(limits.unknown * 0.75)));
    for (const [name] of gone) wishes.delete(name);
    sweepAt = wishes.size + Math.ceil(limits.unknown * 0.25);
    if (gone.length === 0) return;
    forgotten += gone.length;
    unwant(gone.flatMap(([name]) => (waypoints.has(name) ? [] : name)));
    write((plane) => plane.map('miss').delete(gone.map(([, { address }]) => address)));
  };

  const take = (records: readonly MissRecord[]): void => {
    const fresh: string[] = [];
    const known: Address[] = [];
    for (const { addr, since_ns, state } of records) {
      if (addr === '') continue;
      const name = nameOf(addr);
      const wish = wishes.get(name);
      if (!wish) {
        const dialledAt = state === missState.asked ? since_ns : undefined;
        wishes.set(name, { address: addr, waiting: true, dialledAt, heldBefore: false });
        fresh.push(name);
      } else if (!wish.waiting) {
        if (state === missState.asked) known.push(addr);
        if (owners(addr).length === 0) askAgain(name);
      }
    }
    if (fresh.length > 0) source?.want(fresh);
    mark(known);
    if (wishes.size > sweepAt) sweep();
  };

  /** The workloads that pods were enrolled as. */
  const followPods = (): void => {
    if (!source) return;
    const plane = options.plane();
    const epoch = plane.map('level').get(0)?.epoch;
    if (epoch === podsEpoch) return;
    podsEpoch = epoch;
    const now = new Set<string>();
    const addresses = podAddresses(plane);
    for (const { workload, netns } of readEnrolments(plane).values()) {
      if (workload !== '') now.add(`${clusterId}//Pod/${workload}`);
      // Judged, and who it is only its addresses tell.
      else for (const address of addresses.get(netns) ?? []) now.add(nameOf(address));
    }
    const gone = [...pods].filter((name) => !now.has(name) && !wishes.has(name) && !waypoints.has(name));
    source.want([...now].filter((name) => !pods.has(name)));
    unwant(gone);
    pods = now;
  };

  const run = async (): Promise<void> => {
    while (!closed) {
      try {
        const records = await options.plane().nextMisses();
        if (closed) return;
        take(records);
        // Nothing for a while: perhaps because others are asked by now.
        if (records.length === 0) await options.inside(() => undefined);
        if (!closed) followPods();
      } catch (fault) {
        if (closed) return;
        log.warn(faultFacts(fault), 'what is missed cannot be read');
        await pause(retryMs, undefined, { ref: false });
      }
    }
  };

  return {
    start(asked) {
      source = asked;
      for (const address of before.addresses)
        wishes.set(nameOf(address), { address, waiting: true, dialledAt: undefined, heldBefore: true });
      source.want([...services, ...wishes.keys()]);
      followPods();
      void run();
    },
    noticed(changes) {
      const unknown = new Set<string>();
      for (const name of namesOfWaypoints(changes)) if (!waypoints.has(name)) unknown.add(name);
      for (const name of unknown) waypoints.add(name);
      if (unknown.size > 0) source?.want(unknown);
      for (const change of changes) {
        if (change.kind !== 'remove-workload') continue;
        // A workload of a service went: another may have come in its place, which nobody tells.
        const { workloads, services: all } = options.model();
        for (const key of workloads.get(change.uid)?.services.keys() ?? []) {
          if (services.has(key)) askAgain(key);
          for (const { address } of all.get(key)?.addresses ?? [])
            if (wishes.has(nameOf(address))) askAgain(nameOf(address));
        }
      }
    },
    answered(present, absent) {
      const known: Address[] = [];
      const waited: bigint[] = [];
      const answer = (name: string): void => {
        const wish = wishes.get(name);
        if (!wish?.waiting) return;
        wish.waiting = false;
        known.push(wish.address);
        if (wish.dialledAt !== undefined) waited.push(wish.dialledAt);
      };
      for (const name of present) answer(name);
      for (const name of absent) answer(name);
      const gone = absent.filter((name) => services.delete(name) && !waypoints.has(name));
      unwant(gone);
      mark(known);
      const now = clock();
      for (const at of waited) times.add(now - at);
    },
    enrolled() {
      try {
        followPods();
      } catch (fault) {
        log.warn(faultFacts(fault), 'enrolments cannot be read');
      }
    },
    status() {
      let waiting = 0;
      for (const wish of wishes.values()) if (wish.waiting) waiting++;
      return { onMiss: options.onMiss, addresses: wishes.size, waiting, forgotten, known: times.read() };
    },
    close() {
      closed = true;
      clearInterval(refresh);
      clearTimeout(gathering);
    },
  };
}
