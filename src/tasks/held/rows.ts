// SPDX-License-Identifier: Apache-2.0
// What the kernel holds as rows by name: one a service, one a workload.
import type { Protocol } from '../../abi/structs.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';
import type { BalancerPolicy } from '../../mesh/service.ts';
import { readBackend } from './backend.ts';
import { type HeldFrontend, readFrontends } from './frontend.ts';
import { type HeldNames, readNames } from './names.ts';

export interface RowFilter {
  /** Part of the name or of an address. */
  readonly filter?: string;
  readonly limit?: number;
}

export interface ServiceFrontend {
  readonly protocol: Protocol;
  /** "10.0.0.1", or a range "10.1.0.0/16". */
  readonly address: string;
  readonly port: number;
  /** Set: only clients of this namespace get this backend ('*': all that have none of their own). */
  readonly namespace?: string;
}

export interface ServiceBackend {
  readonly name: string;
  readonly policy: BalancerPolicy;
  readonly affinitySeconds: number;
  /** Left alone always; left alone when empty. */
  readonly passthrough: boolean;
  readonly emptyDirect: boolean;
  /** Backend of the waypoint that TCP goes through. */
  readonly waypoint?: string;
  /** Of workloads behind one: ports where the server speaks first, and what becomes of connections there. */
  readonly serverFirst?: { readonly ports: readonly number[]; readonly otherwise: 'refuse' | 'direct' };
  readonly frontends: readonly ServiceFrontend[];
  readonly endpoints: readonly {
    readonly workload: string;
    readonly address: string;
    readonly port: number;
    /** 0 to 1. */
    readonly probability: number;
  }[];
}

export interface ServiceRow {
  /** "namespace/hostname". */
  readonly service: string;
  readonly backends: readonly ServiceBackend[];
}

export interface WorkloadRow {
  readonly workload: string;
  readonly id: number;
  /** "address:port" pairs by which backends reach it, as they stand. */
  readonly endpoints: readonly { readonly backend: string; readonly address: string; readonly port: number }[];
  /** Open TCP connections of this node's clients to it. */
  readonly connections: number;
  /** Set: a workload of this node. */
  readonly client?: { readonly namespace: string; readonly address4: string; readonly address6: string };
  /** Ids of the cgroups enrolled as it. */
  readonly cgroups: readonly string[];
}

function group<K, V>(items: Iterable<V>, keyOf: (item: V) => K): Map<K, V[]> {
  const out = new Map<K, V[]>();
  for (const item of items) {
    const key = keyOf(item);
    const held = out.get(key);
    if (held) held.push(item);
    else out.set(key, [item]);
  }
  return out;
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** True when one of the texts has `filter` in it. */
function matches(filter: string | undefined, name: string, addresses: Iterable<string>): boolean {
  if (filter === undefined || name.includes(filter)) return true;
  for (const address of addresses) if (address.includes(filter)) return true;
  return false;
}

/** The service that a backend is named after. */
function serviceOf(backend: string): string {
  const match = /^(.*):\d+\/[46](?:\/udp)?$/.exec(backend);
  return match ? (match[1] as string) : backend;
}

/** One row a service, sorted by name; endpoints are read when their row is asked for. */
export function* serviceRows(plane: DataPlane, options: RowFilter): Generator<ServiceRow, void, undefined> {
  const names = readNames(plane);
  const frontends = group(readFrontends(plane), (f) => f.backendId);
  const backends = group(names.all('backend'), ([, name]) => serviceOf(name));
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  for (const service of [...backends.keys()].sort(byText)) {
    if (left <= 0) return;
    const own = backends.get(service) ?? [];
    const addresses = own.flatMap(([id]) => (frontends.get(id) ?? []).map((f) => f.address));
    if (!matches(options.filter, service, addresses)) continue;
    const rows = own.map(([id, name]) => backendRow(plane, names, id, name, frontends.get(id) ?? []));
    const found = rows.filter((row) => row !== undefined);
    // An id that outlives its backend (it waits to be free again) is no service.
    if (found.length === 0) continue;
    left--;
    yield { service, backends: found.sort((a, b) => byText(a.name, b.name)) };
  }
}

function backendRow(
  plane: DataPlane,
  names: HeldNames,
  id: number,
  name: string,
  frontends: readonly HeldFrontend[],
): ServiceBackend | undefined {
  const held = readBackend(plane, id);
  if (!held) return undefined;
  const { policy, affinitySeconds, passthrough, emptyDirect } = held;
  return {
    name,
    policy,
    affinitySeconds,
    passthrough,
    emptyDirect,
    ...(held.via && { waypoint: names.nameOf('backend', held.via.backendId) }),
    ...(held.via?.listed.length && {
      serverFirst: { ports: held.via.listed, otherwise: held.via.listedDirect ? 'direct' : 'refuse' },
    }),
    frontends: frontends.map((f) => frontendRow(f, names)),
    endpoints: held.endpoints.map(({ workloadId, ...rest }) => ({
      workload: names.nameOf('workload', workloadId),
      ...rest,
    })),
  };
}

function frontendRow(f: HeldFrontend, names: HeldNames): ServiceFrontend {
  const namespace = f.namespaceId === 0 ? '*' : names.nameOf('namespace', f.namespaceId ?? 0);
  return {
    protocol: f.protocol,
    address: f.length === undefined ? f.address : `${f.address}/${f.length}`,
    port: f.port,
    ...(f.namespaceId === undefined ? {} : { namespace }),
  };
}

/** One row a workload, sorted by name. */
export function* workloadRows(plane: DataPlane, options: RowFilter): Generator<WorkloadRow, void, undefined> {
  const names = readNames(plane);
  const reached = new Map<number, WorkloadRow['endpoints'][number][]>();
  for (const [id, backend] of names.all('backend')) {
    for (const { workloadId, address, port } of readBackend(plane, id, false)?.endpoints ?? []) {
      const held = reached.get(workloadId);
      if (held) held.push({ backend, address, port });
      else reached.set(workloadId, [{ backend, address, port }]);
    }
  }
  const cgroups = group(plane.map('enrolled').entries(), ([, value]) => value.workload_id);
  const ids = new Map([...names.all('workload')].map(([id, name]) => [name, id]));
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  for (const workload of [...ids.keys()].sort(byText)) {
    const id = ids.get(workload) as number;
    const client = plane.map('client').get(id);
    const endpoints = (reached.get(id) ?? []).sort((a, b) => byText(a.backend, b.backend));
    const addresses = [...endpoints.map((e) => e.address), client?.addr4 ?? '', client?.addr6 ?? ''];
    if (!matches(options.filter, workload, addresses)) continue;
    if (left-- <= 0) return;
    yield {
      workload,
      id,
      endpoints,
      connections: Number(plane.map('active').get(id)?.connections ?? 0n),
      ...(client === undefined
        ? {}
        : {
            client: {
              namespace: names.nameOf('namespace', client.namespace_id),
              address4: client.addr4,
              address6: client.addr6,
            },
          }),
      cgroups: (cgroups.get(id) ?? []).map(([cgroup]) => String(cgroup)),
    };
  }
}
