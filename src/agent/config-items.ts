// SPDX-License-Identifier: Apache-2.0
// The model for the admin socket, one object at a time and none too large, so that nothing else waits however much there is.
import type { ConfigQuery } from '../admin/routes.ts';
import type { ConfigItem, ConfigKind, ConfigOrigin, Json } from '../admin/types.ts';
import type { Model } from '../mesh/model.ts';
import type { Combination } from '../source/combine.ts';
import { breath } from './slices.ts';
import { endpointJson, isIncluded, type JsonObject, policyJson, serviceJson, workloadJson } from './ztunnel-json.ts';

/** Endpoints that one item holds. */
const mostEndpoints = 500;
/** Milliseconds of work between two pauses. */
const sliceMs = 4;
/** Names that are looked at at once. */
const run = 1024;

/**
 * Endpoints of services that are not known, then workloads, services, policies, gateways and routes, each sorted by name; services with many endpoints are
 * followed by the rest of them. Reads one snapshot however long it takes.
 */
export async function* configItems(
  model: Model,
  origin: Combination['origin'],
  query: ConfigQuery,
): AsyncGenerator<ConfigItem, void, undefined> {
  let begun = performance.now();
  for (const item of items(model, origin, query)) {
    if (item) yield item;
    if (performance.now() - begun < sliceMs) continue;
    await breath();
    begun = performance.now();
  }
}

/** Undefined: a place to pause at. */
function* items(
  model: Model,
  origin: Combination['origin'],
  query: ConfigQuery,
): Generator<ConfigItem | undefined, void, undefined> {
  const isAsked = (kind: ConfigKind): boolean => query.kind === undefined || query.kind === kind;
  // Taken at once: later the tables are those of before.
  const names = {
    staged: isAsked('service') ? [...model.members.keys()] : [],
    workload: isAsked('workload') ? [...model.workloads.keys()] : [],
    service: isAsked('service') ? [...model.services.keys()] : [],
    policy: isAsked('policy') ? [...model.policies.keys()] : [],
    gateway: isAsked('gateway') ? [...model.gateways.keys()] : [],
    route: isAsked('route') ? [...model.routes.keys()] : [],
  };
  const filter = query.filter ?? '';
  const limit = query.limit ?? Number.POSITIVE_INFINITY;

  let count = 0;
  for (const name of yield* sorted(names.staged, filter)) {
    yield;
    if (model.services.has(name)) continue;
    if (count++ === limit) break;
    for (const endpoints of endpointsOf(model, name)) yield { kind: 'staged', name, fields: endpoints };
  }
  count = 0;
  for (const kind of ['workload', 'service', 'policy', 'gateway', 'route'] as const) {
    for (const name of yield* sorted(names[kind], filter)) {
      if (count++ === limit) return;
      const fields = fieldsOf(model, kind, name);
      const from = query.origin === true ? originOf(origin, kind, name) : {};
      if (kind !== 'service') {
        yield { kind, name, fields, ...from };
        continue;
      }
      const endpoints = endpointsOf(model, name);
      yield { kind, name, fields: { ...fields, endpoints: endpoints.next().value ?? {} }, ...from };
      for (const more of endpoints) yield { kind: 'endpoints', name, fields: more };
    }
  }
}

function fieldsOf(model: Model, kind: ConfigKind, name: string): JsonObject {
  // As the model has them: nobody else prints these.
  if (kind === 'gateway') return plainJson(model.gateways.get(name));
  if (kind === 'route') return plainJson(model.routes.get(name));
  const [workload, service, policy] = [
    kind === 'workload' ? model.workloads.get(name) : undefined,
    kind === 'service' ? model.services.get(name) : undefined,
    kind === 'policy' ? model.policies.get(name) : undefined,
  ];
  if (workload) return workloadJson(workload);
  if (service) return serviceJson(service);
  return policy ? policyJson(policy) : {};
}

/** Such values are JSON as they are, but for what is undefined. */
function plainJson(thing: object | undefined): JsonObject {
  return JSON.parse(JSON.stringify(thing ?? {})) as JsonObject;
}

function originOf(origin: Combination['origin'], kind: ConfigKind, name: string): ConfigOrigin {
  const { source = '', shadows = [] } = origin(kind, name) ?? {};
  return { origin: source, ...(shadows.length === 0 ? {} : { shadows }) };
}

/** By uid, in parts. All of them while the service is not known. */
function* endpointsOf(model: Model, key: string): Generator<JsonObject, void, undefined> {
  const service = model.services.get(key);
  let part: Record<string, Json> = {};
  let count = 0;
  for (const uid of model.members.get(key) ?? []) {
    const workload = model.workloads.get(uid);
    if (!workload || (service && !isIncluded(workload, service))) continue;
    part[uid] = endpointJson(workload, key);
    if (++count % mostEndpoints > 0) continue;
    yield part;
    part = {};
  }
  if (Object.keys(part).length > 0) yield part;
}

/** Those that contain `filter`, sorted in short runs that are then merged. */
function* sorted(names: readonly string[], filter: string): Generator<undefined, readonly string[], undefined> {
  let runs: (readonly string[])[] = [];
  for (let from = 0; from < names.length; from += run) {
    const part = names.slice(from, from + run).filter((name) => name.includes(filter));
    if (part.length > 0) runs.push(part.sort());
    yield;
  }
  while (runs.length > 1) {
    const longer: (readonly string[])[] = [];
    for (let i = 0; i < runs.length; i += 2) longer.push(yield* merged(runs[i] ?? [], runs[i + 1] ?? []));
    runs = longer;
  }
  return runs[0] ?? [];
}

function* merged(left: readonly string[], right: readonly string[]): Generator<undefined, string[], undefined> {
  const out: string[] = [];
  let [i, j] = [0, 0];
  while (i < left.length || j < right.length) {
    const [a, b] = [left[i], right[j]];
    const next = b === undefined || (a !== undefined && a < b) ? left[i++] : right[j++];
    out.push(next as string);
    if (out.length % run === 0) yield;
  }
  return out;
}
