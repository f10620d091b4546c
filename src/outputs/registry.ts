// SPDX-License-Identifier: Apache-2.0
// The metrics of an agent in the text format of Prometheus, made when they are asked for.
import { Counter, Gauge, Histogram, type Metric, Registry } from 'prom-client';
import { distributions, type Metric as Listed, metrics, type Sample, times, waypointMetrics } from './catalogue.ts';
import type { Applied, MetricsFacts, TimesFacts, WaypointFacts } from './facts.ts';
import { processMetrics } from './process.ts';

export interface AgentMetrics {
  readonly contentType: string;
  applied(one: Applied): void;
  /** `facts`: undefined while there are none, so that only the process shows. */
  text(facts: MetricsFacts | undefined): Promise<string>;
}

export interface BuildFacts {
  readonly version: string;
  readonly abiVersion: number;
}

interface Shown {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly labels: readonly string[];
}

/** Values are taken from `read` at every scrape; nothing is kept from one to the next. */
function show(registry: Registry, { name, type, help, labels }: Shown, read: () => Iterable<Sample>): void {
  const common = { name, help, labelNames: [...labels], registers: [registry] };
  const each = (put: (labels: Record<string, string>, value: number) => void): void => {
    for (const [values, value] of read())
      put(Object.fromEntries(labels.map((label, i) => [label, values[i] ?? ''])), value);
  };
  // reset() gives one without labels the value 0, which would be a lie.
  const clear = (one: { remove(): void; reset(): void }): void => (labels.length === 0 ? one.remove() : one.reset());
  if (type === 'gauge') {
    const gauge = new Gauge({
      ...common,
      collect() {
        clear(gauge);
        each((of, value) => gauge.set(of, value));
      },
    });
  } else {
    const counter = new Counter({
      ...common,
      collect() {
        clear(counter);
        each((of, value) => counter.inc(of, value));
      },
    });
  }
}

/** A histogram that was counted elsewhere: the library knows only those that it counts itself, and prints whatever has this shape. */
function countedElsewhere(read: () => TimesFacts | undefined): Metric {
  const { name, help } = times;
  const values = ({ buckets, count, sum }: TimesFacts) => [
    ...buckets.map((one) => ({ metricName: `${name}_bucket`, labels: { le: one.atMost / 1000 }, value: one.count })),
    { metricName: `${name}_bucket`, labels: { le: '+Inf' }, value: count },
    { metricName: `${name}_sum`, labels: {}, value: sum / 1000 },
    { metricName: `${name}_count`, labels: {}, value: count },
  ];
  const get = async () => {
    const now = read();
    return { name, help, type: 'histogram', aggregator: 'sum', values: now ? values(now) : [] };
  };
  return { name, get } as unknown as Metric;
}

/** What every process shows, and `list` as `facts` has it. */
function registryOf(
  { version, abiVersion }: BuildFacts,
  list: readonly Listed[],
  facts: () => MetricsFacts | undefined,
) {
  const registry = new Registry();
  const build = { name: 'kmesh_build_info', type: 'gauge', help: buildHelp, labels: ['version', 'abi'] } as const;
  show(registry, build, () => [[[version, String(abiVersion)], 1]]);
  for (const metric of list) {
    show(registry, metric, () => {
      const now = facts();
      return now ? metric.read(now) : [];
    });
  }
  for (const metric of processMetrics()) {
    show(registry, metric, () => {
      const value = metric.read();
      return value === undefined ? [] : [[[], value]];
    });
  }
  return registry;
}

export interface WaypointMetrics {
  readonly contentType: string;
  text(facts: WaypointFacts): Promise<string>;
}

/** Of a process that serves waypoints and is no agent. */
export function waypointOnlyMetrics(build: BuildFacts): WaypointMetrics {
  let current: WaypointFacts | undefined;
  // Its metrics read nothing else.
  const registry = registryOf(build, waypointMetrics, () => ({ waypoints: current }) as MetricsFacts);
  return {
    contentType: registry.contentType,
    text(facts) {
      current = facts;
      return registry.metrics();
    },
  };
}

export function agentMetrics(build: BuildFacts): AgentMetrics {
  let current: MetricsFacts | undefined;
  const registry = registryOf(build, metrics, () => current);
  registry.registerMetric(countedElsewhere(() => current && times.read(current)));
  const histogram = ({ name, help, buckets }: (typeof distributions)['duration' | 'operations']) =>
    new Histogram({ name, help, buckets: [...buckets], registers: [registry] });
  const duration = histogram(distributions.duration);
  const operations = histogram(distributions.operations);
  return {
    contentType: registry.contentType,
    applied(one) {
      duration.observe(one.milliseconds / 1000);
      operations.observe(one.operations);
    },
    text(facts) {
      current = facts;
      return registry.metrics();
    },
  };
}

const buildHelp = 'Always 1; which kmeshctl this is.';
