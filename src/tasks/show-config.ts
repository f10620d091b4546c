// SPDX-License-Identifier: Apache-2.0
// The mesh as the agent has it, in the shape of ztunnel's config_dump; made as it is taken, never held whole.
import { adminClient } from '../admin/client.ts';
import type { ConfigQuery } from '../admin/routes.ts';
import type { ConfigItem, ConfigKind, ConfigOrigin, Json } from '../admin/types.ts';
import type { Env, Place } from '../env.ts';

/** Fields as ztunnel has them. */
export type ConfigObject = { readonly [key: string]: Json } & ConfigOrigin;

export interface ConfigDump {
  /** To be taken in this order, each once. */
  readonly workloads: AsyncGenerator<ConfigObject, void, undefined>;
  readonly services: AsyncGenerator<ConfigObject, void, undefined>;
  readonly policies: AsyncGenerator<ConfigObject, void, undefined>;
  /** What ztunnel does not know. */
  readonly gateways: AsyncGenerator<ConfigObject, void, undefined>;
  readonly routes: AsyncGenerator<ConfigObject, void, undefined>;
  /** Service -> uid -> endpoint, of services that are not known. */
  readonly stagedServices: Readonly<Record<string, Readonly<Record<string, Json>>>>;
  readonly staticConfig: { readonly workloads: []; readonly policies: []; readonly services: [] };
  readonly version: { readonly version: string };
  readonly config: {
    readonly localNode: string;
    readonly network: string;
    readonly clusterId: string;
    readonly xdsAddress?: string;
  };
  readonly certificates: [];
  readonly workloadState: Readonly<Record<never, never>>;
}

/** What the agent's model holds. Fails with KM_AGENT_UNREACHABLE without one. */
export async function showConfig(
  _env: Env,
  { place, ...query }: ConfigQuery & { readonly place: Place },
): Promise<ConfigDump> {
  const client = adminClient(place.runDir);
  const { version, node, network, clusterId, sources } = await client.status({});
  const reader = readAhead(client.config(query));
  const xds = sources.find((source) => source.xds)?.xds;
  const stagedServices: Record<string, Record<string, Json>> = {};
  for (let item = await reader.head(); item?.kind === 'staged'; item = await reader.next()) {
    stagedServices[item.name] = Object.assign(stagedServices[item.name] ?? {}, item.fields);
  }
  return {
    workloads: objectsOf(reader, 'workload'),
    services: objectsOf(reader, 'service'),
    policies: objectsOf(reader, 'policy'),
    gateways: objectsOf(reader, 'gateway'),
    routes: objectsOf(reader, 'route'),
    stagedServices,
    staticConfig: { workloads: [], policies: [], services: [] },
    version: { version },
    config: { localNode: node, network, clusterId, ...(xds && { xdsAddress: xds.server }) },
    certificates: [],
    workloadState: {},
  };
}

interface Reader {
  /** The item that is next, without taking it. */
  head(): Promise<ConfigItem | undefined>;
  /** Takes it, and gives the one after. */
  next(): Promise<ConfigItem | undefined>;
  close(): Promise<unknown>;
}

function readAhead(items: AsyncGenerator<ConfigItem, void, undefined>): Reader {
  let head: Promise<ConfigItem | undefined> | undefined;
  const pull = async () => (await items.next()).value ?? undefined;
  return {
    head() {
      head ??= pull();
      return head;
    },
    next() {
      head = pull();
      return head;
    },
    close: () => items.return(),
  };
}

/** Those of one kind, until another one comes. Whoever goes away earlier ends the whole answer. */
async function* objectsOf(reader: Reader, kind: ConfigKind): AsyncGenerator<ConfigObject, void, undefined> {
  let whole = false;
  try {
    for (let item = await reader.head(); item?.kind === kind; ) {
      const { fields, origin, shadows } = item;
      const endpoints = { ...(fields.endpoints as Record<string, Json> | undefined) };
      for (item = await reader.next(); item?.kind === 'endpoints'; item = await reader.next()) {
        Object.assign(endpoints, item.fields);
      }
      yield {
        ...fields,
        ...(kind === 'service' && { endpoints }),
        ...(origin !== undefined && { origin }),
        ...(shadows && { shadows }),
      };
    }
    whole = true;
  } finally {
    if (!whole) await reader.close();
  }
}
