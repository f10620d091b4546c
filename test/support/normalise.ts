// SPDX-License-Identifier: Apache-2.0
// What the kernel holds as one plain object in which names stand for ids and ranges: equal contents compare equal.
import { settingFlag } from '../../src/abi/structs.ts';
import { type BackendImage, type Image, nameKinds } from '../../src/compile/image.ts';
import type { Pins } from '../../src/compile/pins.ts';
import { imageOf } from './plans.ts';

/** An endpoint as "workload address:port threshold>alias", a table as endpoints in order of its indexes. */
export interface NormalBackend {
  readonly service: string;
  readonly policy: number;
  readonly flags: number;
  readonly affinitySeconds: number;
  /** What it goes through. */
  readonly via: string;
  readonly endpoints: readonly string[];
  readonly indexes: readonly string[];
}

export interface NormalContents {
  readonly backends: Readonly<Record<string, NormalBackend | 'unusable'>>;
  readonly frontends: Readonly<
    Record<string, { readonly backend: string; readonly variants: Readonly<Record<string, string>> }>
  >;
  readonly clients: Readonly<Record<string, string>>;
  /** Ports of waypoints, and whether they are in the network of the node. */
  readonly ports: Readonly<Record<string, string>>;
  readonly portFilter: string;
  /** Some port had no room. */
  readonly portsFull: boolean;
  /** Services that waypoints are told of. */
  readonly told: readonly string[];
  /** Names by kind. */
  readonly names: Readonly<Record<string, readonly string[]>>;
  readonly ranges: boolean;
  readonly anyPorts: boolean;
  /** Entries that nothing explains. */
  readonly stray: readonly string[];
}

const sortedRecord = <T>(entries: Iterable<readonly [string, T]>): Record<string, T> =>
  Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));

function normalBackend(image: Image, backend: BackendImage): NormalBackend | 'unusable' {
  const { read } = backend;
  if (!read) return 'unusable';
  const endpoints = backend.workloadIds.map((_, i) => read.slot(i));
  const named = endpoints.map(
    (e) => `${image.ids.workload.nameOf(e.workload_id)} ${e.addr} ${e.port}${e.flags === 0 ? '' : ` flags ${e.flags}`}`,
  );
  return {
    service: backend.service,
    policy: read.header.policy,
    flags: read.header.flags,
    affinitySeconds: read.header.affinity_seconds,
    via: read.via ? `${image.ids.backend.nameOf(read.via.backend_id)} ${read.via.flags} [${read.listed}]` : '',
    endpoints: endpoints.map((e, i) => `${named[i]} ${e.threshold}>${named[e.alias]}`).sort(),
    indexes: Array.from(read.indexes, (i) => named[i] as string),
  };
}

/** The contents of `pins` without ids, ranges and generations. */
export function normalise(pins: Pins): NormalContents {
  const image = imageOf(pins);
  return {
    backends: sortedRecord([...image.backends].map(([name, b]) => [name, normalBackend(image, b)] as const)),
    frontends: sortedRecord(
      [...image.frontends].map(
        ([key, f]) => [key, { backend: f.backend ?? '', variants: sortedRecord(f.variants) }] as const,
      ),
    ),
    clients: sortedRecord(
      [...image.clients].map(
        ([uid, c]) =>
          [uid, `${c.namespace} ${c.address4} ${c.address6} ${c.identity}${c.hostNetwork ? ' host' : ''}`] as const,
      ),
    ),
    ports: sortedRecord([...image.ports].map(([key, { node }]) => [key, node ? 'node' : ''] as const)),
    portFilter: image.setting.ports.toString(16),
    portsFull: (image.setting.flags & settingFlag.portsFull) !== 0,
    names: Object.fromEntries(
      nameKinds.map((kind) => [kind, [...image.ids[kind].names()].map(([name]) => name).sort()]),
    ),
    told: [...image.told].map(([service, { written }]) => `${service}${written ? '' : ' not'}`).sort(),
    ranges: (image.setting.flags & settingFlag.cidr) !== 0,
    anyPorts: (image.setting.flags & settingFlag.anyPort) !== 0,
    stray: image.stray.map((op) => `${op.map} ${op.about}`).sort(),
  };
}
