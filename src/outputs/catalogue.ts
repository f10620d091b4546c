// SPDX-License-Identifier: Apache-2.0
// Every metric of an agent but those of its process: name, what it says, and where in the facts that is. No label has a value for
// each workload or service, and policies are bounded by whoever gives the facts. docs/metrics.md is held equal to this by a test.
import type { AuthzFacts, MetricsFacts, TimesFacts, WaypointFacts, XdsFacts, XdsTypeFacts } from './facts.ts';

/** Values of the labels, in their order, and the value. */
export type Sample = readonly [labels: readonly string[], value: number];

export interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly labels: readonly string[];
  /** No sample: it has no meaning now. */
  read(facts: MetricsFacts): Iterable<Sample>;
}

export interface Distribution {
  readonly name: string;
  readonly help: string;
  /** Upper bounds. */
  readonly buckets: readonly number[];
}

const seconds = (milliseconds: number): number => milliseconds / 1000;

function metric(
  type: Metric['type'],
  name: string,
  help: string,
  labels: readonly string[],
  read: Metric['read'],
): Metric {
  return { type, name, help, labels, read };
}

/** A single value; undefined: none now. */
const one = (
  type: Metric['type'],
  name: string,
  help: string,
  read: (facts: MetricsFacts) => number | boolean | undefined,
): Metric =>
  metric(type, name, help, [], (facts) => {
    const value = read(facts);
    return value === undefined ? [] : [[[], Number(value)]];
  });

const ofXds = (
  type: Metric['type'],
  name: string,
  help: string,
  read: (xds: XdsFacts) => number | boolean | undefined,
): Metric => one(type, name, help, ({ xds }) => xds && read(xds));

const ofType = (
  type: Metric['type'],
  name: string,
  help: string,
  read: (of: XdsTypeFacts) => number | boolean | undefined,
  label: 'type' | 'url' = 'type',
): Metric =>
  metric(type, name, help, [label], ({ xds }) =>
    (xds?.types ?? []).flatMap((of) => {
      const value = read(of);
      return value === undefined ? [] : [[[of[label]], Number(value)] as const];
    }),
  );

const connection: readonly Metric[] = [
  ofXds('gauge', 'kmesh_xds_connected', '1 while the control plane answers on a stream.', (x) => x.connected),
  ofXds('gauge', 'kmesh_xds_connection_change_timestamp_seconds', 'When it connected, or lost the connection.', (x) =>
    seconds(x.since),
  ),
  ofXds('counter', 'kmesh_xds_streams_total', 'Streams to the control plane that were opened.', (x) => x.streams),
  metric(
    'counter',
    'istio_xds_connection_terminations_total',
    'Streams that ended, by why: ConnectionError, Error, Reconnect, Complete.',
    ['reason'],
    ({ xds }) => Object.entries(xds?.ended ?? {}).map(([reason, count]) => [[reason], count] as const),
  ),
  ofType('counter', 'istio_xds_message_total', 'Responses received, by type URL.', (t) => t.responses, 'url'),
  ofType(
    'counter',
    'istio_xds_message_bytes_total',
    'Bytes of responses received, by type URL.',
    (t) => t.bytes,
    'url',
  ),
  ofType('counter', 'kmesh_xds_acks_total', 'Responses acknowledged: what they say is applied.', (t) => t.acks),
  ofType('counter', 'kmesh_xds_nacks_total', 'Responses with resources that were refused.', (t) => t.nacks),
  ofType('counter', 'kmesh_xds_rejected_resources_total', 'Resources refused so far.', (t) => t.rejected),
  ofType(
    'gauge',
    'kmesh_xds_refused_resources',
    'Resources whose last version is refused: an older one is in effect, or none.',
    (t) => t.refused,
  ),
  ofType('gauge', 'kmesh_xds_held_resources', 'Resources held.', (t) => t.held),
  ofType('gauge', 'kmesh_xds_complete', '1 once a first whole state was taken in.', (t) => t.complete),
  ofType(
    'gauge',
    'kmesh_xds_last_response_timestamp_seconds',
    'When the last response came.',
    (t) => t.lastResponseAt && seconds(t.lastResponseAt),
  ),
  ofXds('gauge', 'kmesh_xds_demanded_names', 'Names asked for, on demand.', (x) => x.demanded),
  ofXds('gauge', 'kmesh_xds_absent_names', 'Names among them that the control plane has nothing for.', (x) => x.absent),
];

const demand: readonly Metric[] = [
  one(
    'gauge',
    'kmesh_demand_addresses',
    'Addresses asked for, on demand, and not forgotten.',
    (f) => f.demand?.addresses,
  ),
  one('gauge', 'kmesh_demand_waiting', 'Addresses that nobody has answered for yet.', (f) => f.demand?.waiting),
  one(
    'counter',
    'kmesh_demand_forgotten_total',
    'Addresses forgotten for want of room: asked for anew when they are dialled.',
    (f) => f.demand?.forgotten,
  ),
];

const model: readonly Metric[] = [
  one('gauge', 'kmesh_ready', '1 while the node can rely on what is in the kernel.', (f) => f.ready),
  metric('gauge', 'kmesh_source_complete', '1 once a source has told everything.', ['source'], ({ sources }) =>
    sources.map(({ name, complete }) => [[name], Number(complete)] as const),
  ),
  metric('gauge', 'kmesh_source_objects', 'Objects of a source in effect.', ['source'], ({ sources }) =>
    sources.map(({ name, objects }) => [[name], objects] as const),
  ),
  metric('gauge', 'kmesh_model_objects', 'Services, workloads and policies known.', ['kind'], ({ objects }) =>
    Object.entries(objects).map(([kind, count]) => [[kind], count] as const),
  ),
  one('gauge', 'kmesh_faults', 'What is refused of the configuration, and what has no room in a map.', (f) => f.faults),
  one('gauge', 'kmesh_changes_pending', 'Changes that are not in the kernel yet.', (f) => f.queue),
];

const kernel: readonly Metric[] = [
  one('gauge', 'kmesh_kernel_write_failed', '1 while the last write into the kernel failed.', (f) => f.writeFailed),
  metric('gauge', 'kmesh_map_used_entries', 'Entries of a map in use.', ['map'], ({ maps }) =>
    maps.map(({ name, used }) => [[name], used] as const),
  ),
  metric('gauge', 'kmesh_map_size_entries', 'Entries that a map has room for.', ['map'], ({ maps }) =>
    maps.map(({ name, size }) => [[name], size] as const),
  ),
  one('counter', 'kmesh_map_growths_total', 'Maps that were made larger.', (f) => f.growths),
  one('counter', 'kmesh_heal_comparisons_total', 'Full comparisons with the kernel.', (f) => f.heal.comparisons),
  one(
    'gauge',
    'kmesh_heal_last_timestamp_seconds',
    'When the last comparison ended.',
    (f) => f.heal.lastAt && seconds(f.heal.lastAt),
  ),
  one('gauge', 'kmesh_heal_last_duration_seconds', 'How long the last comparison took.', ({ heal }) =>
    seconds(heal.lastMilliseconds),
  ),
  one(
    'counter',
    'kmesh_heal_repaired_entries_total',
    'Entries that were not as wanted and were written again.',
    ({ heal }) => heal.repairedEntries,
  ),
  one(
    'counter',
    'kmesh_heal_corrected_counts_total',
    'Counts of open connections that were put right.',
    ({ heal }) => heal.correctedCounts,
  ),
  one(
    'counter',
    'kmesh_heal_removed_enrolments_total',
    'Enrolments of deleted cgroups that were removed.',
    ({ heal }) => heal.removedEnrolments,
  ),
  metric(
    'counter',
    'kmesh_program_events_total',
    'What the programs decided and met, by reason ("kmeshctl dump maps reason").',
    ['reason'],
    ({ reasons }) => Array.from(reasons, ([reason, count]) => [[reason], count] as const),
  ),
];

const ofAuthz = (
  type: Metric['type'],
  name: string,
  help: string,
  label: string,
  read: (authz: AuthzFacts) => Readonly<Record<string, number>>,
): Metric =>
  metric(type, name, help, [label], ({ authz: of }) =>
    of ? Object.entries(read(of)).map(([value, count]) => [[value], count] as const) : [],
  );

const authz: readonly Metric[] = [
  ofAuthz('gauge', 'kmesh_authz_pods', 'Enrolled cgroups by enforcement: on, pending, off.', 'state', (a) => a.pods),
  ofAuthz(
    'gauge',
    'kmesh_authz_policies',
    'Policies that are not in force as written: stale, refused, denies_less.',
    'state',
    (a) => a.policies,
  ),
  metric(
    'counter',
    'kmesh_authz_verdicts_total',
    'Connections and datagrams that a policy decided: denied, allowed, dry_run.',
    ['policy', 'verdict'],
    ({ authz: of }) =>
      Array.from(of?.verdicts ?? [], ([policy, verdict, count]) => [[policy, verdict], count] as const),
  ),
  ofAuthz(
    'counter',
    'kmesh_authz_denial_records_total',
    'Records of denied connections that were read: logged, suppressed.',
    'fate',
    (a) => a.denials,
  ),
  one('counter', 'kmesh_authz_rechecks_total', 'Rounds over open connections.', (f) => f.authz?.rechecks),
  one(
    'counter',
    'kmesh_authz_destroyed_connections_total',
    'Open connections that were ended because they are not allowed any more.',
    (f) => f.authz?.destroyed,
  ),
];

const ofProxies = (
  type: Metric['type'],
  name: string,
  help: string,
  read: (of: WaypointFacts['types'][number]) => number,
): Metric =>
  metric(type, name, help, ['type'], ({ waypoints: of }) => (of?.types ?? []).map((one) => [[one.type], read(one)]));

/** Also those of a process that serves nothing but waypoints: they read nothing else. */
export const waypointMetrics: readonly Metric[] = [
  one('gauge', 'kmesh_waypoint_proxies', 'Proxies of waypoints that are connected.', (f) => f.waypoints?.proxies),
  one('counter', 'kmesh_waypoint_streams_total', 'Streams of proxies that were taken.', (f) => f.waypoints?.streams),
  metric(
    'counter',
    'kmesh_waypoint_streams_refused_total',
    'Streams and connections that were turned away: too_many, silent, malformed, misnamed, greedy, failed.',
    ['reason'],
    ({ waypoints: of }) => Object.entries(of?.ended ?? {}).map(([reason, count]) => [[reason], count] as const),
  ),
  ofProxies('counter', 'kmesh_waypoint_responses_total', 'Answers sent to proxies.', (t) => t.responses),
  ofProxies('counter', 'kmesh_waypoint_acks_total', 'Answers that proxies took.', (t) => t.acks),
  ofProxies('counter', 'kmesh_waypoint_nacks_total', 'Answers with something that proxies refused.', (t) => t.nacks),
  ofProxies('gauge', 'kmesh_waypoint_awaited_answers', 'Answers that proxies have said nothing of.', (t) => t.awaited),
  ofProxies(
    'gauge',
    'kmesh_waypoint_refused_resources',
    'Resources whose last version a proxy refuses: an older one is in use, or none.',
    (t) => t.refused,
  ),
  metric(
    'gauge',
    'kmesh_waypoint_route_conditions',
    'Routes and policies that have no effect, or not all of it: BackendNotFound, InvalidKind, RefNotPermitted, NoMatchingParent, Conflicted, UnsupportedValue, TargetNotFound, AncestorNotBound, InvalidTarget, Invalid.',
    ['reason'],
    ({ waypoints: of }) => Object.entries(of?.conditions ?? {}).map(([reason, count]) => [[reason], count] as const),
  ),
];

const loop: readonly Metric[] = [
  one('gauge', 'nodejs_eventloop_lag_mean_seconds', 'How late timers ran on average in the last minute.', ({ lag }) =>
    seconds(lag.mean),
  ),
  one('gauge', 'nodejs_eventloop_lag_max_seconds', 'How late a timer ran at most in the last minute.', ({ lag }) =>
    seconds(lag.max),
  ),
];

export const metrics: readonly Metric[] = [
  ...connection,
  ...demand,
  ...model,
  ...kernel,
  ...authz,
  ...waypointMetrics,
  ...loop,
];

/** Counted elsewhere. */
export const times = {
  name: 'kmesh_demand_known_duration_seconds',
  help: 'From the first connection to an address until the kernel knew what the mesh knows of it.',
  read: ({ demand }: MetricsFacts): TimesFacts | undefined => demand?.known,
} as const;

/** Counted here. */
export const distributions = {
  duration: {
    name: 'kmesh_apply_duration_seconds',
    help: "From a source's news to the last write into the kernel.",
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
  },
  operations: {
    name: 'kmesh_apply_operations',
    help: 'Operations on maps that a piece of news came to.',
    buckets: [0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
  },
} as const satisfies Record<string, Distribution>;
