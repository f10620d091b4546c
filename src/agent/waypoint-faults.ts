// SPDX-License-Identifier: Apache-2.0
// Waypoints that nothing can go through, and who is behind them: told when that begins and ends, and kept for whoever asks.
import type { Remark } from '../admin/types.ts';
import type { WantedBackend } from '../compile/wanted.ts';
import { waypointOfWorkload, workloadsService } from '../compile/waypoint.ts';
import { defaultWaypointSettings, type GatewayAddress, type Otherwise } from '../mesh/gateway.ts';
import type { Model, NodeView } from '../mesh/model.ts';
import { waypointsOf } from '../mesh/service.ts';
import { emptyTable, type Table } from '../mesh/table.ts';
import type { Log } from './log.ts';
import type { WantedNow } from './reconciler-api.ts';

export interface UnusableWaypoint {
  /** "Gateway shop/waypoint", or what a control plane calls it. */
  readonly waypoint: string;
  readonly reason: string;
  /** What becomes of connections meanwhile. */
  readonly instead: Otherwise;
  /** Keys of those behind it. */
  readonly services: readonly string[];
  /** uids of those behind it. */
  readonly workloads: readonly string[];
}

export interface WaypointWatch {
  /** The model may be another one. */
  look(): void;
  unusable(): readonly UnusableWaypoint[];
  close(): void;
}

/** A long list of changes comes in parts, and a waypoint may come right behind those who use it. */
const defaultGatherMs = 1000;
/** So many of those behind one are named. */
const mostNamed = 3;

function nameOf({ destination: to, gateway }: GatewayAddress): string {
  if (gateway !== undefined) return `Gateway ${gateway}`;
  if (to.kind === 'hostname') return `service ${to.namespace}/${to.hostname}`;
  return to.kind === 'address' ? to.address : 'waypoint';
}

/** Workloads by the stand-in service that leads to their waypoint, and by what the waypoint is called. */
function workloadsBehind(
  model: Model,
  view: NodeView,
): Map<string, Map<string, { at: GatewayAddress; uids: string[] }>> {
  const found = new Map<string, Map<string, { at: GatewayAddress; uids: string[] }>>();
  for (const workload of model.workloads.values()) {
    const ref = waypointOfWorkload(workload, view);
    if (!ref) continue;
    const unready = workload.waypointUnready ?? (view.waypoints ?? defaultWaypointSettings).unready;
    const service = workloadsService(ref, unready);
    const at = workload.waypoint as GatewayAddress;
    const named = found.get(service) ?? new Map<string, { at: GatewayAddress; uids: string[] }>();
    found.set(service, named);
    const known = named.get(nameOf(at));
    if (known) known.uids.push(workload.uid);
    else named.set(nameOf(at), { at, uids: [workload.uid] });
  }
  return found;
}

interface State {
  readonly model: Model;
  readonly view: NodeView;
}

/** Names of a waypoint's backend -> names of the backends that lead to it. */
type Leading = ReadonlyMap<string, ReadonlySet<string>>;

/** Who leads where, from one state of all backends to the next: a mesh has one for each port, and between two looks few change. */
export function followingWaypoints(): (backends: Table<WantedBackend>) => Leading {
  let seen = emptyTable<WantedBackend>();
  const leadsTo = new Map<string, string>();
  const leading = new Map<string, Set<string>>();
  return (backends) => {
    for (const name of backends.changedSince(seen)) {
      const was = leadsTo.get(name);
      const now = backends.get(name)?.via?.backend;
      if (was === now) continue;
      if (was !== undefined) {
        const others = leading.get(was);
        others?.delete(name);
        if (others?.size === 0) leading.delete(was);
      }
      if (now === undefined) leadsTo.delete(name);
      else {
        leadsTo.set(name, now);
        leading.set(now, (leading.get(now) ?? new Set()).add(name));
      }
    }
    seen = backends;
    return leading;
  };
}

export function unusableWaypoints(
  { model, view }: State,
  { backends }: Pick<WantedNow, 'backends'>,
  leading: Leading = followingWaypoints()(backends),
): UnusableWaypoint[] {
  const out = new Map<
    string,
    Pick<UnusableWaypoint, 'waypoint' | 'reason' | 'instead'> & { services: Set<string>; workloads: Set<string> }
  >();
  const of = (asked: readonly GatewayAddress[], instead: Otherwise) => {
    const waypoint = asked.map(nameOf).join(', ');
    const said = asked.flatMap(({ destination: to }) => (to.kind === 'unusable' ? [to.reason] : []));
    const reason = said.length > 0 ? said.join('; ') : 'no endpoint of it can be used';
    const key = keyOf({ waypoint, reason, instead });
    const known = out.get(key);
    if (known) return known;
    const made = { waypoint, reason, instead, services: new Set<string>(), workloads: new Set<string>() };
    out.set(key, made);
    return made;
  };
  let behind: ReturnType<typeof workloadsBehind> | undefined;
  for (const [waypoint, names] of leading) {
    if (backends.get(waypoint)?.endpoints.length !== 0) continue;
    // One for each port and family.
    for (const name of names) {
      const { via, service: key } = backends.get(name) as WantedBackend;
      if (!via) continue;
      const service = model.services.get(key);
      if (service) of(waypointsOf(service), via.unready).services.add(key);
      behind ??= service ? undefined : workloadsBehind(model, view);
      for (const { at, uids } of (!service && behind?.get(key)?.values()) || []) {
        const { workloads } = of([at], via.unready);
        for (const uid of uids) workloads.add(uid);
      }
    }
  }
  return [...out.values()].map((one) => ({
    ...one,
    services: [...one.services].sort(),
    workloads: [...one.workloads].sort(),
  }));
}

const keyOf = ({ waypoint, reason, instead }: Pick<UnusableWaypoint, 'waypoint' | 'reason' | 'instead'>): string =>
  [waypoint, reason, instead].join('\n');

function whoText({ services, workloads }: UnusableWaypoint): string {
  const counted = (n: number, what: string) => (n === 0 ? [] : [n === 1 ? `1 ${what}` : `${n} ${what}s`]);
  const all = [...services, ...workloads];
  const named = all.slice(0, mostNamed).join(', ') + (all.length > mostNamed ? ', …' : '');
  return `${[...counted(services.length, 'service'), ...counted(workloads.length, 'workload')].join(' and ')} (${named})`;
}

export function waypointRemark(one: UnusableWaypoint): Remark {
  const instead = one.instead === 'refuse' ? 'are refused' : 'go past it';
  return {
    place: '',
    resource: one.waypoint,
    field: '',
    reason: `${one.reason}: connections to ${whoText(one)} ${instead}`,
  };
}

export function watchWaypoints(
  state: State & { wanted(): WantedNow },
  log: Log,
  gatherMs = defaultGatherMs,
): WaypointWatch {
  const following = followingWaypoints();
  let of: WantedNow['backends'] | undefined;
  let found: readonly UnusableWaypoint[] = [];
  let told = new Map<string, UnusableWaypoint>();
  let timer: NodeJS.Timeout | undefined;
  const unusable = () => {
    const wanted = state.wanted();
    if (wanted.backends !== of) {
      of = wanted.backends;
      found = unusableWaypoints(state, wanted, following(wanted.backends));
    }
    return found;
  };
  const tell = (): void => {
    timer = undefined;
    const now = new Map(unusable().map((one) => [keyOf(one), one]));
    for (const [key, one] of now) {
      const { waypoint, reason, instead, services, workloads } = one;
      if (told.has(key)) continue;
      const facts = {
        event: 'waypoint_unusable',
        waypoint,
        reason,
        services: services.length,
        workloads: workloads.length,
      };
      log.warn(
        facts,
        instead === 'refuse' ? 'connections through a waypoint are refused' : 'connections go past a waypoint',
      );
    }
    for (const [key, { waypoint }] of told) {
      if (!now.has(key))
        log.info({ event: 'waypoint_unusable_over', waypoint }, 'that no longer holds for the waypoint');
    }
    told = now;
  };
  return {
    look() {
      timer ??= setTimeout(tell, gatherMs).unref();
    },
    unusable,
    close: () => clearTimeout(timer),
  };
}
